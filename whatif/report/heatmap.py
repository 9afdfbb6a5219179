"""Heat map of a metric over two axes: levels, bins and the value of each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from whatif.errors import WhatIfError, nearest
from whatif.report.columns import axis_key, axis_label, metric
from whatif.search import at_home
from whatif.typing import FloatArray, IntArray

MAX_LEVELS = 120
"""A hundred by a hundred is what people sweep, and a screen can show."""
BINS = 20


@dataclass(frozen=True, eq=False)
class Levels:
    """An axis of the leaderboard as codes.

    Attributes
    ----------
    labels : list of str
        What each level is called, in order: numbers by size, after a missing one; everything else
        as a study has it, or else as first seen.
    codes : int64 array (n,)
        Level of each row.
    """

    labels: list[str]
    codes: IntArray


@dataclass(frozen=True, eq=False)
class HeatGrid:
    """Cells of a heat map.

    Attributes
    ----------
    x, y : list of str
        Labels of columns and rows.
    values : float64 array (rows, columns)
        NaN where no backtest gave a number.
    counts : int64 array (rows, columns)
        Backtests with a number in each cell.
    """

    x: list[str]
    y: list[str]
    values: FloatArray
    counts: IntArray


def levels(column: pd.Series, most: int | None = MAX_LEVELS, order: Sequence[Any] = ()) -> Levels:
    """Code an axis; more than `most` different numbers are cut into 20 bins of about equal counts.

    What is no number stands in the order of `order`, which values a study has; others after them.
    """
    keys = [axis_key(value) for value in column]
    labels = {key: axis_label(value) for key, value in zip(keys, column, strict=True)}
    numbers = [key for key in labels if key is not None]
    numeric = all(_is_number(key) for key in numbers)
    if numeric and most is not None and len(labels) > most and None not in labels:
        return _bins(np.asarray(keys, dtype=float))
    # a missing value, such as a rule that is off, comes before the numbers
    missing = [None] if None in labels else []
    given = dict.fromkeys(key for key in map(axis_key, order) if key in labels)
    ordered = [*missing, *sorted(numbers)] if numeric else list(dict.fromkeys([*given, *labels]))
    place = {key: code for code, key in enumerate(ordered)}
    return Levels([labels[key] for key in ordered], np.array([place[key] for key in keys], dtype=np.int64))


def _is_number(key: object) -> bool:
    return isinstance(key, int | float | np.number) and not isinstance(key, bool) and key == key


def _bins(values: FloatArray) -> Levels:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    codes = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    held = pd.Series(values).groupby(codes)
    used, codes = np.unique(codes, return_inverse=True)
    labels = [
        f"{low:.6g} to {high:.6g}" for low, high in zip(held.min()[used], held.max()[used], strict=True)
    ]
    return Levels(labels, codes.astype(np.int64))


def mapped_rows(leaderboard: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a map is made of: what did not fail, in the world that choices are made in."""
    rows = leaderboard[leaderboard["status"] == "ok"] if "status" in leaderboard else leaderboard
    return rows[at_home(rows)]


def heat_grid(
    leaderboard: pd.DataFrame,
    x: str,
    y: str | None,
    key: str,
    aggregate: str = "best",
    orders: Mapping[str, Sequence[Any]] | None = None,
) -> HeatGrid:
    """Take the best or the median of a metric in each cell of two axes; see `heatmap_figure`.

    `orders` are the values of axes as a study has them, see `levels`.
    """
    if aggregate not in ("best", "median"):
        remedy = nearest(aggregate, ("best", "median"))
        raise WhatIfError(f"aggregate {aggregate!r}: a cell shows the best or the median; {remedy}")
    for name in filter(None, (x, y, key)):
        if name not in leaderboard.columns:
            raise WhatIfError(
                f"column {name!r} is not in the leaderboard; {nearest(name, leaderboard.columns)}"
            )
    rows = mapped_rows(leaderboard)
    known = orders or {}
    across = levels(rows[x], order=known.get(x, ()))
    down = levels(rows[y], order=known.get(y, ())) if y else Levels([""], np.zeros(len(rows), np.int64))
    numbers = pd.to_numeric(rows[key], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    cells = pd.Series(np.where(np.isfinite(numbers), numbers, np.nan)).groupby([down.codes, across.codes])
    best = cells.min if metric(key).less_is_better else cells.max
    taken = cells.median() if aggregate == "median" else best()
    shape = (len(down.labels), len(across.labels))
    values, counts = np.full(shape, np.nan), np.zeros(shape, np.int64)
    if len(taken):
        at = tuple(np.array(taken.index.tolist()).T)
        values[at], counts[at] = taken.to_numpy(), cells.count().to_numpy()
    return HeatGrid(across.labels, down.labels, values, counts)
