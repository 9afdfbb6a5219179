"""Tables of features: computed for all symbols at once, and kept in Iceberg."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from whatif.domain import timeframe_names, timestamps
from whatif.features.news import read_news
from whatif.features.spec import FeatureSpec, features_of_bars, features_of_symbol
from whatif.indicators import News, Stored
from whatif.lake import create_tables, features_table, pin, read_pinned, replace
from whatif.pins import LakeLocation, Pin, find_pin, read_bars, table_exists
from whatif.search import BarSlice

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BARS_SNAPSHOT = "whatif.bars-snapshot"
"""Snapshot property of a derived table: the bars that it was made from."""


def build_features(spark: SparkSession, location: LakeLocation, bars: Pin, spec: FeatureSpec) -> Pin:
    """Return the pin of the features of `spec` over the bars that `bars` pins.

    One Spark job computes all symbols, each by `features_of_symbol`, and one commit
    stores them; the commit records the bars' snapshot. Where a snapshot made from these
    very bars exists, it is returned and nothing runs.
    """
    table = features_table(spec.table, spec.columns, spec.label.columns if spec.label is not None else {})
    made_from = {BARS_SNAPSHOT: str(bars.snapshot_id)}
    known = find_pin(location, table.name, made_from) if table_exists(location, table.name) else None
    if known is not None:
        return known
    rows = pinned_bars(spark, location, bars, spec.bars)
    features = rows.groupBy("symbol").applyInPandas(_per_symbol(spec, bars), schema=table.ddl)
    create_tables(spark, location, (table,))
    replace(spark, location, table, features, made_from)
    # not the newest snapshot: another run may have stored the features of other bars meanwhile
    return find_pin(location, table.name, made_from) or pin(spark, location, table.name)


def local_features(bars: Pin, spec: FeatureSpec) -> pd.DataFrame:
    """Return the features of `spec` over the bars that `bars` pins, in this process; nothing is stored."""
    other = partial(_stored, bars, spec.bars)
    news = _news(spec)
    symbols = spec.bars.symbols
    frames = [features_of_bars(_stored(bars, spec.bars, symbol), spec, other, news) for symbol in symbols]
    return pd.concat(frames, ignore_index=True)


def pinned_bars(spark: SparkSession, location: LakeLocation, pin: Pin, part: BarSlice) -> DataFrame:
    """Return the rows of the bars table that the slice is made of, as of the pin."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    names = timeframe_names(part.source_timeframe)
    start, end = (t.to_pydatetime() for t in timestamps(np.array([part.start_us, part.end_us])))
    rows = read_pinned(spark, location, pin).where(
        F.col("symbol").isin(list(part.symbols))
        & F.col("timeframe").isin(list(names))
        & (F.col("ts") >= F.lit(start))
        & (F.col("ts") < F.lit(end))
    )
    rows = rows.where(F.col("hours") == "regular") if part.hours == "regular" else rows
    if len(names) == 1 or rows.where(F.col("timeframe") != names[0]).limit(1).count() == 0:
        return rows
    # the lake holds this length under two names: of each bar, the row that came last
    latest = Window.partitionBy("symbol", "ts").orderBy(
        F.desc("ingested_at"), F.desc(F.col("timeframe") == names[0])
    )
    numbered = rows.withColumn("nth", F.row_number().over(latest))
    return numbered.where("nth = 1").drop("nth").withColumn("timeframe", F.lit(names[0]))


def _per_symbol(spec: FeatureSpec, bars: Pin) -> Callable[[pd.DataFrame], pd.DataFrame]:
    other = partial(_stored, bars, spec.bars)

    def compute(frame: pd.DataFrame) -> pd.DataFrame:
        return features_of_symbol(frame, spec, other, _news(spec))

    return compute


def _news(spec: FeatureSpec) -> News | None:
    return None if spec.news is None else read_news(spec.news, spec.bars.symbols)


@lru_cache(maxsize=4)
def _stored(bars: Pin, part: BarSlice, symbol: str) -> Stored:
    """Return the pinned bars of a symbol that features name; read once by a process."""
    found = read_bars(bars, symbol, part.source_timeframe, part.start_us, part.end_us, part.hours)
    return Stored(found, part.source_us, part.bar_us)
