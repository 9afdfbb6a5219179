"""Label: the return to the close some bars or sessions ahead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from whatif.domain import Bars
from whatif.labels.base import Labels
from whatif.labels.horizon import HorizonLabel
from whatif.typing import FloatArray


class ForwardReturn(HorizonLabel):
    """The close at the end of the horizon, as a price or a return on the close.

    Attributes
    ----------
    target : str
        What models learn that do not say it: a fraction of the close, a price, or the side.
    """

    gives: ClassVar[tuple[str, ...]] = ("level", "return")

    kind: Literal["forward_return"] = "forward_return"
    target: Literal["return", "level", "class"] = "return"

    @property
    def learns(self) -> str:
        """What its own key says."""
        return self.target

    def make(self, bars: Bars, bar_us: int, inputs: Mapping[str, FloatArray]) -> Labels:
        """Return the close of the last bar of the horizon; NaN where it is not there."""
        last = self.last_rows(bars, bar_us)
        level = np.where(last >= 0, bars.close[last], np.nan) if len(bars) else np.empty(0)
        return Labels({"level": level, "return": level / bars.close - 1.0}, self.ends(bars, bar_us, last))
