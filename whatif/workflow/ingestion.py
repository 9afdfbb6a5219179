"""Ingestion of bars into the lake, from files or from any other source.

Options, as `whatif ingest` and `jobs/ingest_bars.py` take them: paths (files, folders, globs),
`--format`, `--symbol`, `--exchange`, `--timezone`, `--timeframe`, `--stamps start|end`,
`--map ts=Date+Time` (any number), `--columns a,b,c`, `--delimiter`, `--time-format`, `--decimal`,
`--thousands`, `--symbol-from file`, `--accept`, `--dry-run`; see `IngestSpec` for what each means.
In place of paths a source may be named (`my_sources:Service`), with `--option NAME=VALUE` for each of its
own settings.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from whatif.errors import SourceError
from whatif.exchanges import known_dates
from whatif.lake import (
    BARS,
    BARS_QUARANTINE,
    append,
    create_tables,
    insert_missing,
    sql_text,
    upsert,
    writer_lock,
)
from whatif.pins import LakeLocation, in_words, open_table, table_exists
from whatif.sources import (
    RULES,
    IngestSpec,
    Part,
    Source,
    check_symbol,
    checkpoints_of,
    file_parts,
    numbered_files,
    parse_parts,
    source_parts,
    store_checkpoints,
    try_first,
    unadjusted,
)
from whatif.workflow.deliveries import canonical, delivery_faults, refused_delivery, told_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COMPARED = (
    "session", "session_open", "session_close", "hours", "open", "high", "low", "close", "volume",
    "vwap", "trade_count", "vwap_estimated", "exchange",
)  # fmt: skip
"""Columns that make a bar with a known key a correction; where it came from does not."""

_MAX_SYMBOLS_IN_FILTER = 500


@dataclass(frozen=True)
class IngestReport:
    """What came of an ingest.

    Attributes
    ----------
    files : int
        Files, or other parts of a source, that were read.
    came : int
        Rows in them: the sum of `landed`, `already_there`, `corrected` and the refused.
    landed : int
        New bars.
    already_there : int
        Bars that the lake holds with the same values.
    corrected : int
        Bars that the lake held with other values.
    refused : mapping of str to int
        Rule → rows in quarantine for breaking it.
    notes : tuple of str
        What a reader should know of it beyond the counts.
    snapshot_id : int or None
        Snapshot of `bars` after the ingest; None if the table has none yet.
    seconds : float
        Wall time.
    dry_run : bool
        Whether nothing was written: counts are what would be.
    faults : tuple of str
        What an ingest would be refused for; empty unless `dry_run`.
    details : tuple of str
        Of a dry run: what would land, by symbol, and rows that are refused.
    """

    files: int
    came: int
    landed: int
    already_there: int
    corrected: int
    refused: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    snapshot_id: int | None = None
    seconds: float = 0.0
    dry_run: bool = False
    faults: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return the figures as text for a terminal."""
        total = sum(self.refused.values())
        landed = "would land" if self.dry_run else "landed"
        lines = [
            f"{self.files:,} file{'s' * (self.files != 1)}, {self.came:,} rows came: {self.landed:,} "
            f"{landed}, "
            f"{self.already_there:,} already there, {self.corrected:,} corrected, {total:,} refused"
        ]
        lines += [
            f"  {count:>10,} {rule} (rule: {RULES[rule]})" for rule, count in sorted(self.refused.items())
        ]
        if total and not self.dry_run:
            lines.append("  the refused rows are in bars_quarantine: 'whatif quarantine' shows them")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  {detail}" for detail in self.details]
        if self.dry_run:
            lines += [f"  would be refused: {fault}" for fault in self.faults]
            lines.append("  dry run: nothing was written")
        return "\n".join(lines)


def ingest(
    paths: Sequence[str | Path] | Source,
    spec: IngestSpec | None = None,
    location: LakeLocation | None = None,
    spark: SparkSession | None = None,
    dry_run: bool = False,
) -> IngestReport:
    """Read bars into the lake, from files or another source. The same bars twice add nothing.

    A delivery is refused, and nothing written, if more than 1 % of its rows cannot be read as bars,
    more than 5 % lie outside the exchange's sessions, more than 1 % would overwrite bars with other
    values, or all are refused, unless `spec.accept`; fewer than three such rows never refuse it.

    Parameters
    ----------
    paths : sequence of str or Path, or Source
        Files, folders (searched to any depth), globs or URIs; or a source that is none of files. One that
        gives checkpoints is read from where the last ingest with the same options ended.
    spec : IngestSpec, optional
        How to read files; of another source `accept` alone.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    spark : SparkSession, optional
        Started, if left out, once the first file has shown that it can be read.
    dry_run : bool
        Say what would come of it and write nothing.

    Raises
    ------
    SourceError
        If a file or a source as a whole cannot be read, a source breaks its contract, or too much of the
        delivery is refused or would overwrite bars; nothing has been written then.
    PluginError
        If a format cannot be imported.
    LakeError
        If the disk is full; the tables stay at their last snapshots.
    LakeLockedError
        If another process is writing to the lake.
    """
    began = time.monotonic()
    spec = spec or IngestSpec()
    location = location or LakeLocation.from_environment()
    parts, notes = _parts(paths, spec, location)
    try_first(parts, spec.accept)
    # the lock comes first: a second writer is refused at once, not after Spark has started
    lock = writer_lock(location, f"ingest of {len(parts)} files, first {parts[0].name}")
    with nullcontext() if dry_run else lock:
        if spark is None:
            from whatif.session import get_spark

            spark = get_spark(location, "whatif ingest")
        if not dry_run:
            create_tables(spark, location, (BARS, BARS_QUARANTINE))
        staged = parse_parts(spark, parts, spec.accept).persist()
        try:
            at = None if dry_run else datetime.now(UTC)
            with in_words(location.described):
                counts = _land(spark, location, staged, at, parts, spec)
        finally:
            staged.unpersist()
    return IngestReport(
        files=len(parts),
        snapshot_id=_snapshot_id(location),
        seconds=time.monotonic() - began,
        dry_run=dry_run,
        **{**counts, "notes": (*notes, *counts["notes"])},
    )


