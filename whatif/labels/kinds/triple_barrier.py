"""Label: the side whose target is reached before its stop, within a horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from whatif.domain import Bars
from whatif.labels.barriers import BarrierLabel
from whatif.labels.base import Labels
from whatif.typing import FloatArray


class TripleBarrier(BarrierLabel):
    """1 if a long position reaches its target first, -1 if a short one does, 0 if neither.

    Of two that do, the earlier; of two in one bar, neither, since nobody knows their order. A label exists
    only where the whole horizon does, touched early or not: otherwise those without a touch would be
    missing where the data end.

    Attributes
    ----------
    side : str
        Which sides are asked about.

    References
    ----------
    M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 3.
    """

    kind: Literal["triple_barrier"] = "triple_barrier"
    side: Literal["both", "long", "short"] = "both"

    def make(self, bars: Bars, bar_us: int, inputs: Mapping[str, FloatArray]) -> Labels:
        """Return the class of each bar."""
        last = self.last_rows(bars, bar_us)
        sides = {"both": (1, -1), "long": (1,), "short": (-1,)}[self.side]
        never = np.iinfo(np.int64).max
        winning, ended = {1: np.full(len(bars), never), -1: np.full(len(bars), never)}, np.full(len(bars), -1)
        entry = np.full(len(bars), np.nan)
        for side in sides:
            won, row, entry = self.won(bars, last, inputs, side)
            winning[side] = np.where(won == 1, row, never)
            ended = np.maximum(ended, row)
        value = np.where(winning[1] == winning[-1], 0.0, np.where(winning[1] < winning[-1], 1.0, -1.0))
        known = np.minimum(np.minimum(winning[1], winning[-1]), ended)
        there = np.isfinite(entry)
        ends = self.ends(bars, bar_us, np.where(there, last, -1))
        knows = self.ends(bars, bar_us, np.where(there, known, -1))
        return Labels({"class": np.where(there, value, np.nan)}, ends, knows)
