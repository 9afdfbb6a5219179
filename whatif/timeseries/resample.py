"""Resampling of bars on Spark and off it, by the rule that workers and features follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import (
    DAY_US,
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


SPANS = ("1w", "1mo")
"""Timeframes of several sessions."""


def resample_bars(df: Any, timeframe: str) -> Any:
    """Return the bars of `df` joined into bars of `timeframe`, all symbols at once.

    Parameters
    ----------
    df : pandas or Spark DataFrame
        Rows of table `bars`, of one timeframe for each symbol; `source` and `ingested_at` are
        not needed.
    timeframe : str
        A multiple of the timeframe of every symbol, such as "5min", "1h" or "1d"; or "1w" or "1mo", of all
        sessions whose trading dates lie in a week from Monday on, or in a calendar month.

    Returns
    -------
    pandas or Spark DataFrame
        Columns of `bars` but `source` and `ingested_at`; of pandas by symbol and ts. Prices, volume and vwap
        as `whatif.domain.resampling.resample` says: never across a session's bounds. `trade_count`
        is the sum of those that are known, null where none is; `vwap_estimated` says whether
        any of the vwaps was. A week or a month has the regular hours of its sessions: it is stamped with the
        first one's open, `session` and `session_open` are that one's, and `session_close` is the last one's,
        of those that there are bars of.

    Notes
    -----
    *Timing*: a bar that starts at ts knows bars that start in [ts, ts + timeframe); one of a day or longer is
    known at its session_close. The last week or month may go on behind the bars that are given.

    Raises
    ------
    StudyError
        If `timeframe` is none; and, when rows are asked for, if it is no multiple of a symbol's
        timeframe, or a symbol has several.
    """
    timeframe = timeframe if timeframe in SPANS else canonical_timeframe(timeframe)
    if isinstance(df, pd.DataFrame):
        return _in_this_process(df, timeframe)
    ddl = ", ".join(f"`{name}` {kind}" for name, kind in COLUMNS.items())
    return df.select(*COLUMNS).groupBy("symbol").applyInPandas(_per_symbol(timeframe), schema=ddl)


def _in_this_process(frame: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    absent = [name for name in COLUMNS if name not in frame]
    if absent:
        raise StudyError(f"bars have no column {absent[0]!r}: give such as whatif.read_bars returns")
    parts = [_joined(part, timeframe) for _, part in frame[list(COLUMNS)].groupby("symbol", sort=True)]
    return pd.concat(parts, ignore_index=True) if parts else frame[list(COLUMNS)]


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
    own = bars_from_frame(carried, symbol, _JOINS)
    if timeframe in SPANS:
        bars = resample(
            _as_one_session(resample(own, DAY_US, source_us, _JOINS), timeframe), DAY_US, DAY_US, _JOINS
        )
    else:
        bars = resample(own, timeframe_us(timeframe), source_us, _JOINS)
    return _as_rows(bars, timeframe, str(frame["exchange"].iloc[0]))


def _as_one_session(daily: Bars, timeframe: str) -> Bars:
    """Return days of which those of one week or month say that they are of one long session."""
    dates = daily.session.astype("datetime64[D]")
    # weeks of numpy begin on Thursday, as 1970 did
    week = (daily.session + 3) // 7
    span = week if timeframe == "1w" else dates.astype("datetime64[M]").astype(np.int64)
    first = np.flatnonzero(np.diff(span, prepend=span[:1] - 1))
    count = np.diff(first, append=len(span))
    last = first + count - 1
    return replace(
        daily,
        session=np.repeat(daily.session[first], count),
        session_open=np.repeat(daily.session_open[first], count),
        session_close=np.repeat(daily.session_close[last], count),
    )


def _source_us(symbol: str, found: list[str], timeframe: str) -> int:
    if len(found) > 1:
        raise StudyError(f"{symbol} has bars of {', '.join(found)}: filter one timeframe before resampling")
    if timeframe not in SPANS and timeframe_us(timeframe) % timeframe_us(found[0]):
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
