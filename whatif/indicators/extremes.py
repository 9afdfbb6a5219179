"""Highest and lowest values of a window."""

from __future__ import annotations

import numpy as np

from whatif.indicators.compile import jit
from whatif.typing import FloatArray


def highest_python(source: FloatArray, period: int) -> FloatArray:
    """Return the highest of the last `period` values.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `Highest`: of equal values the earliest.

    Notes
    -----
    *Timing*: row t uses rows t - period + 1 .. t. NaN until `period` values have been seen since
    the start or since the last value that is not finite.

    The rows that may still become the highest wait in a queue, so that a bar costs the same
    whatever the period.
    """
    n = len(source)
    result = np.full(n, np.nan)
    queue = np.empty(n, dtype=np.int64)
    first = 0
    last = 0
    seen = 0
    for t in range(n):
        x = source[t]
        if not np.isfinite(x):
            first = last
            seen = 0
            continue
        seen += 1
        while last > first and source[queue[last - 1]] < x:
            last -= 1
        queue[last] = t
        last += 1
        if queue[first] <= t - period:
            first += 1
        if seen >= period:
            result[t] = source[queue[first]]
    return result


highest = jit(highest_python)


def lowest_python(source: FloatArray, period: int) -> FloatArray:
    """Return the lowest of the last `period` values.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `Lowest`; timing and NaN as in `highest`.
    """
    n = len(source)
    result = np.full(n, np.nan)
    queue = np.empty(n, dtype=np.int64)
    first = 0
    last = 0
    seen = 0
    for t in range(n):
        x = source[t]
        if not np.isfinite(x):
            first = last
            seen = 0
            continue
        seen += 1
        while last > first and source[queue[last - 1]] > x:
            last -= 1
        queue[last] = t
        last += 1
        if queue[first] <= t - period:
            first += 1
        if seen >= period:
            result[t] = source[queue[first]]
    return result


lowest = jit(lowest_python)
