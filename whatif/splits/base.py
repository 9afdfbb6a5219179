"""The seam of splits: the base class of all ways to split a study's time.

A split is a section of the study. Its class gives the keys, and makes of a slice of time the folds that
configurations are trained, ranked and told on. Those that come along stand in `whatif.splits.kinds`; one of
your own is found by entry point (`whatif.splits`) or by `module:Name` as the study's `split.kind`, and
tried with `whatif.testing.check_split`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from whatif.calendars import Schedule
from whatif.domain import timeframe_us
from whatif.section import Section
from whatif.splits.edges import Edges
from whatif.splits.fold import Fold

SNAP_SESSIONS = 20
"""From this many sessions on, cuts fall between sessions and never inside one."""


@dataclass(frozen=True, eq=False)
class TimeSlice:
    """The slice of time that a study asks for, as a split sees it: no prices.

    Attributes
    ----------
    exchange : str
        Code of the calendar.
    hours : str
        "regular", or "extended" for bars of all hours.
    timeframe : str
        Length of the study's bars, such as "1min".
    start, end : date
        Trading dates of the slice, `end` left out.
    label_us : int
        How far a label looks ahead, microseconds; 0 where nothing learns.
    schedule : Schedule
        Sessions of the slice, oldest first.
    start_us, end_us : int
        Bounds of the slice, half-open, microseconds UTC.
    label_sessions : int
        Sessions that a label may reach beyond its own.
    """

    exchange: str
    hours: str
    timeframe: str
    start: date
    end: date
    label_us: int
    schedule: Schedule
    start_us: int
    end_us: int
    label_sessions: int = 0

    @cached_property
    def edges(self) -> Edges:
        """Return the instants at which windows of whole sessions begin and end."""
        return Edges.of(self.schedule, self.start_us, self.end_us)

    @property
    def snaps(self) -> bool:
        """Whether cuts fall between sessions."""
        return len(self.schedule) >= SNAP_SESSIONS

    def cut(self, share: float) -> int:
        """Return the instant up to which a share of the slice's trading time lies, microseconds UTC.

        With at least 20 sessions it is the nearest session's open; with fewer it may lie inside a
        session, on the grid of the timeframe.
        """
        if share <= 0:
            return self.start_us
        opens, trading = self.schedule.open_us, self.schedule.trading_us
        until = np.cumsum(trading)
        target = share * float(until[-1])
        if self.snaps:
            k = int(np.argmin(np.abs(until - target))) + 1
            return int(opens[k]) if k < len(opens) else int(self.schedule.close_us[-1])
        k = int(np.searchsorted(until, target * (1 - 1e-12), "left"))
        bar_us = min(timeframe_us(self.timeframe), int(trading[k]))
        inside = round((target - float(until[k] - trading[k])) / bar_us) * bar_us
        if inside >= trading[k]:
            return int(opens[k + 1]) if k + 1 < len(opens) else int(self.schedule.close_us[-1])
        return self.schedule.after(k, inside)


@dataclass(frozen=True)
class Folds:
    """The folds that a split makes of a slice.

    Attributes
    ----------
    ranked : tuple of Fold
        Those that configurations are ranked in, in time order: one of a holdout.
    final : Fold or None
        One that trains on everything before the test window, and in which nothing is ranked.
    """

    ranked: tuple[Fold, ...]
    final: Fold | None = None


class Split(Section):
    """A way to split a study's time, and the keys of its section.

    Attributes
    ----------
    kind : str
        Name by which a study asks for it.
    joins_tests : bool
        Whether the result is the test windows of all folds joined, as of a walk-forward: each fold chooses
        anew. Test windows must not overlap then.
    ranks_paths : bool
        Whether configurations are ranked on paths, each joined of windows of several folds (`Fold.paths`).
    """

    kind: str

    joins_tests: ClassVar[bool] = False
    ranks_paths: ClassVar[bool] = False

    @abstractmethod
    def make_folds(self, time: TimeSlice) -> Folds:
        """Return the folds of a slice of time.

        In each fold models learn on `train`, configurations are ranked on `validate`, and the one that is
        chosen there is told on `test`: of all windows, each must begin after those before it end.
        The same slice gives the same folds.

        Raises
        ------
        StudyError
            If the slice is too short, naming the keys.
        """

    @classmethod
    def completed(cls, given: Mapping[str, Any], learns: bool) -> Mapping[str, Any]:
        """Return a section as it was written, with keys filled in whose default depends on the study.

        Parameters
        ----------
        given : mapping
            The section as it was written, not checked yet.
        learns : bool
            Whether the study has models.
        """
        return given
