"""Deliveries on Spark: parts that are read by tasks, checks across their bars, and checkpoints of sources.

Checkpoints say how far each part of a source has landed, and are kept on the table of bars. They are
written after the bars, so that they never say more than what is there: what a killed ingest has landed
without its checkpoint is read again, and adds nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias

from whatif.errors import SourceError
from whatif.lake import BARS, FORGOTTEN, set_properties
from whatif.pins import LakeLocation, open_table, table_exists
from whatif.sources.base import Source
from whatif.sources.chunk import NoRowsError
from whatif.sources.delivery import Part, read_part
from whatif.sources.kinds import SEAM
from whatif.sources.normalize import STAGED_DDL, whole_part

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

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
                try:
                    yield from read_part(part, accept)
                except NoRowsError:  # a quiet day's file has a header only
                    yield whole_part("empty", part.name)
                except SourceError as error:
                    yield whole_part("file", part.name, str(error))

    rows = spark.createDataFrame(items, _ITEMS)
    return rows.repartition(min(len(parts), MAX_TASKS)).mapInArrow(parse, STAGED_DDL)


def _send_along(kind: type[Source]) -> None:
    """Let a source's module travel by its content, if it is no part of what is installed on workers."""
    from pyspark import cloudpickle

    if not any(plugin.kind is kind for plugin in SEAM.every()) and kind.__module__ in sys.modules:
        cloudpickle.register_pickle_by_value(sys.modules[kind.__module__])


FACTOR = 1.8
"""Ratio of a close and the next session's open from which on it is noted: 2 for 1, with a day's move."""

DAYS_APART = 7
"""Sessions further apart than this are no neighbours: prices may have moved."""

_SHOWN = 3


