"""Deliveries of bars: why one is refused, what a dry run finds in it, and how one is taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING

from whatif.errors import LakeError, SourceError
from whatif.lake import (
    BARS,
    BARS_QUARANTINE,
    FORGOTTEN,
    delivery_id,
    find_delivery,
    noted,
    read_pinned,
    removed_by,
    set_properties,
    sources_of,
    take_back,
    writer_lock,
)
from whatif.pins import LakeLocation, Pin, current_pin, has_rows, open_table
from whatif.sources import RefusedRow, StagedDelivery, broken_limits, with_units

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot
    from pyspark.sql import Column, DataFrame, SparkSession


_ROWS_SHOWN, _SYMBOLS_SHOWN, _CHARACTERS_SHOWN = 5, 20, 160


def delivery_faults(came: int, refused: Mapping[str, int], corrected: int, removed: int = 0) -> list[str]:
    """Return why a delivery is refused unless the user accepts it, a sentence each.

    Parameters
    ----------
    came : int
        Rows.
    refused : mapping of str to int
        Rule → rows that break it.
    corrected : int
        Rows that would overwrite bars with other values.
    removed : int
        Bars of the lake that would go.
    """
    faults = broken_limits(came, refused, corrected, removed)
    if not faults and came and sum(refused.values()) == came:
        rules = ", ".join(f"{count:,} {rule}" for rule, count in sorted(refused.items()))
        faults = [f"no row of {came:,} can be landed: {rules}"]
    return faults


def refused_delivery(faults: Sequence[str], staged: StagedDelivery) -> SourceError:
    """Return the error that refuses a delivery, with the first rows that are to blame."""
    shown = "".join(f"\n  {line}" for line in _refused_rows(staged, _ROWS_SHOWN))
    told = staged.refused_rows(_ROWS_SHOWN)
    units = any(with_units(_values(row)) for row in told if row.rule == _NO_NUMBER)
    remedy = "give --units, since numbers carry K, M, B or a currency's sign, or " if units else ""
    return SourceError(
        "the delivery is refused: "
        + "; ".join(faults)
        + shown
        + f"\nnothing was written: {remedy}mend the options or the files (--dry-run shows what would come), "
        "or take the rest as it is with --accept"
    )


_NO_NUMBER = "unparsable_number"


def _values(row: RefusedRow) -> list[str]:
    """Return the values that a refused row has."""
    found = json.loads(row.raw)
    return [str(value) for value in (found.values() if isinstance(found, dict) else [found])]


def told_rows(staged: StagedDelivery) -> Iterator[str]:
    """Yield what a dry run found: bars by symbol, then the first refused rows."""
    groups = staged.symbols(_SYMBOLS_SHOWN + 1)
    for bars in groups[:_SYMBOLS_SHOWN]:
        yield (
            f"{bars.symbol} {bars.timeframe} {bars.exchange}: {bars.count:,} bars from "
            f"{bars.first.replace(tzinfo=None)} to {bars.last.replace(tzinfo=None)} UTC, "
            f"{bars.regular:,} of them in regular hours"
        )
    if len(groups) > _SYMBOLS_SHOWN:
        yield "… and more symbols"
    yield from _refused_rows(staged, _SYMBOLS_SHOWN)


def _refused_rows(staged: StagedDelivery, most: int) -> Iterator[str]:
    for row in staged.refused_rows(most):
        place = f"row {row.row}" if row.line is None else f"line {row.line}"
        yield f"{row.source} {place}: {row.rule}: {row.raw[:_CHARACTERS_SHOWN]}"


@dataclass(frozen=True)
class Forgotten:
    """What was taken back.

    Attributes
    ----------
    removed : int
        Bars that are gone.
    restored : int
        Bars that are again what they were before.
    refused : int
        Rows that left the quarantine.
    lost : int
        Of the removed, bars whose earlier values may have been there and cannot be read any more, since
        the snapshot before them has expired.
    snapshot_id : int or None
        Snapshot of `bars` after it; None if nothing was written.
    """

    removed: int
    restored: int
    refused: int
    lost: int = 0
    snapshot_id: int | None = None

    def summary(self) -> str:
        """Return the figures as text for a terminal."""
        word = "would be " if self.snapshot_id is None else ""
        lines = [
            f"{self.removed:,} bars {word}removed, {self.restored:,} {word}again what they were before, "
            f"{self.refused:,} rows {word}taken out of quarantine"
        ]
        if self.lost:
            lines.append(
                f"  of the bars removed, {self.lost:,} may have had other values before, in a snapshot that "
                "has expired: ingest their files again"
            )
        lines.append(
            "  a bar that a later ingest brought again with the same values goes too: ingest that file again"
        )
        lines.append("  studies keep to the bars they were pinned to; --latest takes these")
        return "\n".join(lines)


def forget(
    location: LakeLocation | None = None,
    symbol: str | None = None,
    source: str | None = None,
    delivery: str | None = None,
    spark: SparkSession | None = None,
    dry_run: bool = False,
) -> Forgotten:
    """Take back what a symbol, a file or a delivery brought; what is given must hold together.

    A bar that was corrected by it returns to what it was before, read from the snapshot before that
    ingest. Derived tables (features, predictions) name the snapshot they were made of and are made anew
    by whoever needs them; results stay, since their bars' snapshot is part of their key.

    Parameters
    ----------
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    symbol, source, delivery : str, optional
        At least one: a symbol; a file (its path, the end of it, or a folder); a delivery's id, or its
        beginning, as `whatif deliveries` lists it.
    spark : SparkSession, optional
        Started, if left out.
    dry_run : bool
        Count, and write nothing.

    Raises
    ------
    LakeError
        If nothing is named, or what is named is not in the lake.
    LakeLockedError
        If another process is writing to the lake.
    """
    where = location or LakeLocation.from_environment()
    if symbol is None and source is None and delivery is None:
        raise LakeError("nothing is named: give --symbol, --source or --delivery")
    at = None if delivery is None else find_delivery(where, delivery)
    files = None if source is None else sources_of(where, source)
    named = ", ".join(text for text in (symbol, source, delivery) if text is not None)
    what = _What(symbol, files, at, datetime.now(UTC))
    with writer_lock(where, f"forget {named}"):
        if spark is None:
            from whatif.session import get_spark

            spark = get_spark(where, "whatif forget")
        if not dry_run:
            return _taken_back(spark, where, what)
        changes, lost = _changes(spark, where, what)
        refused = _in_quarantine(spark, where).where(what.holds).count()
        return Forgotten(*_count(changes), refused, lost)


@dataclass(frozen=True)
class _What:
    """What is taken back: rows that came until `until` and have all that is given."""

    symbol: str | None
    files: Sequence[str] | None
    at: datetime | None
    until: datetime

    @property
    def holds(self) -> Column:
        """The condition on rows of bars or quarantine."""
        from pyspark.sql import functions as F  # noqa: N812

        terms = [F.col("ingested_at") <= F.lit(self.until)]
        if self.symbol is not None:
            terms.append(F.col("symbol") == self.symbol)
        if self.files is not None:
            terms.append(F.col("source").isin(list(self.files)))
        if self.at is not None:
            terms.append(F.col("ingested_at") == F.lit(self.at))
        return reduce(lambda a, b: a & b, terms)

    def to_json(self) -> str:
        """Return it as text."""
        at = None if self.at is None else self.at.isoformat()
        return json.dumps([self.symbol, self.files, at, self.until.isoformat()])

    @classmethod
    def from_json(cls, text: str) -> _What:
        """Return what `to_json` wrote."""
        symbol, files, at, until = json.loads(text)
        return cls(symbol, files, at and datetime.fromisoformat(at), datetime.fromisoformat(until))


def _taken_back(spark: SparkSession, location: LakeLocation, what: _What) -> Forgotten:
    changes, lost = _changes(spark, location, what)
    changes = changes.persist()
    try:
        removed, restored = _count(changes)
        gone = _in_quarantine(spark, location).where(what.holds)
        refused = gone.count()
        if not removed and not restored and not refused:
            raise LakeError(
                "no row of the lake is of all that was named: 'whatif deliveries' lists what is there"
            )
        if removed or restored:
            _remember(spark, location, what)
            take_back(spark, location, BARS, changes)
        if refused:
            from pyspark.sql import functions as F  # noqa: N812

            columns = [*gone.columns, F.lit(False).alias("restored")]
            take_back(
                spark, location, BARS_QUARANTINE, gone.select(*columns), ("source", "row", "rule", "raw")
            )
    finally:
        changes.unpersist()
    return Forgotten(removed, restored, refused, lost, current_pin(location, BARS.name).snapshot_id)


def _remember(spark: SparkSession, location: LakeLocation, what: _What) -> None:
    """Note on the table what is taken back, so that no later one restores its values."""
    name = f"{FORGOTTEN}{what.until:%Y%m%d%H%M%S%f}"
    set_properties(spark, location, BARS.name, {name: what.to_json()})


def _forgotten(location: LakeLocation) -> list[_What]:
    """Return what was taken back before."""
    properties = open_table(location, BARS.name).properties
    return [_What.from_json(text) for name, text in properties.items() if name.startswith(FORGOTTEN)]


def _changes(spark: SparkSession, location: LakeLocation, what: _What) -> tuple[DataFrame, int]:
    """Return the bars to take back, `restored` where it is what was there before; and how many are lost."""
    from pyspark.sql import functions as F  # noqa: N812

    now = read_pinned(spark, location, current_pin(location, BARS.name)).where(what.holds)
    removed = now.withColumn("restored", F.lit(False))
    if what.files is None and what.at is None:  # earlier bars of the symbol go too
        return removed, 0
    gone = reduce(lambda a, b: a | b, (one.holds for one in (what, *_forgotten(location))))
    key = list(BARS.key)
    pending = now.select(*key, "ingested_at")
    asked = what.at or [row["ingested_at"] for row in pending.select("ingested_at").distinct().collect()]
    found, lost = removed_by(spark, location, asked if isinstance(asked, list) else [asked], what.files)
    own = F.lit(True) if what.symbol is None else F.col("symbol") == what.symbol
    found = [rows.where(own & ~gone) for rows in found]
    notes = noted(location)
    while True:
        instants = [row["ingested_at"] for row in pending.select("ingested_at").distinct().collect()]
        if not instants:
            break
        older = []
        for moment in instants:
            mine = pending.where(F.col("ingested_at") == F.lit(moment))
            before = _snapshot_before(location, moment)
            if before is None:
                continue
            if isinstance(before, str):
                note = notes.get(delivery_id(moment))
                lost += mine.count() if note is None else min(mine.count(), note.corrected)
                continue
            older.append(read_pinned(spark, location, before).join(mine.select(*key), key, "left_semi"))
        if not older:
            break
        then = reduce(lambda a, b: a.unionByName(b), older).persist()
        found.append(then.where(~gone))
        pending = then.where(gone).select(*key, "ingested_at")
    if not found:
        return removed, lost
    kept = reduce(lambda a, b: a.unionByName(b), found).withColumn("restored", F.lit(True))
    return kept.unionByName(removed.join(kept.select(*key), key, "left_anti")), lost


def _snapshot_before(location: LakeLocation, at: datetime) -> Pin | str | None:
    """Return the pin of the bars before an ingest; None if there were none, "" if it has expired."""
    table = open_table(location, BARS.name)
    began = int(at.timestamp() * 1000)
    snapshots = sorted(table.metadata.snapshots, key=lambda s: s.sequence_number or 0)
    its = next((snapshot for snapshot in snapshots if snapshot.timestamp_ms >= began), None)
    if its is None or _begins_empty(its):
        return None
    # its own commit is gone where an older ingest's is asked for and what is left begins later
    known = {snapshot.snapshot_id for snapshot in snapshots}
    if its.parent_snapshot_id not in known:
        return ""
    return Pin(BARS.name, its.parent_snapshot_id, table.metadata_location)


def _begins_empty(snapshot: Snapshot) -> bool:
    """Tell whether there was no row before a snapshot; one whose parent has expired names none either."""
    said = snapshot.summary.additional_properties if snapshot.summary else {}
    names = ("total-records", "added-records", "deleted-records")
    whole, added, gone = (int(said.get(name, 0)) for name in names)
    return snapshot.parent_snapshot_id is None and whole - added + gone == 0


def _in_quarantine(spark: SparkSession, location: LakeLocation) -> DataFrame:
    name = BARS_QUARANTINE.name
    if has_rows(location, name):
        return read_pinned(spark, location, current_pin(location, name))
    return spark.createDataFrame([], BARS_QUARANTINE.ddl)


def _count(changes: DataFrame) -> tuple[int, int]:
    counts = {row["restored"]: row["count"] for row in changes.groupBy("restored").count().collect()}
    return counts.get(False, 0), counts.get(True, 0)
