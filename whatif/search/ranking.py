"""Ranking of backtests by the study's objective, and why there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from whatif.domain import LOWER_IS_BETTER
from whatif.typing import BoolArray, FloatArray

RATIOS = frozenset({"sharpe", "sortino", "profit_factor", "sqn"})
"""Objectives that divide by a spread or a loss."""

LARGEST_RATIO = 1e6
"""Size above which a ratio is no result of trading: what it divides by is next to nothing."""

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


def choosable(rows: pd.DataFrame, objective: str) -> BoolArray:
    """Return which backtests may be chosen, (rows,): they ran, traded, and have a value that ranks."""
    ran = (rows["status"] == "ok").to_numpy()
    return np.asarray(ran & ~np.isnan(rankable(rows, objective)) & ~never_traded(rows))


def rank_rows(rows: pd.DataFrame, objective: str) -> pd.DataFrame:
    """Return `rows` best first, with a column `rank` that begins at 1.

    Parameters
    ----------
    rows : DataFrame
        One row for each backtest on the validate window: status, metrics, config_id, symbol.
    objective : str
        A metric; the least is best for costs, drawdowns, exposure, turnover and
        open_at_end, the greatest for all others.

    Notes
    -----
    Those that never traded come after all that did: doing nothing costs nothing and falls by
    nothing, which is no merit. What has no value that ranks (`rankable`) follows, and failed
    backtests come last. Ties keep the order of config_id and symbol, so that a ranking is the same
    wherever it is made.
    """
    key = rankable(rows, objective) * (1.0 if objective in LOWER_IS_BETTER else -1.0)
    undefined = np.isnan(key)
    order = np.lexsort(
        (
            rows["symbol"].astype(str).to_numpy(dtype=object).astype(str),
            rows["config_id"].astype(str).to_numpy(dtype=object).astype(str),
            np.where(undefined, 0.0, key),
            never_traded(rows),
            undefined,
            (rows["status"] != "ok").to_numpy(),
        )
    )
    ranked = rows.iloc[order].reset_index(drop=True)
    ranked.insert(0, "rank", np.arange(1, len(ranked) + 1))
    return ranked


def why_undefined(rows: pd.DataFrame, objective: str, where: str) -> str:
    """Return why no backtest can be chosen: which failed, which did not trade, and what else.

    Parameters
    ----------
    rows : DataFrame
        config_id, symbol, status, error, trades, open_at_end and the objective.
    objective : str
        The metric that ranks.
    where : str
        The window, for the message.
    """
    if not len(rows):
        return f"nothing can be chosen on {where}: no backtest is stored"
    failed = rows[rows["status"] != "ok"]
    idle = rows[never_traded(rows)]
    ran = rows[(rows["status"] == "ok") & ~never_traded(rows)]
    other = ran[ran[objective].isna()]
    beyond = ran[ran[objective].notna()]
    parts = []
    if len(idle):
        parts.append(f"{len(idle):,} made no trade ({_named(idle)})")
    if len(failed):
        first = str(failed["error"].iloc[0])
        parts.append(f"{len(failed):,} failed ({_named(failed)}; the first with: {first})")
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
    return (
        f"nothing can be chosen on {where}: {objective} {none} {len(rows):,} backtests: "
        f"{'; '.join(parts)}. Take a longer window, shorter periods, or parameters that trade"
    )


def _named(rows: pd.DataFrame) -> str:
    pairs = zip(rows["config_id"].astype(str), rows["symbol"].astype(str), strict=True)
    names = [f"{config_id} on {symbol}" for config_id, symbol in pairs]
    return ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
