"""Momentum and range: MACD, RSI, average true range, rates of change, crossings of two series."""

from __future__ import annotations

import math

import numpy as np

from whatif.domain import inlinable_lean, jit, jit_lean, view_at
from whatif.indicators.moving import ema, filling, smma
from whatif.indicators.windows import divided, lag
from whatif.typing import FloatArray, IntArray


def macd_python(source: FloatArray, fast: int, slow: int) -> FloatArray:
    """Subtract the slow exponential average from the fast one.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    fast, slow : int
        Periods of the averages, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to line `macd` of Backtrader's `MACD`.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until both averages have values.
    """
    return ema(source, fast) - ema(source, slow)


macd = jit(macd_python)


def macd_signal_python(source: FloatArray, fast: int, slow: int, signal: int) -> FloatArray:
    """Average the MACD exponentially over `signal` bars.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    fast, slow, signal : int
        Periods, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to line `signal` of Backtrader's `MACD`, seeded by the average of the
        first `signal` values of the MACD.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until `signal` values of the MACD have been seen.
    """
    return ema(macd(source, fast, slow), signal)


macd_signal = jit(macd_signal_python)


def macd_histogram_python(source: FloatArray, fast: int, slow: int, signal: int) -> FloatArray:
    """Subtract the MACD's signal from the MACD.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    fast, slow, signal : int
        Periods, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to line `histo` of Backtrader's `MACDHisto`; timing and NaN as `macd_signal`.
    """
    line = macd(source, fast, slow)
    return line - ema(line, signal)


macd_histogram = jit(macd_histogram_python)


def rsi_python(source: FloatArray, period: int) -> FloatArray:
    """Compare the average rise with the average fall: Wilder's relative strength index.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Of Wilder's smoothing, at least 1.

    Returns
    -------
    float64 array (n,)
        From 0 to 100. Equal as bytes to Backtrader's `RSI` (Wilder's smoothing), and where that
        divides by zero to its `RSI_Safe`: 100 where nothing fell, 50 where nothing moved.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until `period` changes have been seen since the start
    or since the last value that is not finite.
    """
    n = len(source)
    up = np.full(n, np.nan)
    down = np.full(n, np.nan)
    for t in range(1, n):
        if not (np.isfinite(source[t]) and np.isfinite(source[t - 1])):
            continue
        rise = source[t] - source[t - 1]
        fall = source[t - 1] - source[t]
        up[t] = 0.0 if rise < 0.0 else rise
        down[t] = 0.0 if fall < 0.0 else fall
    result = smma(up, period)
    average_fall = smma(down, period)
    for t in range(n):
        rise = result[t]
        fall = average_fall[t]
        if fall != 0.0:
            result[t] = 100.0 - 100.0 / (1.0 + rise / fall)
        else:
            result[t] = 50.0 if rise == 0.0 else 100.0
    return result


rsi = jit(rsi_python)


