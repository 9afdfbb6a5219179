"""Further indicators: those that Backtrader defines, and those that neither it nor TA-Lib has, by formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from whatif.domain import jit_lean
from whatif.indicators.definition import MAX_PERIOD, Indicator, Limit
from whatif.indicators.moving import ema, filling, sma, wma
from whatif.indicators.operators import log, no_rows
from whatif.indicators.windows import divided, highest, lag, lowest, moments
from whatif.typing import FloatArray


def _recur(drive: FloatArray, rest: FloatArray, seed: FloatArray, bound: float, result: FloatArray) -> None:
    """Go on from row to row: so much of the value before, and what drives it, kept within a bound.

    Before the first value, and after a missing one, the first seed that there is comes in its place.
    """
    previous = math.nan
    for t in range(len(drive)):
        if not (math.isfinite(drive[t]) and math.isfinite(rest[t])):
            previous = math.nan
        elif math.isfinite(previous):
            previous = previous * rest[t] + drive[t]
        else:
            previous = seed[t]
        if previous > bound:
            previous = bound
        elif previous < -bound:
            previous = -bound
        result[t] = previous


recur = filling(jit_lean(_recur))


def _before(source: FloatArray, rows: int = 1) -> FloatArray:
    """Return the values of so many rows ago, (n,); of no row, the values themselves."""
    return lag(source, rows) if rows else source


def ao(high: FloatArray, low: FloatArray, fast: int, slow: int) -> FloatArray:
    """Subtract a slow average of the bars' middles from a fast one: the awesome oscillator.

    Parameters
    ----------
    high, low : float64 array (n,)
        Prices of the bars.
    fast, slow : int
        Periods, at least 1; 5 and 34 as a rule.

    Returns
    -------
    float64 array (n,)
        In the unit of the prices, by Backtrader's definition.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN as `sma`.
    """
    middle = (high + low) / 2.0
    return sma(middle, fast) - sma(middle, slow)


def apo(source: FloatArray, fast: int, slow: int) -> FloatArray:
    """Subtract a slow exponential average from a fast one: the absolute price oscillator.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    fast, slow : int
        Periods, at least 1.

    Returns
    -------
    float64 array (n,)
        In the unit of the source, by Backtrader's definition: `macd`.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN as `ema`; seeds as there.
    """
    return ema(source, fast) - ema(source, slow)


def ppo(source: FloatArray, fast: int, slow: int) -> FloatArray:
    """Tell in percent how far a fast exponential average is above a slow one.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    fast, slow : int
        Periods, at least 1.

    Returns
    -------
    float64 array (n,)
        By Backtrader's definition, its line `ppo`; the signal is ``ema(ppo(12, 26), 9)``.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN as `ema`, and where the slow average is 0.
    """
    base = ema(source, slow)
    return divided(100.0 * (ema(source, fast) - base), base)


def cci(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> FloatArray:
    """Tell how far the typical price is from its average, in mean deviations: Lambert's channel index.

    Parameters
    ----------
    high, low, close : float64 array (n,)
        Prices of the bars.
    period : int
        Length of the windows in bars, at least 1.

    Returns
    -------
    float64 array (n,)
        In units of 0.015 mean deviations, by Backtrader's definition: a row deviates from the average of
        its own window. In TA-Lib's all rows of a window deviate from the last one's average.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until 2 `period` - 1 rows have been seen, and where nothing moved.
    """
    typical = (high + low + close) / 3.0
    deviation = typical - sma(typical, period)
    return divided(deviation, 0.015 * sma(np.abs(deviation), period))


def dema(source: FloatArray, period: int) -> FloatArray:
    """Average exponentially with less lag: twice the average, less the average of it.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Of each average, at least 1.

    Returns
    -------
    float64 array (n,)
        In the unit of the source, by Backtrader's definition.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until 2 `period` - 1 values have been seen; seeds as `ema`.
    """
    once = ema(source, period)
    return 2.0 * once - ema(once, period)


def tema(source: FloatArray, period: int) -> FloatArray:
    """Average exponentially with still less lag, of three averages of each other.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Of each average, at least 1.

    Returns
    -------
    float64 array (n,)
        In the unit of the source, by Backtrader's definition.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until 3 `period` - 2 values have been seen; seeds as `ema`.
    """
    once = ema(source, period)
    twice = ema(once, period)
    return 3.0 * once - 3.0 * twice + ema(twice, period)


def trix(source: FloatArray, period: int) -> FloatArray:
    """Tell how much an average of an average of an average changed, in percent of a bar before.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Of each exponential average, at least 1.

    Returns
    -------
    float64 array (n,)
        By Backtrader's definition.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until 3 `period` - 1 values have been seen; seeds as `ema`.
    """
    thrice = ema(ema(ema(source, period), period), period)
    return 100.0 * (divided(thrice, _before(thrice)) - 1.0)


def tsi(source: FloatArray, first: int, second: int) -> FloatArray:
    """Compare changes with their magnitudes, both averaged twice: the true strength index.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    first, second : int
        Periods of the exponential averages, at least 1; 25 and 13 as a rule.

    Returns
    -------
    float64 array (n,)
        From -100 to 100, by Backtrader's definition.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until `first` + `second` values have been seen, and where nothing
    moved; seeds as `ema`.
    """
    change = source - _before(source)
    moved = ema(ema(np.abs(change), first), second)
    return 100.0 * divided(ema(ema(change, first), second), moved)


def hma(source: FloatArray, period: int) -> FloatArray:
    """Average with little lag, of weighted averages of half, whole and root of the period: Hull's average.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        At least 2.

    Returns
    -------
    float64 array (n,)
        In the unit of the source, by Backtrader's definition.

    Notes
    -----
    *Timing*: row t uses its windows alone. NaN until `period` values, and its root more, have been seen.
    """
    raw = 2.0 * wma(source, period // 2) - wma(source, period)
    return wma(raw, math.isqrt(period))


def zlema(source: FloatArray, period: int) -> FloatArray:
    """Average exponentially what is ahead of its lag: a value and its change over half of the period.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        At least 1.

    Returns
    -------
    float64 array (n,)
        In the unit of the source, by Backtrader's definition.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until `period` and half of it have been seen; seeds as `ema`.
    """
    return ema(2.0 * source - _before(source, (period - 1) // 2), period)


def dpo(source: FloatArray, period: int) -> FloatArray:
    """Take a value less the average of half a period ago: the price without its trend.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Of the simple average, at least 1.

    Returns
    -------
    float64 array (n,)
        In the unit of the source, by Backtrader's definition. The form that centres the average on its bar
        would look ahead, and is not offered.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until the average has a value that long ago.
    """
    return source - _before(sma(source, period), _half_ago(period))


def _half_ago(period: int) -> int:
    return max((period + 1) // 2 - 1, 0)


def kama(source: FloatArray, period: int, fast: int, slow: int) -> FloatArray:
    """Average exponentially, faster the straighter the way of the last `period` bars: Kaufman's average.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Over which the way is looked at, at least 1.
    fast, slow : int
        Periods of the averages between which it lies.

    Returns
    -------
    float64 array (n,)
        In the unit of the source, by Backtrader's definition, up to rounding: seeded by the simple average,
        where TA-Lib begins with the value before. That fades.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until `period` changes have been seen since the start or since the
    last value that is missing, and where nothing moved over a period, after which it begins again.
    """
    way = sma(np.abs(source - _before(source)), period) * period
    straight = divided(np.abs(source - lag(source, period)), way)
    fastest, slowest = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0)
    alpha = (straight * (fastest - slowest) + slowest) ** 2.0
    return recur(source * alpha, 1.0 - alpha, sma(source, period), math.inf)


def percentrank(source: FloatArray, period: int) -> FloatArray:
    """Tell which share of the last `period` values is below this one.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, with this one, at least 1.

    Returns
    -------
    float64 array (n,)
        From 0 to 1, by Backtrader's definition. TA-Lib compares with the `period` values before, in percent.

    Notes
    -----
    *Timing*: row t uses its window alone. NaN until it is full, and where a value of it is missing.
    """
    below = np.zeros(len(source))
    for rows in range(1, min(period, len(source))):
        below[rows:] += source[:-rows] < source[rows:]
    return np.where(np.isfinite(sma(source, period)), below / period, np.nan)


def emv(high: FloatArray, low: FloatArray, volume: FloatArray, period: int, scale: float) -> FloatArray:
    """Tell how far a bar's middle moved for the volume that it took: Arms' ease of movement.

    Parameters
    ----------
    high, low, volume : float64 array (n,)
        Of the bars.
    period : int
        Of the simple average, at least 1.
    scale : float
        What volume is divided by.

    Returns
    -------
    float64 array (n,)
        Change of (high + low) / 2, times high - low, over volume / `scale` (R. Arms, Volume Cycles in the
        Stock Market, 1983), averaged.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until `period` changes have been seen; without volume it begins
    again.
    """
    middle = (high + low) / 2.0
    return sma(divided((middle - _before(middle)) * (high - low), volume / scale), period)


def fisher(high: FloatArray, low: FloatArray, period: int) -> FloatArray:
    """Spread out where the price is in its range: Fisher's transformation of it, by Ehlers.

    Parameters
    ----------
    high, low : float64 array (n,)
        Of the bars, whose middles are looked at.
    period : int
        Of the range, at least 2.

    Returns
    -------
    float64 arrays (n,): fisher, signal
        J. Ehlers, Using the Fisher Transform (Stocks & Commodities, November 2002): a third of the place in
        the range and two thirds of the value before, within 0.999; half of its logarithmic odds and half of
        the value before. The signal is a bar late.

    Notes
    -----
    *Timing*: row t uses rows up to t. *Seed*: 0, which fades. NaN until the range is known; where it has
    none, it begins again.
    """
    middle = (high + low) / 2.0
    least = lowest(middle, period)
    place = divided(middle - least, highest(middle, period) - least) - 0.5
    share = np.full(len(place), 0.67)
    inside = recur(0.66 * place, share, 0.66 * place, 0.999)
    odds = 0.5 * np.log((1.0 + inside) / (1.0 - inside))
    found = recur(odds, np.full(len(odds), 0.5), odds, math.inf)
    return np.stack([found, _before(found)])


def ichimoku(
    high: FloatArray, low: FloatArray, close: FloatArray, tenkan: int, kijun: int, senkou: int
) -> FloatArray:
    """Take the middles of three ranges, and the cloud of a `kijun` ago: Hosoda's Ichimoku, never ahead.

    Parameters
    ----------
    high, low, close : float64 array (n,)
        Prices of the bars.
    tenkan, kijun, senkou : int
        Lengths of the ranges in bars, at least 1; 9, 26 and 52 as a rule.

    Returns
    -------
    float64 arrays (n,): tenkan, kijun, span_a, span_b, lagging
        In the unit of the prices. The spans are those that charts draw on the bar, made `kijun` bars ago, as
        Backtrader's. The lagging span is drawn `kijun` bars back, where it would tell the future: here it is
        the close of its own bar, to be held against ``lag(close, 26)``.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN until each range is full.
    """

    def middle(period: int) -> FloatArray:
        return (highest(high, period) + lowest(low, period)) / 2.0

    short, base = middle(tenkan), middle(kijun)
    spans = lag((short + base) / 2.0, kijun), lag(middle(senkou), kijun)
    return np.stack([short, base, *spans, close])


def klinger(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    fast: int,
    slow: int,
    signal: int,
) -> FloatArray:
    """Compare a fast with a slow average of volume, signed by the trend: Klinger's volume oscillator.

    Parameters
    ----------
    high, low, close, volume : float64 array (n,)
        Of the bars.
    fast, slow, signal : int
        Periods of the exponential averages, at least 1; 34, 55 and 13 as a rule.

    Returns
    -------
    float64 arrays (n,): kvo, signal
        S. Klinger, Identifying Trends with Volume Analysis (Stocks & Commodities, December 1997): the force
        is volume times 100 times abs(2 (range / sum - 1)), with the sign of the change of high + low +
        close; the sum of ranges goes on while that sign stays, else is that of the last two bars.

    Notes
    -----
    *Timing*: row t uses rows up to t. *Seed*: averages as `ema`; the sum begins with the second bar's two
    ranges. NaN until the slow average has a value, for a bar of no range after one of none it begins again.
    """
    price, width = high + low + close, high - low
    change = price - _before(price)
    trend = np.where(np.isfinite(change), np.where(change > 0.0, 1.0, -1.0), np.nan)
    same = trend == _before(trend)
    drive = np.where(np.isfinite(trend), np.where(same, width, width + _before(width)), np.nan)
    total = recur(drive, np.where(same, 1.0, 0.0), width + _before(width), math.inf)
    force = volume * np.abs(2.0 * (divided(width, total) - 1.0)) * trend * 100.0
    line = ema(force, fast) - ema(force, slow)
    return np.stack([line, ema(line, signal)])


def price_channel(source: FloatArray, period: int) -> FloatArray:
    """Take the highest and the lowest value of the last `period`, and their middle.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Length of the window in bars, at least 1.

    Returns
    -------
    float64 arrays (n,): upper, middle, lower
        In the unit of the source.

    Notes
    -----
    *Timing*: row t uses its window alone, with this bar. NaN as `highest`.
    """
    upper, lower = highest(source, period), lowest(source, period)
    return np.stack([upper, (upper + lower) / 2.0, lower])


def linear_regression(x: FloatArray, y: FloatArray, period: int) -> FloatArray:
    """Draw the straight line through the last `period` pairs of two series.

    Parameters
    ----------
    x, y : float64 array (n,)
        What it depends on, and what depends on it.
    period : int
        Length of the window in bars, at least 2.

    Returns
    -------
    float64 arrays (n,): slope, intercept, value, r2
        By least squares; the value is the line's at x of the last row, and r2 the share of the variance of y
        that it explains.

    Notes
    -----
    *Timing*: row t uses its window alone. NaN until it is full, where a value of it is missing, and where x
    does not vary; r2 where y does not.
    """
    return weighted_linear_regression(x, y, np.ones(len(x)), period)


def weighted_linear_regression(x: FloatArray, y: FloatArray, weight: FloatArray, period: int) -> FloatArray:
    """Draw the straight line through the last `period` pairs of two series, by weight.

    Parameters
    ----------
    x, y, weight : float64 array (n,)
        What it depends on, what depends on it, and how much each row counts: not negative.
    period : int
        Length of the window in bars, at least 2.

    Returns
    -------
    float64 arrays (n,): slope, intercept, value, r2
        As `linear_regression`, of the least weighed squares.

    Notes
    -----
    *Timing*: row t uses its window alone. NaN as there, and where the weights of a window are 0.
    """
    known = np.where(weight >= 0.0, weight, np.nan)
    _, mean_x, mean_y, xx, xy, yy = moments(x, y, period, known)
    slope = divided(xy, xx)
    value = y + (mean_y - slope * mean_x)
    return np.stack([slope, value - slope * x, value, divided(slope * xy, yy)])


def weighted_trend(source: FloatArray, weight: FloatArray, period: int) -> FloatArray:
    """Draw the straight line through the last `period` values over their rows, by weight.

    Parameters
    ----------
    source, weight : float64 array (n,)
        Any series, and how much each row counts: not negative.
    period : int
        Length of the window in bars, at least 2.

    Returns
    -------
    float64 arrays (n,): slope, intercept, value, r2
        The slope is that of a bar, the intercept at the window's first row, as TA-Lib's LINEARREG_INTERCEPT,
        and the value at its last.

    Notes
    -----
    *Timing* and NaN as `weighted_linear_regression`.
    """
    row = np.arange(len(source), dtype=np.float64)
    slope, _, value, explained = weighted_linear_regression(row, source, weight, period)
    return np.stack([slope, value - slope * (period - 1), value, explained])


def correlation(first: FloatArray, second: FloatArray, period: int) -> FloatArray:
    """Correlate two series over the last `period` rows, by Pearson.

    Parameters
    ----------
    first, second : float64 array (n,)
        Any series; of changes, give such as ``roc(close, 1)`` and ``roc(SPY.close, 1)``.
    period : int
        Length of the window in bars, at least 2.

    Returns
    -------
    float64 array (n,)
        From -1 to 1.

    Notes
    -----
    *Timing*: row t uses its window alone. NaN until it is full, and where one of the two does not vary.
    """
    _, _, _, xx, xy, yy = moments(first, second, period)
    found: FloatArray = np.clip(divided(xy, np.sqrt(xx * yy)), -1.0, 1.0)
    return found


def spread(first: FloatArray, second: FloatArray, period: int) -> FloatArray:
    """Take what of a series the straight line on another one leaves: the spread of a pair.

    Parameters
    ----------
    first, second : float64 array (n,)
        The series, and the one that it is held against, such as ``close`` and ``SPY.close``.
    period : int
        Of the line, at least 2.

    Returns
    -------
    float64 array (n,)
        In the unit of the first, less `linear_regression(second, first, period).value`.

    Notes
    -----
    *Timing*: row t uses its window alone. NaN as there.
    """
    line: FloatArray = linear_regression(second, first, period)[2]
    return first - line


def _log_returns(price: FloatArray) -> FloatArray:
    logarithm = log(price)
    return logarithm - _before(logarithm)


def realized_volatility(source: FloatArray, period: int) -> FloatArray:
    """Take the root of the sum of the last `period` squared logarithmic returns.

    Parameters
    ----------
    source : float64 array (n,)
        A price.
    period : int
        Returns, at least 1.

    Returns
    -------
    float64 array (n,)
        Of the window, not of a year; T. Andersen, T. Bollerslev et al., Modeling and Forecasting Realized
        Volatility (Econometrica, 2003).

    Notes
    -----
    *Timing*: row t uses its window, and the row before that. NaN until there are so many returns.
    """
    returns = _log_returns(source)
    found: FloatArray = np.sqrt(sma(returns * returns, period) * period)
    return found


def realized_correlation(first: FloatArray, second: FloatArray, period: int) -> FloatArray:
    """Correlate the last `period` logarithmic returns of two prices, about zero.

    Parameters
    ----------
    first, second : float64 array (n,)
        Prices, such as ``close`` and ``SPY.close``.
    period : int
        Returns, at least 1.

    Returns
    -------
    float64 array (n,)
        From -1 to 1: the sum of products over the root of the product of the sums of squares; O.
        Barndorff-Nielsen and N. Shephard, Econometric Analysis of Realized Covariation (Econometrica, 2004).

    Notes
    -----
    *Timing*: row t uses its window, and the row before that. NaN until there are so many returns, and where
    one of the prices did not move.
    """
    one, other = _log_returns(first), _log_returns(second)
    both = np.isfinite(one) & np.isfinite(other)
    one, other = np.where(both, one, np.nan), np.where(both, other, np.nan)
    squares = sma(one * one, period) * sma(other * other, period)
    found: FloatArray = np.clip(divided(sma(one * other, period), np.sqrt(squares)), -1.0, 1.0)
    return found


def realized_volatility_spread(first: FloatArray, second: FloatArray, period: int) -> FloatArray:
    """Take the realized volatility of one price less that of another.

    Parameters
    ----------
    first, second : float64 array (n,)
        Prices, such as ``close`` and ``SPY.close``.
    period : int
        Returns, at least 1.

    Returns
    -------
    float64 array (n,)

    Notes
    -----
    *Timing* and NaN as `realized_volatility`.
    """
    return realized_volatility(first, period) - realized_volatility(second, period)


_TWO = Limit(2, MAX_PERIOD, whole=True)
_CLOSE, _HL, _PAIR = ("close",), ("high", "low"), ("", "")
_LINE = ("slope", "intercept", "value", "r2")
_BANDS = ("upper", "middle", "lower")


def _window(period: int, *_others: float) -> int:
    return period - 1


def _own(
    name: str,
    kernel: Callable[..., FloatArray],
    sources: tuple[str, ...],
    parameters: tuple[str, ...],
    warmup: Callable[..., int],
    parts: tuple[str, ...] = (),
    **limits: Limit,
) -> Indicator:
    return Indicator(name, kernel, sources, parameters, warmup, origin="own", parts=parts, limits=limits)


_P = ("period",)

FORMULAS = (
    Indicator("ao", ao, _HL, ("fast", "slow"), lambda fast, slow: max(fast, slow) - 1),
    Indicator("apo", apo, _CLOSE, ("fast", "slow"), lambda fast, slow: max(fast, slow) - 1),
    Indicator("ppo", ppo, _CLOSE, ("fast", "slow"), lambda fast, slow: max(fast, slow) - 1),
    Indicator("cci", cci, ("high", "low", "close"), _P, lambda n: 2 * n - 2),
    Indicator("dema", dema, _CLOSE, _P, lambda n: 2 * n - 2),
    Indicator("tema", tema, _CLOSE, _P, lambda n: 3 * n - 3),
    Indicator("trix", trix, _CLOSE, _P, lambda n: 3 * n - 2),
    Indicator("tsi", tsi, _CLOSE, ("first", "second"), lambda first, second: first + second - 1),
    Indicator("hma", hma, _CLOSE, _P, lambda n: n + math.isqrt(n) - 2, limits={"period": _TWO}),
    Indicator("zlema", zlema, _CLOSE, _P, lambda n: n - 1 + (n - 1) // 2),
    Indicator("dpo", dpo, _CLOSE, _P, lambda n: n - 1 + _half_ago(n)),
    Indicator(
        *("kama", kama, _CLOSE, ("period", "fast", "slow"), lambda n, _fast, _slow: n),
        origin="own",
        limits={
            "fast": Limit(1, MAX_PERIOD, whole=True, default=2),
            "slow": Limit(1, MAX_PERIOD, whole=True, default=30),
        },
    ),
    Indicator("percentrank", percentrank, _CLOSE, _P, _window),
    _own(
        *("emv", emv, ("high", "low", "volume"), ("period", "scale"), lambda n, _scale: n),
        scale=Limit(1.0, math.inf, default=1e6),
    ),
    Indicator(
        *("fisher", fisher, _HL, _P, _window),
        origin="own",
        limits={"period": _TWO},
        parts=("fisher", "signal"),
        part_rows={"signal": lambda n: n},
    ),
    Indicator(
        *("ichimoku", ichimoku, ("high", "low", "close"), ("tenkan", "kijun", "senkou"), no_rows),
        origin="own",
        parts=("tenkan", "kijun", "span_a", "span_b", "lagging"),
        part_rows={
            "tenkan": lambda tenkan, _kijun, _senkou: tenkan - 1,
            "kijun": lambda _tenkan, kijun, _senkou: kijun - 1,
            "span_a": lambda tenkan, kijun, _senkou: max(tenkan, kijun) - 1 + kijun,
            "span_b": lambda _tenkan, kijun, senkou: senkou - 1 + kijun,
        },
    ),
    Indicator(
        *("klinger", klinger, ("high", "low", "close", "volume"), ("fast", "slow", "signal")),
        *(lambda fast, slow, _signal: max(fast, slow),),
        origin="own",
        parts=("kvo", "signal"),
        part_rows={"signal": lambda fast, slow, signal: max(fast, slow) + signal - 1},
    ),
    _own("price_channel", price_channel, _CLOSE, _P, _window, _BANDS),
    _own("linear_regression", linear_regression, _PAIR, _P, _window, _LINE, period=_TWO),
    _own(
        *("weighted_linear_regression", weighted_linear_regression, ("", "", ""), _P, _window, _LINE),
        period=_TWO,
    ),
    _own("weighted_trend", weighted_trend, _PAIR, _P, _window, _LINE, period=_TWO),
    _own("correlation", correlation, _PAIR, _P, _window, period=_TWO),
    _own("spread", spread, _PAIR, _P, _window, period=_TWO),
    _own("realized_volatility", realized_volatility, _CLOSE, _P, lambda n: n),
    _own("realized_correlation", realized_correlation, _PAIR, _P, lambda n: n),
    _own("realized_volatility_spread", realized_volatility_spread, _PAIR, _P, lambda n: n),
)
"""These as indicators."""
