"""What a backtest is measured by."""

from __future__ import annotations

import math

import numpy as np

from whatif.domain.execution import Execution
from whatif.domain.fills import Trades
from whatif.domain.periods import Periods
from whatif.domain.run import EngineRun
from whatif.typing import FloatArray, IntArray

METRIC_KEYS = (
    "pnl_gross",
    "pnl_net",
    "costs",
    "return_pct",
    "sharpe",
    "sortino",
    "max_drawdown_pct",
    "max_drawdown_bars",
    "trades",
    "win_rate",
    "profit_factor",
    "sqn",
    "exposure",
    "turnover",
    "open_at_end",
)
"""Names of all metrics, in table order."""

LOWER_IS_BETTER = frozenset(
    {"costs", "max_drawdown_pct", "max_drawdown_bars", "exposure", "turnover", "open_at_end"}
)
"""Metrics that a ranking minimises; all others it maximises. NaN ranks last either way."""

NAN = float("nan")


def compute_metrics(run: EngineRun, execution: Execution, periods: Periods) -> dict[str, float | int | bool]:
    """Measure one backtest.

    Parameters
    ----------
    run : EngineRun
        Fills, equity and positions over the window.
    execution : Execution
        Its `cash` is the initial equity.
    periods : Periods
        Over which returns are measured.

    Returns
    -------
    dict
        One value for each of `METRIC_KEYS`. Money is in the currency of the prices, `*_pct` in
        percent, `exposure` and `win_rate` are fractions. What cannot be computed is NaN.
    """
    cash = execution.cash
    final = float(run.equity[-1]) if len(run.equity) else cash
    costs = math.fsum(run.fills.commission.tolist())
    returns = period_returns(run.equity, run.ts, periods, cash)
    drawdown_pct, drawdown_bars = max_drawdown(run.equity)
    return {
        "pnl_gross": final - cash + costs,
        "pnl_net": final - cash,
        "costs": costs,
        "return_pct": 100.0 * (final / cash - 1.0),
        "sharpe": sharpe(returns, periods.per_year),
        "sortino": sortino(returns, periods.per_year),
        "max_drawdown_pct": drawdown_pct,
        "max_drawdown_bars": drawdown_bars,
        **trade_metrics(run.trades),
        "exposure": float(run.position.any(axis=0).mean()) if len(run.ts) else NAN,
        "turnover": _turnover(run),
        "open_at_end": run.open_at_end,
    }


def period_returns(equity: FloatArray, ts: IntArray, periods: Periods, cash: float) -> FloatArray:
    """Return the simple return of equity in each period.

    Parameters
    ----------
    equity : float64 array (m,)
        Value at each bar's close.
    ts : int64 array (m,)
        Start of each bar, microseconds UTC, increasing.
    periods : Periods
        k consecutive periods.
    cash : float
        Equity before the first bar.

    Returns
    -------
    float64 array (k,)
        The first one is measured against `cash`. A period's equity is that of the last bar that
        starts before its end, carried forward over periods without bars. NaN once equity is not
        positive any more: a ratio to debt says nothing, and must not look like a profit.
    """
    last = np.searchsorted(ts, periods.ends, side="left")
    levels = np.concatenate(([cash], equity))[np.concatenate(([0], last))]
    before = np.where(np.minimum.accumulate(levels[:-1]) > 0.0, levels[:-1], np.nan)
    return np.asarray(levels[1:] / before - 1.0, dtype=np.float64)


def sharpe(returns: FloatArray, per_year: float) -> float:
    """Return mean / std(ddof=1) * sqrt(per_year), risk-free rate 0; NaN if it is undefined."""
    if len(returns) < 2 or not np.isfinite(returns).all() or returns.min() == returns.max():
        return NAN
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation * math.sqrt(per_year) if deviation > 0.0 else NAN


def sortino(returns: FloatArray, per_year: float) -> float:
    """Return mean / sqrt(mean(min(r, 0)^2)) * sqrt(per_year); NaN if it is undefined."""
    if len(returns) < 2 or not np.isfinite(returns).all():
        return NAN
    deviation = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(returns.mean()) / deviation * math.sqrt(per_year) if deviation > 0.0 else NAN


def max_drawdown(equity: FloatArray) -> tuple[float, int]:
    """Return the deepest fall from a peak in percent and the longest stay below one in bars.

    Equal to Backtrader's `DrawDown` analyzer, as bytes.
    """
    if not len(equity):
        return 0.0, 0
    peak = np.maximum.accumulate(equity)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawdown = 100.0 * (peak - equity) / peak
    below = np.flatnonzero(np.concatenate(([True], drawdown == 0.0, [True])))
    return float(max(0.0, drawdown.max())), int(np.diff(below).max() - 1)


def trade_metrics(trades: Trades) -> dict[str, float | int]:
    """Return what closed trades say: their number, win rate, profit factor and SQN.

    A trade wins if its net profit is not negative (Backtrader's rule). SQN is Backtrader's:
    sqrt(n) * mean / population deviation of the net profits.
    """
    net = trades.pnl_net.tolist()
    n = len(net)
    if n == 0:
        return {"trades": 0, "win_rate": NAN, "profit_factor": NAN, "sqn": NAN}
    losses = -math.fsum(pnl for pnl in net if pnl < 0.0)
    wins = math.fsum(pnl for pnl in net if pnl > 0.0)
    return {
        "trades": n,
        "win_rate": sum(pnl >= 0.0 for pnl in net) / n,
        "profit_factor": wins / losses if losses > 0.0 else math.inf,
        "sqn": _sqn(net),
    }


def _sqn(net: list[float]) -> float:
    n = len(net)
    if n < 2:
        return NAN
    mean = math.fsum(net) / n
    deviation = math.sqrt(math.fsum(pow(pnl - mean, 2.0) for pnl in net) / n)
    return math.sqrt(n) * mean / deviation if deviation > 0.0 else NAN


def _turnover(run: EngineRun) -> float:
    if not len(run.equity):
        return NAN
    mean = float(run.equity.mean())
    traded = math.fsum(np.abs(run.fills.size * run.fills.price).tolist())
    return traded / mean if mean > 0.0 else NAN
