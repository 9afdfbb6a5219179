"""Longer bars out of shorter ones, never across a session's bounds."""

from __future__ import annotations

import numpy as np

from whatif.domain.bars import Bars
from whatif.domain.timeframe import DAY_US
from whatif.typing import FloatArray, IntArray


def bar_ends(bars: Bars, bar_us: int) -> IntArray:
    """Return the instant at which each bar is complete, microseconds UTC.

    A bar inside regular hours ends at its session's close at the latest; a bar of a
    whole session ends there.
    """
    ends = bars.ts + bar_us
    return np.where(bars.ts < bars.session_close, np.minimum(ends, bars.session_close), ends)


def resample(bars: Bars, bar_us: int) -> Bars:
    """Return `bars` joined into bars of `bar_us` microseconds.

    Buckets are counted from each session's open (bars before it fall into buckets of
    their own), so no bucket holds bars of two sessions; one of `DAY_US` is the session's
    regular hours and stamped with the open. Open is the first bar's, close the last's,
    high and low the extremes, volume the sum, vwap weighted by volume (a plain mean of
    the vwaps where no unit was traded).

    Timing: a bar that starts at ts knows bars that start in [ts, ts + bar_us).
    Inputs of the bars are dropped, for they have no rule by which to be joined.
    """
    if not len(bars):
        return bars
    start = _bucket_starts(bars, bar_us)
    first = np.flatnonzero(np.r_[True, (start[1:] != start[:-1]) | (bars.session[1:] != bars.session[:-1])])
    last = np.r_[first[1:], len(bars)] - 1
    volume = np.add.reduceat(bars.volume, first)
    return Bars(
        symbol=bars.symbol,
        ts=start[first],
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[last],
        volume=volume,
        vwap=_joined_vwap(bars, first, last, volume),
        session=bars.session[first],
        session_open=bars.session_open[first],
        session_close=bars.session_close[first],
    )


def _bucket_starts(bars: Bars, bar_us: int) -> IntArray:
    if bar_us >= DAY_US:
        return bars.session_open.copy()
    return bars.session_open + (bars.ts - bars.session_open) // bar_us * bar_us


def _joined_vwap(bars: Bars, first: IntArray, last: IntArray, volume: FloatArray) -> FloatArray:
    value = np.add.reduceat(bars.vwap * bars.volume, first)
    mean = np.add.reduceat(bars.vwap, first) / (last - first + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        joined = np.where(volume > 0, value / volume, mean)
    # a bucket of one bar keeps its vwap to the last bit
    single = first == last
    joined[single] = bars.vwap[first[single]]
    return np.asarray(joined, dtype=np.float64)
