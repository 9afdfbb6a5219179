"""What a symbol, a file or a delivery brought, taken back: by Spark, or by this process.

Both go the same way; what differs are the rows, frames of Spark or Arrow tables, and what joins them
(`_Rows`).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from whatif.errors import LakeError
from whatif.lake.create import set_properties
from whatif.lake.deliveries import delivery_id, instant_of, noted, snapshots_of
from whatif.lake.local_tables import Commit, rows_without
from whatif.lake.snapshots import read_pinned
from whatif.lake.tables import BARS, BARS_QUARANTINE, FORGOTTEN
from whatif.lake.write import delete_rows, take_back, upsert_arrow
from whatif.pins import (
    LakeLocation,
    Pin,
    all_of,
    current_pin,
    equal,
    has_rows,
    one_of,
    open_table,
    read_arrow,
    within,
)

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyspark.sql import Column, DataFrame, SparkSession

MOST_TAKEN_BACK = 12_000_000
"""Bars that this process holds, as many as it ingests; more are taken back by Spark."""

_SERIES = ["symbol", "timeframe"]
_KEY = list(BARS.key)
_REFUSED_KEY = ("source", "row", "rule", "raw")


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


@dataclass(frozen=True)
class Taken:
    """What is taken back: rows that came until `until` and have all that is given.

    Attributes
    ----------
    symbol : str or None
        Of the rows.
    files : sequence of str or None
        One of which they came from.
    at, until : datetime
        Instant of their ingest, None for any; and the last one that counts.
    """

    symbol: str | None
    files: Sequence[str] | None
    at: datetime | None
    until: datetime

    @property
    def column(self) -> Column:
        """The condition on rows of bars or quarantine, of Spark."""
        from pyspark.sql import functions as F  # noqa: N812

        terms = [F.col("ingested_at") <= F.lit(self.until)]
        if self.symbol is not None:
            terms.append(F.col("symbol") == self.symbol)
        if self.files is not None:
            terms.append(F.col("source").isin(list(self.files)))
        if self.at is not None:
            terms.append(F.col("ingested_at") == F.lit(self.at))
        return reduce(lambda a, b: a & b, terms)

    @property
    def filter(self) -> BooleanExpression:
        """The same, of PyIceberg."""
        terms = [within("ingested_at", None, _us(self.until) + 1)]
        if self.symbol is not None:
            terms.append(equal("symbol", self.symbol))
        if self.files is not None:
            terms.append(one_of("source", list(self.files)))
        if self.at is not None:
            terms.append(within("ingested_at", _us(self.at), _us(self.at) + 1))
        return all_of(*terms)

    @property
    def expression(self) -> pc.Expression:
        """The same, of Arrow."""
        found = pc.field("ingested_at") <= _stamp(self.until)
        if self.symbol is not None:
            found &= pc.field("symbol") == self.symbol
        if self.files is not None:
            found &= pc.field("source").isin(list(self.files))
        if self.at is not None:
            found &= pc.field("ingested_at") == _stamp(self.at)
        return found

    def to_json(self) -> str:
        """Return it as text."""
        at = None if self.at is None else self.at.isoformat()
        return json.dumps([self.symbol, self.files, at, self.until.isoformat()])

    @classmethod
    def from_json(cls, text: str) -> Taken:
        """Return what `to_json` wrote."""
        symbol, files, at, until = json.loads(text)
        return cls(symbol, files, at and datetime.fromisoformat(at), datetime.fromisoformat(until))


def few_enough(location: LakeLocation, what: Taken) -> bool:
    """Tell whether this process can hold what is taken back."""
    if not has_rows(location, BARS.name):
        return True
    pin = current_pin(location, BARS.name)
    return bool(read_arrow(pin, ["timeframe"], what.filter).num_rows <= MOST_TAKEN_BACK)


def taken_back(
    spark: SparkSession | None, location: LakeLocation, what: Taken, dry_run: bool = False
) -> Forgotten:
    """Take bars back in one commit, and then their refused rows; the writer's lock is held.

    Parameters
    ----------
    spark : SparkSession or None
        The session that reads and writes; None if this process does, on a local lake.
    location : LakeLocation
        Where the lake is.
    what : Taken
        Which rows.
    dry_run : bool
        Count, and write nothing.

    Raises
    ------
    LakeError
        If no row is of all that is given.
    """
    rows: _Rows = _ArrowRows(location) if spark is None else _SparkRows(location, spark)
    try:
        return _taken_back(rows, spark, location, what, dry_run)
    finally:
        rows.release()


def _taken_back(
    rows: _Rows, spark: SparkSession | None, location: LakeLocation, what: Taken, dry_run: bool
) -> Forgotten:
    removed, restored, lost = _changes(rows, location, what)
    counts = rows.count(removed), rows.count(restored), rows.refused(what)
    if dry_run:
        return Forgotten(*counts, lost)
    if not any(counts):
        raise LakeError(
            "no row of the lake is of all that was named: 'whatif deliveries' lists what is there"
        )
    if counts[0] or counts[1]:
        # noted on the table, so that no later one restores its values
        name = f"{FORGOTTEN}{what.until:%Y%m%d%H%M%S%f}"
        set_properties(spark, location, BARS.name, {name: what.to_json()})
        rows.write(removed, restored)
    if counts[2]:
        rows.forget_refused(what)
    return Forgotten(*counts, lost, current_pin(location, BARS.name).snapshot_id)


def last_forgotten(table: Table) -> str:
    """Return when something of a table was taken back last, in digits down to the microsecond, or ""."""
    latest = max((name for name in table.properties if name.startswith(FORGOTTEN)), default="")
    return latest.removeprefix(FORGOTTEN)


def _changes(rows: _Rows, location: LakeLocation, what: Taken) -> tuple[Any, Any, int]:
    """Return the bars to remove, those to put back as they were, and how many of these are lost."""
    now = rows.pinned(current_pin(location, BARS.name), what)
    if what.files is None and what.at is None:  # earlier bars of the symbol go too
        return now, rows.none_of(now), 0
    properties = open_table(location, BARS.name).properties
    before = [Taken.from_json(text) for name, text in properties.items() if name.startswith(FORGOTTEN)]
    gone = [what, *before]
    pending = rows.keys(now)
    asked = [what.at] if what.at is not None else rows.moments(pending)
    found, lost = _removed_by(rows, location, asked, what)
    found = [rows.of_none(some, gone) for some in found]
    notes = noted(location)
    while instants := rows.moments(pending):
        older = []
        for moment in instants:
            mine = rows.at(pending, moment)
            earlier = _snapshot_before(location, moment)
            if earlier is None:
                continue
            if isinstance(earlier, str):
                note = notes.get(delivery_id(moment))
                count = rows.count(mine)
                lost += count if note is None else min(count, note.corrected)
                continue
            older.append(rows.among(rows.pinned(earlier), mine))
        if not older:
            break
        then = rows.held(rows.joined(older))
        found.append(rows.of_none(then, gone))
        pending = rows.keys(rows.of_any(then, gone))
    if not found:
        return now, rows.none_of(now), lost
    kept = rows.held(rows.joined(found))
    return rows.without(now, kept), kept, lost


def _removed_by(
    rows: _Rows, location: LakeLocation, instants: Sequence[datetime], what: Taken
) -> tuple[list[Any], int]:
    """Return the bars that deliveries removed from their ranges, and how many cannot be read any more.

    Bars that are there again are none of them; of those that went twice, as they were before the last time.
    Of some files it is what lay between their own first and last bar, where other files of the delivery
    have bars of the same symbol and timeframe too; where none has, all that went.
    """
    known = noted(location)
    names = sorted((n for n in map(delivery_id, instants) if n in known and known[n].removed), reverse=True)
    if not names:
        return [], 0
    found, lost = [], 0
    table = open_table(location, BARS.name)
    snapshots = snapshots_of(location)
    there = rows.pinned(current_pin(location, BARS.name), columns=_KEY)
    for name in names:
        its = table.snapshot_by_id(snapshots[name]) if name in snapshots else None
        before = None if its is None else its.parent_snapshot_id
        if its is None or before is None or table.snapshot_by_id(before) is None:
            lost += known[name].removed
            continue
        then = rows.pinned(Pin(BARS.name, before, table.metadata_location))
        after = rows.pinned(Pin(BARS.name, its.snapshot_id, table.metadata_location), columns=_OF_FILES)
        gone = rows.without(rows.without(then, after), there)
        if what.files is not None:
            gone = rows.of_files(gone, after, instant_of(name), what.files)
        gone = rows.held(rows.of_symbol(gone, what.symbol))
        there = rows.joined([there, rows.only_keys(gone)])
        found.append(gone)
    return found, lost


_OF_FILES = [*_KEY, "source", "ingested_at"]


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


class _Rows(ABC):
    """Rows of bars, held by one of the two, and what is done with them."""

    def __init__(self, location: LakeLocation) -> None:
        self.location = location

    @abstractmethod
    def release(self) -> None:
        """Let go what is held."""

    @abstractmethod
    def pinned(self, pin: Pin, what: Taken | None = None, columns: Sequence[str] | None = None) -> Any:
        """Return the rows of a pin, or those that are taken back; all columns, or some."""

    @abstractmethod
    def of_any(self, rows: Any, some: Sequence[Taken]) -> Any:
        """Return those that any of some takes back."""

    @abstractmethod
    def of_none(self, rows: Any, some: Sequence[Taken]) -> Any:
        """Return those that none of some takes back."""

    @abstractmethod
    def of_symbol(self, rows: Any, symbol: str | None) -> Any:
        """Return those of a symbol; all if it is none."""

    @abstractmethod
    def of_files(self, rows: Any, after: Any, at: datetime, files: Sequence[str]) -> Any:
        """Return those of the rows that a delivery removed which went by some of its files."""

    @abstractmethod
    def at(self, rows: Any, moment: datetime) -> Any:
        """Return those that were ingested at a moment."""

    @abstractmethod
    def moments(self, rows: Any) -> list[datetime]:
        """Return when rows were ingested."""

    @abstractmethod
    def only_keys(self, rows: Any) -> Any:
        """Return the columns of the key."""

    @abstractmethod
    def keys(self, rows: Any) -> Any:
        """Return the key and when it was ingested."""

    @abstractmethod
    def among(self, rows: Any, others: Any) -> Any:
        """Return those whose key is one of others'."""

    @abstractmethod
    def without(self, rows: Any, others: Any) -> Any:
        """Return those whose key is none of others'."""

    @abstractmethod
    def joined(self, some: Sequence[Any]) -> Any:
        """Return all rows of some."""

    @abstractmethod
    def none_of(self, rows: Any) -> Any:
        """Return no row, of the same columns."""

    @abstractmethod
    def held(self, rows: Any) -> Any:
        """Return the same, computed once."""

    @abstractmethod
    def count(self, rows: Any) -> int:
        """Return how many they are."""

    @abstractmethod
    def refused(self, what: Taken) -> int:
        """Return how many rows in quarantine are taken back."""

    @abstractmethod
    def write(self, removed: Any, restored: Any) -> None:
        """Take bars out of the table, and put others back, in one commit."""

    @abstractmethod
    def forget_refused(self, what: Taken) -> None:
        """Take rows out of quarantine."""


