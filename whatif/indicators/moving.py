"""Moving averages."""

from __future__ import annotations

import numpy as np

from whatif.indicators.compile import jit
from whatif.indicators.sums import exact_sum
from whatif.typing import FloatArray

_UNIT = 2.0**-52
"""Twice the unit roundoff: bounds one rounding with room to spare."""


def sma_python(source: FloatArray, period: int) -> FloatArray:
    """Average the last `period` values: the exact sum, rounded once, over the period.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `SMA` (`math.fsum(window) / period`).

    Notes
    -----
    *Timing*: row t uses rows t - period + 1 .. t. NaN until `period` values have been seen
    since the start or since the last value that is not finite.

    The window's sum runs as a double-double together with a bound on its error. Rounding is
    monotone, so if both ends of that interval round to the same double, so does the exact sum;
    if they do not, the window is summed again exactly. The result is therefore proven equal for
    any magnitudes, and costs a few nanoseconds a bar.
    """
    n = len(source)
    result = np.full(n, np.nan)
    high = 0.0
    low = 0.0
    error = 0.0
    seen = 0
    for t in range(n):
        x = source[t]
        if not np.isfinite(x):
            high = 0.0
            low = 0.0
            error = 0.0
            seen = 0
            continue
        total = high + x
        back = total - high
        low = low + ((high - (total - back)) + (x - back))
        error += _UNIT * abs(low)
        high = total
        if seen == period:
            gone = -source[t - period]
            total = high + gone
            back = total - high
            low = low + ((high - (total - back)) + (gone - back))
            error += _UNIT * abs(low)
            high = total
        else:
            seen += 1
        total = high + low
        back = total - high
        low = (high - (total - back)) + (low - back)
        high = total
        if seen == period:
            if not (high + (low - 2.0 * error) == high and high + (low + 2.0 * error) == high):
                high, low = exact_sum(source, t - period + 1, t + 1)
                error = _UNIT * abs(low)
            result[t] = (high + 0.0) / period
    return result


def ema_python(source: FloatArray, period: int) -> FloatArray:
    """Smooth exponentially with alpha = 2 / (1 + period), seeded by the simple average.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Sets alpha and the length of the seed, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `EMA`: ``previous * (1 - alpha) + value * alpha``.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until `period` values have been seen since the start
    or since the last value that is not finite, from where it is seeded again.
    """
    n = len(source)
    result = np.full(n, np.nan)
    alpha = 2.0 / (1.0 + period)
    rest = 1.0 - alpha
    previous = 0.0
    seen = 0
    for t in range(n):
        x = source[t]
        if not np.isfinite(x):
            seen = 0
            continue
        seen += 1
        if seen < period:
            continue
        if seen == period:
            seed, _ = exact_sum(source, t - period + 1, t + 1)
            previous = seed / period
        else:
            previous = previous * rest + x * alpha
        result[t] = previous
    return result


sma = jit(sma_python)
ema = jit(ema_python)
