"""Deliveries: what each ingest brought, and the rows that were refused. Starts no JVM."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.errors import LakeError, nearest
from whatif.lake.tables import DELIVERIES, FORGOTTEN
from whatif.pins import (
    DELIVERY_ID,
    LakeLocation,
    all_of,
    batches,
    current_pin,
    equal,
    everything,
    has_rows,
    open_table,
    read_arrow,
)

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot
    from pyspark.sql import SparkSession

QUARANTINE_COLUMNS = ("source", "line", "row", "symbol", "ts", "rule", "raw", "ingested_at")
_SHOWN = 8


def delivery_id(at: datetime) -> str:
    """Return the name of the delivery that was ingested at an instant."""
    return at.astimezone(UTC).strftime(DELIVERY_ID)


@dataclass(frozen=True)
class DeliveryNote:
    """What a delivery was, as the summary of its snapshot says.

    Attributes
    ----------
    delivery : str
        Its id.
    kind : str
        "append"; "correct" where it changed bars that were there; "replace-range" where bars of its range
        that it does not have went.
    source : str
        Its first file, or other part.
    files : int
        How many of them.
    digest : str
        SHA-256 of the file; see `DELIVERIES`.
    came, landed, corrected, refused, removed : int
        Rows; those removed were bars of the lake.
    """

    delivery: str
    kind: str
    source: str
    files: int
    digest: str
    came: int
    landed: int
    corrected: int
    refused: int
    removed: int = 0

    @property
    def properties(self) -> dict[str, str]:
        """What the snapshot's summary notes."""
        return {f"{NOTED}{name}": str(value) for name, value in asdict(self).items()}

    @property
    def changed(self) -> bool:
        """Whether bars came, changed or went by it."""
        return bool(self.landed or self.corrected or self.removed)

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> DeliveryNote | None:
        """Return what a snapshot's summary says; None if nothing."""
        if f"{NOTED}delivery" not in properties:
            return None
        texts = {each.name: properties.get(f"{NOTED}{each.name}", "") for each in fields(cls)}
        numbers = {name: int(texts[name] or 0) for name in _COUNTS}
        return cls(**{**texts, **numbers})  # type: ignore[arg-type]


NOTED = "whatif.delivery."
_COUNTS = ("files", "came", "landed", "corrected", "refused", "removed")


def notes_of(snapshots: Iterable[Snapshot]) -> dict[int, DeliveryNote]:
    """Return what deliveries snapshots are of, by their numbers."""
    found = {}
    for snapshot in snapshots:
        note = DeliveryNote.of(snapshot.summary.additional_properties if snapshot.summary else {})
        if note is not None:
            found[snapshot.snapshot_id] = note
    return found


def keep_notes(
    location: LakeLocation, notes: Mapping[int, DeliveryNote], spark: SparkSession | None = None
) -> None:
    """Put notes of deliveries, by snapshot, into their table, where no summary says them (any more)."""
    if not notes:
        return
    # who lists deliveries, or bars, writes nothing, and need not wait for what can
    from whatif.lake.create import create_tables
    from whatif.lake.write import append_rows

    create_tables(spark, location, [DELIVERIES])
    rows = [{**asdict(note), "snapshot_id": snapshot} for snapshot, note in notes.items()]
    append_rows(spark, location, DELIVERIES, rows)


def noted(location: LakeLocation) -> dict[str, DeliveryNote]:
    """Return what is known of the deliveries, by id."""
    found = {}
    if has_rows(location, DELIVERIES.name):
        names = [each.name for each in fields(DeliveryNote)]
        rows = read_arrow(current_pin(location, DELIVERIES.name), names).to_pylist()
        found = {row["delivery"]: DeliveryNote(**row) for row in rows}
    if has_rows(location, "bars"):
        said = notes_of(open_table(location, "bars").metadata.snapshots).values()
        found |= {note.delivery: note for note in said}
    return found


