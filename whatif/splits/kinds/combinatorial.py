"""Combinatorial purged cross-validation: skfolio's splits, as windows of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from whatif.domain import timeframe_us
from whatif.errors import StudyError
from whatif.splits.base import Folds, Split, TimeSlice
from whatif.splits.fold import Fold, Window
from whatif.splits.lengths import Embargo, embargo_length_us
from whatif.typing import IntArray

MAX_SPLITS = 5_000
"""Splits of a combinatorial study; each one trains its models anew."""


class Combinatorial(Split):
    """Combinatorial purged cross-validation on what lies before a test window that is kept apart.

    Attributes
    ----------
    folds : int
        Consecutive parts of equal length.
    test_folds : int
        How many of them each split leaves out of training, and backtests on.
    embargo : int or str
        Left out of training behind each of those, and between them all and the test window.
    test : float
        Share of the slice's trading time that is kept apart; 0 for none.
    """

    ranks_paths: ClassVar[bool] = True

    kind: Literal["cpcv"]
    folds: Annotated[int, Field(ge=3, le=100)] = 10
    test_folds: Annotated[int, Field(ge=2)] = 2
    embargo: Embargo = "0min"
    test: Annotated[float, Field(strict=False, ge=0, lt=1)] = 0.2

    @model_validator(mode="after")
    def _some_train(self) -> Combinatorial:
        if self.test_folds >= self.folds:
            raise ValueError(
                f"test_folds = {self.test_folds} of folds = {self.folds} leave nothing to train on: "
                "take fewer of them"
            )
        splits = comb(self.folds, self.test_folds)
        if splits > MAX_SPLITS:
            raise ValueError(
                f"{self.test_folds} of {self.folds} folds make {splits:,} splits, more than {MAX_SPLITS:,}: "
                "take fewer folds"
            )
        return self

    def make_folds(self, time: TimeSlice) -> Folds:
        """Return a fold for each split, and a final one that trains on everything before the test window.

        Observations are sessions, or bars where there are few sessions.
        """
        edges = time.edges
        cut_us = time.cut(1.0 - self.test) if self.test else time.end_us
        grid = _sessions(self, time, cut_us) if time.snaps else _bars(self, time, cut_us)
        count = len(grid.at) - 1
        splits = list(combinations(count, self.folds, self.test_folds, grid.purged, grid.embargo))
        names = {int(test[0]): "" for one in splits for test in one.tests}
        names = {first: f"fold-{k:02}" for k, first in enumerate(sorted(names), 1)}
        ranked = tuple(_fold(number, one, grid, names) for number, one in enumerate(splits, 1))
        everything = Window("train", int(grid.at[0]), int(grid.at[-1]))
        begin, end = edges.after(cut_us, self.embargo), int(edges.at[-1])
        if cut_us < end <= begin:
            raise StudyError(
                f"split.test = {self.test:g} is empty: the embargo {self.embargo!r} leaves nothing of it; "
                "shorten split.embargo or give the test window a larger share"
            )
        test = Window("test", begin, end) if begin < end else None
        return Folds(ranked, Fold(len(ranked) + 1, (everything,), (), test))


@dataclass(frozen=True, eq=False)
class Combination:
    """One combination of test folds, as skfolio gives it.

    Attributes
    ----------
    train : int64 array
        Observations to learn from, after purge and embargo.
    tests : tuple of int64 array
        Observations of each test fold, in time order.
    paths : tuple of int
        The path that each of those belongs to, from 0.
    """

    train: IntArray
    tests: tuple[IntArray, ...]
    paths: tuple[int, ...]


def combinations(
    observations: int, folds: int, test_folds: int, purged: int = 0, embargo: int = 0
) -> Iterator[Combination]:
    """Yield the splits of so many consecutive observations.

    Parameters
    ----------
    observations : int
        How many there are.
    folds, test_folds : int
        Parts, and how many of them each split tests on.
    purged : int
        Observations left out of training on either side of a test fold.
    embargo : int
        Observations left out behind a test fold besides.

    Raises
    ------
    StudyError
        If skfolio is not installed, or folds are shorter than what is left out of them.

    References
    ----------
    M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 12.
    """
    shortest = observations // folds
    if purged + embargo >= shortest - 1:
        raise StudyError(
            f"split: {folds} folds of {observations} observations hold {shortest} each, and label and "
            f"embargo leave out {purged + embargo} of them: take fewer folds, a longer slice, or a shorter "
            "embargo"
        )
    validation = _skfolio()(n_folds=folds, n_test_folds=test_folds, purged_size=purged, embargo_size=embargo)
    paths = validation.get_path_ids()
    for own, (train, tests) in zip(paths, validation.split(np.zeros((observations, 1))), strict=True):
        yield Combination(train, tuple(tests), tuple(int(path) for path in own))


def _skfolio() -> Any:
    try:
        from skfolio.model_selection import CombinatorialPurgedCV
    except ImportError as error:
        raise StudyError(
            f"split.kind = 'cpcv' needs skfolio, which cannot be imported ({error}): install it with "
            "pip install 'whatif[cpcv]', or use kind: walk_forward"
        ) from error
    return CombinatorialPurgedCV


@dataclass(frozen=True, eq=False)
class _Grid:
    """Observations of the time before the test window: sessions, or bars where there are few sessions.

    Attributes
    ----------
    at : int64 array (n + 1,)
        Begin of each observation, and the end of the last, microseconds UTC.
    purged, embargo : int
        Reach of a label and length of the embargo in observations, rounded up.
    """

    at: IntArray
    purged: int
    embargo: int


def _fold(number: int, split: Combination, grid: _Grid, names: dict[int, str]) -> Fold:
    def window(name: str, rows: IntArray) -> Window:
        return Window(name, int(grid.at[rows[0]]), int(grid.at[rows[-1] + 1]))

    runs = np.split(split.train, np.flatnonzero(np.diff(split.train) > 1) + 1)
    train = tuple(window(f"train-{number:02}.{k}", rows) for k, rows in enumerate(runs, 1) if len(rows))
    validate = tuple(window(names[int(rows[0])], rows) for rows in split.tests)
    return Fold(number, train, validate, None, split.paths)


def _sessions(split: Combinatorial, time: TimeSlice, cut_us: int) -> _Grid:
    """Sessions. A label that never leaves its own reaches into no other."""
    edges = time.edges
    if isinstance(split.embargo, int):
        embargo = split.embargo
    else:  # as many sessions as ever open within it
        opens = edges.schedule.open_us
        within = np.searchsorted(opens, opens + embargo_length_us(split.embargo)) - np.arange(len(opens))
        embargo = int(within.max())
    return _Grid(edges.at[edges.at <= cut_us], time.label_sessions, embargo)


def _bars(split: Combinatorial, time: TimeSlice, cut_us: int) -> _Grid:
    """Bars of the study's timeframe inside regular hours."""
    schedule, edges = time.schedule, time.edges
    bar_us = timeframe_us(time.timeframe)
    counts = [-(-int(length) // min(bar_us, int(length))) for length in schedule.trading_us]
    starts = [
        int(edges.at[k]) if row == 0 else schedule.after(k, row * bar_us)
        for k, count in enumerate(counts)
        for row in range(count)
    ]
    at = np.array([start for start in starts if start < cut_us] + [cut_us], dtype=np.int64)
    if isinstance(split.embargo, int):
        embargo = split.embargo * max(counts)
    else:
        embargo = -(-embargo_length_us(split.embargo) // bar_us)
    reach = time.label_sessions * max(counts) or -(-time.label_us // bar_us)
    return _Grid(at, reach, embargo)
