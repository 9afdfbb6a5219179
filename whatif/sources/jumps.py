"""Jumps between sessions that look like splits which prices were not adjusted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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
