"""Resampled pasts: what markets whose bars are drawn anew from those that were have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from whatif.axes.market import PRICES, MarketAxis, previous_close
from whatif.domain import Bars
from whatif.errors import StudyError
from whatif.typing import BoolArray, IntArray

MAX_HISTORIES = 100_000
"""Pasts of one axis."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Of the draws: the same seed and number make the same past."""


class ResampledHistory(MarketAxis):
    """Pasts that did not happen: 0 is the one that did, k > 0 the k-th that is drawn.

    Bars keep their time. What each does, relative to the close before it, comes from a bar at the same place
    of another session, so that the pattern within a session, its gap at the open and its length stay; bars
    that follow each other come from bars that did, within a block. The draws follow from seed, number,
    sessions and bars of a session alone, so symbols that have the same ones are drawn together, and their
    correlation stays. Each window's past is made of the bars up to its end.
    """

    seed: Seed = 0

    takes_ranges: ClassVar[bool] = True
    counted: ClassVar[bool] = True
    causal: ClassVar[bool] = False

    @classmethod
    def read(cls, name: str, values: list[Any]) -> list[Any]:
        """Refuse what is no number of a past."""
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_HISTORIES:
                raise ValueError(
                    f"axis {name} holds {value!r}: a past is named by a whole number from 0, the one that "
                    f"was, to {MAX_HISTORIES:,}; or write n: 100 for 0 to 100"
                )
        return values

    def is_off(self, value: Any) -> bool:
        """Return whether it is the past that was."""
        return bool(value == 0)

    @abstractmethod
    def sources(self, chance: np.random.Generator, sessions: int, places: int) -> IntArray:
        """Return from which session each bar comes, (sessions * places,), session by session.

        Parameters
        ----------
        chance : Generator
            Of the seed and the number of the past.
        sessions, places : int
            Sessions, and bars of the longest one.
        """

    def change_bars(self, value: Any, bars: Bars) -> Bars:
        """Return the bars of a past."""
        if value == 0:
            return bars
        session, place = _grid(bars)
        sessions, places = int(session[-1]) + 1, int(place.max()) + 1
        if sessions < 2:
            raise StudyError(
                f"axis {self.kind!r}: {bars.symbol} has {sessions} session up to the window's end, and a "
                "past is drawn from other sessions: begin the data earlier"
            )
        chance = np.random.default_rng([self.seed, value])
        wanted = self.sources(chance, sessions, places)[session * places + place]
        return _drawn(bars, _rows(session, place, wanted, sessions, places))


def followed(drawn: IntArray, begins: BoolArray, sessions: int, places: int) -> IntArray:
    """Return from which session each bar of blocks comes, (sessions * places,).

    Parameters
    ----------
    drawn : int64 array (sessions * places,)
        Session from which a block comes that begins with the bar.
    begins : bool array (sessions * places,)
        Whether one does; it does with the first bar.
    sessions, places : int
        Sessions, and bars of the longest one.
    """
    at = np.arange(len(drawn))
    first = np.maximum.accumulate(np.where(begins, at, 0))
    return np.asarray((drawn[first] + at // places - first // places) % sessions)


def _grid(bars: Bars) -> tuple[IntArray, IntArray]:
    """Return the number of each bar's session, and its place there by time: a missing bar leaves a gap."""
    _, session = np.unique(bars.session, return_inverse=True)
    steps = np.diff(bars.ts)[np.diff(session) == 0]
    step = int(steps.min()) if len(steps) else 1
    # bars outside of regular hours begin before the open
    since = bars.ts - bars.session_open
    first = int(since.min())
    return session.astype(np.int64), ((since - first) // step).astype(np.int64) if len(steps) else 0 * session


def _rows(session: IntArray, place: IntArray, wanted: IntArray, sessions: int, places: int) -> IntArray:
    """Return the row that each bar comes from: where a session has no bar at the place, the next that has."""
    table = np.full((sessions, places), -1, dtype=np.int64)
    table[session, place] = np.arange(len(session))
    found = table[wanted, place]
    missing = np.flatnonzero(found < 0)
    while len(missing):
        wanted[missing] = (wanted[missing] + 1) % sessions
        found[missing] = table[wanted[missing], place[missing]]
        missing = missing[found[missing] < 0]
    return found


def _drawn(bars: Bars, rows: IntArray) -> Bars:
    """Return bars that move as those of some rows did, each from the close that the one before came to."""
    before = previous_close(bars)
    moved = bars.close[rows] / before[rows]
    # the first has no close before it: it opens where it did
    start = bars.open[0] * (before[rows[0]] / bars.open[rows[0]])
    factor = start * np.concatenate(([1.0], np.cumprod(moved[:-1]))) / before[rows]
    prices = {name: getattr(bars, name)[rows] * factor for name in PRICES}
    return replace(bars, volume=bars.volume[rows], **prices)
