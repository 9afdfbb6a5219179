"""Label: the rule of the reference samples, which knows closes and no order of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from whatif.domain import Bars
from whatif.labels.base import Labels
from whatif.labels.horizon import HorizonLabel
from whatif.typing import FloatArray

Share = Annotated[float, Field(gt=0, lt=1)]


class ReferenceBarrier(HorizonLabel):
    """1 if the closes ahead reach the target and never fall below the stop, -1 mirrored, 0 else.

    For comparison with the samples. Which came first does not matter to it, nor what happens between two
    closes, and it begins at a close that no order fills at: `triple_barrier` says what a trade would get.

    Attributes
    ----------
    target, stop : float
        Fractions of the row's close, between 0 and 1.
    """

    kind: Literal["reference_barrier"] = "reference_barrier"
    target: Share = 0.02
    stop: Share = 0.015

    def make(self, bars: Bars, bar_us: int, inputs: Mapping[str, FloatArray]) -> Labels:
        """Return the class of each bar."""
        last = self.last_rows(bars, bar_us)
        best, worst = bars.close.copy(), bars.close.copy()
        for step in range(1, int((last - np.arange(len(bars))).max(initial=0)) + 1):
            rows = np.flatnonzero(last >= np.arange(len(bars)) + step)
            close = bars.close[rows + step]
            best[rows], worst[rows] = np.maximum(best[rows], close), np.minimum(worst[rows], close)
        target, stop = bars.close * self.target, bars.close * self.stop
        long = (best >= bars.close + target) & (worst >= bars.close - stop)
        short = (worst <= bars.close - target) & (best <= bars.close + stop)
        value = np.where(long & ~short, 1.0, np.where(short & ~long, -1.0, 0.0))
        return Labels({"class": np.where(last >= 0, value, np.nan)}, self.ends(bars, bar_us, last))
