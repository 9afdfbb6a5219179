"""Rankings of stored backtests, on windows or on paths of a combinatorial split, and the choice on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import BENCHMARK_COLUMNS, LOWER_IS_BETTER, METRIC_KEYS
from whatif.lake import RESULTS, RETURNS
from whatif.results.store import ResolvedStudy, ResultStore, ranked_on
from whatif.search import (
    choosable,
    constraints_of,
    mean_returns,
    on_the_front,
    pool,
    rank_rows,
    rankable,
    stitch,
    why_undefined,
)
from whatif.splits import Fold, Window
from whatif.typing import FloatArray

_LEADING = ("rank", "config_id", "symbol")
_FIGURES = (*METRIC_KEYS, *BENCHMARK_COLUMNS)

Path = tuple[tuple[Window, Fold], ...]
"""A path: its windows in time order, each with the fold whose models trade it."""


@dataclass(frozen=True, eq=False)
class Stored:
    """What the lake holds of some configurations on one window.

    Attributes
    ----------
    rows : DataFrame
        Columns of `results`; symbols joined if the study pools them.
    returns : mapping of (str, str) to float64 array (k,)
        Return in each period of the window by config_id and symbol, of backtests that did not fail.
    """

    rows: pd.DataFrame
    returns: Mapping[tuple[str, str], FloatArray]


def leaderboard(store: ResultStore, fold: Fold) -> pd.DataFrame:
    """Return the backtests on the validate window of a fold, best first.

    One row for each configuration and symbol, or for each configuration if symbols are
    pooled: rank, config_id, symbol, a column for each axis, status, error, metrics,
    benchmark, and what else `results` holds.
    """
    ids = [c.config_id for c in store.resolved.configurations(fold)]
    return ranked(store.resolved, stored_rows(store, fold.validate[0], ids), fold)


def ranked(resolved: ResolvedStudy, rows: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """Return result rows of a fold ranked, with a column for each axis, and what was dropped before it."""
    study, constraints = resolved.study, constraints_of(resolved.study.constraints)
    nearest_of = study.metrics if study.choose == "ideal" else ()
    # an axis may be called execution; what the row ran with stays beside it as JSON
    if len(gone := resolved.dropped.until(fold.number)):
        rows = pd.concat([rows, gone.reindex(columns=rows.columns)], ignore_index=True)
    rows = rows.rename(columns={"execution": "settings"})
    rows = _with_worlds(resolved, rows)
    board = rank_rows(rows, study.objective, constraints, nearest_of)
    if study.objectives:
        board = board.assign(front=on_the_front(board, study.metrics, constraints))
    if study.search.kind != "grid":
        order = {one.config_id: k for k, one in enumerate(resolved.configurations(fold))}
        board = board.assign(trial=[order.get(config_id, np.nan) for config_id in board["config_id"]])
    found = [resolved.configuration(config_id) for config_id in board["config_id"]]
    axes = {name: [c.axes[name] for c in found] for name in resolved.study.axes}
    clash = [name for name in axes if name in board.columns]
    board = board.drop(columns=clash).assign(**axes)
    first = [*_LEADING, *axes, "status", "error", *METRIC_KEYS, *BENCHMARK_COLUMNS]
    return board[[*first, *(name for name in board.columns if name not in first)]]


def _with_worlds(resolved: ResolvedStudy, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with what they say of other worlds, if the study has any.

    Columns: `world`, "" where configurations are chosen, and there of the other worlds that the configuration
    ran in: `worlds`, how many, `worlds_low` and `worlds_median`, quantiles of 5 and 50 % of the objective
    (95 and 50 % where the least is best), and `worlds_loss`, the share in which it lost money.
    """
    found = [resolved.configuration(config_id) for config_id in rows["config_id"]]
    if not any(one.world for one in resolved.every_configuration):
        return rows
    rows = rows.assign(world=[one.world for one in found])
    homes = pd.Series([one.home for one in found], index=rows.index, dtype=object)
    objective = resolved.study.objective
    there = (rows["world"] != "") & (rows["status"] == "ok")
    parts = rows[there].assign(value=rankable(rows[there], objective)).groupby([homes[there], "symbol"])
    low = 0.95 if objective in LOWER_IS_BETTER else 0.05
    told = {
        "worlds": parts.size(),
        "worlds_low": parts["value"].quantile(low),
        "worlds_median": parts["value"].quantile(0.5),
        "worlds_loss": parts["pnl_net"].agg(lambda pnl: float((pnl < 0).mean())),
    }
    keys = list(zip(rows["config_id"], rows["symbol"], strict=True))
    for name, values in told.items():
        held = values.to_dict()
        rows = rows.assign(**{name: [held.get(key, np.nan) for key in keys]})
    return rows


def stored_rows(store: ResultStore, window: Window, configurations: Sequence[str]) -> pd.DataFrame:
    """Return what `results` holds of some configurations on a window, symbols joined if they are pooled.

    Of a configuration that has not run on all of the symbols yet, there is no pooled row.
    """
    rows = _rows(store, window, configurations)
    if not store.resolved.pooled or not len(rows):
        return rows
    return pool(rows, _returns(store, window, configurations), store.resolved.periods[window.name])


def stored(store: ResultStore, window: Window, configurations: Sequence[str]) -> Stored:
    """Return rows and returns of some configurations on a window, symbols joined if they are pooled."""
    rows = _rows(store, window, configurations)
    returns = _returns(store, window, configurations)
    if store.resolved.pooled and len(rows):
        good = rows[rows["status"] == "ok"]
        return Stored(pool(rows, returns, store.resolved.periods[window.name]), mean_returns(good, returns))
    wanted = set(zip(rows["config_id"], rows["symbol"], strict=True))
    series = {
        (str(c), str(s)): np.asarray(r, dtype=np.float64)
        for c, s, r in zip(returns["config_id"], returns["symbol"], returns["returns"], strict=True)
        if (c, s) in wanted
    }
    return Stored(rows, series)