def snapshots_of(location: LakeLocation) -> dict[str, int]:
    """Return the snapshots of bars by the deliveries that made them, those that have expired too."""
    found = {}
    if has_rows(location, DELIVERIES.name):
        rows = read_arrow(current_pin(location, DELIVERIES.name), ["delivery", "snapshot_id"]).to_pylist()
        found = {row["delivery"]: row["snapshot_id"] for row in rows}
    if has_rows(location, "bars"):
        said = notes_of(open_table(location, "bars").metadata.snapshots)
        found |= {note.delivery: number for number, note in said.items()}
    return found


def instant_of(delivery: str) -> datetime:
    """Return the instant that a delivery's id names."""
    return datetime.strptime(delivery, DELIVERY_ID).replace(tzinfo=UTC)


def list_deliveries(location: LakeLocation | None = None) -> pd.DataFrame:
    """Return one row for each ingest that changed what the lake holds and was not taken back, oldest first.

    Returns
    -------
    DataFrame
        `delivery`, its id; `ingested_at`, tz-aware UTC; `files` and `first_file`; `symbols` and
        `first_symbol`; `bars` that are still as it brought them, none where later ones corrected or removed
        each; `refused` rows that are in quarantine; and
        what it was when it came: `kind`, as of `DeliveryNote`, `landed`, `corrected` and `removed` bars,
        `digest` of its files; "" and missing of one that an older version ingested.
    """
    where = location or LakeLocation.from_environment()
    bars = _counted(where, "bars")
    refused = _counted(where, "bars_quarantine")
    rows, notes = [], noted(where)
    emptied = {instant_of(note.delivery) for note in notes.values() if note.changed} - _taken_back(
        where, notes
    )
    for at in sorted(set(bars) | set(refused) | emptied):
        mine, misfits = bars.get(at, _Count()), refused.get(at, _Count())
        files = sorted(mine.sources | misfits.sources)
        symbols = sorted(mine.symbols | misfits.symbols)
        note = notes.get(delivery_id(at))
        was: tuple[object, ...] = ("", None, None, None, "")
        if note is not None:
            was = (note.kind, note.landed, note.corrected, note.removed, note.digest)
        if note is not None and not files:
            files = [note.source]
        rows.append(
            (delivery_id(at), at, len(files), files[0] if files else "", len(symbols),
             symbols[0] if symbols else "", mine.rows, misfits.rows, *was)
        )  # fmt: skip
    names = ["delivery", "ingested_at", "files", "first_file", "symbols", "first_symbol", "bars", "refused"]
    frame = pd.DataFrame(rows, columns=[*names, "kind", "landed", "corrected", "removed", "digest"])
    return frame.astype(dict.fromkeys(("landed", "corrected", "removed"), "Int64"))


def _taken_back(location: LakeLocation, notes: Mapping[str, DeliveryNote]) -> set[datetime]:
    """Return the deliveries of which something may have been taken back since, as the table of bars notes."""
    found: set[datetime] = set()
    if not has_rows(location, "bars"):
        return found
    for name, text in open_table(location, "bars").properties.items():
        if name.startswith(FORGOTTEN):
            _, files, at, until = json.loads(text)
            for note in notes.values():
                moment = instant_of(note.delivery)
                others = files is not None and note.files == 1 and note.source not in files
                if moment <= datetime.fromisoformat(until) and not others:
                    found |= {moment} if at is None or datetime.fromisoformat(at) == moment else set()
    return found


def find_delivery(location: LakeLocation, text: str) -> datetime:
    """Return the instant of a delivery by its id, or the beginning of it.

    Raises
    ------
    LakeError
        If no delivery, or more than one, is called that.
    """
    known = list_deliveries(location)
    found = known[known["delivery"].str.startswith(text)] if text else known.iloc[:0]
    if len(found) == 1:
        return pd.Timestamp(found["ingested_at"].iloc[0]).to_pydatetime()
    if len(found):
        raise LakeError(
            f"delivery {text!r} is the beginning of {', '.join(found['delivery'])}: give it whole"
        )
    hint = nearest(text, known["delivery"][-_SHOWN:]) if len(known) else "it holds none"
    raise LakeError(f"delivery {text!r} is none of this lake's: {hint}; 'whatif deliveries' lists them")


