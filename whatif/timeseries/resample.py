"""Resampling of bars on Spark, by the rule that workers and features follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame

from whatif.domain import (
    PRICE_FIELDS,
    Bars,
    bars_from_frame,
    canonical_timeframe,
    resample,
    timeframe_us,
    timestamps,
)
from whatif.errors import StudyError
from whatif.lake import BARS

LEFT_OUT = ("source", "ingested_at")
"""Columns of table `bars` that say where a row came from, which a joined row does not."""

COLUMNS = {name: kind for name, kind in BARS.columns if name not in LEFT_OUT}

_JOINS = {"trade_count": np.add, "counted": np.add, "vwap_estimated": np.maximum, "regular": np.maximum}


def resample_bars(df: DataFrame, timeframe: str) -> DataFrame:
    """Return the bars of `df` joined into bars of `timeframe`, all symbols at once.

    Parameters
    ----------
    df : DataFrame
        Rows of table `bars`, of one timeframe for each symbol; `source` and `ingested_at` are
        not needed.
    timeframe : str
        A multiple of the timeframe of every symbol, such as "5min", "1h" or "1d".

    Returns
    -------
    DataFrame
        Columns of `bars` but `source` and `ingested_at`. Prices, volume and vwap as
        `whatif.domain.resampling.resample` says: never across a session's bounds. `trade_count`
        is the sum of those that are known, null where none is; `vwap_estimated` says whether
        any of the vwaps was.

    Notes
    -----
    *Timing*: a bar that starts at ts knows bars that start in [ts, ts + timeframe).

    Raises
    ------
    StudyError
        If `timeframe` is none; and, when rows are asked for, if it is no multiple of a symbol's
        timeframe, or a symbol has several.
    """
    timeframe = canonical_timeframe(timeframe)
    ddl = ", ".join(f"`{name}` {kind}" for name, kind in COLUMNS.items())
    return df.select(*COLUMNS).groupBy("symbol").applyInPandas(_per_symbol(timeframe), schema=ddl)


def _per_symbol(timeframe: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def join(frame: pd.DataFrame) -> pd.DataFrame:
        return _joined(frame, timeframe)

    return join


def _joined(frame: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    symbol = str(frame["symbol"].iloc[0])
    source_us = _source_us(symbol, sorted(frame["timeframe"].unique()), timeframe)
    counts = frame["trade_count"].astype("float64")
    carried = frame.assign(
        trade_count=counts.fillna(0.0),
        counted=counts.notna().astype("float64"),
        vwap_estimated=frame["vwap_estimated"].fillna(False).astype("float64"),
        regular=(frame["hours"] == "regular").astype("float64"),
    )
    bars = resample(bars_from_frame(carried, symbol, _JOINS), timeframe_us(timeframe), source_us, _JOINS)
    return _as_rows(bars, timeframe, str(frame["exchange"].iloc[0]))


def _source_us(symbol: str, found: list[str], timeframe: str) -> int:
    if len(found) > 1:
        raise StudyError(f"{symbol} has bars of {', '.join(found)}: filter one timeframe before resampling")
    if timeframe_us(timeframe) % timeframe_us(found[0]):
        raise StudyError(f"{timeframe} is no multiple of the {found[0]} bars of {symbol}: use a multiple")
    return timeframe_us(found[0])


def _as_rows(bars: Bars, timeframe: str, exchange: str) -> pd.DataFrame:
    inputs = bars.inputs
    trades = pd.Series(inputs["trade_count"]).where(inputs["counted"] > 0).astype("Int64")
    columns = {
        "symbol": bars.symbol,
        "ts": timestamps(bars.ts),
        "timeframe": timeframe,
        "session": pd.Series(bars.session.astype("datetime64[D]").astype(object), dtype=object),
        "session_open": timestamps(bars.session_open),
        "session_close": timestamps(bars.session_close),
        "hours": np.where(inputs["regular"] > 0, "regular", "extended"),
        **{name: getattr(bars, name) for name in PRICE_FIELDS},
        "trade_count": trades,
        "vwap_estimated": inputs["vwap_estimated"] > 0,
        "exchange": exchange,
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})
