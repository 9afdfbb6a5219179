"""Which indicators there are, what they take, and how many bars they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whatif.errors import IndicatorError, nearest
from whatif.indicators.change import roc, roc100
from whatif.indicators.cross import crossover
from whatif.indicators.moving import ema, sma
from whatif.typing import FloatArray


@dataclass(frozen=True)
class Indicator:
    """One indicator: a kernel and what is known about it.

    Attributes
    ----------
    name : str
        As written in expressions.
    kernel : callable
        Takes the sources as float64 arrays (n,), then the parameters as integers; returns a
        float64 array (n,), NaN until warm, whose row t depends on rows up to t only.
    sources : int
        Number of series it takes. A single one may be left out and is then `close`.
    parameters : tuple of str
        Names of the numbers it takes, in order; each is a period, a positive integer.
    warmup : callable
        From the parameters to the number of rows before the first value, given sources that
        are complete.
    """

    name: str
    kernel: Callable[..., FloatArray]
    sources: int
    parameters: tuple[str, ...]
    warmup: Callable[..., int]

    @property
    def usage(self) -> str:
        """How the indicator is written."""
        series = ["source"] if self.sources == 1 else [f"source{k + 1}" for k in range(self.sources)]
        usage = f"{self.name}({', '.join([*series, *self.parameters])})"
        if self.sources == 1 and self.parameters:
            usage += f" or {self.name}({', '.join(self.parameters)}) on close"
        return usage


def _before_full_window(period: int) -> int:
    return period - 1


def _before_earlier_row(period: int) -> int:
    return period


def _one_row_to_compare() -> int:
    return 1


INDICATORS: dict[str, Indicator] = {
    indicator.name: indicator
    for indicator in (
        Indicator("sma", sma, 1, ("period",), _before_full_window),
        Indicator("ema", ema, 1, ("period",), _before_full_window),
        Indicator("roc", roc, 1, ("period",), _before_earlier_row),
        Indicator("roc100", roc100, 1, ("period",), _before_earlier_row),
        Indicator("crossover", crossover, 2, (), _one_row_to_compare),
    )
}
"""All indicators by name."""


def get_indicator(name: str) -> Indicator:
    """Return the indicator called `name`.

    Raises
    ------
    IndicatorError
        If there is none, naming the nearest.
    """
    if name not in INDICATORS:
        raise IndicatorError(f"indicator {name!r} is unknown: {nearest(name, INDICATORS)}")
    return INDICATORS[name]