def unadjusted(bars: DataFrame) -> tuple[str, ...]:
    """Return notes on symbols whose price changes by a factor between two sessions.

    Parameters
    ----------
    bars : DataFrame
        Bars of one delivery: `symbol, timeframe, ts, session, open, close`.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    ends = bars.groupBy("symbol", "timeframe", "session").agg(
        F.min_by("open", "ts").alias("open"), F.max_by("close", "ts").alias("close")
    )
    before = Window.partitionBy("symbol", "timeframe").orderBy("session")
    steps = ends.select(
        "symbol", "session", "open",
        F.lag("close").over(before).alias("was"), F.lag("session").over(before).alias("last"),
    )  # fmt: skip
    factor = F.greatest(F.col("was") / F.col("open"), F.col("open") / F.col("was"))
    near = F.datediff("session", "last") <= DAYS_APART
    found = steps.withColumn("factor", factor).where(near & (F.col("factor") >= FACTOR))
    rows = found.orderBy("symbol", "session").limit(_SHOWN + 1).collect()
    notes = [
        f"{row['symbol']}: the close {row['was']:g} of {row['last']} is followed by the open "
        f"{row['open']:g} of {row['session']}, a factor of {row['factor']:.3g} overnight; prices are not "
        "adjusted for splits, it seems"
        for row in rows[:_SHOWN]
    ]
    return (*notes, "… and further jumps of that kind") if len(rows) > _SHOWN else tuple(notes)


MAX_DIFFERENT = 0.5
"""Share of a file's bars above which another file that differs on them is taken for another symbol's."""

_PRICES = ("open", "high", "low", "close", "volume")


def numbered_files(spark: SparkSession, bars: DataFrame, files: Sequence[str]) -> DataFrame:
    """Return the bars with `file_no`, the place of their file in the delivery."""
    from pyspark.sql import functions as F  # noqa: N812

    if len(files) == 1:
        return bars.withColumn("file_no", F.lit(0))
    places = spark.createDataFrame(list(enumerate(files)), "file_no int, source string")
    return bars.join(F.broadcast(places), "source", "left")


def check_symbol(numbered: DataFrame, symbol: str) -> None:
    """Refuse one `--symbol` for files that are of several.

    Parameters
    ----------
    numbered : DataFrame
        Bars of the delivery with `file_no` and `nth`, 1 for the row that stands of those of one bar.
    symbol : str
        The symbol that was given.

    Raises
    ------
    SourceError
        If two files differ on bars, and their names are plain words (AAPL and MSFT), or they do on more
        than half of the larger one.
    """
    from pyspark.sql import functions as F  # noqa: N812

    keys = ["symbol", "timeframe", "ts"]
    twice = numbered.select(*keys, "source", "nth", *_PRICES)
    stands = twice.where("nth = 1").select(*keys, F.col("source").alias("by"), *_renamed())
    differ = " OR ".join(f"NOT ({name} <=> {name}_stands)" for name in _PRICES)
    pairs = (
        twice.where("nth > 1").join(stands, keys).where(f"source != by AND ({differ})")
        .groupBy("source", "by").agg(F.count(F.lit(1)).alias("count"), F.min("ts").alias("first"))
        .orderBy(F.desc("count"), "source", "by").limit(100).collect()
    )  # fmt: skip
    if not pairs:
        return
    rows = {row["source"]: row["count"] for row in numbered.groupBy("source").count().collect()}
    for pair in pairs:
        first, second = sorted((pair["source"], pair["by"]))
        if pair["count"] > MAX_DIFFERENT * max(rows[first], rows[second]) or _are_words(
            first, second, symbol
        ):
            raise SourceError(
                f"--symbol {symbol}: two files have other values for the same bars of {symbol}, "
                f"{pair['count']:,} of them: {first} and {second}; give each its own symbol "
                "(--symbol-from file), or, if one corrects the other, ingest one after the other\n"
                "nothing was written"
            )


def _renamed() -> list:  # type: ignore[type-arg]
    from pyspark.sql import functions as F  # noqa: N812

    return [F.col(name).alias(f"{name}_stands") for name in _PRICES]


def _are_words(first: str, second: str, symbol: str) -> bool:
    """Tell whether two files are named after different things, and not as parts of one."""
    names = [PurePath(path).name.partition(".")[0].lower() for path in (first, second)]
    words = all(re.fullmatch(r"[a-z]+", name) for name in names)
    return words and not any(a.startswith(b) for a, b in (names, names[::-1])) and symbol.lower() not in names


Checkpoints: TypeAlias = Mapping[str, tuple[str, int]]
"""Part → checkpoint, and rows that came before it."""

_PREFIX = "whatif.checkpoints."


def checkpoints_of(location: LakeLocation, source: Source) -> Checkpoints:
    """Return where a source with these options goes on; nothing if it begins anew.

    It does after bars were taken back, and where the table was put back to an older snapshot.
    """
    if not table_exists(location, BARS.name):
        return {}
    table = open_table(location, BARS.name)
    text = table.properties.get(_property(source))
    if text is None:
        return {}
    stored = json.loads(text)
    latest = max((name for name in table.properties if name.startswith(FORGOTTEN)), default="")
    if latest > FORGOTTEN + stored["at"] or stored["snapshot"] not in _history(location):
        return {}
    return {part: (checkpoint, rows) for part, (checkpoint, rows) in stored["parts"].items()}


def store_checkpoints(
    spark: SparkSession, location: LakeLocation, source: Source, landed: Checkpoints, at: datetime
) -> None:
    """Note how far a source has landed, if that is further than what is noted.

    Parameters
    ----------
    spark, location
        The session, and where the lake is.
    source : Source
        What was read.
    landed : mapping of str to (str, int)
        Part → checkpoint behind its rows that have landed, and how many rows came before it.
    at : datetime
        When the delivery began to be written; tz-aware.
    """
    before = checkpoints_of(location, source)
    if not landed or all(before.get(part) == place for part, place in landed.items()):
        return
    history = _history(location)
    stored = {
        "at": at.strftime("%Y%m%d%H%M%S%f"),
        "snapshot": history[0],
        "parts": {**before, **landed},
    }
    set_properties(spark, location, BARS.name, {_property(source): json.dumps(stored)})


def _property(source: Source) -> str:
    """Return the property of a source with its options, which may hold a key: a digest of them."""
    options = json.dumps(source.model_dump(mode="json"), sort_keys=True)
    return f"{_PREFIX}{source.label}.{sha256(options.encode()).hexdigest()[:16]}"


def _history(location: LakeLocation) -> list[int | None]:
    """Return the snapshots that the table's newest one is made of, itself first; [None] before the first."""
    metadata = open_table(location, BARS.name).metadata
    parents = {snapshot.snapshot_id: snapshot.parent_snapshot_id for snapshot in metadata.snapshots}
    found: list[int | None] = []
    at = metadata.current_snapshot_id
    while at is not None and at in parents:
        found.append(at)
        at = parents[at]
    return found or [None]
