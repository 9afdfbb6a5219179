"""Rounds of a search that learns: points are evaluated, and the search is told their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import BENCHMARK_COLUMNS, METRIC_KEYS
from whatif.errors import StudyError
from whatif.pins import LakeLocation
from whatif.resolve.resolved import Resolved, grids_of
from whatif.results import Held, ResultStore, path_rows, stored_rows, sweep_of
from whatif.search import (
    CheckedSearcher,
    Configuration,
    Dropped,
    Grid,
    PointIndex,
    Space,
    check_distinct,
    rankable,
)
from whatif.searches import Evaluation
from whatif.splits import Window

EVALUATION_COLUMNS = ("symbol", "window", "status", "error", *METRIC_KEYS)
"""What a search is told of each backtest."""

Grids = Mapping[int, Grid]
"""Configurations of the same points by number of the fold."""

Evaluate = Callable[[ResultStore, Sequence[Window]], bool]
"""Runs what the lake lacks of a store's configurations, on some windows or on all; False if it did not."""


def explore(
    resolved: Resolved,
    location: LakeLocation,
    evaluate: Evaluate,
    begins: Evaluate = lambda _store, _windows: True,
    held: Held | None = None,
) -> Resolved:
    """Return a study with all configurations that its search asks for, and what was dropped of them.

    What is told is what the lake holds, or what is `held` and will be there, so that a run that stopped goes
    the same way again.

    Parameters
    ----------
    evaluate : callable
        Takes the store of the configurations of one round, and some windows or none for all, and runs what
        the lake lacks of them there; False ends the search.
    begins : callable
        Takes the store of a round that is not the first one, and the windows that it begins with, before any
        of it is run; False ends the search before it.

    Raises
    ------
    StudyError, PluginError
        As `run_rounds`.
    """
    store_of = partial(_store, resolved, location, held)
    halved = _Halved(resolved, store_of, evaluate)

    def rows_of(grids: Grids) -> Iterable[tuple[int, pd.DataFrame]] | None:
        if resolved.study.search.halving is not None:
            return halved.go_through(grids)
        store = store_of(grids)
        return _rows(store) if evaluate(store, ()) else None

    def goes_on(grids: Grids) -> bool:
        first = () if resolved.study.search.halving is None else halved.windows[:1]
        return begins(store_of(grids), first)

    make = partial(grids_of, resolved.checked, resolved.models)
    grids = run_rounds(resolved.checked.space, make, rows_of, goes_on, resolved.searched_folds)
    left = {number: grid.without(halved.absent.get(number, ())) for number, grid in grids.items()}
    return replace(resolved, grids=left, dropped=halved.dropped)


def _store(resolved: Resolved, location: LakeLocation, held: Held | None, grids: Grids) -> ResultStore:
    return ResultStore(location, replace(resolved, grids=grids), held)


