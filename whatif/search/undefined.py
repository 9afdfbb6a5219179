"""Says why an objective ranks nothing."""

from __future__ import annotations

import pandas as pd

from whatif.search.ranking import LARGEST_RATIO, never_traded

MOST_NAMED = 3


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
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
