"""Chooses on the ranking of a fold, and says why where nothing can be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from whatif.domain import BENCHMARK_COLUMNS, METRIC_KEYS
from whatif.results import ResolvedStudy, ResultStore, leaderboard, path_board, stored_rows
from whatif.search import choosable, why_undefined
from whatif.splits import Fold


@dataclass(frozen=True)
class Chosen:
    """The configuration that the validate window put first.

    Attributes
    ----------
    config_id, symbol : str
        What identifies it; of a pooled ranking, `symbol` is all of them joined by "+".
    params : mapping
        All parameters of the strategy.
    axes : mapping
        Its value on each axis.
    validate, test : mapping of str to float
        Metrics on either window; `test` also has `status` and `error`, and is empty where the split
        has no test window.
    """

    config_id: str
    symbol: str
    params: Mapping[str, Any]
    axes: Mapping[str, Any]
    validate: Mapping[str, Any]
    test: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FoldAnswer:
    """What one fold says.

    Attributes
    ----------
    fold : Fold
        The fold.
    board : DataFrame
        Its ranking, best first.
    chosen : Chosen or None
        What came first in it; None if no backtest traded and has a value that ranks.
    reason : str
        Why nothing was chosen; "" if something was.
    """

    fold: Fold
    board: pd.DataFrame
    chosen: Chosen | None
    reason: str = ""


def choose_in_folds(store: ResultStore) -> list[FoldAnswer]:
    """Return the ranking of each fold and what came first in it, from what is stored."""
    if store.resolved.timeline.ranks_paths:
        return [_answer(store.resolved, store.resolved.timeline.last, path_board(store))]
    return [_answer(store.resolved, fold, leaderboard(store, fold)) for fold in store.resolved.timeline.folds]


def _answer(resolved: ResolvedStudy, fold: Fold, board: pd.DataFrame) -> FoldAnswer:
    chosen = choose(resolved, board)
    if chosen is not None:
        return FoldAnswer(fold, board, chosen)
    where = fold.validate[0].name if len(fold.validate) == 1 else "the paths"
    return FoldAnswer(fold, board, None, why_undefined(board, resolved.study.objective, where))


def choose(resolved: ResolvedStudy, board: pd.DataFrame) -> Chosen | None:
    """Return the first of the ranking; None if no backtest traded and has a value that ranks."""
    good = board[choosable(board, resolved.study.objective)]
    if not len(good):
        return None
    row = good.iloc[0]
    configuration = resolved.configuration(row["config_id"])
    return Chosen(
        config_id=configuration.config_id,
        symbol=str(row["symbol"]),
        params=dict(configuration.params),
        axes=dict(configuration.axes),
        validate={name: row[name] for name in (*METRIC_KEYS, *BENCHMARK_COLUMNS)},
    )


def told(store: ResultStore, answers: Sequence[FoldAnswer]) -> list[FoldAnswer]:
    """Return the answers with the figures of their choices on the test windows."""
    return [
        answer
        if answer.chosen is None
        else replace(
            answer,
            chosen=replace(answer.chosen, test=figures_on_test(store, answer.fold, answer.chosen)),
        )
        for answer in answers
    ]


def figures_on_test(store: ResultStore, fold: Fold, chosen: Chosen) -> dict[str, Any]:
    """Return status, error and metrics of a choice on the test window of its fold; {} without a row."""
    if fold.test is None:
        return {}
    rows = stored_rows(store, fold.test, [chosen.config_id])
    mine = rows[rows["symbol"] == chosen.symbol]
    names = ("status", "error", *METRIC_KEYS, *BENCHMARK_COLUMNS)
    return {name: mine.iloc[0][name] for name in names} if len(mine) else {}
