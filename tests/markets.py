"""Small hand-made markets: bars as arrays, as rows of table `bars`, and in a lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.calendars import schedule
from whatif.domain.bars import PRICE_FIELDS, Bars
from whatif.domain.frames import timestamps
from whatif.domain.timeframe import MINUTE_US

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from whatif.pins import LakeLocation, Pin

FIRST, LAST = date(2013, 10, 4), date(2013, 10, 11)
"""Six sessions of New York: Friday, and Monday to Friday; each from 13:30 to 20:00 UTC."""


def us(text: str) -> int:
    """Return a UTC time such as 2013-10-04T13:30 as microseconds."""
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * 1_000_000


def walk(symbol: str, seed: int, minutes: int = 390, first: date = FIRST, last: date = LAST) -> Bars:
    """Return a random walk over the first `minutes` of each session, every 17th bar missing."""
    sessions = schedule("XNYS", first, last)
    minute = np.tile(np.arange(minutes), len(sessions))
    which = np.repeat(np.arange(len(sessions)), minutes)
    kept = np.arange(len(minute)) % 17 != 16
    minute, which = minute[kept], which[kept]
    rng = np.random.default_rng(seed)
    n = len(minute)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, n)))
    open_ = close * (1 + rng.normal(0.0, 2e-4, n))
    high, low = np.maximum(open_, close) * 1.0003, np.minimum(open_, close) * 0.9997
    return Bars(
        symbol=symbol,
        ts=sessions.open_us[which] + minute * MINUTE_US,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=rng.integers(1, 5_000, n).astype(np.float64),
        vwap=(high + low + close) / 3,
        session=sessions.session[which],
        session_open=sessions.open_us[which],
        session_close=sessions.close_us[which],
    )


def lake_rows(bars: Bars, timeframe: str = "1min") -> pd.DataFrame:
    """Return bars as rows of table `bars`."""
    inside = (bars.ts >= bars.session_open) & (bars.ts < bars.session_close)
    return pd.DataFrame(
        {
            "symbol": bars.symbol,
            "ts": timestamps(bars.ts),
            "timeframe": timeframe,
            "session": pd.Series(bars.session.astype("datetime64[D]").astype(object), dtype=object),
            "session_open": timestamps(bars.session_open),
            "session_close": timestamps(bars.session_close),
            "hours": np.where(inside, "regular", "extended"),
            **{name: getattr(bars, name) for name in PRICE_FIELDS},
            "trade_count": pd.Series([None] * len(bars), dtype="Int64"),
            "vwap_estimated": False,
            "exchange": "XNYS",
            "source": "made",
            "ingested_at": pd.Timestamp("2024-01-01", tz="UTC"),
        }
    )


def frame_of(spark: SparkSession, markets: Sequence[Bars], timeframe: str = "1min") -> DataFrame:
    """Return bars of several symbols as a Spark frame, their rows in no order."""
    from whatif.lake.tables import BARS

    rows = pd.concat([lake_rows(bars, timeframe) for bars in markets], ignore_index=True)
    return spark.createDataFrame(rows.sample(frac=1.0, random_state=1), BARS.ddl)


def put_bars(location: LakeLocation, markets: Sequence[Bars], timeframe: str = "1min", **values: Any) -> Pin:
    """Append bars to the lake in one commit, without a JVM, and return the pin.

    `values` are those of columns that are the same in all rows, such as "source".
    """
    from whatif.lake import append_rows, create_tables, pin
    from whatif.lake.tables import BARS

    create_tables(None, location, (BARS,))
    rows = pd.concat([lake_rows(bars, timeframe) for bars in markets], ignore_index=True).assign(**values)
    rows["trade_count"] = None
    append_rows(None, location, BARS, rows.to_dict("records"))
    return pin(None, location, "bars")


def changed_after(bars: Bars, row: int, fields: Mapping[str, float] | None = None) -> Bars:
    """Return the bars with every price and volume after `row` another one."""
    from dataclasses import replace

    series = {}
    for name in PRICE_FIELDS:
        values = getattr(bars, name).copy()
        values[row + 1 :] = values[row + 1 :] * (fields or {}).get(name, 1.37) + 5.0
        series[name] = values
    return replace(bars, **series)