def atr_python(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> FloatArray:
    """Average the true range as Wilder does.

    Parameters
    ----------
    high, low, close : float64 array (n,)
        Prices of the bars.
    period : int
        Of Wilder's smoothing, at least 1.

    Returns
    -------
    float64 array (n,)
        In the unit of the prices. Equal as bytes to Backtrader's `ATR`.

    Notes
    -----
    *Timing*: row t uses rows up to t. The first bar has no true range, for there is no close
    before it. NaN until `period` true ranges have been seen since the start or since the last
    value that is not finite.
    """
    n = len(close)
    true_range = np.full(n, np.nan)
    for t in range(1, n):
        before = close[t - 1]
        if np.isfinite(before):
            top = before if before > high[t] else high[t]
            bottom = before if before < low[t] else low[t]
            true_range[t] = top - bottom
    return smma(true_range, period)


atr = jit(atr_python)


def roc_python(source: FloatArray, period: int) -> FloatArray:
    """Change over `period` bars as a fraction of the earlier value.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Bars between the two values, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `ROC`: ``(value - earlier) / earlier``.

    Notes
    -----
    *Timing*: row t uses rows t - period and t. NaN for the first `period` rows, where either
    value is NaN, and where the earlier value is zero (Backtrader raises there).
    """
    n = len(source)
    result = np.full(n, np.nan)
    for t in range(period, n):
        earlier = source[t - period]
        if earlier != 0.0:
            result[t] = (source[t] - earlier) / earlier
    return result


roc = jit(roc_python)


def roc100_python(source: FloatArray, period: int) -> FloatArray:
    """Change over `period` bars in percent: Backtrader's `ROC100`, TA-Lib's `ROC`.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Bars between the two values, at least 1.

    Returns
    -------
    float64 array (n,)
        ``100.0 * roc(source, period)``; timing and NaN as there.
    """
    return 100.0 * roc(source, period)


roc100 = jit(roc100_python)


_ROWS = 64
"""Rows that are compared together: a loop that the compiler makes vectors of."""


@inlinable_lean
def _cross_by_row(first: FloatArray, second: FloatArray, result: FloatArray, side: int) -> int:
    """Mark rows one by one, and return the side after them."""
    for t in range(len(first)):
        difference = first[t] - second[t]
        if difference > 0.0:
            result[t] = math.nan if side == 2 else (1.0 if side == -1 else 0.0)
            side = 1
        elif difference < 0.0:
            result[t] = math.nan if side == 2 else (-1.0 if side == 1 else 0.0)
            side = -1
        elif difference == 0.0:
            result[t] = math.nan if side == 2 else 0.0
            side = 0 if side == 2 else side
        else:
            result[t] = math.nan
            side = 2
    return side


@inlinable_lean
def mark_crossings(first: FloatArray, second: FloatArray, result: FloatArray) -> None:
    """Mark the rows where `first` crosses `second`: 1.0 upwards, -1.0 downwards, else 0.0.

    Parameters
    ----------
    first, second : float64 array (n,)
        Any two series on the same rows.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `CrossOver`: a cross is a change of sign since the last
        difference that was not zero, so touching and turning back is none.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN where either series is NaN and on the first row after
    that, which only seeds the remembered difference.
    """
    # side of the last difference that was not zero; 0 after a first one that was, 2 before any. Where none of
    # a group of rows is missing or zero, a row crosses that is on another side than the one before: that
    # takes a third of the time
    side = 2
    for begin in range(0, len(first), _ROWS):
        # slices of their own, so that no index is tested
        a, b, marks = (
            first[begin : begin + _ROWS],
            second[begin : begin + _ROWS],
            result[begin : begin + _ROWS],
        )
        above, below = 0, 0
        if side * side == 1 and len(marks) == _ROWS:
            for k in range(_ROWS):
                above += 1 if a[k] > b[k] else 0
                below += 1 if a[k] < b[k] else 0
        if above + below < _ROWS:
            side = _cross_by_row(a, b, marks, side)
            continue
        for k in range(_ROWS):
            marks[k] = 0.0
        if above > 0 and below > 0:
            c, d = first[begin - 1 : begin + _ROWS - 1], second[begin - 1 : begin + _ROWS - 1]
            for k in range(_ROWS):
                is_above, was_above = 1.0 if a[k] > b[k] else 0.0, 1.0 if c[k] > d[k] else 0.0
                marks[k] = is_above - was_above
        # the row before may have had no difference, or none at all
        now = 1 if a[0] > b[0] else -1
        marks[0] = 0.0 if now == side else float(now)
        side = 1 if a[_ROWS - 1] > b[_ROWS - 1] else -1


crossover_python = filling(mark_crossings)
crossover = filling(jit_lean(mark_crossings))


def crossings_python(first: IntArray, second: IntArray, result: FloatArray) -> None:
    """Write into row k of `result` where series k of the first crosses series k of the second.

    Parameters
    ----------
    first, second : int64 arrays (c,)
        Where the series lie, n values each.
    result : float64 array (c, n)
        Written to; each row as `crossover` has it.
    """
    count = result.shape[1]
    for k in range(len(first)):
        mark_crossings(view_at(first[k], count), view_at(second[k], count), result[k])


crossings = jit_lean(crossings_python)


def adx(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> FloatArray:
    """Tell how strong a trend is, whichever its direction: Wilder's average directional movement index.

    Parameters
    ----------
    high, low, close : float64 array (n,)
        Prices of the bars.
    period : int
        Of Wilder's smoothing, at least 1.

    Returns
    -------
    float64 array (n,)
        From 0 to 100, by Backtrader's definition. TA-Lib seeds its sums one row later; that fades.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until 2 `period` bars have been seen since the start or since the
    last value that is missing; where nothing moved, it begins again.
    """
    up, down = high - lag(high, 1), lag(low, 1) - low
    missing = ~np.isfinite(up + down)
    plus = np.where(missing, np.nan, np.where((up > down) & (up > 0.0), up, 0.0))
    minus = np.where(missing, np.nan, np.where((down > up) & (down > 0.0), down, 0.0))
    average_range = atr(high, low, close, period)
    rise = divided(100.0 * smma(plus, period), average_range)
    fall = divided(100.0 * smma(minus, period), average_range)
    return 100.0 * smma(divided(np.abs(rise - fall), rise + fall), period)


def adxr(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> FloatArray:
    """Average the average directional movement index with its value of `period` bars ago.

    Parameters
    ----------
    high, low, close : float64 array (n,)
        Prices of the bars.
    period : int
        Of Wilder's smoothing, at least 1.

    Returns
    -------
    float64 array (n,)
        From 0 to 100, by Backtrader's definition; TA-Lib looks back one bar less.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN as `adx`, and `period` rows longer.
    """
    index = adx(high, low, close, period)
    return (index + lag(index, period)) / 2.0


def keltner(
    high: FloatArray, low: FloatArray, close: FloatArray, period: int, atrperiod: int, factor: float
) -> FloatArray:
    """Lay bands around an exponential average, so many average true ranges away: Keltner's channels.

    Parameters
    ----------
    high, low, close : float64 array (n,)
        Prices of the bars.
    period, atrperiod : int
        Of the average of the closes, and of the true range; at least 1.
    factor : float
        Distance of the bands.

    Returns
    -------
    float64 arrays (n,): upper, middle, lower
        In the unit of the prices, in the form of L. Raschke; `kc` is TA-Lib's.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN as `ema` and `atr`; seeds as there.
    """
    middle, width = ema(close, period), factor * atr(high, low, close, atrperiod)
    return np.stack([middle + width, middle, middle - width])
