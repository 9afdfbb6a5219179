"""Windows of a series: highest and lowest, moments, and the value of so many rows ago."""

from __future__ import annotations

import math

import numpy as np

from whatif.domain import jit, jit_lean
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


def lag(source: FloatArray, period: int) -> FloatArray:
    """Take the value of so many bars ago.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Bars, at least 1.

    Returns
    -------
    float64 array (n,)
        Row t holds row t - period of the source.

    Notes
    -----
    *Timing*: row t uses row t - period. NaN where there is none, and where it is NaN.
    """
    found = np.full(len(source), np.nan)
    found[period:] = source[: max(len(source) - period, 0)]
    return found


def _sum_moments(x: FloatArray, y: FloatArray, weight: FloatArray, period: int, result: FloatArray) -> None:
    """Write of each window the weight, the means less the last values, and the sums of products about them.

    Each window is summed by itself, from differences to its last row: a flat one has a sum of exactly 0,
    and no row depends on one that is not in its window.
    """
    for t in range(len(x)):
        for k in range(6):
            result[k, t] = math.nan
        if t + 1 < period:
            continue
        total = 0.0
        mean_x = 0.0
        mean_y = 0.0
        for s in range(t - period + 1, t + 1):
            total += weight[s]
            mean_x += weight[s] * (x[s] - x[t])
            mean_y += weight[s] * (y[s] - y[t])
        if not total > 0.0:
            continue
        mean_x /= total
        mean_y /= total
        xx = 0.0
        xy = 0.0
        yy = 0.0
        for s in range(t - period + 1, t + 1):
            one = (x[s] - x[t]) - mean_x
            other = (y[s] - y[t]) - mean_y
            xx += weight[s] * one * one
            xy += weight[s] * one * other
            yy += weight[s] * other * other
        result[0, t] = total
        result[1, t] = mean_x
        result[2, t] = mean_y
        result[3, t] = xx
        result[4, t] = xy
        result[5, t] = yy


_moments = jit_lean(_sum_moments)


def moments(
    x: FloatArray, y: FloatArray, period: int, weight: FloatArray | None = None
) -> tuple[FloatArray, ...]:
    """Return of each window of two series its weight, the means, and sums of products about the means.

    Parameters
    ----------
    x, y : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.
    weight : float64 array (n,), optional
        Of each row, not negative; 1 without.

    Returns
    -------
    total, mean_x, mean_y, xx, xy, yy : float64 array (n,)
        The means less the last value of the window. NaN before there are `period` rows, where one of the
        window is missing, and without any weight.
    """
    result = np.empty((6, len(x)))
    even = np.ones(len(x)) if weight is None else weight
    _moments(np.ascontiguousarray(x), np.ascontiguousarray(y), np.ascontiguousarray(even), period, result)
    missing = ~np.isfinite(result).all(axis=0)
    result[:, missing] = np.nan
    return tuple(result)


def divided(numerator: FloatArray, denominator: FloatArray | float) -> FloatArray:
    """Return a quotient, (n,), NaN where it is not finite, as of a division by 0."""
    with np.errstate(all="ignore"):
        found = numerator / denominator
    return np.where(np.isfinite(found), found, np.nan)


def zscore(source: FloatArray, period: int) -> FloatArray:
    """Return how many standard deviations a value is above the average of the last `period`.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1; of 1 nothing deviates.

    Returns
    -------
    float64 array (n,)
        The deviation is that of a whole population, as pandas' ``std(ddof=0)``.

    Notes
    -----
    *Timing*: row t uses rows t - period + 1 .. t. NaN until these have been seen, where one of them is
    missing, and where all of them are equal.
    """
    total, mean, _, squares, _, _ = moments(source, source, period)
    return divided(-mean, np.sqrt(squares / total))
