"""Windows and folds: intervals of time for training, validation and test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from whatif.calendars import utc_instant
from whatif.domain import Bars, bar_ends
from whatif.errors import StudyError


@dataclass(frozen=True)
class Window:
    """A half-open interval of time, [start_us, end_us), microseconds UTC."""

    name: str
    start_us: int
    end_us: int

    def rows(self, bars: Bars, bar_us: int) -> tuple[int, int]:
        """Return first and last-plus-one index of the bars that lie wholly inside."""
        first = int(np.searchsorted(bars.ts, self.start_us, "left"))
        stop = int(np.searchsorted(bar_ends(bars, bar_us), self.end_us, "right"))
        return first, max(first, stop)

    def __str__(self) -> str:
        """Return name and bounds for messages."""
        return f"{self.name} [{instant_text(self.start_us)}, {instant_text(self.end_us)})"


def instant_text(us: int) -> str:
    """Return microseconds since 1970-01-01 UTC for a message."""
    return f"{utc_instant(us):%Y-%m-%dT%H:%MZ}"


Cut = tuple[str, int, int]
"""Name, start and end of a window before the embargo."""


@dataclass(frozen=True)
class Fold:
    """One training, one choice, one test.

    Attributes
    ----------
    number : int
        From 1, in time order.
    train : tuple of Window
        Where models learn: one interval, several in a combinatorial split, none if the split leaves
        nothing to learn from.
    validate : tuple of Window
        Where configurations are ranked: one, or the test folds of a combinatorial split.
    test : Window or None
        Where the chosen configuration is told on.
    paths : tuple of int
        Of a combinatorial split, the path that each window of `validate` belongs to.
    """

    number: int
    train: tuple[Window, ...]
    validate: tuple[Window, ...]
    test: Window | None
    paths: tuple[int, ...] = ()

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return all its windows, train first."""
        return (*self.train, *self.backtested)

    @property
    def backtested(self) -> tuple[Window, ...]:
        """Return the windows that backtests run in."""
        return (*self.validate, *(() if self.test is None else (self.test,)))


def embargoed(cuts: Sequence[Cut], after: Callable[[int], int]) -> list[Window | None]:
    """Return the windows of `cuts`, each begun no sooner than the embargo after the one before it.

    Parameters
    ----------
    cuts : sequence of (str, int, int)
        Names and bounds in time order, microseconds UTC; an empty one gives None.
    after : callable
        Gives the instant at which an embargo that begins at an instant ends.

    Raises
    ------
    StudyError
        If nothing is left of a window.
    """
    windows: list[Window | None] = []
    previous: int | None = None
    for name, start, end in cuts:
        begin = start if previous is None else max(start, after(previous))
        if end <= start:
            windows.append(None)
            continue
        if end <= begin:
            raise StudyError(
                f"split.{name} is empty: the embargo ends at {instant_text(begin)}, the window at "
                f"{instant_text(end)}; shorten split.embargo or lengthen the window"
            )
        windows.append(Window(name, begin, end))
        previous = end
    return windows
