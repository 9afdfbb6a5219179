"""Meta-label: whether the side that a rule gave was right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from whatif.domain import Bars
from whatif.labels.barriers import BarrierLabel
from whatif.labels.base import Labels
from whatif.typing import FloatArray


class Meta(BarrierLabel):
    """1 if a position of the side that `side` gives reaches its target first, 0 if not.

    A model of it says how likely the rule is right: `prob_long` where the rule says long, `prob_short` where
    it says short.

    Attributes
    ----------
    side : str
        Expression of the rule: long where it is above 0, short below; no label where it is 0 or NaN.
    """

    gives: ClassVar[tuple[str, ...]] = ("class", "side")

    kind: Literal["meta"] = "meta"
    side: str

    @property
    def inputs(self) -> dict[str, str]:
        """The rule, and the scale if there is one."""
        return {"side": self.side, **super().inputs}

    def make(self, bars: Bars, bar_us: int, inputs: Mapping[str, FloatArray]) -> Labels:
        """Return the class of each bar."""
        last, side = self.last_rows(bars, bar_us), np.sign(inputs["side"])
        value, known = np.full(len(bars), np.nan), np.full(len(bars), -1)
        for own in (1, -1):
            won, row, entry = self.won(bars, np.where(side == own, last, -1), inputs, own)
            there = np.isfinite(entry)
            value, known = np.where(there, won, value), np.where(there, row, known)
        there = np.isfinite(value)
        ends = self.ends(bars, bar_us, np.where(there, last, -1))
        return Labels({"class": value, "side": side}, ends, self.ends(bars, bar_us, known))
