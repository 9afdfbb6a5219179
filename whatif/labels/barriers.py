"""Base class of labels with barriers: which of a target and a stop is touched first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from whatif.domain import Bars
from whatif.labels.horizon import HorizonLabel
from whatif.typing import FloatArray, IntArray

Barrier = Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]


class Touched(NamedTuple):
    """What is touched first of two barriers.

    Attributes
    ----------
    row : int64 array (n,)
        The bar; the last one that was looked at if none is touched.
    which : int64 array (n,)
        1 the upper, -1 the lower, 2 both in one bar of which nobody knows the order, 0 none.
    """

    row: IntArray
    which: IntArray


class BarrierLabel(HorizonLabel):
    """A label that asks whether a position reaches its target before its stop, within the horizon.

    Attributes
    ----------
    target, stop : float
        Distances from the entry, as fractions of it, or as multiples of `scale`.
    scale : str or None
        Expression for a fraction of the price, such as ``atr(14) / close``; NaN or not above 0: no label.
    entry : str
        "open": the next bar's open, where an order of the row fills; "close": the row's own close.
    touch : str
        "range": by open, high and low; "close": by closes alone.
    """

    known_early: ClassVar[bool] = True

    target: Barrier = 0.02
    stop: Barrier = 0.015
    scale: str | None = None
    entry: Literal["open", "close"] = "open"
    touch: Literal["range", "close"] = "range"

    @model_validator(mode="after")
    def _below_the_price(self) -> Self:
        if self.scale is None and max(self.stop, self.target) >= 1.0:
            raise ValueError(
                f"target = {self.target:g}, stop = {self.stop:g}: both are fractions of the entry price, "
                "below 1; write 0.02 for 2 %, or give a scale that they are multiples of"
            )
        return self

    @property
    def inputs(self) -> dict[str, str]:
        """The scale, if there is one."""
        return {} if self.scale is None else {"scale": self.scale}

    def won(
        self, bars: Bars, last: IntArray, inputs: Mapping[str, FloatArray], side: int
    ) -> tuple[IntArray, IntArray, FloatArray]:
        """Return how a position of one side would end, for each bar.

        Where target and stop are touched in one bar, and its open is beyond neither, the stop counts.

        Parameters
        ----------
        bars : Bars
            Bars of one symbol.
        last : int64 array (n,)
            Row of the last bar of each horizon; -1 for none.
        inputs : mapping
            `scale`, if the label has one.
        side : int
            1 for long, -1 for short.

        Returns
        -------
        won : int64 array (n,)
            1 if the target came first, else 0.
        row : int64 array (n,)
            The bar in which that is known.
        entry : float64 array (n,)
            The entry price; NaN where there is no label.
        """
        n = len(bars)
        following = np.minimum(np.arange(n) + 1, n - 1)
        scale = inputs.get("scale", np.ones(n))
        price = bars.close if self.entry == "close" else bars.open[following]
        fine = (last >= 0) & np.isfinite(scale) & (scale > 0)
        entry = np.where(fine, price, np.nan)
        above, below = (self.target, self.stop) if side > 0 else (self.stop, self.target)
        upper, lower = entry * (1.0 + above * scale), entry * (1.0 - below * scale)
        touched = first_touched(bars, np.where(fine, last, -1), upper, lower, self.touch)
        return (touched.which == side).astype(np.int64), touched.row, entry


def first_touched(bars: Bars, last: IntArray, upper: FloatArray, lower: FloatArray, touch: str) -> Touched:
    """Return which of two barriers is touched first, from the bar after each row to its last one.

    Parameters
    ----------
    bars : Bars
        Bars of one symbol, n of them.
    last : int64 array (n,)
        Row of the last bar to look at; -1 for a row that is left out.
    upper, lower : float64 array (n,)
        Prices of the barriers.
    touch : str
        "range" or "close".
    """
    row, which = last.copy(), np.zeros(len(bars), dtype=np.int64)
    open_ = np.flatnonzero(last >= 0)
    step = 0
    while len(open_):
        step += 1
        at = open_ + step
        high, low = upper[open_], lower[open_]
        if touch == "close":
            up, down = bars.close[at] >= high, bars.close[at] <= low
        else:
            begins = bars.open[at]
            gap_up, gap_down = begins >= high, begins <= low
            up = gap_up | (~gap_down & (bars.high[at] >= high))
            down = gap_down | (~gap_up & (bars.low[at] <= low))
        found = np.where(up & down, 2, np.where(up, 1, np.where(down, -1, 0)))
        hit = found != 0
        row[open_[hit]], which[open_[hit]] = at[hit], found[hit]
        open_ = open_[~hit & (at < last[open_])]
    return Touched(row, which)
