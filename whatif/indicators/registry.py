"""Registry of the indicators: kernels, parameters, and the bars that each needs before its first value."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whatif.errors import IndicatorError, nearest
from whatif.indicators.momentum import (
    atr,
    crossings,
    crossover,
    macd,
    macd_histogram,
    macd_signal,
    roc,
    roc100,
    rsi,
)
from whatif.indicators.moving import ema, sma, smma, wma
from whatif.indicators.news import NEWS_SERIES
from whatif.indicators.spread import (
    bollinger_bottom,
    bollinger_mid,
    bollinger_top,
    highest,
    lag,
    lowest,
    scaled,
    stddev,
)
from whatif.typing import FloatArray


@dataclass(frozen=True)
class Indicator:
    """One indicator: a kernel and what is known about it.

    Attributes
    ----------
    name : str
        As written in expressions.
    kernel : callable
        Takes the sources as float64 arrays (n,), then the parameters; returns a float64 array
        (n,), NaN until warm, whose row t depends on rows up to t only.
    sources : tuple of str
        The series it takes if none is named. An empty name has no such default.
    parameters : tuple of str
        Names of the numbers it takes, in order. Each is a period, an integer of at least 1, but
        for `FACTORS`, which are numbers of at least 0.
    warmup : callable
        From the parameters to the number of rows before the first value, given sources that
        are complete.
    many : callable, optional
        Of an indicator without parameters: does the same for c combinations of sources at once. Takes
        for each source an int64 array (c,) of addresses of n values each, and then a float64 array
        (c, n), into which it writes.
    origin : str
        Whose definition it has, to the last bit: "Backtrader", or "own".
    """

    name: str
    kernel: Callable[..., FloatArray]
    sources: tuple[str, ...]
    parameters: tuple[str, ...]
    warmup: Callable[..., int]
    many: Callable[..., None] | None = None
    origin: str = "Backtrader"

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        return self.documentation.partition("\n")[0]

    @property
    def documentation(self) -> str:
        """What its kernel says of itself."""
        return inspect.getdoc(self.kernel) or ""

    @property
    def usage(self) -> str:
        """How the indicator is written."""
        names = [name if len(self.sources) > 1 else "" for name in self.sources]
        series = [name or f"source{k + 1 if len(names) > 1 else ''}" for k, name in enumerate(names)]
        usage = f"{self.name}({', '.join([*series, *self.parameters])})"
        if self.may_omit_sources:
            usage += f" or {self.name}({', '.join(self.parameters)}) on {', '.join(self.sources)}"
        return usage

    @property
    def may_omit_sources(self) -> bool:
        """Whether its sources may be left out, for their defaults."""
        return bool(self.parameters) and all(self.sources)

    def number(self, index: int, value: object, where: str) -> int | float:
        """Return `value` as the parameter at `index`, or say which rule it breaks.

        Raises
        ------
        IndicatorError
            If it is no period, or for a factor no number of at least 0; `where` names the place.
        """
        return factor(value, where) if self.parameters[index] in FACTORS else period(value, where)


MAX_PERIOD = 100_000_000
"""Longest period, rows: a hundred years of minutes around the clock are half of it."""

FACTORS = frozenset({"deviations"})
"""Names of parameters that are not periods."""


def period(value: object, where: str) -> int:
    """Return `value` as a period, or say which rule it breaks.

    Raises
    ------
    IndicatorError
        If it is not a positive integer.
    """
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if not 1 <= number <= MAX_PERIOD:
        raise IndicatorError(
            f"{where}: {value!r} is not a period; use an integer of at least 1 and at most {MAX_PERIOD:,}"
            if number > MAX_PERIOD
            else f"{where}: {value!r} is not a period; use an integer of at least 1"
        )
    return number


def factor(value: object, where: str) -> float:
    """Return `value` as a factor, or say which rule it breaks.

    Raises
    ------
    IndicatorError
        If it is not a finite number of at least 0.
    """
    try:
        number = -1.0 if isinstance(value, (bool, str)) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0.0 <= number < math.inf:
        raise IndicatorError(f"{where}: {value!r} is not a factor; use a number of at least 0, such as 2.0")
    return number


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


_CLOSE = ("close",)
_MACD = ("fast", "slow", "signal")
_BANDS = ("period", "deviations")

INDICATORS: dict[str, Indicator] = {
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
    )
}
"""All indicators by name."""


def _of_finite(values: FloatArray) -> FloatArray:
    """Return values, (n,), NaN where they are not finite."""
    return np.where(np.isfinite(values), values, np.nan)


def _added(left: FloatArray, right: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return _of_finite(left + right)


def _subtracted(left: FloatArray, right: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return _of_finite(left - right)


def _multiplied(left: FloatArray, right: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return _of_finite(left * right)


def _divided(left: FloatArray, right: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return _of_finite(left / right)


def _negated(values: FloatArray) -> FloatArray:
    return _of_finite(-values)


def _no_rows() -> int:
    return 0


NEGATED = "neg"
"""Name of the unary minus among `OPERATORS`."""

OPERATORS: dict[str, Indicator] = {
    **{
        sign: Indicator(sign, kernel, ("", ""), (), _no_rows)
        for sign, kernel in (("+", _added), ("-", _subtracted), ("*", _multiplied), ("/", _divided))
    },
    NEGATED: Indicator(NEGATED, _negated, ("",), (), _no_rows),
}
"""Arithmetic of series, row by row, as indicators that are written as signs. A row is NaN where an operand
is, and where what comes of it is not finite, as of a division by 0."""


def get_indicator(name: str) -> Indicator:
    """Return the indicator, or the operator, called `name`.

    Raises
    ------
    IndicatorError
        If there is none, naming the nearest.
    """
    if name in OPERATORS:
        return OPERATORS[name]
    if name not in INDICATORS:
        raise IndicatorError(f"indicator {name!r} is unknown: {nearest(name, [*INDICATORS, *NEWS_SERIES])}")
    return INDICATORS[name]
