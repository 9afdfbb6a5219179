"""Ranking of backtests by the study's objective, and why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from whatif.domain import LOWER_IS_BETTER
from whatif.search.constraints import Constraints
from whatif.typing import BoolArray, FloatArray

RATIOS = frozenset({"sharpe", "sortino", "profit_factor", "sqn"})
"""Objectives that divide by a spread or a loss."""

LARGEST_RATIO = 1e6
"""Size above which a ratio is no result of trading: what it divides by is next to nothing."""

ALL_OF_IT = 100.0
"""Drawdown in percent from which on nothing is left, and a return is none."""

FREE = Constraints()
"""No constraint."""

MAX_NAMED = 3
"""Backtests that a message names."""


def rankable(rows: pd.DataFrame, objective: str) -> FloatArray:
    """Return the objective of each row as a ranking takes it, (rows,).

    NaN, which ranks last, also stands for what is infinite, and for a ratio (`RATIOS`) beyond
    `LARGEST_RATIO`: a profit factor without a loss says that nothing was lost yet, not that it is
    the best of all.
    """
    values = rows[objective].astype("float64").to_numpy(dtype=np.float64, na_value=np.nan)
    usable = np.isfinite(values)
    if objective in RATIOS:
        usable &= np.abs(values) <= LARGEST_RATIO
    return np.where(usable, values, np.nan)


def never_traded(rows: pd.DataFrame) -> BoolArray:
    """Return which backtests ran and never traded, (rows,): no closed trade, and no position at the end."""
    if not {"trades", "open_at_end"} <= set(rows.columns):
        return np.zeros(len(rows), dtype=np.bool_)
    trades = rows["trades"].astype("float64").to_numpy(dtype=np.float64, na_value=np.nan)
    held = rows["open_at_end"].astype("float64").to_numpy(dtype=np.float64, na_value=0.0)
    return np.asarray((rows["status"] == "ok").to_numpy() & (trades == 0.0) & ~(held > 0.0))


def at_home(rows: pd.DataFrame) -> BoolArray:
    """Return which backtests ran in the world that configurations are chosen in, (rows,)."""
    if "world" not in rows.columns:
        return np.ones(len(rows), dtype=np.bool_)
    return np.asarray((rows["world"] == "").to_numpy(), dtype=np.bool_)


def choosable(rows: pd.DataFrame, objective: str, constraints: Constraints = FREE) -> BoolArray:
    """Return which backtests may be chosen, (rows,).

    They ran in the world that configurations are chosen in, traded, keep to the constraints on results, and
    have a value that ranks.
    """
    ran = (rows["status"] == "ok").to_numpy() & at_home(rows)
    ranks = ~np.isnan(rankable(rows, objective)) & ~never_traded(rows)
    return np.asarray(ran & ranks & constraints.kept(rows))


def on_the_front(rows: pd.DataFrame, metrics: Sequence[str], constraints: Constraints = FREE) -> BoolArray:
    """Return which backtests no other one beats, (rows,): the Pareto front of several metrics.

    One beats another if it is as good in all metrics and better in one. Those that may not be chosen by
    one of the metrics are not on it, and beat none.
    """
    usable = np.logical_and.reduce([choosable(rows, name, constraints) for name in metrics])
    places = np.flatnonzero(usable)
    worse = _worse(rows, metrics)[places]
    front = np.zeros(len(rows), dtype=np.bool_)
    left = np.lexsort(worse.T[::-1])
    while len(left):
        # the first in this order is beaten by none of those that are left
        first = worse[left[0]]
        same = (worse[left] == first).all(axis=1)
        front[places[left[same]]] = True
        left = left[~same & (worse[left] < first).any(axis=1)]
    return front


def _worse(rows: pd.DataFrame, metrics: Sequence[str]) -> FloatArray:
    """Return metrics with a sign by which less is better, (rows, metrics)."""
    columns = [rankable(rows, name) * (1.0 if name in LOWER_IS_BETTER else -1.0) for name in metrics]
    return np.column_stack(columns)


def _from_ideal(rows: pd.DataFrame, metrics: Sequence[str], constraints: Constraints) -> FloatArray:
    """Return the distance of each backtest on the front from the ideal point, (rows,); infinite off it.

    The ideal point has the best value of each metric on the front; each is divided by its range there.
    """
    front = on_the_front(rows, metrics, constraints)
    found = np.full(len(rows), np.inf)
    if front.any():
        worse = _worse(rows, metrics)[front]
        span = np.ptp(worse, axis=0)
        scaled = (worse - worse.min(axis=0)) / np.where(span > 0, span, 1.0)
        found[front] = np.sqrt((scaled**2).sum(axis=1))
    return found


def rank_rows(
    rows: pd.DataFrame,
    objective: str,
    constraints: Constraints = FREE,
    nearest_of: Sequence[str] = (),
) -> pd.DataFrame:
    """Return `rows` best first, with a column `rank` that begins at 1.

    Parameters
    ----------
    rows : DataFrame
        One row for each backtest on the validate window: status, metrics, config_id, symbol.
    objective : str
        A metric; the least is best for costs, drawdowns, exposure, turnover and
        open_at_end, the greatest for all others.
    constraints : Constraints
        What a result has to keep to.
    nearest_of : sequence of str
        Metrics whose Pareto front comes first, the nearest to the ideal point before all others; none for the
        objective alone.

    Notes
    -----
    Those that never traded come after all that did: doing nothing costs nothing and falls by
    nothing, which is no merit. Before those stand, best first, the ones that break a constraint.
    What has no value that ranks (`rankable`) follows, then what was dropped on the way, and failed backtests
    come last (by `status`: "ok", "dropped", "error"); after them, in the same order, all that ran in another
    world (a column `world` that is not ""). Ties keep the order of config_id and symbol,
    so that a ranking is the same wherever it is made.
    """
    key = rankable(rows, objective) * (1.0 if objective in LOWER_IS_BETTER else -1.0)
    undefined = np.isnan(key)
    order = np.lexsort(
        (
            rows["symbol"].astype(str).to_numpy(dtype=object).astype(str),
            rows["config_id"].astype(str).to_numpy(dtype=object).astype(str),
            np.where(undefined, 0.0, key),
            _from_ideal(rows, nearest_of, constraints) if nearest_of else np.zeros(len(rows)),
            ~constraints.kept(rows),
            never_traded(rows),
            undefined,
            (rows["status"] != "ok").to_numpy(),
            (rows["status"] == "error").to_numpy(),
            ~at_home(rows),
        )
    )
    ranked = rows.iloc[order].reset_index(drop=True)
    ranked.insert(0, "rank", np.arange(1, len(ranked) + 1))
    return ranked


def why_undefined(rows: pd.DataFrame, objective: str, where: str, constraints: Constraints = FREE) -> str:
    """Return why no backtest can be chosen: which failed, which did not trade, and what else.

    Parameters
    ----------
    rows : DataFrame
        config_id, symbol, status, error, trades, open_at_end and the objective.
    objective : str
        The metric that ranks.
    where : str
        The window, for the message.
    constraints : Constraints
        What a result has to keep to.
    """
    rows = rows[at_home(rows)]
    if not len(rows):
        return f"nothing can be chosen on {where}: no backtest is stored"
    failed = rows[rows["status"] == "error"]
    dropped = int((rows["status"] == "dropped").sum())
    idle = rows[never_traded(rows)]
    ran = rows[(rows["status"] == "ok") & ~never_traded(rows)]
    breaking = ran[~constraints.kept(ran)]
    ran = ran[constraints.kept(ran)]
    undefined = ran[objective].isna()
    fell = ran.get("max_drawdown_pct", pd.Series(np.nan, index=ran.index)).astype("float64") >= ALL_OF_IT
    ruined, other = ran[undefined & fell], ran[undefined & ~fell]
    beyond = ran[ran[objective].notna()]
    parts = []
    if len(idle):
        parts.append(f"{len(idle):,} made no trade ({_named(idle)})")
    if len(failed):
        first = str(failed["error"].iloc[0])
        parts.append(f"{len(failed):,} failed ({_named(failed)}; the first with: {first})")
    if dropped:
        parts.append(f"{dropped:,} were dropped on the windows before")
    if len(breaking):
        rules = ", ".join(constraints.on_results)
        parts.append(f"{len(breaking):,} break a constraint of {rules} ({_named(breaking)})")
    if len(ruined):
        parts.append(
            f"{len(ruined):,} lost all of their cash, after which no return is one ({_named(ruined)})"
        )
    if len(other):
        parts.append(
            f"{len(other):,} traded, but have too few periods, trades or differences between returns for "
            f"{objective} ({_named(other)})"
        )
    if len(beyond):
        parts.append(
            f"{len(beyond):,} lost next to nothing or did not vary: {objective} is infinite or beyond "
            f"{LARGEST_RATIO:,.0f}, which does not rank ({_named(beyond)})"
        )
    known = bool(rows[objective].notna().any())
    none = "ranks none of" if known else "has no value for any of"
    remedies = [
        *(["more cash or a smaller size"] if len(ruined) else []),
        *(["looser constraints"] if len(breaking) else []),
        *(["a longer window", "shorter periods"] if len(other) or len(beyond) else []),
        *(["a strategy that does not fail"] if len(failed) else []),
        *(["parameters that trade"] if len(idle) else []),
    ]
    return (
        f"nothing can be chosen on {where}: {objective} {none} {len(rows):,} backtests: "
        f"{'; '.join(parts)}. Take {', or '.join(remedies or ['a larger search.halving.least'])}"
    )


def _named(rows: pd.DataFrame) -> str:
    pairs = zip(rows["config_id"].astype(str), rows["symbol"].astype(str), strict=True)
    names = [f"{config_id} on {symbol}" for config_id, symbol in pairs]
    return ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
