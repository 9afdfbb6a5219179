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


def bars_from_frame(frame: pd.DataFrame, symbol: str, inputs: Iterable[str] = ()) -> Bars:
    """Return the rows of `frame` as bars of `symbol`, ordered by time.

    Parameters
    ----------
    frame : DataFrame
        Columns ts, session, session_open, session_close, open, high, low, close, volume, vwap.
    symbol : str
        The symbol that all rows belong to.
    inputs : iterable of str
        Further float columns to carry along by name.
    """
    ts = microseconds(frame["ts"])
    order = np.argsort(ts, kind="stable")

    def floats(name: str) -> FloatArray:
        return np.ascontiguousarray(frame[name].to_numpy(dtype=np.float64, na_value=np.nan)[order])

    return Bars(
        symbol=symbol,
        ts=ts[order],
        session=days(frame["session"])[order],
        session_open=microseconds(frame["session_open"])[order],
        session_close=microseconds(frame["session_close"])[order],
        inputs={name: floats(name) for name in inputs},
        **{name: floats(name) for name in PRICE_FIELDS},
    )
