"""Moving averages, and the making of an indicator out of a kernel that fills an array."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from whatif.domain import exact_sum, exact_sum_in, jit, jit_lean, room_for_partials
from whatif.typing import FloatArray

_UNIT = 2.0**-52
"""Twice the unit roundoff: bounds one rounding with room to spare."""


def filling(kernel: Callable[..., None], *, room: bool = False) -> Callable[..., FloatArray]:
    """Return the indicator that `kernel` computes into an array which it is given last, and fills whole.

    Machine code that makes no array itself takes half as long to compile. With `room` the kernel
    is given room for an exact sum's partials after that.
    """

    def filled(source: FloatArray, *others: Any) -> FloatArray:
        result = np.empty(len(source))
        if room:
            kernel(source, *others, result, room_for_partials())
        else:
            kernel(source, *others, result)
        return result

    filled.__doc__ = kernel.__doc__
    return filled


def _average(source: FloatArray, period: int, result: FloatArray, partials: FloatArray) -> None:
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
    high = 0.0
    low = 0.0
    error = 0.0
    seen = 0
    for t in range(len(source)):
        x = source[t]
        result[t] = math.nan
        if not math.isfinite(x):
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
                high, low = exact_sum_in(source, t - period + 1, t + 1, partials)
                error = _UNIT * abs(low)
            result[t] = (high + 0.0) / period


sma_python = filling(_average, room=True)
sma = filling(jit_lean(_average), room=True)


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
    return smooth(source, period, 2.0 / (1.0 + period))


def smma_python(source: FloatArray, period: int) -> FloatArray:
    """Smooth as Wilder does, exponentially with alpha = 1 / period, seeded by the simple average.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Sets alpha and the length of the seed, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `SMMA`.

    Notes
    -----
    *Timing* and NaN as in `ema`.
    """
    return smooth(source, period, 1.0 / period)


def wma_python(source: FloatArray, period: int) -> FloatArray:
    """Average the last `period` values with weights 1 .. period, the newest weighing most.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `WMA`: ``2 / (period (period + 1))`` times the exact sum,
        rounded once, of the rounded products of value and weight.

    Notes
    -----
    *Timing*: row t uses rows t - period + 1 .. t. NaN as in `sma`.

    Each window is summed as a double-double with a bound on its error; where that leaves the
    rounding open, it is summed again exactly (see `sma`).
    """
    n = len(source)
    result = np.full(n, np.nan)
    products = np.empty(period)
    factor = 2.0 / (period * (period + 1.0))
    seen = 0
    for t in range(n):
        if not np.isfinite(source[t]):
            seen = 0
            continue
        seen += 1
        if seen < period:
            continue
        high = 0.0
        low = 0.0
        error = 0.0
        for k in range(period):
            x = source[t - period + 1 + k] * (k + 1.0)
            products[k] = x
            total = high + x
            back = total - high
            low = low + ((high - (total - back)) + (x - back))
            error += _UNIT * abs(low)
            high = total
        total = high + low
        back = total - high
        low = (high - (total - back)) + (low - back)
        high = total
        if not (high + (low - 2.0 * error) == high and high + (low + 2.0 * error) == high):
            high, _ = exact_sum(products, 0, period)
        result[t] = factor * (high + 0.0)
    return result


def smooth_python(source: FloatArray, period: int, alpha: float) -> FloatArray:
    """Smooth exponentially with `alpha`, seeded by the simple average of `period` values.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the seed, at least 1.
    alpha : float
        Weight of the newest value.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `ExponentialSmoothing`.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until `period` values have been seen since the start
    or since the last value that is not finite, from where it is seeded again.
    """
    n = len(source)
    result = np.full(n, np.nan)
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


smooth = jit(smooth_python)
ema = jit(ema_python)
smma = jit(smma_python)
wma = jit(wma_python)
