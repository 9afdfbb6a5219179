"""Spread of a window: deviation and its bands; values scaled in their row."""

from __future__ import annotations

import math

import numpy as np

from whatif.domain import jit
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


def bbands(source: FloatArray, period: int, deviations: float) -> FloatArray:
    """Lay bands around an average, so many standard deviations away: Bollinger's.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.
    deviations : float
        Distance of the bands.

    Returns
    -------
    float64 arrays (n,): upper, middle, lower
        Equal as bytes to `bollinger_top`, `bollinger_mid` and `bollinger_bottom`.

    Notes
    -----
    *Timing* and NaN as in `stddev`.
    """
    average = sma(source, period)
    distance = deviations * _deviation(source, average, period)
    return np.stack([average + distance, average, average - distance])