def _rows(store: ResultStore, window: Window, configurations: Sequence[str]) -> pd.DataFrame:
    groups = ["+".join(group) for group in store.resolved.portfolios]
    rows = store.rows(RESULTS, window, configurations=configurations)
    if not store.resolved.pooled or not len(rows):
        return rows
    whole = rows.groupby("config_id")["symbol"].transform("size") == len(groups)
    return rows[whole].sort_values("symbol", key=lambda names: names.map(groups.index), kind="stable")


def _returns(store: ResultStore, window: Window, configurations: Sequence[str]) -> pd.DataFrame:
    columns = ["config_id", "symbol", "returns"]
    return store.rows(RETURNS, window, columns, configurations)


def paths_of(resolved: ResolvedStudy) -> list[Path]:
    """Return the paths of the split: one alone where nothing is trained, since all would be the same."""
    found: dict[int, list[tuple[Window, Fold]]] = {}
    for fold in resolved.timeline.folds:
        for window, path in zip(fold.validate, fold.paths, strict=True):
            found.setdefault(path, []).append((window, fold))
    paths = [tuple(sorted(found[k], key=lambda part: part[0].start_us)) for k in sorted(found)]
    return paths if resolved.models else paths[:1]


def path_board(store: ResultStore) -> pd.DataFrame:
    """Return the ranking of a combinatorial split, best first.

    One row for each configuration and symbol: the mean over paths of each metric of the path
    joined. `config_id` is that of the configuration that learns from everything before the test
    window. A configuration that failed anywhere has failed.
    """
    return ranked(store.resolved, path_rows(store), store.resolved.timeline.last)


def path_rows(store: ResultStore, windows: Collection[Window] = ()) -> pd.DataFrame:
    """Return the rows that a combinatorial split ranks, see `path_board`; of `windows` alone, if named."""
    held = _held_on_paths(store)
    every = paths_of(store.resolved)
    paths = [[part for part in path if not windows or part[0] in windows] for path in every]
    per_year = next(iter(store.resolved.periods.values())).per_year
    groups = ["+".join(group) for group in store.resolved.portfolios]
    symbols = ["+".join(groups)] if store.resolved.pooled else groups
    names = {fold.number: store.resolved.names_in(fold) for fold in store.resolved.timeline.folds}
    rows = []
    for configuration in store.resolved.grid.configurations:
        config_id = configuration.config_id
        for symbol in symbols:
            parts = [[(w.name, names[fold.number][config_id], symbol) for w, fold in path] for path in paths]
            row = _path_row(parts, held, per_year)
            if row is not None:
                rows.append(row | {"config_id": config_id, "symbol": symbol})
    return pd.DataFrame(rows, columns=None if rows else list(RESULTS.column_names))


_PathKey = tuple[str, str, str]
"""Window, config_id, symbol."""


def _held_on_paths(store: ResultStore) -> dict[_PathKey, tuple[Mapping[str, Any], FloatArray | None]]:
    found: dict[_PathKey, tuple[Mapping[str, Any], FloatArray | None]] = {}
    for window, configurations in ranked_on(store.resolved).items():
        there: Stored = stored(store, window, [c.config_id for c in configurations])
        for record in there.rows.to_dict("records"):
            row = {str(name): value for name, value in record.items()}
            key = str(row["config_id"]), str(row["symbol"])
            found[(window.name, *key)] = row, there.returns.get(key)
    return found


def _path_row(
    paths: Sequence[Sequence[_PathKey]],
    held: Mapping[_PathKey, tuple[Mapping[str, Any], FloatArray | None]],
    per_year: float,
) -> dict[str, Any] | None:
    """Return one row of the ranking; None if a backtest has not run yet."""
    keys = [key for path in paths for key in path]
    if any(key not in held for key in keys):
        return None
    row = dict(held[keys[0]][0])
    failed = next((key for key in keys if held[key][0]["status"] != "ok"), None)
    if failed is not None:
        error = f"{failed[0]}: {held[failed][0]['error']}"
        return row | dict.fromkeys(_FIGURES, np.nan) | {"status": "error", "error": error}
    figures = [_joined([held[key] for key in path], per_year) for path in paths]
    mean = {name: float(np.mean([float(one[name]) for one in figures])) for name in _FIGURES}
    at_end = any(one["open_at_end"] for one in figures)
    return row | mean | {"open_at_end": at_end, "bars": sum(held[key][0]["bars"] for key in paths[0])}


def _joined(
    parts: Sequence[tuple[Mapping[str, Any], FloatArray | None]], per_year: float
) -> dict[str, float | bool]:
    returns = [own for _, own in parts if own is not None]
    assert len(returns) == len(parts)  # the returns of everything ranked on paths are stored
    return stitch([row for row, _ in parts], returns, per_year)


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

    @property
    def test_error(self) -> str:
        """What went wrong on the test window; "" if nothing did."""
        return "" if self.test.get("status", "ok") == "ok" else str(self.test["error"])


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
    study = resolved.study
    reason = why_undefined(board, study.objective, where, constraints_of(study.constraints))
    return FoldAnswer(fold, board, None, reason)


def choose(resolved: ResolvedStudy, board: pd.DataFrame) -> Chosen | None:
    """Return the first of the ranking; None if no backtest traded and has a value that ranks."""
    study = resolved.study
    good = board[choosable(board, study.objective, constraints_of(study.constraints))]
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
