"""Deliveries on Spark: parts are read by tasks, and rows judged and written as a frame."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, reduce
from itertools import chain
from typing import TYPE_CHECKING

from whatif.calendars import exchange_aliases
from whatif.lake import (
    BARS,
    BARS_QUARANTINE,
    append,
    create_tables,
    insert_missing,
    set_properties,
    sql_text,
    take_back,
    upsert,
)
from whatif.pins import JUMP_DAYS, JUMP_FACTOR, LakeLocation, PriceJump, has_rows, in_words
from whatif.sources.base import Source
from whatif.sources.delivery import Part, read_or_refuse
from whatif.sources.kinds import SEAM
from whatif.sources.normalize import STAGED_DDL, duplicate_texts, spelled
from whatif.sources.staged import (
    COMPARED,
    MAX_PAIRS,
    MAX_SYMBOLS_IN_FILTER,
    PRICES,
    DifferingFiles,
    RefusedRow,
    RowGroup,
    StagedDelivery,
    SymbolBars,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

MAX_TASKS = 64

_ITEMS = "source string, reader int, checkpoint string, rows bigint"


def parse_parts(spark: SparkSession, parts: Sequence[Part], accept: bool) -> DataFrame:
    """Return one row for each row of `parts`, columns `STAGED`, and one for each refused part.

    Parameters
    ----------
    spark : SparkSession
        The session.
    parts : sequence of Part
        What every worker can read.
    accept : bool
        Whether to take parts that look misread.
    """
    readers: list[Source] = []
    items = []
    for part in parts:
        if not any(part.source is reader for reader in readers):
            readers.append(part.source)
            _send_along(type(part.source))
        number = next(k for k, reader in enumerate(readers) if reader is part.source)
        items.append((part.name, number, part.checkpoint, part.rows))

    def parse(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for item in batch.to_pylist():
                part = Part(item["source"], readers[item["reader"]], item["checkpoint"], item["rows"])
                yield from map(spelled, read_or_refuse(part, accept))

    rows = spark.createDataFrame(items, _ITEMS)
    return rows.repartition(min(len(parts), MAX_TASKS)).mapInArrow(parse, STAGED_DDL)


def _send_along(kind: type[Source]) -> None:
    """Let a source's module travel by its content, if it is no part of what is installed on workers."""
    from pyspark import cloudpickle

    if not any(plugin.kind is kind for plugin in SEAM.every()) and kind.__module__ in sys.modules:
        cloudpickle.register_pickle_by_value(sys.modules[kind.__module__])


