"""Registry of the indicators: kernels, parameters, and the bars that each needs before its first value."""

from __future__ import annotations

import math
from difflib import SequenceMatcher
from functools import lru_cache

from whatif.errors import IndicatorError, nearest
from whatif.indicators.definition import Indicator, Limit
from whatif.indicators.formulas import FORMULAS
from whatif.indicators.library import LIBRARY
from whatif.indicators.momentum import (
    adx,
    adxr,
    atr,
    crossings,
    crossover,
    keltner,
    macd,
    macd_histogram,
    macd_signal,
    roc,
    roc100,
    rsi,
)
from whatif.indicators.moving import ema, sma, smma, wma
from whatif.indicators.news import NEWS_SERIES
from whatif.indicators.operators import ACROSS, FUNCTIONS, OPERATORS
from whatif.indicators.spread import (
    bbands,
    bollinger_bottom,
    bollinger_mid,
    bollinger_top,
    scaled,
    stddev,
)
from whatif.indicators.windows import highest, lag, lowest, zscore


def _before_full_window(period: int) -> int:
    return period - 1


def _before_earlier_row(period: int) -> int:
    return period


def _before_full_window_and_factor(period: int, _factor: float) -> int:
    return period - 1


def _one_row_to_compare() -> int:
    return 1


def _before_longer_average(fast: int, slow: int) -> int:
    return max(fast, slow) - 1


def _before_longest(*periods: int) -> int:
    return max(periods) - 1


def _before_signal(fast: int, slow: int, signal: int) -> int:
    return max(fast, slow) - 1 + signal - 1


def _before_range(period: int, atrperiod: int, _factor: float) -> int:
    return max(period - 1, atrperiod)


_CLOSE = ("close",)
_RANGE = ("high", "low", "close")
_LINES = ("upper", "middle", "lower")
_MACD = ("fast", "slow", "signal")
_BANDS = ("period", "deviations")

INDICATORS: dict[str, Indicator] = LIBRARY | {
    indicator.name: indicator
    for indicator in (
        Indicator("sma", sma, _CLOSE, ("period",), _before_full_window),
        Indicator("ema", ema, _CLOSE, ("period",), _before_full_window),
        Indicator("wma", wma, _CLOSE, ("period",), _before_full_window),
        Indicator("smma", smma, _CLOSE, ("period",), _before_full_window),
        Indicator("roc", roc, _CLOSE, ("period",), _before_earlier_row),
        Indicator("roc100", roc100, _CLOSE, ("period",), _before_earlier_row),
        Indicator("highest", highest, _CLOSE, ("period",), _before_full_window),
        Indicator("lowest", lowest, _CLOSE, ("period",), _before_full_window),
        Indicator("macd", macd, _CLOSE, _MACD[:2], _before_longer_average),
        Indicator("macd_signal", macd_signal, _CLOSE, _MACD, _before_signal),
        Indicator("macd_histogram", macd_histogram, _CLOSE, _MACD, _before_signal),
        Indicator("rsi", rsi, _CLOSE, ("period",), _before_earlier_row),
        Indicator("atr", atr, ("high", "low", "close"), ("period",), _before_earlier_row),
        Indicator("stddev", stddev, _CLOSE, ("period",), _before_full_window),
        Indicator("bollinger_top", bollinger_top, _CLOSE, _BANDS, _before_full_window_and_factor),
        Indicator("bollinger_mid", bollinger_mid, _CLOSE, ("period",), _before_full_window),
        Indicator("bollinger_bottom", bollinger_bottom, _CLOSE, _BANDS, _before_full_window_and_factor),
        Indicator("crossover", crossover, ("", ""), (), _one_row_to_compare, crossings),
        Indicator("lag", lag, _CLOSE, ("period",), _before_earlier_row, origin="own"),
        Indicator("scaled", scaled, _CLOSE, ("period", "fast", "slow"), _before_longest, origin="own"),
        Indicator("zscore", zscore, _CLOSE, ("period",), _before_full_window, origin="own"),
        Indicator("adx", adx, _RANGE, ("period",), lambda period: 2 * period - 1),
        Indicator("adxr", adxr, _RANGE, ("period",), lambda period: 3 * period - 1),
        Indicator("bbands", bbands, _CLOSE, _BANDS, _before_full_window_and_factor, parts=_LINES),
        Indicator(
            *("keltner", keltner, _RANGE, ("period", "atrperiod", "factor"), _before_range),
            origin="own",
            parts=_LINES,
            part_rows={"middle": lambda period, _atrperiod, _factor: period - 1},
            limits={"factor": Limit(0.0, math.inf, default=2.0)},
        ),
        *FUNCTIONS,
        *FORMULAS,
    )
}
"""All indicators by name. What Backtrader has goes before TA-Lib's of the same name."""


def _remedy(name: str) -> str:
    """Return which indicator may be meant; of names as near as each other, one that is not TA-Lib's."""
    small = name.lower()  # TA-Lib's names are known in capitals
    familiar = [one.name for one in INDICATORS.values() if one.origin != "TA-Lib"]
    remedies = [nearest(small, [*familiar, *ACROSS, *NEWS_SERIES]), nearest(small, INDICATORS)]
    near = [one for one in remedies if one.startswith("did")]
    return max(
        near,
        key=lambda one: SequenceMatcher(None, small, one.split("'")[1]).ratio(),
        default="'whatif indicators' lists all there are",
    )


@lru_cache(maxsize=1024)
def get_indicator(name: str) -> Indicator:
    """Return the indicator, the one of its outputs, or the operator, called `name`.

    Raises
    ------
    IndicatorError
        If there is none, naming the nearest.
    """
    if name in OPERATORS or name in ACROSS:
        return OPERATORS.get(name) or ACROSS[name]
    whole, dot, part = name.partition(".")
    if whole not in INDICATORS:
        raise IndicatorError(f"indicator {name!r} is unknown: {_remedy(name)}")
    return INDICATORS[whole].part(part) if dot else INDICATORS[whole]