def _parts(
    paths: Sequence[str | Path] | Source, spec: IngestSpec, location: LakeLocation
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return what is to be read, and notes on what is not."""
    if not isinstance(paths, Source):
        return file_parts(paths, spec)
    if spec != IngestSpec(accept=spec.accept):
        raise SourceError(
            f"a spec says how files are read, and {paths.label} is no file: give it options of its own"
        )
    return source_parts(paths, checkpoints_of(location, paths)), ()


def _land(
    spark: SparkSession,
    location: LakeLocation,
    staged: DataFrame,
    at: datetime | None,
    parts: Sequence[Part],
    spec: IngestSpec,
) -> dict:  # type: ignore[type-arg]
    """Judge the rows and write them, `at` an instant; without one, say what would be."""
    from pyspark.sql import functions as F  # noqa: N812

    extent = _extent(staged, resumed=any(part.checkpoint is not None for part in parts))
    bars = staged.where("kind = 'bar'").drop("kind", "rule", "raw")
    names = [part.name for part in parts]
    bars = bars.withColumn("ingested_at", F.lit(at).cast("timestamp"))
    judged = _judge(spark, location, numbered_files(spark, bars, names), extent).persist()
    try:
        status = {row["status"]: row["count"] for row in judged.groupBy("status").count().collect()}
        refused = {row["rule"]: row["count"] for row in extent if row["kind"] == "refused"}
        if status.get("duplicate") and spec.symbol is not None and len(parts) > 1:
            check_symbol(judged, spec.symbol)
        if status.get("duplicate"):
            refused["duplicate"] = status["duplicate"]
        came = sum(row["count"] for row in extent if row["kind"] in ("bar", "refused"))
        faults = [] if spec.accept else delivery_faults(came, refused, status.get("changed", 0))
        if at is None:
            told = {"faults": tuple(faults), "details": tuple(told_rows(staged))}
        elif faults:
            raise refused_delivery(faults, staged)
        else:
            told = {}
            if refused:
                _quarantine(spark, location, staged, judged, at)
            _write_bars(spark, location, judged, status, extent)
            if any(row["kind"] == "checkpoint" for row in extent):
                store_checkpoints(spark, location, parts[0].source, _checkpoints(staged), at)
    finally:
        judged.unpersist()
    return {
        **told,
        "came": came,
        "landed": status.get("new", 0),
        "already_there": status.get("same", 0),
        "corrected": status.get("changed", 0),
        "refused": refused,
        "notes": (*(_unknown_dates(staged) if "outside_calendar" in refused else ()), *unadjusted(bars)),
    }


def _unknown_dates(staged: DataFrame) -> tuple[str, ...]:
    """Return what the calendars know that some rows lie outside of."""
    rows = staged.where("rule = 'outside_calendar'").select("exchange").distinct().collect()
    exchanges = sorted(str(row["exchange"]) for row in rows)
    ranges = {exchange: known_dates(exchange) for exchange in exchanges}
    return tuple(
        f"the calendar {exchange} knows {first} to {last}; bars of other dates are outside_calendar"
        for exchange, (first, last) in ranges.items()
    )


def _checkpoints(staged: DataFrame) -> dict[str, tuple[str, int]]:
    """Return for each part where the next ingest goes on, and how many rows came until there."""
    rows = staged.where("kind = 'checkpoint'").select("source", "raw", "row").collect()
    return {row["source"]: (row["raw"], row["row"]) for row in rows}


def _extent(staged: DataFrame, resumed: bool) -> list:  # type: ignore[type-arg]
    """Return counts, times, symbols and timeframes by kind and rule; raise for a refused part.

    Of a delivery that is `resumed` it is no fault that nothing new came.
    """
    from pyspark.sql import functions as F  # noqa: N812

    rows: list = (  # type: ignore[type-arg]
        staged.groupBy("kind", "rule")
        .agg(
            F.count(F.lit(1)).alias("count"),
            F.min("ts").cast("string").alias("first"),
            F.max("ts").cast("string").alias("last"),
            F.collect_set("symbol").alias("symbols"),
            F.collect_set("timeframe").alias("timeframes"),
        )
        .collect()
    )
    if any(row["kind"] == "file" for row in rows):
        errors = staged.where("kind = 'file'").select("raw").orderBy("source").limit(4).collect()
        count = next(row["count"] for row in rows if row["kind"] == "file")
        more = f"\n… and {count - 3} more files" if count > 3 else ""
        raise SourceError("\n".join(row["raw"] for row in errors[:3]) + more + "\nnothing was written")
    if not resumed and not any(row["kind"] in ("bar", "refused") for row in rows):
        raise SourceError("no file has rows: name files with rows; nothing was written")
    return rows


def _judge(spark: SparkSession, location: LakeLocation, bars: DataFrame, extent: list) -> DataFrame:  # type: ignore[type-arg]
    """Return the bars with `status`: new, same, changed or duplicate."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    # of one bar the last file's row stands, and in a file the first
    nth = F.row_number().over(Window.partitionBy(*BARS.key).orderBy(F.desc("file_no"), "row"))
    numbered = bars.withColumn("nth", nth).alias("s")
    condition = _known_range(extent)
    if condition is None or _snapshot_id(location) is None:
        return numbered.withColumn("status", F.expr("IF(nth > 1, 'duplicate', 'new')"))
    known = spark.table(location.identifier(BARS.name)).where(condition).select(*BARS.key, *COMPARED)
    known = known.withColumn("exchange", canonical(F.col("exchange"))).alias("t")
    on = reduce(lambda a, b: a & b, (F.col(f"s.{key}") == F.col(f"t.{key}") for key in BARS.key))
    same = " AND ".join(f"s.`{name}` <=> t.`{name}`" for name in COMPARED)
    status = F.expr(
        "CASE WHEN s.nth > 1 THEN 'duplicate' WHEN t.symbol IS NULL THEN 'new' "
        f"WHEN {same} THEN 'same' ELSE 'changed' END"
    )
    return numbered.join(known, on, "left").select("s.*", status.alias("status"))


def _known_range(extent: list, prefix: str = "") -> str | None:  # type: ignore[type-arg]
    """Return SQL that holds for every bar that came; its literals prune partitions and files."""
    row = next((row for row in extent if row["kind"] == "bar"), None)
    if row is None:
        return None
    terms = [
        f"{prefix}ts BETWEEN TIMESTAMP '{row['first']}' AND TIMESTAMP '{row['last']}'",
        f"{prefix}timeframe IN ({', '.join(map(sql_text, sorted(row['timeframes'])))})",
    ]
    if len(row["symbols"]) <= _MAX_SYMBOLS_IN_FILTER:
        terms.append(f"{prefix}symbol IN ({', '.join(map(sql_text, sorted(row['symbols'])))})")
    return " AND ".join(terms)


def _write_bars(
    spark: SparkSession,
    location: LakeLocation,
    judged: DataFrame,
    status: Mapping[str, int],
    extent: list,  # type: ignore[type-arg]
) -> None:
    """Write what is new or changed, in one commit; nothing at all if nothing is."""
    if status.get("changed"):
        rows = judged.where("status IN ('new', 'changed')")
        upsert(spark, location, BARS, rows, COMPARED, _known_range(extent, "t.") or "true")
    elif status.get("new") and location.local:
        append(spark, location, BARS, judged.where("status = 'new'"))
    elif status.get("new"):  # another ingest may have landed some of them since they were judged
        known = _known_range(extent, "t.") or "true"
        insert_missing(spark, location, BARS, judged.where("status = 'new'"), known, distinct=True)


def _quarantine(
    spark: SparkSession, location: LakeLocation, staged: DataFrame, judged: DataFrame, at: datetime
) -> None:
    from pyspark.sql import functions as F  # noqa: N812

    columns = [name for name in BARS_QUARANTINE.column_names if name != "ingested_at"]
    values = "to_json(struct(symbol, ts, open, high, low, close, volume))"
    twice = judged.where("status = 'duplicate'").withColumns(
        {"rule": F.lit("duplicate"), "raw": F.expr(values)}
    )
    rows = staged.where("kind = 'refused'").select(*columns).unionByName(twice.select(*columns))
    known = spark.table(location.identifier(BARS_QUARANTINE.name)).select("source", "row", "rule", "raw")
    fresh = rows.join(known, ["source", "row", "rule", "raw"], "left_anti").withColumn(
        "ingested_at", F.lit(at)
    )
    if not fresh.isEmpty():
        upsert(spark, location, BARS_QUARANTINE, fresh, ("rule", "raw"))


def _snapshot_id(location: LakeLocation) -> int | None:
    if not table_exists(location, BARS.name):
        return None
    snapshot = open_table(location, BARS.name).current_snapshot()
    return None if snapshot is None else snapshot.snapshot_id
