"""Label: the direction of the straight line that fits the closes ahead best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from whatif.domain import Bars
from whatif.labels.base import Labels
from whatif.labels.horizon import HorizonLabel
from whatif.typing import FloatArray


class TrendScanning(HorizonLabel):
    """The sign of the slope with the greatest t-value, over lines from the row's close up to the horizon.

    Attributes
    ----------
    shortest : int
        Bars ahead of the shortest line; the longest is the horizon.
    least_t : float
        0 is said where no line has a t-value of this size.

    References
    ----------
    M. Lopez de Prado, Machine Learning for Asset Managers (2020), section 5.4.
    """

    kind: Literal["trend_scanning"] = "trend_scanning"
    horizon: Annotated[int, Field(ge=3, le=5_000)] = 20
    unit: Literal["bars"] = "bars"
    shortest: Annotated[int, Field(ge=3, le=5_000)] = 5
    least_t: Annotated[float, Field(ge=0, le=1e6)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.shortest > self.horizon:
            raise ValueError(
                f"shortest = {self.shortest} is above horizon = {self.horizon}: lines have to end within it"
            )
        return self

    def make(self, bars: Bars, bar_us: int, inputs: Mapping[str, FloatArray]) -> Labels:
        """Return the class of each bar."""
        last = self.last_rows(bars, bar_us)
        rows = np.flatnonzero(last >= 0)
        total, moment, squares = np.zeros((3, len(rows)))
        found = np.zeros(len(rows))
        for step in range(1, self.horizon + 1):
            y = bars.close[rows + step] / bars.close[rows] - 1.0
            total, moment, squares = total + y, moment + step * y, squares + y * y
            if step >= self.shortest:
                t = _t_value(step + 1, total, moment, squares)
                found = np.where(np.abs(t) > np.abs(found), t, found)
        value = np.full(len(bars), np.nan)
        value[rows] = np.where(np.abs(found) >= self.least_t, np.sign(found), 0.0)
        return Labels({"class": value}, self.ends(bars, bar_us, last))


def _t_value(count: int, total: FloatArray, moment: FloatArray, squares: FloatArray) -> FloatArray:
    """Return the t-value of the slope of a line through `count` points at 0, 1, 2 and so on.

    `total`, `moment` and `squares` are the sums of y, of x times y, and of y times y, each (n,).
    """
    middle = (count - 1) / 2.0
    spread = count * (count * count - 1) / 12.0
    slope = (moment - middle * total) / spread
    left = np.maximum(squares - total * total / count - slope * slope * spread, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = slope / np.sqrt(left / (count - 2) / spread)
    return np.where(slope == 0.0, 0.0, t)
