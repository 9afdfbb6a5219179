"""Rounds of a search that learns: points are evaluated, and the search is told their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import METRIC_KEYS
from whatif.errors import StudyError
from whatif.pins import LakeLocation
from whatif.resolve.resolved import Resolved, grids_of
from whatif.results import ResultStore, path_rows, stored_rows, sweep_of
from whatif.search import CheckedSearcher, Grid, PointIndex, Space, check_distinct, rankable
from whatif.searches import Evaluation

EVALUATION_COLUMNS = ("symbol", "window", "status", "error", *METRIC_KEYS)
"""What a search is told of each backtest."""

Grids = Mapping[int, Grid]
"""Configurations of the same points by number of the fold."""


def explore(
    resolved: Resolved,
    location: LakeLocation,
    evaluate: Callable[[ResultStore], bool],
    begins: Callable[[ResultStore], bool] = lambda _: True,
) -> Resolved:
    """Return a study with all configurations that its search asks for.

    What is told is read from the lake, so that a run that stopped goes the same way again.

    Parameters
    ----------
    evaluate : callable
        Takes the store of the configurations of one round, and runs what the lake lacks of them; False ends
        the search there.
    begins : callable
        Takes the store of a round that is not the first one, before any of it is run; False ends the search
        before it.

    Raises
    ------
    StudyError, PluginError
        As `run_rounds`.
    """

    def store_of(grids: Grids) -> ResultStore:
        return ResultStore(location, replace(resolved, grids=grids))

    def rows_of(grids: Grids) -> Iterator[tuple[int, pd.DataFrame]] | None:
        store = store_of(grids)
        return _rows(store) if evaluate(store) else None

    def goes_on(grids: Grids) -> bool:
        return begins(store_of(grids))

    make = partial(grids_of, resolved.checked, resolved.models)
    grids = run_rounds(resolved.checked.space, make, rows_of, goes_on, resolved.searched_folds)
    return replace(resolved, grids=grids)


def replayed(resolved: Resolved, location: LakeLocation) -> tuple[Resolved, int]:
    """Return a study as far as its search has come in the lake, and how many backtests that lacks."""
    missing = 0
    limited = resolved.study.search.seconds < math.inf

    def begins(store: ResultStore) -> bool:
        # a search with a limit of time ends where the lake does
        return not limited or not sweep_of(store)[0]

    def is_stored(store: ResultStore) -> bool:
        nonlocal missing
        missing = sum(len(work.configurations) for work in sweep_of(store)[0])
        return not missing

    if resolved.study.search.learns:
        resolved = explore(resolved, location, is_stored, begins)
    else:
        is_stored(ResultStore(location, resolved))
    return resolved, missing


def _rows(store: ResultStore) -> Iterator[tuple[int, pd.DataFrame]]:
    if store.resolved.timeline.ranks_paths:  # what ranks: metrics of the paths joined, and not of their parts
        yield store.resolved.timeline.last.number, path_rows(store)
        return
    for fold in store.resolved.timeline.folds:
        ids = [configuration.config_id for configuration in store.resolved.configurations(fold)]
        for window in fold.validate if ids else ():
            yield fold.number, stored_rows(store, window, ids)


def run_rounds(
    space: Space,
    make: Callable[[Sequence[PointIndex], Collection[int]], Grids],
    evaluate: Callable[[Grids], Iterable[tuple[int, pd.DataFrame]] | None],
    begins: Callable[[Grids], bool] = lambda _: True,
    folds: Sequence[Sequence[int]] = ((1,),),
) -> dict[int, Grid]:
    """Return the configurations that the search of a study asks for, round by round.

    Parameters
    ----------
    space : Space
        The points, and the study.
    make : callable
        Makes the configurations of some points in the folds of some numbers.
    evaluate : callable
        Runs what is not stored of the configurations of a round and returns what is stored then: number of
        the fold, and result rows on one of the windows that it ranks on. None ends the search, with that
        round in what is returned.
    begins : callable
        Takes a round that is not the first one, and tells whether it is run.
    folds : sequence of sequence of int
        Numbers of the folds that share a search. Several go side by side, each told of its own folds.

    Raises
    ------
    StudyError
        If the search breaks its contract, two of its points are one configuration, or none could run.
    PluginError
        If it raises.
    """
    search = space.study.search
    searchers = [CheckedSearcher(search, space.searched()) for _ in folds]
    whole: dict[int, Grid] = {number: Grid(()) for shared in folds for number in shared}
    first, going = True, set(range(len(folds)))
    while going:
        rounds = [searcher.ask() if k in going else [] for k, searcher in enumerate(searchers)]
        going = {k for k, asked in enumerate(rounds) if asked}
        if not going:
            break
        grids = {number: Grid(()) for number in whole}
        for asked, shared in zip(rounds, folds, strict=True):
            grids |= make(space.in_worlds(asked), shared) if asked else {}
        if not first and not begins(grids):
            break
        first = False
        whole = {number: grid.and_(grids[number]) for number, grid in whole.items()}
        for grid in whole.values():
            check_distinct(grid.configurations)
        found = evaluate(grids)
        if found is None:
            break
        rows = list(found)
        for searcher, asked, shared in zip(searchers, rounds, folds, strict=True):
            if asked:
                own = [(number, part) for number, part in rows if number in shared]
                searcher.tell(_evaluations(space, {k: grids[k] for k in shared}, asked, own))
    if not any(grid.configurations for grid in whole.values()):
        reason = next((grid.reason for grid in whole.values()), "")
        why = f"all it asks for break a rule: {reason}" if reason else "it asks for none"
        raise StudyError(f"search.kind = {search.kind!r} leaves no point that could run: {why}")
    return whole


def _evaluations(
    space: Space, grids: Grids, asked: Sequence[PointIndex], found: Iterable[tuple[int, pd.DataFrame]]
) -> list[Evaluation]:
    """Return what is stored of the points of a round, in the order in which they were asked for."""
    places = {
        number: {
            c.config_id: space.searched_at(point)
            for c, point in zip(grid.configurations, grid.points, strict=True)
            if not c.world  # a search learns of the world that configurations are chosen in
        }
        for number, grid in grids.items()
    }
    metrics = space.study.metrics or (space.study.objective,)
    told: dict[PointIndex, dict[tuple[str, ...], _Told]] = {place: {} for place in asked}
    for number, rows in found:
        values = np.column_stack([rankable(rows, name) for name in metrics]) if len(rows) else ()
        for record, value in zip(rows.to_dict("records"), values, strict=True):
            if record["config_id"] not in places[number]:
                continue
            row = {name: record[name] for name in EVALUATION_COLUMNS}
            # folds without models share backtests
            key = (row["window"], row["symbol"], record["config_id"])
            told[places[number][record["config_id"]]][key] = row, tuple(value.tolist())
    return [_evaluation(space, place, told[place]) for place in asked]


_Told = tuple[Mapping[str, Any], tuple[float, ...]]
"""A stored row, and its value of each metric that is asked for."""


def _evaluation(space: Space, place: PointIndex, rows: Mapping[tuple[str, ...], _Told]) -> Evaluation:
    ordered = [rows[key] for key in sorted(rows)]
    # summed exactly, so that the mean is the same whatever order they were stored in
    columns = zip(*(values for _, values in ordered), strict=True)
    means = tuple(math.fsum(column) / len(ordered) for column in columns)
    broken = zip(*(space.constraints.violations(row) for row, _ in ordered), strict=True)
    return Evaluation(
        space.searched().at(place),
        means[0] if means else math.nan,
        tuple(row for row, _ in ordered),
        values=means if space.study.objectives else (),
        violations=tuple(max(column) for column in broken),
    )