class _Halved:
    """Points that go through the windows that rank one after the other, ever fewer of them.

    Attributes
    ----------
    dropped : Dropped
        Those of all rounds that were not run on all windows.
    absent : dict of int to set of str
        The configurations that are not run in a fold, by its number.
    windows : list of Window
        Those that rank, in time order.
    """

    def __init__(
        self, resolved: Resolved, store_of: Callable[[Grids], ResultStore], evaluate: Evaluate
    ) -> None:
        self.dropped = Dropped()
        self.absent: dict[int, set[str]] = {}
        self._resolved, self._store_of, self._evaluate = resolved, store_of, evaluate
        self.windows = sorted(resolved.timeline.ranked, key=lambda window: window.start_us)

    def go_through(self, grids: Grids) -> list[tuple[int, pd.DataFrame]] | None:
        """Return the rows of a round, of what was run on all windows; None if it was ended."""
        resolved, space = self._resolved, self._resolved.checked.space
        halving = resolved.study.search.halving
        assert halving is not None
        every = (point for grid in grids.values() for point in grid.points)
        alive = list(dict.fromkeys(space.searched_at(point) for point in every))
        found: list[tuple[int, pd.DataFrame]] = []
        for k, window in enumerate(self.windows):
            left = {number: grid.without(self.absent.get(number, ())) for number, grid in grids.items()}
            store = self._store_of(left)
            if not self._evaluate(store, (window,)):
                return None
            if resolved.timeline.ranks_paths:
                found = [(resolved.timeline.last.number, path_rows(store, self.windows[: k + 1]))]
            else:
                found += _rows(store, (window,))
            kept = halving.kept(len(alive))
            if k + 1 < len(self.windows) and kept < len(alive):
                told = _evaluations(space, left, alive, found)
                order = sorted(range(len(alive)), key=lambda at: self._merit(told[at]))
                self._drop(grids, [alive[at] for at in order[kept:]], found, k, (kept, len(alive)))
                alive = [alive[at] for at in sorted(order[:kept])]
        return found

    def _merit(self, told: Evaluation) -> tuple[bool, float, float]:
        """Return what orders points, the best one first: as a ranking does, but for the kind of failure."""
        traded = any(row["trades"] or row["open_at_end"] for row in told.rows)
        missing = math.isnan(told.value) or not traded
        sign = 1.0 if self._resolved.checked.space.searched().lower_is_better else -1.0
        return missing, float(sum(told.violations) > 0), 0.0 if missing else sign * told.value

    def _drop(
        self,
        grids: Grids,
        points: Sequence[PointIndex],
        found: Sequence[tuple[int, pd.DataFrame]],
        k: int,
        counts: tuple[int, int],
    ) -> None:
        """Note points, the best one first, that do not go on behind the window `k`."""
        resolved, space = self._resolved, self._resolved.checked.space
        places = {point: place for place, point in enumerate(points, counts[0] + 1)}
        later = {window.name for window in self.windows[k + 1 :]}
        gone: list[Configuration] = []
        of: dict[int, dict[PointIndex, str]] = {}
        before = resolved.timeline.last.number
        for fold in reversed(resolved.timeline.every):
            grid = grids[fold.number]
            pairs = zip(grid.configurations, grid.points, strict=True)
            mine = [(one, space.searched_at(point)) for one, point in pairs]
            mine = [(one, point) for one, point in mine if point in places]
            gone += [one for one, _ in mine]
            of[fold.number] = {point: one.config_id for one, point in mine if not one.world}
            ends = resolved.timeline.ranks_paths or any(window.name in later for window in fold.validate)
            if ends:
                self.absent.setdefault(fold.number, set()).update(one.config_id for one, _ in mine)
                before = min(before, fold.number)
        number, rows = found[-1]
        names = {config_id: point for point, config_id in of[number].items()}
        rows = rows[rows["config_id"].isin(set(names))].reset_index(drop=True)
        at = [names[config_id] for config_id in rows["config_id"]]
        window, (kept, alive) = self.windows[k].name, counts
        metric = resolved.study.objective
        why = [
            f"dropped behind {window}: number {places[point]:,} of {alive:,} by {metric}, and {kept:,} go on"
            for point in at
        ]
        rows = rows.assign(config_id=[of[resolved.timeline.last.number][point] for point in at])
        rows = rows.assign(
            **dict.fromkeys((*METRIC_KEYS, *BENCHMARK_COLUMNS), np.nan), status="dropped", error=why
        )
        configurations = tuple({one.config_id: one for one in gone}.values())
        self.dropped = self.dropped.and_(Dropped(rows, (before,) * len(rows), configurations))


def replayed(resolved: Resolved, location: LakeLocation) -> tuple[Resolved, int]:
    """Return a study as far as its search has come in the lake, and how many backtests that lacks."""
    missing = 0
    limited = resolved.study.search.seconds < math.inf

    def begins(store: ResultStore, windows: Sequence[Window]) -> bool:
        # a search with a limit of time ends where the lake does
        return not limited or not sweep_of(store, None, windows)[0]

    def is_stored(store: ResultStore, windows: Sequence[Window] = ()) -> bool:
        nonlocal missing
        missing = sum(len(work.configurations) for work in sweep_of(store, None, windows)[0])
        return not missing

    if resolved.study.search.in_rounds:
        resolved = explore(resolved, location, is_stored, begins)
    else:
        is_stored(ResultStore(location, resolved))
    return resolved, missing


def _rows(store: ResultStore, windows: Sequence[Window] = ()) -> Iterator[tuple[int, pd.DataFrame]]:
    if store.resolved.timeline.ranks_paths:  # what ranks: metrics of the paths joined, and not of their parts
        yield store.resolved.timeline.last.number, path_rows(store)
        return
    for fold in store.resolved.timeline.folds:
        ids = [configuration.config_id for configuration in store.resolved.configurations(fold)]
        for window in fold.validate if ids else ():
            if windows and window not in windows:
                continue
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
        rounds = [_round(one, search.learns) if k in going else [] for k, one in enumerate(searchers)]
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
            if asked and search.learns:
                own = [(number, part) for number, part in rows if number in shared]
                searcher.tell(_evaluations(space, {k: grids[k] for k in shared}, asked, own))
    if not any(grid.configurations for grid in whole.values()):
        reason = next((grid.reason for grid in whole.values()), "")
        why = f"all it asks for break a rule: {reason}" if reason else "it asks for none"
        raise StudyError(f"search.kind = {search.kind!r} leaves no point that could run: {why}")
    return whole


def _round(searcher: CheckedSearcher, learns: bool) -> list[PointIndex]:
    """Return what a search asks for next; of one that does not learn all that is left."""
    asked = searcher.ask()
    while not learns and (more := searcher.ask()):
        asked += more
    return asked


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
            if places[number].get(record["config_id"]) not in told:
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
