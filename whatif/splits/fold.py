"""Folds: what is trained, what it is chosen on, and what it is told on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whatif.errors import StudyError
from whatif.splits.window import Window, instant_text

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