class SparkDelivery(StagedDelivery):
    """A delivery as a frame of Spark.

    Parameters
    ----------
    spark : SparkSession
        The session.
    location : LakeLocation
        Where the lake is.
    parts : sequence of Part
        What is read.
    accept : bool
        Whether to take parts that look misread.
    """

    def __init__(
        self, spark: SparkSession, location: LakeLocation, parts: Sequence[Part], accept: bool
    ) -> None:
        self._spark = spark
        self._location = location
        self._names = [part.name for part in parts]
        self._staged = parse_parts(spark, parts, accept).persist()
        self._gone: DataFrame | None = None

    def release(self) -> None:
        """Let the frames go."""
        self._staged.unpersist()
        if "_judged" in self.__dict__:
            self._judged.unpersist()
        if self._gone is not None:
            self._gone.unpersist()

    @cached_property
    def _extent(self) -> list:  # type: ignore[type-arg]
        """Counts, times, symbols and timeframes by kind and rule."""
        from pyspark.sql import functions as F  # noqa: N812

        groups = self._staged.groupBy("kind", "rule").agg(
            F.count(F.lit(1)).alias("count"),
            F.min("ts").cast("string").alias("first"),
            F.max("ts").cast("string").alias("last"),
            F.collect_set("symbol").alias("symbols"),
            F.collect_set("timeframe").alias("timeframes"),
        )
        with in_words(self._location.described):
            return list(groups.collect())

    @property
    def _bars(self) -> DataFrame:
        return self._staged.where("kind = 'bar'").drop("kind", "rule", "raw")

    @cached_property
    def _judged(self) -> DataFrame:
        """The bars with `status`: new, same, changed or duplicate."""
        return self._with_status(_numbered_files(self._spark, self._bars, self._names)).persist()

    @cached_property
    def _status(self) -> dict[str, int]:
        counted = self._judged.groupBy("status").count().collect()
        return {row["status"]: row["count"] for row in counted}

    def create_tables(self) -> None:
        """Create the tables of bars and their quarantine."""
        create_tables(self._spark, self._location, (BARS, BARS_QUARANTINE))

    def groups(self) -> Sequence[RowGroup]:
        """Return how many rows of each kind and rule came."""
        return [RowGroup(row["kind"], row["rule"], row["count"]) for row in self._extent]

    def part_errors(self, most: int) -> Sequence[str]:
        """Return why parts as a whole cannot be read."""
        rows = self._staged.where("kind = 'file'").select("raw").orderBy("source").limit(most).collect()
        return [row["raw"] for row in rows]

    def refused_rows(self, most: int) -> Sequence[RefusedRow]:
        """Return the first rows that break a rule."""
        rows = self._staged.where("kind = 'refused'").orderBy("source", "row").limit(most).collect()
        return [
            RefusedRow(row["source"], row["row"], row["line"], row["rule"], str(row["raw"])) for row in rows
        ]

    def symbols(self, most: int) -> Sequence[SymbolBars]:
        """Return the bars by symbol, timeframe and exchange."""
        from pyspark.sql import functions as F  # noqa: N812

        keys = ("symbol", "timeframe", "exchange")
        groups = self._bars.groupBy(*keys).agg(
            F.count(F.lit(1)).alias("count"),
            F.sum(F.expr("IF(hours = 'regular', 1, 0)")).alias("regular"),
            F.unix_micros(F.min("ts")).alias("first"),
            F.unix_micros(F.max("ts")).alias("last"),
        )
        return [
            SymbolBars(row["symbol"], row["timeframe"], row["exchange"], row["count"], row["regular"],
                       instant(row["first"]), instant(row["last"]))
            for row in groups.orderBy(*keys).limit(most).collect()
        ]  # fmt: skip

    def exchanges_breaking(self, rule: str) -> Sequence[str]:
        """Return the exchanges of the rows that break a rule."""
        rows = self._staged.where(f"rule = {sql_text(rule)}").select("exchange").distinct().collect()
        return sorted(str(row["exchange"]) for row in rows)

    def checkpoints(self) -> Mapping[str, tuple[str, int]]:
        """Return for each part where the next ingest goes on."""
        rows = self._staged.where("kind = 'checkpoint'").select("source", "raw", "row").collect()
        return {row["source"]: (row["raw"], row["row"]) for row in rows}

    def counted(self, kind: str) -> int:
        """Return how many rows are of a kind that parts count."""
        return sum(row["row"] for row in self._staged.where(f"kind = '{kind}'").select("row").collect())

    def judge(self) -> Mapping[str, int]:
        """Return how many bars are new, same, changed or duplicate."""
        return self._status

    def differing_files(self) -> Sequence[DifferingFiles]:
        """Return files that have other values for one bar."""
        from pyspark.sql import functions as F  # noqa: N812

        keys = ["symbol", "timeframe", "ts"]
        twice = self._judged.select(*keys, "source", "nth", *PRICES)
        renamed = [F.col(name).alias(f"{name}_stands") for name in PRICES]
        stands = twice.where("nth = 1").select(*keys, F.col("source").alias("by"), *renamed)
        differ = " OR ".join(f"NOT ({name} <=> {name}_stands)" for name in PRICES)
        pairs = (
            twice.where("nth > 1").join(stands, keys).where(f"source != by AND ({differ})")
            .groupBy("source", "by").count()
            .orderBy(F.desc("count"), "source", "by").limit(MAX_PAIRS).collect()
        )  # fmt: skip
        return [DifferingFiles(row["source"], row["by"], row["count"]) for row in pairs]

    def bars_of_files(self) -> Mapping[str, int]:
        """Return how many bars came from each file."""
        return {row["source"]: row["count"] for row in self._judged.groupBy("source").count().collect()}

    def jumps(self, most: int) -> Sequence[PriceJump]:
        """Return the first prices that change by a factor between sessions."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F  # noqa: N812

        ends = self._bars.groupBy("symbol", "timeframe", "session").agg(
            F.min_by("open", "ts").alias("open"), F.max_by("close", "ts").alias("close")
        )
        before = Window.partitionBy("symbol", "timeframe").orderBy("session")
        steps = ends.select(
            "symbol", "timeframe", "session", "open",
            F.lag("close").over(before).alias("was"), F.lag("session").over(before).alias("last"),
        )  # fmt: skip
        factor = F.greatest(F.col("was") / F.col("open"), F.col("open") / F.col("was"))
        positive = (F.col("was") > 0) & (F.col("open") > 0)
        near = positive & (F.datediff("session", "last") <= JUMP_DAYS)
        found = (
            steps.where(near & (factor >= JUMP_FACTOR)).orderBy("symbol", "session", "timeframe").limit(most)
        )
        return [
            PriceJump(row["symbol"], row["last"], row["was"], row["session"], row["open"])
            for row in found.collect()
        ]

    def quarantine(self, at: datetime, duplicates: bool = True) -> None:
        """Put the refused rows, and the duplicates or not, into quarantine."""
        columns = [name for name in BARS_QUARANTINE.column_names if name != "ingested_at"]
        rows = self._staged.where("kind = 'refused'").select(*columns)
        if duplicates:
            twice = self._judged.where("status = 'duplicate'").mapInArrow(_duplicates, _DUPLICATES_DDL)
            rows = rows.unionByName(twice.select(*columns))
        known = self._spark.table(self._location.identifier(BARS_QUARANTINE.name))
        known = known.select("source", "row", "rule", "raw")
        fresh = rows.join(known, ["source", "row", "rule", "raw"], "left_anti")
        fresh = fresh.withColumn("ingested_at", _instant(at))
        if not fresh.isEmpty():
            upsert(self._spark, self._location, BARS_QUARANTINE, fresh, ("rule", "raw"))

    @property
    def session(self) -> SparkSession | None:
        """The session."""
        return self._spark

    def write(self, at: datetime, properties: Mapping[str, str], branch: str | None = "main") -> None:
        """Write the bars that are new or changed, in one commit, to a branch that is there."""
        from pyspark.sql import functions as F  # noqa: N812

        spark, location = self._spark, self._location
        wanted = self._judged.where("status IN ('new', 'changed')").withColumn("ingested_at", _instant(at))
        near = _known_range(self._extent, "t.") or "true"
        if self._gone is not None:
            rows = wanted.select(*BARS.column_names, F.lit(True).alias("restored"))
            gone = self._gone.withColumn("restored", F.lit(False))
            rows = rows.unionByName(gone, allowMissingColumns=True)
            take_back(spark, location, BARS, rows, condition=near, branch=branch)
        elif self._status.get("changed"):
            upsert(spark, location, BARS, wanted, COMPARED, near, branch)
        elif self._status.get("new") and location.local:
            append(spark, location, BARS, wanted, properties, branch)
        elif self._status.get("new"):  # another ingest may have landed some of them since they were judged
            insert_missing(spark, location, BARS, wanted, near, distinct=True, branch=branch)

    def replace_range(self) -> int:
        """Let bars of the lake go that lie within this range and are not in it; return how many they are.

        A row that is refused says what it is a bar of: the lake's own stays.
        """
        from pyspark.sql import functions as F  # noqa: N812

        within = _known_range(self._extent)
        if within is None or not has_rows(self._location, BARS.name):
            return 0
        key, series = list(BARS.key), ["symbol", "timeframe"]
        ranges = self._bars.groupBy(*series).agg(F.min("ts").alias("first"), F.max("ts").alias("last"))
        held = self._spark.table(self._location.identifier(BARS.name)).where(within).select(*key)
        inside = held.join(ranges, series).where("ts BETWEEN first AND last").select(*key)
        brought = self._staged.where("kind IN ('bar', 'refused')").select(*key).dropna()
        gone = inside.join(brought, key, "left_anti").persist()
        count = int(gone.count())
        self._gone = gone if count else None
        return count

    def note(self, properties: Mapping[str, str]) -> None:
        """Set properties of the table of bars."""
        set_properties(self._spark, self._location, BARS.name, properties)

    def _with_status(self, bars: DataFrame) -> DataFrame:
        from pyspark.sql import Window
        from pyspark.sql import functions as F  # noqa: N812

        nth = F.row_number().over(Window.partitionBy(*BARS.key).orderBy(F.desc("file_no"), "row"))
        numbered = bars.withColumn("nth", nth).alias("s")
        condition = _known_range(self._extent)
        if condition is None or not has_rows(self._location, BARS.name):
            return numbered.withColumn("status", F.expr("IF(nth > 1, 'duplicate', 'new')"))
        held = self._spark.table(self._location.identifier(BARS.name)).where(condition)
        known = held.select(*BARS.key, *COMPARED)
        known = known.withColumn("exchange", _canonical(F.col("exchange"))).alias("t")
        on = reduce(lambda a, b: a & b, (F.col(f"s.{key}") == F.col(f"t.{key}") for key in BARS.key))
        same = " AND ".join(f"s.`{name}` <=> t.`{name}`" for name in COMPARED)
        status = F.expr(
            "CASE WHEN s.nth > 1 THEN 'duplicate' WHEN t.symbol IS NULL THEN 'new' "
            f"WHEN {same} THEN 'same' ELSE 'changed' END"
        )
        return numbered.join(known, on, "left").select("s.*", status.alias("status"))


_DUPLICATES_DDL = """
    source string, row bigint, line bigint, symbol string, ts timestamp, timeframe string, raw string,
    rule string
