"""Files of one delivery that give the same bars other values: which stands, and when that is a mistake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from whatif.errors import SourceError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MOST_OF = 0.5
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
        if pair["count"] > MOST_OF * max(rows[first], rows[second]) or _are_words(first, second, symbol):
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
