"""Between frames with calendar types and bars of plain arrays."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from whatif.domain.bars import PRICE_FIELDS, Bars
from whatif.typing import FloatArray, IntArray

DAY_S = 86_400


def microseconds(series: pd.Series) -> IntArray:
    """Return timestamps (UTC, tz-aware or naive) as int64 microseconds since 1970-01-01 UTC."""
    stamps = pd.DatetimeIndex(series)
    if stamps.tz is not None:
        stamps = stamps.tz_convert("UTC")
    return np.asarray(stamps.as_unit("us").asi8, dtype=np.int64)


def days(series: pd.Series) -> IntArray:
    """Return dates as int64 days since 1970-01-01."""
    stamps = pd.DatetimeIndex(pd.to_datetime(series))
    return np.asarray(stamps.as_unit("s").asi8 // DAY_S, dtype=np.int64)


def timestamps(ts: IntArray) -> pd.DatetimeIndex:
    """Return int64 microseconds since 1970-01-01 UTC as tz-aware timestamps."""
    return pd.DatetimeIndex(np.asarray(ts, dtype="datetime64[us]")).tz_localize("UTC")


def sessions_of(frame: pd.DataFrame) -> tuple[IntArray, IntArray, IntArray]:
    """Return the columns session, session_open and session_close as days and microseconds."""
    return (
        days(frame["session"]),
        microseconds(frame["session_open"]),
        microseconds(frame["session_close"]),
    )


def bars_from_frame(
    frame: pd.DataFrame,
    symbol: str,
    inputs: Iterable[str] = (),
    sessions: tuple[IntArray, IntArray, IntArray] | None = None,
) -> Bars:
    """Return the rows of `frame` as bars of `symbol`, ordered by time.

    Parameters
    ----------
    frame : DataFrame
        Columns ts, session, session_open, session_close, open, high, low, close, volume, and vwap,
        for which (high + low + close) / 3 stands in.
    symbol : str
        The symbol that all rows belong to.
    inputs : iterable of str
        Further float columns to carry along by name.
    sessions : tuple of three int64 arrays, optional
        Session, its open and its close of each row, in place of the columns.
    """
    ts = microseconds(frame["ts"])
    ordered = bool((ts[1:] > ts[:-1]).all())
    order = slice(None) if ordered else np.argsort(ts, kind="stable")

    def floats(name: str) -> FloatArray:
        return np.ascontiguousarray(frame[name].to_numpy(dtype=np.float64, na_value=np.nan)[order])

    prices = {name: floats(name) for name in PRICE_FIELDS if name in frame}
    if "vwap" not in prices:
        prices["vwap"] = (prices["high"] + prices["low"] + prices["close"]) / 3.0
    session, opened, closed = (values[order] for values in sessions or sessions_of(frame))
    return Bars(
        symbol=symbol,
        ts=ts[order],
        session=session,
        session_open=opened,
        session_close=closed,
        inputs={name: floats(name) for name in inputs},
        **prices,
    )
