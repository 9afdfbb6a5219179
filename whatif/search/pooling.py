"""Pooling of a configuration's backtests on several symbols into one row."""

from __future__ import annotations

import numpy as np
import pandas as pd

from whatif.domain import METRIC_KEYS, Periods, max_drawdown, sharpe, sortino
from whatif.errors import StudyError
from whatif.typing import FloatArray

FROM_TRADES = ("profit_factor", "sqn")
"""Metrics that need every trade of every symbol, which rows do not hold: NaN when pooled."""

_SUMS = ("pnl_gross", "pnl_net", "costs", "trades")
_MEANS = ("exposure", "turnover")


def check_poolable(objective: str) -> None:
    """Refuse an objective that has no pooled value.

    Raises
    ------
    StudyError
        If the metric is one of `FROM_TRADES`.
    """
    if objective in FROM_TRADES:
        raise StudyError(
            f"objective {objective!r} cannot rank pooled symbols, since it needs all their trades together: "
            "use rank: per_symbol, or an objective such as sharpe"
        )


def pool(rows: pd.DataFrame, returns: pd.DataFrame, periods: Periods) -> pd.DataFrame:
    """Return one row for each configuration: all its symbols with equal weights.

    Parameters
    ----------
    rows : DataFrame
        One row for each configuration and symbol, metrics included.
    returns : DataFrame
        config_id, symbol and `returns`, an array over the window's periods, aligned over symbols.
    periods : Periods
        The window's periods.

    Notes
    -----
    The pooled return of a period is the mean over symbols. `sharpe`, `sortino`, `return_pct` and
    the drawdown are measured on those (the drawdown in periods, not bars); money and trades are
    summed, exposure and turnover averaged, `win_rate` is weighted by trades. A configuration
    that failed on one symbol has failed.
    """
    series = _by_backtest(returns)
    groups = (group for _, group in rows.groupby("config_id", sort=False))
    return pd.DataFrame([_pooled(group, series, periods) for group in groups])


def mean_returns(rows: pd.DataFrame, returns: pd.DataFrame) -> dict[tuple[str, str], FloatArray]:
    """Return the mean over symbols of the returns of each period, by config_id and symbols joined by "+".

    Parameters
    ----------
    rows : DataFrame
        config_id and symbol, in the symbols' order.
    returns : DataFrame
        As for `pool`. A configuration that lacks a symbol is left out.

    Returns
    -------
    dict of (str, str) to float64 array (k,)
        One mean for each of the window's k periods; NaN where the return of any symbol is.
    """
    series = _by_backtest(returns)
    found = {}
    for config_id, group in rows.groupby("config_id", sort=False):
        own = [series.get((str(config_id), symbol)) for symbol in group["symbol"]]
        if all(one is not None for one in own):
            found[str(config_id), "+".join(group["symbol"])] = np.mean(own, axis=0)  # type: ignore[arg-type]
    return found


def _by_backtest(returns: pd.DataFrame) -> dict[tuple[str, str], FloatArray]:
    return {
        (c, s): np.asarray(r, dtype=np.float64)
        for c, s, r in zip(returns["config_id"], returns["symbol"], returns["returns"], strict=True)
    }


def _pooled(
    group: pd.DataFrame, series: dict[tuple[str, str], np.ndarray], periods: Periods
) -> dict[str, object]:
    row = {str(name): value for name, value in group.iloc[0].items()}
    row["symbol"] = "+".join(group["symbol"])
    failed = group[group["status"] != "ok"]
    if len(failed):
        reason = f"{failed['symbol'].iloc[0]}: {failed['error'].iloc[0]}"
        return row | dict.fromkeys(METRIC_KEYS, np.nan) | {"status": "error", "error": reason}
    mean = np.mean([series[c, s] for c, s in zip(group["config_id"], group["symbol"], strict=True)], axis=0)
    equity = np.cumprod(np.concatenate(([1.0], 1.0 + mean)), dtype=np.float64)
    drawdown, length = max_drawdown(equity)
    trades = group["trades"].astype("float64")
    wins = (group["win_rate"].astype("float64").fillna(0.0) * trades).sum()
    return (
        row
        | {name: group[name].sum() for name in _SUMS}
        | {name: group[name].mean() for name in _MEANS}
        | dict.fromkeys(FROM_TRADES, np.nan)
        | {
            "sharpe": sharpe(mean, periods.per_year),
            "sortino": sortino(mean, periods.per_year),
            "return_pct": 100.0 * (equity[-1] - 1.0),
            "max_drawdown_pct": drawdown,
            "max_drawdown_bars": length,
            "win_rate": wins / trades.sum() if trades.sum() else np.nan,
            "open_at_end": bool(group["open_at_end"].any()),
            "benchmark_return_pct": group["benchmark_return_pct"].mean(),
            "benchmark_sharpe": np.nan,
            "benchmark_max_drawdown_pct": np.nan,
        }
    )
