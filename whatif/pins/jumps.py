"""Prices that jump between two sessions, as they do at a split that they are not adjusted for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

import numpy as np

from whatif.calendars import EPOCH
from whatif.domain import Bars
from whatif.typing import BoolArray, FloatArray, IntArray

JUMP_FACTOR = 1.8
"""Ratio of a close and the next session's open from which on it is noted: 2 for 1, with a day's move."""

JUMP_DAYS = 7
"""Sessions further apart than this are no neighbours: prices may have moved."""

_LIKE_A_SPLIT = 0.1
"""Share by which a jump may differ from a split's ratio, by a day's move."""


@dataclass(frozen=True)
class PriceJump:
    """A close and the open of the next session that lie a factor apart."""

    symbol: str
    last: date
    close: float
    session: date
    open: float

    @property
    def factor(self) -> float:
        """Return the larger price over the smaller."""
        return max(self.close / self.open, self.open / self.close)

    @property
    def ratio(self) -> str:
        """Return the split that it looks like, new shares for old, as 7:1 or 1:10; "" if it is like none."""
        near = [Fraction(round(self.factor * k), k) for k in (1, 2)]
        found = next((one for one in near if abs(self.factor / one - 1) < _LIKE_A_SPLIT), None)
        if found is None:
            return ""
        new, old = found.numerator, found.denominator
        return f"{new}:{old}" if self.close > self.open else f"{old}:{new}"


def jump_rows(
    session: IntArray, opens: FloatArray, closes: FloatArray, apart: BoolArray | None = None
) -> tuple[IntArray, IntArray]:
    """Return the rows before and behind each jump.

    Parameters
    ----------
    session : int array (n,)
        Sessions of bars by time, days since 1970-01-01.
    opens, closes : float64 array (n,)
        Their prices. Those at or below zero, and NaN, are in no ratio, and so in no jump.
    apart : bool array (n,), optional
        Where another series begins; all are one series if left out.

    Returns
    -------
    int64 array (k,), int64 array (k,)
        The last bar of a session, and the first of the next, at most `JUMP_DAYS` later, whose close and
        open lie apart by `JUMP_FACTOR` or more.
    """
    begins = np.ones(len(session), dtype=bool)
    begins[1:] = session[1:] != session[:-1]
    other = np.zeros(len(session), dtype=bool) if apart is None else apart
    first = np.flatnonzero(begins | other)[1:]
    last, first = first - 1, first
    was, now = closes[last], opens[first]
    near = ~other[first] & (session[first] - session[last] <= JUMP_DAYS) & (was > 0) & (now > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = near & (np.maximum(was / now, now / was) >= JUMP_FACTOR)
    return last[far], first[far]


def price_jumps(symbol: str, bars: Bars) -> list[PriceJump]:
    """Return the jumps of one symbol's bars, (n,) by time."""
    rows = zip(*jump_rows(bars.session, bars.open, bars.close), strict=True)
    return [
        PriceJump(
            symbol,
            EPOCH + timedelta(days=int(bars.session[last])),
            float(bars.close[last]),
            EPOCH + timedelta(days=int(bars.session[first])),
            float(bars.open[first]),
        )
        for last, first in rows
    ]
