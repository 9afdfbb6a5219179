"""Market axes: bars are changed before anything is computed of them; and the contract of such changes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from whatif.axes.base import Axis, Settings
from whatif.domain import PRICE_FIELDS, Bars
from whatif.errors import PluginError
from whatif.typing import FloatArray

PRICES = ("open", "high", "low", "close", "vwap")
"""Series of bars that are prices."""

LEAST = 1e-6
"""Least factor by which one change moves a price: it stays above 0."""


class MarketAxis(Axis):
    """An axis whose values change the bars of each symbol, for indicators, strategy and broker alike.

    It runs on the workers, which must be able to import its module.

    Attributes
    ----------
    causal : bool
        Whether what it returns up to an instant follows from the bars up to it. One that does not makes each
        window's market of all bars up to that window's end, and of none after it.
    """

    causal: ClassVar[bool] = True
    world: ClassVar[bool] = True

    @property
    def at_home(self) -> int:
        """Return the place of the first value that leaves bars as they are; of the first, if none does."""
        return next((k for k, value in enumerate(self.values) if self.is_off(value)), 0)

    @abstractmethod
    def change_bars(self, value: Any, bars: Bars) -> Bars:
        """Return the bars of a symbol as they would have been.

        Parameters
        ----------
        value : Any
            One of the axis' values.
        bars : Bars
            As the lake holds them, from the slice's start to a window's end; longer bars are made of what is
            returned. Their arrays are shared, and cannot be written to.

        Returns
        -------
        Bars
            Of the same symbol, in the same span of time: `ts` increases, prices are positive and finite, with
            open and close between low and high, volumes not negative.

        Notes
        -----
        The same value and bars give the same ones. What is returned up to an instant follows from the bars up
        to it, if the axis is `causal`: a window that ends earlier sees the beginning of the same market.
        """

    def is_off(self, value: Any) -> bool:
        """Return whether a value leaves bars as they are: the configuration is then that of no such axis."""
        return False

    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings with a change of the bars, after those that are there."""
        if self.is_off(value):
            return settings
        return replace(settings, market=(*settings.market, (self, value)))


def previous_close(bars: Bars) -> FloatArray:
    """Return the close before each bar, (n,): of the first its own open."""
    return np.concatenate((bars.open[:1], bars.close[:-1]))


def check_changed(axis: MarketAxis, value: Any, bars: Bars, made: Any) -> None:
    """Raise unless what `change_bars` made of bars keeps to its contract.

    Raises
    ------
    PluginError
        Naming the axis, the value and the rule.
    """
    for broken in _broken(bars, made):
        raise PluginError(
            f"axis {axis.kind!r} breaks its contract: change_bars of {value!r} on {bars.symbol} {broken}"
        )


def _broken(bars: Bars, made: Any) -> Iterator[str]:
    """Yield what is wrong with bars."""
    if not isinstance(made, Bars):
        yield f"gives a {type(made).__name__}, no Bars"
        return
    if made.symbol != bars.symbol:
        yield f"gives bars of {made.symbol}"
    series = {name: getattr(made, name) for name in PRICE_FIELDS}
    for name in ("ts", "session", "session_open", "session_close"):
        if len(getattr(made, name)) != len(made.ts) or getattr(made, name).dtype != np.int64:
            yield f"gives a {name} that is no int64 array of {len(made.ts)}"
    for name, values in series.items():
        if len(values) != len(made.ts) or values.dtype != np.float64:
            yield f"gives a {name} that is no float64 array of {len(made.ts)}"
    if not len(made):
        yield "leaves no bar"
        return
    if not bool(np.all(np.diff(made.ts) > 0)):
        yield "gives bars whose ts does not increase"
    if made.ts[0] < bars.ts[0] or made.ts[-1] > bars.ts[-1]:
        yield "gives bars outside of the time of those that it was given"
    for name in ("open", "high", "low", "close"):
        if not bool(np.all(np.isfinite(series[name]) & (series[name] > 0))):
            yield f"gives a {name} that is not positive and finite"
    outside = (series["low"] > np.minimum(series["open"], series["close"])) | (
        series["high"] < np.maximum(series["open"], series["close"])
    )
    if bool(outside.any()):
        yield "gives an open or close that is not between low and high"
    if not bool(np.all(series["volume"] >= 0)):
        yield "gives a volume that is negative or missing"
