"""Folds: what is trained, what it is chosen on, and what it is told on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from whatif.calendars import Schedule
from whatif.errors import StudyError
from whatif.search.window import Window, instant_text

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


@dataclass(frozen=True, eq=False)
class Timeline:
    """The study's slice of time and its folds.

    Attributes
    ----------
    schedule : Schedule
        Sessions of the slice.
    start_us, end_us : int
        Bounds of the slice, half-open, microseconds UTC.
    kind : str
        "holdout", "walk_forward" or "cpcv".
    folds : tuple of Fold
        Those that configurations are ranked in, in time order: one of a holdout.
    final : Fold or None
        Of a combinatorial split, the one that trains on everything before the test window;
        nothing is ranked in it.
    """

    schedule: Schedule
    start_us: int
    end_us: int
    kind: str
    folds: tuple[Fold, ...]
    final: Fold | None = None

    @property
    def every(self) -> tuple[Fold, ...]:
        """Return the folds, the final one last."""
        return self.folds if self.final is None else (*self.folds, self.final)

    @property
    def last(self) -> Fold:
        """Return the fold whose choice one would trade next."""
        return self.every[-1]

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return all windows, each once."""
        return _once(window for fold in self.every for window in fold.windows)

    @property
    def backtested(self) -> tuple[Window, ...]:
        """Return the windows that backtests run in, each once."""
        return _once(window for fold in self.every for window in fold.backtested)

    @property
    def ranked(self) -> tuple[Window, ...]:
        """Return the windows that configurations are ranked on, each once."""
        return _once(window for fold in self.folds for window in fold.validate)


def _once(windows: Iterable[Window]) -> tuple[Window, ...]:
    return tuple(dict.fromkeys(windows))


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
