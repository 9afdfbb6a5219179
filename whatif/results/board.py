"""Ranks a fold's stored backtests and reads what they gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from whatif.domain import BENCHMARK_COLUMNS, METRIC_KEYS
from whatif.lake import RESULTS, RETURNS
from whatif.results.store import ResultStore
from whatif.results.study import ResolvedStudy
from whatif.search import mean_returns, pool, rank_rows
from whatif.splits import Fold, Window
from whatif.typing import FloatArray

_LEADING = ("rank", "config_id", "symbol")


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
    return ranked(store.resolved, stored_rows(store, fold.validate[0], ids))


def ranked(resolved: ResolvedStudy, rows: pd.DataFrame) -> pd.DataFrame:
    """Return result rows ranked, with a column for each axis."""
    # an axis may be called execution; what the row ran with stays beside it as JSON
    board = rank_rows(rows.rename(columns={"execution": "settings"}), resolved.study.objective)
    found = [resolved.configuration(config_id) for config_id in board["config_id"]]
    axes = {name: [c.axes[name] for c in found] for name in resolved.study.axes}
    clash = [name for name in axes if name in board.columns]
    board = board.drop(columns=clash).assign(**axes)
    first = [*_LEADING, *axes, "status", "error", *METRIC_KEYS, *BENCHMARK_COLUMNS]
    return board[[*first, *(name for name in board.columns if name not in first)]]


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
