"""Label: the VWAP of a bar some time ahead in the same session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from whatif.domain import Bars, bar_ends, duration_us
from whatif.errors import StudyError
from whatif.labels.base import LabelKind, Labels, Reach
from whatif.typing import FloatArray, IntArray


class ForwardVwap(LabelKind):
    """The VWAP of the bar that starts `horizon` later, as a price or a return on the close.

    Attributes
    ----------
    horizon : str
        Duration from a bar's start to that of the bar ahead, a multiple of the timeframe.
    target : str
        What models learn that do not say it: a fraction of the close, a price, or the side.
    """

    gives: ClassVar[tuple[str, ...]] = ("level", "return")

    kind: Literal["forward_vwap"] = "forward_vwap"
    horizon: str = "5min"
    target: Literal["return", "level", "class"] = "return"

    @field_validator("horizon")
    @classmethod
    def _horizon(cls, value: str) -> str:
        duration_us(value)
        return value

    @property
    def learns(self) -> str:
        """What its own key says."""
        return self.target

    @property
    def identity(self) -> dict[str, Any]:
        """Its horizon, under the name that it had before there were other kinds."""
        return {"horizon_us": duration_us(self.horizon)}

    def reach(self, bar_us: int, session_us: int) -> Reach:
        """Return the horizon; it never leaves the session."""
        return Reach(duration_us(self.horizon))

    def check(self, bar_us: int, timeframe: str, session_us: int, exchange: str) -> None:
        """Refuse a horizon that is no multiple of the timeframe, or that no session is longer than."""
        horizon = duration_us(self.horizon)
        if horizon >= session_us:
            raise StudyError(
                f"label.horizon {self.horizon!r} reaches out of every session: the longest of {exchange} "
                f"lasts {session_us // 60_000_000} minutes and a label never leaves its session; use a "
                "shorter horizon"
            )
        if horizon % bar_us:
            raise StudyError(
                f"label.horizon {self.horizon!r} is no multiple of the timeframe {timeframe!r}, so no bar "
                "starts there; use a multiple"
            )

    def make(self, bars: Bars, bar_us: int, inputs: Mapping[str, FloatArray]) -> Labels:
        """Return the labels of `forward_vwap`."""
        level, forward, end = forward_vwap(bars, duration_us(self.horizon), bar_us)
        return Labels({"level": level, "return": forward}, end)


def forward_vwap(bars: Bars, horizon_us: int, bar_us: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the VWAP of the bar that starts `horizon_us` after each bar's start.

    Parameters
    ----------
    bars : Bars
        Bars of one symbol.
    horizon_us, bar_us : int
        Horizon and length of a bar, microseconds.

    Returns
    -------
    level : float64 array (n,)
        VWAP of the bar at ts + horizon in the same session, joined on time; NaN where
        that bar does not exist.
    forward : float64 array (n,)
        level / close - 1, a fraction.
    end : int64 array (n,)
        When that bar ends, microseconds UTC; 0 where it does not exist.
    """
    wanted = bars.ts + horizon_us
    found = np.minimum(np.searchsorted(bars.ts, wanted), max(len(bars) - 1, 0))
    exists = (bars.ts[found] == wanted) & (bars.session[found] == bars.session)
    level = np.where(exists, bars.vwap[found], np.nan)
    end = np.where(exists, bar_ends(bars, bar_us)[found], 0)
    return level, level / bars.close - 1.0, end
