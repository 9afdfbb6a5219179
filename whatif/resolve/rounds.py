"""The rounds of a study's search that learns, on what the lake holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pandas as pd

from whatif.pins import LakeLocation
from whatif.resolve.resolved import Resolved, grids_of
from whatif.results import ResultStore, stored_rows, sweep_of
from whatif.search.rounds import Grids, go_through


def explore(resolved: Resolved, location: LakeLocation, evaluate: Callable[[ResultStore], bool]) -> Resolved:
    """Return a study with all configurations that its search asks for.

    What is told is read from the lake, so that a run that stopped goes the same way again.

    Parameters
    ----------
    evaluate : callable
        Takes the store of the configurations of one round, and runs what the lake lacks of them; False ends
        the search there.

    Raises
    ------
    StudyError, PluginError
        As `whatif.search.rounds.go_through`.
    """

    def rows_of(grids: Grids) -> Iterator[tuple[int, pd.DataFrame]] | None:
        store = ResultStore(location, replace(resolved, grids=grids))
        return _rows(store) if evaluate(store) else None

    make = partial(grids_of, resolved.checked, resolved.models)
    return replace(resolved, grids=go_through(resolved.checked.space, make, rows_of))


def replayed(resolved: Resolved, location: LakeLocation) -> tuple[Resolved, int]:
    """Return a study as far as its search has come in the lake, and how many backtests that lacks."""
    missing = 0

    def is_stored(store: ResultStore) -> bool:
        nonlocal missing
        missing = sum(len(work.configurations) for work in sweep_of(store)[0])
        return not missing

    if resolved.study.search.learns:
        resolved = explore(resolved, location, is_stored)
    else:
        is_stored(ResultStore(location, resolved))
    return resolved, missing


def _rows(store: ResultStore) -> Iterator[tuple[int, pd.DataFrame]]:
    for fold in store.resolved.timeline.folds:
        ids = [configuration.config_id for configuration in store.resolved.configurations(fold)]
        for window in fold.validate if ids else ():
            yield fold.number, stored_rows(store, window, ids)
