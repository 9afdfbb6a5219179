"""Spread of a window: deviation, bands, moments, highest and lowest; values scaled in a row, or lagged."""

from __future__ import annotations

import math

import numpy as np

from whatif.domain import jit, jit_lean
from whatif.indicators.moving import sma
from whatif.typing import FloatArray


def power_python(source: FloatArray, exponent: float) -> FloatArray:
    """Raise each value to a power with the C library's `pow`, as Python's ``**`` does.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    exponent : float
        Passed from outside: of a constant 2 or 0.5 a compiler makes a product or a square root,
        which differ from `pow` in the last bit of about one value in a thousand.

    Returns
    -------
    float64 array (n,)
        ``value ** exponent``, NaN where the value is.
    """
    result = np.empty(len(source))
    for t in range(len(source)):
        result[t] = math.pow(source[t], exponent)
    return result


power = jit(power_python)


def stddev(source: FloatArray, period: int) -> FloatArray:
    """Return the standard deviation of the last `period` values, as of a whole population.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `StdDev`: the square root of the absolute difference of
        the average square and the square of the average. That difference cancels: of values that
        vary little around a large average, few digits are left.

    Notes
    -----
    *Timing*: row t uses rows t - period + 1 .. t. NaN as in `sma`.
    """
    return _deviation(source, sma(source, period), period)


def _deviation(source: FloatArray, average: FloatArray, period: int) -> FloatArray:
    """Return the standard deviation of the last `period` values, of which the average is known."""
    difference = sma(power(source, 2.0), period) - power(average, 2.0)
    return power(np.abs(difference), 0.5)


def bollinger_mid(source: FloatArray, period: int) -> FloatArray:
    """Return the line between Bollinger's bands: `sma`, Backtrader's line `mid`.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to line `mid` of Backtrader's `BollingerBands`.

    Notes
    -----
    *Timing* and NaN as in `sma`.
    """
    return sma(source, period)


def bollinger_top(source: FloatArray, period: int, deviations: float) -> FloatArray:
    """Return Bollinger's upper band: the average plus `deviations` standard deviations.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.
    deviations : float
        Distance of the band.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to line `top` of Backtrader's `BollingerBands`.

    Notes
    -----
    *Timing* and NaN as in `stddev`.
    """
    average = sma(source, period)
    return average + deviations * _deviation(source, average, period)


def bollinger_bottom(source: FloatArray, period: int, deviations: float) -> FloatArray:
    """Return Bollinger's lower band: the average minus `deviations` standard deviations.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.
    deviations : float
        Distance of the band.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to line `bot` of Backtrader's `BollingerBands`.

    Notes
    -----
    *Timing* and NaN as in `stddev`.
    """
    average = sma(source, period)
    return average - deviations * _deviation(source, average, period)


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


def scaled(source: FloatArray, period: int, fast: int, slow: int) -> FloatArray:
    """Scale a simple average inside its row, so that the row's values lie between 0 and 1.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Of the average that is scaled; 1 is the source itself.
    fast, slow : int
        Periods of the averages that the row is made of, from one to the other, beside the source.

    Returns
    -------
    float64 array (n,)
        The average less the row's least value, over the row's range; 0 where the row has none.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until the longest average has a value.
    """
    first, last = min(fast, slow), max(fast, slow)
    least, most = source.copy(), source.copy()
    for one in range(first, last + 1):
        average = sma(source, one)
        least, most = np.minimum(least, average), np.maximum(most, average)
    own, width = sma(source, period), most - least
    found = np.where(np.isnan(own) | np.isnan(width), np.nan, 0.0)
    np.divide(own - least, width, out=found, where=width > 0.0)
    return found


def _sum_moments(x: FloatArray, y: FloatArray, weight: FloatArray, period: int, result: FloatArray) -> None:
    """Write of each window the weight, the two means, and the three weighed sums of products about them.

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
        result[1, t] = x[t] + mean_x
        result[2, t] = y[t] + mean_y
        result[3, t] = xx
        result[4, t] = xy
        result[5, t] = yy


_moments = jit_lean(_sum_moments)


def moments(
    x: FloatArray, y: FloatArray, period: int, weight: FloatArray | None = None
) -> tuple[FloatArray, ...]:
    """Return of each window of two series their weight, means, and sums of products about the means.

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
        NaN before there are `period` rows, where one of the window is missing, and without any weight.
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
    return divided(source - mean, np.sqrt(squares / total))
