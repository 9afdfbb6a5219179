"""A search that learns, round by round: what it asks for is evaluated, and it is told what that gave."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from whatif.domain import METRIC_KEYS
from whatif.errors import StudyError
from whatif.search.asking import HeldSearcher, Place
from whatif.search.grid import Grid, check_distinct
from whatif.search.ranking import rankable
from whatif.search.space import Space
from whatif.searches import Evaluation

TOLD_COLUMNS = ("symbol", "window", "status", "error", *METRIC_KEYS)
"""What a search is told of each backtest."""

Grids = Mapping[int, Grid]
"""Configurations of the same points by number of the fold."""


def go_through(
    space: Space,
    make: Callable[[Sequence[Place]], Grids],
    evaluate: Callable[[Grids], Iterable[tuple[int, pd.DataFrame]] | None],
) -> dict[int, Grid]:
    """Return the configurations that the search of a study asks for, round by round.

    Parameters
    ----------
    space : Space
        The points, and the study.
    make : callable
        Makes the configurations of some points.
    evaluate : callable
        Runs what is not stored of the configurations of a round and returns what is stored then: number of
        the fold, and result rows on one of the windows that it ranks on. None ends the search, with that
        round in what is returned.

    Raises
    ------
    StudyError
        If the search breaks its contract, two of its points are one configuration, or none could run.
    PluginError
        If it raises.
    """
    search = space.study.search
    held = HeldSearcher(search, space.searched())
    whole: dict[int, Grid] = {}
    while asked := held.ask():
        grids = make(asked)
        whole = {number: whole.get(number, Grid(())).and_(grid) for number, grid in grids.items()}
        for grid in whole.values():
            check_distinct(grid.configurations)
        found = evaluate(grids)
        if found is None:
            break
        held.tell(_evaluations(space, grids, asked, found))
    if not any(grid.configurations for grid in whole.values()):
        reason = next((grid.reason for grid in whole.values()), "")
        why = f"all it asks for break a rule: {reason}" if reason else "it asks for none"
        raise StudyError(f"search.kind = {search.kind!r} leaves no point that could run: {why}")
    return whole


def _evaluations(
    space: Space, grids: Grids, asked: Sequence[Place], found: Iterable[tuple[int, pd.DataFrame]]
) -> list[Evaluation]:
    """Return what is stored of the points of a round, in the order in which they were asked for."""
    places = {
        number: {c.config_id: place for c, place in zip(grid.configurations, grid.points, strict=True)}
        for number, grid in grids.items()
    }
    told: dict[Place, dict[tuple[str, ...], tuple[Mapping[str, Any], float]]] = {place: {} for place in asked}
    for number, rows in found:
        values = rankable(rows, space.study.objective) if len(rows) else ()
        for record, value in zip(rows.to_dict("records"), values, strict=True):
            row = {name: record[name] for name in TOLD_COLUMNS}
            # folds without models share backtests
            key = (row["window"], row["symbol"], record["config_id"])
            told[places[number][record["config_id"]]][key] = row, float(value)
    return [_evaluation(space, place, told[place]) for place in asked]


def _evaluation(
    space: Space, place: Place, rows: Mapping[tuple[str, ...], tuple[Mapping[str, Any], float]]
) -> Evaluation:
    ordered = [rows[key] for key in sorted(rows)]
    values = [value for _, value in ordered]
    # summed exactly, so that the mean is the same whatever order they were stored in
    mean = math.fsum(values) / len(values) if values else math.nan
    return Evaluation(space.at(place), mean, tuple(row for row, _ in ordered))