def list_refused(
    location: LakeLocation | None = None,
    source: str | None = None,
    symbol: str | None = None,
    rule: str | None = None,
) -> pd.DataFrame:
    """Return the rows in quarantine, by file and row.

    Parameters
    ----------
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    source : str, optional
        A file: its path, or the end of it.
    symbol, rule : str, optional
        Only rows of this symbol, or that broke this rule.

    Returns
    -------
    DataFrame
        `source`, `line` (of a text file; the first is 1), `row` (the first row of data is 1), `symbol`,
        `ts`, `rule`, `raw`, `ingested_at`.
    """
    where = location or LakeLocation.from_environment()
    if not has_rows(where, "bars_quarantine"):
        return pd.DataFrame(columns=list(QUARANTINE_COLUMNS))
    terms = [equal(name, value) for name, value in (("symbol", symbol), ("rule", rule)) if value is not None]
    pin = current_pin(where, "bars_quarantine")
    # a lake of an earlier version has no lines
    there = {field.name for field in open_table(where, "bars_quarantine").schema().fields}
    frame: pd.DataFrame = read_arrow(
        pin, [name for name in QUARANTINE_COLUMNS if name in there], all_of(*terms)
    ).to_pandas()
    frame = frame.reindex(columns=list(QUARANTINE_COLUMNS)).astype({"line": "Int64"})
    if source is not None:
        frame = frame[[is_file(path, source) for path in frame["source"]]]
    return frame.sort_values(["source", "row", "rule"], kind="stable", ignore_index=True)


def is_file(path: str, asked: str) -> bool:
    """Tell whether a file's path is the one asked for, or ends in it, or lies in that folder.

    No path is nothing: an empty one, or the root, would be any file's.
    """
    tail = asked.rstrip("/")
    if not tail.strip():
        return False
    return path == tail or path.endswith(f"/{tail.lstrip('/')}") or path.startswith((f"{tail}/", f"{tail}::"))


class _Count:
    """What one delivery has in a table."""

    def __init__(self) -> None:
        self.rows = 0
        self.sources: set[str] = set()
        self.symbols: set[str] = set()


def _counted(location: LakeLocation, table: str) -> dict[datetime, _Count]:
    counts: dict[datetime, _Count] = {}
    if not has_rows(location, table):
        return counts
    names = ["ingested_at", "source", "symbol"]
    for batch in batches(current_pin(location, table), names, everything()):
        rows = pa.Table.from_batches([batch]).select(names).group_by(names, use_threads=False)
        for row in rows.aggregate([([], "count_all")]).to_pylist():
            count = counts.setdefault(row["ingested_at"], _Count())
            count.rows += row["count_all"]
            count.sources.add(row["source"])
            count.symbols |= {row["symbol"]} - {None}
    return counts


def sources_of(location: LakeLocation, asked: str) -> Sequence[str]:
    """Return the files in the lake that a path names.

    Raises
    ------
    LakeError
        If there is none; the nearest is named.
    """
    known: set[str] = set()
    for table in ("bars", "bars_quarantine"):
        if has_rows(location, table):
            for batch in batches(current_pin(location, table), ("source",), everything()):
                known |= set(pc.unique(batch.column("source")).to_pylist())
    found = sorted(path for path in known if is_file(path, asked))
    if not found:
        hint = nearest(asked, sorted(known)[:_SHOWN]) if known else "it holds none"
        raise LakeError(f"no row of the lake came from {asked!r}: {hint}")
    return found