"""


def _duplicates(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows that quarantine keeps of duplicates."""
    import pyarrow as pa

    for batch in batches:
        rows = batch.select(["source", "row", "line", "symbol", "ts", "timeframe"])
        rows = rows.append_column("raw", duplicate_texts(batch))
        yield rows.append_column("rule", pa.repeat("duplicate", len(rows)))


def _numbered_files(spark: SparkSession, bars: DataFrame, files: Sequence[str]) -> DataFrame:
    """Return the bars with `file_no`, the place of their file in the delivery."""
    from pyspark.sql import functions as F  # noqa: N812

    if len(files) == 1:
        return bars.withColumn("file_no", F.lit(0))
    places = spark.createDataFrame(list(enumerate(files)), "file_no int, source string")
    return bars.join(F.broadcast(places), "source", "left")


def _known_range(extent: list, prefix: str = "") -> str | None:  # type: ignore[type-arg]
    """Return SQL that holds for every bar that came; its literals prune partitions and files."""
    row = next((row for row in extent if row["kind"] == "bar"), None)
    if row is None:
        return None
    terms = [
        f"{prefix}ts BETWEEN TIMESTAMP '{row['first']}' AND TIMESTAMP '{row['last']}'",
        f"{prefix}timeframe IN ({', '.join(map(sql_text, sorted(row['timeframes'])))})",
    ]
    if len(row["symbols"]) <= MAX_SYMBOLS_IN_FILTER:
        terms.append(f"{prefix}symbol IN ({', '.join(map(sql_text, sorted(row['symbols'])))})")
    return " AND ".join(terms)


def _canonical(exchange: Column) -> Column:
    """Return exchanges by their one name, whatever alias a row was ingested with."""
    from pyspark.sql import functions as F  # noqa: N812

    names = F.create_map(*(F.lit(word) for word in chain.from_iterable(exchange_aliases().items())))
    return F.coalesce(names[exchange], exchange)


def _instant(at: datetime) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.lit(at).cast("timestamp")


def instant(us: int) -> datetime:
    """Return an instant, microseconds UTC, as a tz-aware datetime."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)
