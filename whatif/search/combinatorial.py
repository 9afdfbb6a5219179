"""Combinatorial purged cross-validation: skfolio's splits, as windows of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from whatif.domain.timeframe import duration_us, timeframe_us
from whatif.errors import StudyError
from whatif.search.edges import Edges
from whatif.search.fold import Fold
from whatif.search.window import Window
from whatif.study import Combinatorial, Study
from whatif.typing import IntArray


@dataclass(frozen=True, eq=False)
class Split:
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
) -> Iterator[Split]:
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
        yield Split(train, tuple(tests), tuple(int(path) for path in own))


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


def combinatorial(
    study: Study, split: Combinatorial, edges: Edges, cut_us: int, whole: bool
) -> tuple[Fold, ...]:
    """Return a fold for each split, and the one that trains on everything before the test window.

    Parameters
    ----------
    study : Study
        The study.
    split : Combinatorial
        Its split.
    edges : Edges
        Its sessions.
    cut_us : int
        Where the test window begins, before the embargo.
    whole : bool
        Whether observations are sessions; bars otherwise.

    Returns
    -------
    tuple of Fold
        The last one is the one that nothing is ranked in.
    """
    grid = _sessions(split, edges, cut_us) if whole else _bars(study, split, edges, cut_us)
    splits = list(combinations(len(grid.at) - 1, split.folds, split.test_folds, grid.purged, grid.embargo))
    names = {int(test[0]): "" for one in splits for test in one.tests}
    names = {first: f"fold-{k:02}" for k, first in enumerate(sorted(names), 1)}
    folds = [_fold(number, one, grid, names) for number, one in enumerate(splits, 1)]
    everything = Window("train", int(grid.at[0]), int(grid.at[-1]))
    begin, end = edges.after(cut_us, split.embargo, split.embargo_us), int(edges.at[-1])
    if cut_us < end <= begin:
        raise StudyError(
            f"split.test = {split.test:g} is empty: the embargo {split.embargo!r} leaves nothing of it; "
            "shorten split.embargo or give the test window a larger share"
        )
    test = Window("test", begin, end) if begin < end else None
    return (*folds, Fold(len(folds) + 1, (everything,), (), test))


def _fold(number: int, split: Split, grid: _Grid, names: dict[int, str]) -> Fold:
    def window(name: str, rows: IntArray) -> Window:
        return Window(name, int(grid.at[rows[0]]), int(grid.at[rows[-1] + 1]))

    runs = np.split(split.train, np.flatnonzero(np.diff(split.train) > 1) + 1)
    train = tuple(window(f"train-{number:02}.{k}", rows) for k, rows in enumerate(runs, 1) if len(rows))
    validate = tuple(window(names[int(rows[0])], rows) for rows in split.tests)
    return Fold(number, train, validate, None, split.paths)


def _sessions(split: Combinatorial, edges: Edges, cut_us: int) -> _Grid:
    """Sessions. A label never leaves its session, and so reaches into none but its own."""
    if isinstance(split.embargo, int):
        embargo = split.embargo
    else:  # as many sessions as ever open within it
        opens = edges.schedule.open_us
        within = np.searchsorted(opens, opens + split.embargo_us) - np.arange(len(opens))
        embargo = int(within.max())
    return _Grid(edges.at[edges.at <= cut_us], 0, embargo)


def _bars(study: Study, split: Combinatorial, edges: Edges, cut_us: int) -> _Grid:
    """Bars of the study's timeframe inside regular hours."""
    schedule = edges.schedule
    bar_us = timeframe_us(study.data.timeframe)
    counts = [-(-int(length) // min(bar_us, int(length))) for length in schedule.trading_us]
    starts = [
        int(edges.at[k]) if row == 0 else schedule.after(k, row * bar_us)
        for k, count in enumerate(counts)
        for row in range(count)
    ]
    at = np.array([start for start in starts if start < cut_us] + [cut_us], dtype=np.int64)
    embargo = (
        split.embargo * max(counts) if isinstance(split.embargo, int) else -(-split.embargo_us // bar_us)
    )
    reach = duration_us(study.label.horizon) if study.label is not None and study.models else 0
    return _Grid(at, -(-reach // bar_us), embargo)
