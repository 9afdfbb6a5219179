"""Axes of markets that did not happen: bars are changed before anything is computed of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

from whatif.axes.base import Axis, Settings
from whatif.domain import Bars


class MarketAxis(Axis):
    """An axis whose values change the bars of each symbol, for indicators, strategy and broker alike.

    It runs on the workers, which must be able to import its module.
    """

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
        to it: a window that ends earlier sees the beginning of the same market.
        """

    def is_off(self, value: Any) -> bool:
        """Return whether a value leaves bars as they are: the configuration is then that of no such axis."""
        return False

    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings with a change of the bars, after those that are there."""
        if self.is_off(value):
            return settings
        return replace(settings, market=(*settings.market, (self, value)))
