"""Orders backtests by the study's objective."""

from __future__ import annotations

import numpy as np
import pandas as pd

from whatif.domain.metrics import LOWER_IS_BETTER


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
    NaN ranks after every number and failed backtests last. Ties keep the order of
    config_id and symbol, so that a ranking is the same wherever it is made.
    """
    sign = 1.0 if objective in LOWER_IS_BETTER else -1.0
    key = sign * rows[objective].astype("float64")
    failed = (rows["status"] != "ok").to_numpy()
    order = np.lexsort(
        (
            rows["symbol"].astype(str).to_numpy(dtype=object).astype(str),
            rows["config_id"].astype(str).to_numpy(dtype=object).astype(str),
            np.where(key.isna(), 0.0, key.to_numpy()),
            key.isna().to_numpy(),
            failed,
        )
    )
    ranked = rows.iloc[order].reset_index(drop=True)
    ranked.insert(0, "rank", np.arange(1, len(ranked) + 1))
    return ranked
