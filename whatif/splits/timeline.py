"""Timeline of a study: its slice of time, and the folds in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from whatif.calendars import Schedule
from whatif.splits.base import Split, TimeSlice
from whatif.splits.contract import check_folds
from whatif.splits.fold import Fold, Window


@dataclass(frozen=True, eq=False)
class Timeline:
    """The study's slice of time and its folds.

    Attributes
    ----------
    schedule : Schedule
        Sessions of the slice.
    start_us, end_us : int
        Bounds of the slice, half-open, microseconds UTC.
    folds : tuple of Fold
        Those that configurations are ranked in, in time order: one of a holdout.
    final : Fold or None
        Of a combinatorial split, the one that trains on everything before the test window;
        nothing is ranked in it.
    joins_tests, ranks_paths : bool
        As the split says of itself, see `Split`.
    """

    schedule: Schedule
    start_us: int
    end_us: int
    folds: tuple[Fold, ...]
    final: Fold | None = None
    joins_tests: bool = False
    ranks_paths: bool = False

    @classmethod
    def of(cls, split: Split, time: TimeSlice) -> Timeline:
        """Return what a split makes of a slice.

        Raises
        ------
        StudyError
            If the slice is too short, or the split breaks its contract.
        """
        made = split.make_folds(time)
        check_folds(split, made, time)
        return cls(
            time.schedule,
            time.start_us,
            time.end_us,
            made.ranked,
            made.final,
            split.joins_tests,
            split.ranks_paths,
        )

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