class _ArrowRows(_Rows):
    """Rows as Arrow tables of this process."""

    def release(self) -> None:
        """Do nothing: tables go with whoever has them."""

    def pinned(self, pin: Pin, what: Taken | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        names = list(BARS.column_names) if columns is None else columns
        return read_arrow(pin, names, None if what is None else what.filter)

    def of_any(self, rows: pa.Table, some: Sequence[Taken]) -> pa.Table:
        return rows.filter(reduce(lambda a, b: a | b, (one.expression for one in some)))

    def of_none(self, rows: pa.Table, some: Sequence[Taken]) -> pa.Table:
        return rows.filter(~reduce(lambda a, b: a | b, (one.expression for one in some)))

    def of_symbol(self, rows: pa.Table, symbol: str | None) -> pa.Table:
        return rows if symbol is None else rows.filter(pc.field("symbol") == symbol)

    def of_files(self, rows: pa.Table, after: pa.Table, at: datetime, files: Sequence[str]) -> pa.Table:
        own = after.filter(pc.field("source").isin(list(files)))
        ranges = own.group_by(_SERIES).aggregate([("ts", "min"), ("ts", "max")])
        others = after.filter(~pc.field("source").isin(list(files)) & (pc.field("ingested_at") == _stamp(at)))
        shared = others.select(_SERIES).group_by(_SERIES).aggregate([([], "count_all")])
        found = rows.join(ranges, _SERIES, join_type="inner")
        found = found.join(shared, _SERIES, join_type="left outer")
        inside = (pc.field("ts") >= pc.field("ts_min")) & (pc.field("ts") <= pc.field("ts_max"))
        return found.filter(pc.is_null(pc.field("count_all")) | inside).select(rows.column_names)

    def at(self, rows: pa.Table, moment: datetime) -> pa.Table:
        return rows.filter(pc.field("ingested_at") == _stamp(moment))

    def moments(self, rows: pa.Table) -> list[datetime]:
        return list(pc.unique(rows["ingested_at"]).to_pylist())

    def only_keys(self, rows: pa.Table) -> pa.Table:
        return rows.select(_KEY)

    def keys(self, rows: pa.Table) -> pa.Table:
        return rows.select([*_KEY, "ingested_at"])

    def among(self, rows: pa.Table, others: pa.Table) -> pa.Table:
        return rows_without(rows, rows_without(rows.select(_KEY), others.select(_KEY)))

    def without(self, rows: pa.Table, others: pa.Table) -> pa.Table:
        return rows_without(rows, others.select(_KEY))

    def joined(self, some: Sequence[pa.Table]) -> pa.Table:
        return pa.concat_tables(some)

    def none_of(self, rows: pa.Table) -> pa.Table:
        return rows.slice(0, 0)

    def held(self, rows: pa.Table) -> pa.Table:
        return rows

    def count(self, rows: pa.Table) -> int:
        return int(rows.num_rows)

    def refused(self, what: Taken) -> int:
        if not has_rows(self.location, BARS_QUARANTINE.name):
            return 0
        pin = current_pin(self.location, BARS_QUARANTINE.name)
        return int(read_arrow(pin, ["row"], what.filter).num_rows)

    def write(self, removed: pa.Table, restored: pa.Table) -> None:
        gone = removed.select(_KEY) if removed.num_rows else None
        upsert_arrow(self.location, BARS, restored, Commit(gone=gone))

    def forget_refused(self, what: Taken) -> None:
        delete_rows(self.location, BARS_QUARANTINE, what.filter)


class _SparkRows(_Rows):
    """Rows as frames of Spark."""

    def __init__(self, location: LakeLocation, spark: SparkSession) -> None:
        super().__init__(location)
        self._spark = spark
        self._held: list[DataFrame] = []

    def release(self) -> None:
        for rows in self._held:
            rows.unpersist()

    def pinned(self, pin: Pin, what: Taken | None = None, columns: Sequence[str] | None = None) -> DataFrame:
        rows = read_pinned(self._spark, self.location, pin)
        rows = rows if what is None else rows.where(what.column)
        return rows if columns is None else rows.select(*columns)

    def of_any(self, rows: DataFrame, some: Sequence[Taken]) -> DataFrame:
        return rows.where(reduce(lambda a, b: a | b, (one.column for one in some)))

    def of_none(self, rows: DataFrame, some: Sequence[Taken]) -> DataFrame:
        return rows.where(~reduce(lambda a, b: a | b, (one.column for one in some)))

    def of_symbol(self, rows: DataFrame, symbol: str | None) -> DataFrame:
        from pyspark.sql import functions as F  # noqa: N812

        return rows if symbol is None else rows.where(F.col("symbol") == symbol)

    def of_files(self, rows: DataFrame, after: DataFrame, at: datetime, files: Sequence[str]) -> DataFrame:
        from pyspark.sql import functions as F  # noqa: N812

        own = F.col("source").isin(list(files))
        began = F.when(own, F.col("ts"))
        ranges = after.groupBy(*_SERIES).agg(
            F.min(began).alias("first"),
            F.max(began).alias("last"),
            F.max(~own & (F.col("ingested_at") == F.lit(at))).alias("others"),
        )
        whole = ~F.col("others") & F.col("first").isNotNull()
        found = rows.join(ranges, _SERIES).where(whole | F.col("ts").between(F.col("first"), F.col("last")))
        return found.select(*rows.columns)

    def at(self, rows: DataFrame, moment: datetime) -> DataFrame:
        from pyspark.sql import functions as F  # noqa: N812

        return rows.where(F.col("ingested_at") == F.lit(moment))

    def moments(self, rows: DataFrame) -> list[datetime]:
        return [row["ingested_at"] for row in rows.select("ingested_at").distinct().collect()]

    def only_keys(self, rows: DataFrame) -> DataFrame:
        return rows.select(*_KEY)

    def keys(self, rows: DataFrame) -> DataFrame:
        return rows.select(*_KEY, "ingested_at")

    def among(self, rows: DataFrame, others: DataFrame) -> DataFrame:
        return rows.join(others.select(*_KEY), _KEY, "left_semi")

    def without(self, rows: DataFrame, others: DataFrame) -> DataFrame:
        return rows.join(others.select(*_KEY), _KEY, "left_anti")

    def joined(self, some: Sequence[DataFrame]) -> DataFrame:
        return reduce(lambda a, b: a.unionByName(b), some)

    def none_of(self, rows: DataFrame) -> DataFrame:
        return rows.limit(0)

    def held(self, rows: DataFrame) -> DataFrame:
        self._held.append(rows.persist())
        return self._held[-1]

    def count(self, rows: DataFrame) -> int:
        return int(rows.count())

    def refused(self, what: Taken) -> int:
        return self._refused(what).count() if has_rows(self.location, BARS_QUARANTINE.name) else 0

    def _refused(self, what: Taken) -> DataFrame:
        pin = current_pin(self.location, BARS_QUARANTINE.name)
        return read_pinned(self._spark, self.location, pin).where(what.column)

    def write(self, removed: DataFrame, restored: DataFrame) -> None:
        from pyspark.sql import functions as F  # noqa: N812

        rows = restored.withColumn("restored", F.lit(True))
        rows = rows.unionByName(removed.withColumn("restored", F.lit(False)))
        take_back(self._spark, self.location, BARS, rows)

    def forget_refused(self, what: Taken) -> None:
        from pyspark.sql import functions as F  # noqa: N812

        gone = self._refused(what).withColumn("restored", F.lit(False))
        take_back(self._spark, self.location, BARS_QUARANTINE, gone, _REFUSED_KEY)


def _us(moment: datetime) -> int:
    """Return an instant in microseconds since 1970, UTC."""
    return (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)) // timedelta(microseconds=1)


def _stamp(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment, pa.timestamp("us", tz="UTC"))
