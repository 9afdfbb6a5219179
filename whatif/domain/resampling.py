"""Resampling of bars into longer ones, never across a session's bounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from whatif.domain.bars import Bars
from whatif.domain.timeframe import DAY_US
from whatif.typing import BoolArray, FloatArray, IntArray


def resample(bars: Bars, bar_us: int, source_us: int, inputs: Mapping[str, np.ufunc] | None = None) -> Bars:
    """Return `bars` of `source_us` joined into bars of `bar_us` microseconds.

    Buckets are counted from each session's open, and from its close for what trades after
    it; bars before the open fall into buckets of their own. So no bucket holds bars of two
    sessions, or of regular and other hours. Where the source's bars straddle the open (hourly
    bars that start at 09:00), buckets are counted from the start of the bar that does. A bar
    of `DAY_US` is the session's regular hours and stamped with the open. Open is the first
    bar's, close the last's, high and low the extremes, volume the sum, vwap weighted by volume
    (a plain mean of the vwaps where no unit was traded).

    Timing: a bar that starts at ts knows bars that start in [ts, ts + bar_us).
    Inputs of the bars are dropped, but for those that `inputs` names with the rule that joins
    them, such as `np.add`.
    """
    if bar_us >= DAY_US:
        bars = bars.take((bars.ts + source_us > bars.session_open) & (bars.ts < bars.session_close))
    if not len(bars):
        return bars
    start = bars.session_open if bar_us >= DAY_US else _bucket_starts(bars, bar_us, source_us)
    first = np.flatnonzero(_changes(start, bars.session))
    last = np.append(first[1:], len(bars)) - 1
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
        inputs={name: join.reduceat(bars.inputs[name], first) for name, join in (inputs or {}).items()},
    )


def _bucket_starts(bars: Bars, bar_us: int, source_us: int) -> IntArray:
    late = bars.ts >= bars.session_close
    anchor = np.where(late, bars.session_close, bars.session_open)
    # the grid runs through the source's bars, wherever these lie against open and close
    part = np.maximum.accumulate(np.where(_changes(anchor, bars.session), np.arange(len(bars)), 0))
    origin = anchor - ((anchor - bars.ts) % source_us)[part]
    start = origin + (bars.ts - origin) // bar_us * bar_us
    return np.where(late, np.maximum(start, bars.session_close), start)


def _changes(*series: IntArray) -> BoolArray:
    """Return the rows on which one of `series` differs from the row before, the first one included."""
    changed = np.ones(len(series[0]), dtype=np.bool_)
    changed[1:] = np.logical_or.reduce([one[1:] != one[:-1] for one in series])
    return changed


def _joined_vwap(bars: Bars, first: IntArray, last: IntArray, volume: FloatArray) -> FloatArray:
    value = np.add.reduceat(bars.vwap * bars.volume, first)
    mean = np.add.reduceat(bars.vwap, first) / (last - first + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        joined = np.where(volume > 0, value / volume, mean)
    # a bucket of one bar keeps its vwap to the last bit
    single = first == last
    joined[single] = bars.vwap[first[single]]
    return np.asarray(joined, dtype=np.float64)
