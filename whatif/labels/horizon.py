"""Base class of labels that look at the next bars, or sessions, of a symbol."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from whatif.domain import DAY_US, Bars, bar_ends
from whatif.errors import StudyError
from whatif.labels.base import LabelKind, Reach
from whatif.typing import IntArray


class HorizonLabel(LabelKind):
    """A label that looks at what follows a bar, up to a number of bars or sessions.

    Bars that are missing are not counted: five bars are the next five that there are.

    Attributes
    ----------
    horizon : int
        How many bars, or sessions.
    unit : str
        "bars": up to the close of that many bars later; "sessions": up to the close of the last bar of the
        session that many later, of those in which the symbol has bars.
    overnight : bool or None
        Whether it may reach into other sessions; None if bars are whole sessions, or sessions are counted.
    """

    horizon: Annotated[int, Field(ge=1, le=100_000)] = 5
    unit: Literal["bars", "sessions"] = "bars"
    overnight: bool | None = None

    @model_validator(mode="after")
    def _crosses(self) -> Self:
        if self.unit == "sessions" and self.overnight is False:
            raise ValueError(
                f"horizon = {self.horizon} sessions leave the session, and overnight = false forbids it: "
                "count bars, or leave overnight out"
            )
        return self

    def crosses(self, bar_us: int) -> bool:
        """Tell whether it may reach into other sessions."""
        return self.unit == "sessions" or (bar_us >= DAY_US if self.overnight is None else self.overnight)

    def reach(self, bar_us: int, session_us: int) -> Reach:
        """Return the horizon, in time inside the session or in sessions."""
        if self.unit == "sessions" or bar_us >= DAY_US:
            return Reach(self.horizon * bar_us, self.horizon)
        sessions = -(-self.horizon * bar_us // session_us) if self.crosses(bar_us) else 0
        return Reach(self.horizon * bar_us, sessions)

    def check(self, bar_us: int, timeframe: str, session_us: int, exchange: str) -> None:
        """Refuse a horizon that leaves every session where the label may not."""
        if self.crosses(bar_us):
            return
        if bar_us >= DAY_US:
            raise StudyError(
                "label.overnight = false: a bar of timeframe '1d' is a whole session, so that none has "
                "another one behind it in its session: leave overnight out, or use shorter bars"
            )
        if self.horizon * bar_us >= session_us:
            raise StudyError(
                f"label.horizon = {self.horizon} bars of {timeframe} reach out of every session: the longest "
                f"of {exchange} lasts {session_us // 60_000_000} minutes; use a shorter horizon, or write "
                "overnight: true"
            )

    def last_rows(self, bars: Bars, bar_us: int) -> IntArray:
        """Return the row of the last bar that each bar's label looks at, (n,); -1 where it is not there."""
        n = len(bars)
        if self.unit == "sessions":
            _, first, which = np.unique(bars.session, return_index=True, return_inverse=True)
            closing = np.append(first[1:], n) - 1
            wanted = which + self.horizon
            there = wanted < len(closing)
            return np.where(there, closing[np.minimum(wanted, len(closing) - 1)], -1) if n else which
        last = np.arange(n) + self.horizon
        there = last < n
        inside = np.minimum(last, n - 1)
        if not self.crosses(bar_us):
            there &= bars.session[inside] == bars.session
        return np.where(there, inside, -1)

    @staticmethod
    def ends(bars: Bars, bar_us: int, rows: IntArray) -> IntArray:
        """Return when the bars in some rows end, microseconds UTC; 0 for row -1."""
        return np.where(rows >= 0, bar_ends(bars, bar_us)[rows], 0) if len(bars) else rows
