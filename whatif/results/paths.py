"""Ranks configurations on the paths of a combinatorial split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import BENCHMARK_COLUMNS, METRIC_KEYS
from whatif.lake import RESULTS
from whatif.results.board import Stored, ranked, stored
from whatif.results.pending import ranked_on
from whatif.results.store import ResultStore
from whatif.results.study import ResolvedStudy
from whatif.search import stitch
from whatif.splits import Fold, Window
from whatif.typing import FloatArray

FIGURES = (*METRIC_KEYS, *BENCHMARK_COLUMNS)

Path = tuple[tuple[Window, Fold], ...]
"""A path: its windows in time order, each with the fold whose models trade it."""


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
    held = _held(store)
    paths = paths_of(store.resolved)
    per_year = next(iter(store.resolved.periods.values())).per_year
    groups = ["+".join(group) for group in store.resolved.portfolios]
    symbols = ["+".join(groups)] if store.resolved.pooled else groups
    names = {fold.number: store.resolved.names_in(fold) for fold in store.resolved.timeline.folds}
    rows = []
    for configuration in store.resolved.grid.configurations:
        config_id = configuration.config_id
        for symbol in symbols:
            parts = [[(w.name, names[fold.number][config_id], symbol) for w, fold in path] for path in paths]
            row = _row(parts, held, per_year)
            if row is not None:
                rows.append(row | {"config_id": config_id, "symbol": symbol})
    return ranked(store.resolved, pd.DataFrame(rows, columns=None if rows else list(RESULTS.column_names)))


Key = tuple[str, str, str]
"""Window, config_id, symbol."""


def _held(store: ResultStore) -> dict[Key, tuple[Mapping[str, Any], FloatArray | None]]:
    found: dict[Key, tuple[Mapping[str, Any], FloatArray | None]] = {}
    for window, configurations in ranked_on(store.resolved).items():
        there: Stored = stored(store, window, [c.config_id for c in configurations])
        for record in there.rows.to_dict("records"):
            row = {str(name): value for name, value in record.items()}
            key = str(row["config_id"]), str(row["symbol"])
            found[(window.name, *key)] = row, there.returns.get(key)
    return found


def _row(
    paths: Sequence[Sequence[Key]],
    held: Mapping[Key, tuple[Mapping[str, Any], FloatArray | None]],
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
        return row | dict.fromkeys(FIGURES, np.nan) | {"status": "error", "error": error}
    figures = [_path([held[key] for key in path], per_year) for path in paths]
    mean = {name: float(np.mean([float(one[name]) for one in figures])) for name in FIGURES}
    at_end = any(one["open_at_end"] for one in figures)
    return row | mean | {"open_at_end": at_end, "bars": sum(held[key][0]["bars"] for key in paths[0])}


def _path(
    parts: Sequence[tuple[Mapping[str, Any], FloatArray | None]], per_year: float
) -> dict[str, float | bool]:
    returns = [own for _, own in parts if own is not None]
    assert len(returns) == len(parts)  # the returns of everything ranked on paths are stored
    return stitch([row for row, _ in parts], returns, per_year)
