"""Metrics of one backtest, from its fills, equity and positions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from whatif.domain.execution import Execution
from whatif.domain.noise import noise_of
from whatif.domain.periods import Periods
from whatif.domain.run import EngineRun
from whatif.domain.statistics import figures, level_returns, pick_levels, tally_array
from whatif.domain.sums import room_for_partials
from whatif.typing import BoolArray, FloatArray, IntArray

NAN = float("nan")

_NONE = np.empty(0)
_PARTIALS = room_for_partials()


@dataclass(frozen=True)
class Account:
    """What the metrics of one account need to know of a backtest.

    Attributes
    ----------
    final : float
        Equity at the last bar's close.
    returns : float64 array (k,)
        Simple return of each period.
    deepest, longest : float, int
        Maximum drawdown in percent, and the longest stay below a peak in bars; the cash at the start
        is the first peak.
    equity_sum : float
        Equity at all bars' closes, added up.
    bars, bars_held : int
        Bars of the window, and those at whose close a position was held.
    fees, values : float64 arrays (f,)
        Commission of each execution, and the value traded: of a future, that of what it stands for.
    net : float64 array (c,)
        Net profit of each closed trade.
    open_at_end : bool
        Whether a position is still open at the last close.
    """

    final: float
    returns: FloatArray
    deepest: float
    longest: int
    equity_sum: float
    bars: int
    bars_held: int
    fees: FloatArray
    values: FloatArray
    net: FloatArray
    open_at_end: bool


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
        One value for each of `whatif.domain.METRIC_KEYS`, see `account_metrics`.
    """
    return account_metrics(account_of(run, execution, periods), execution, periods)


def account_of(run: EngineRun, execution: Execution, periods: Periods) -> Account:
    """Return what the metrics need to know of a run."""
    fills = run.fills
    deepest, longest, total = tally_array(run.equity, float(execution.cash))
    return Account(
        final=float(run.equity[-1]) if len(run.equity) else execution.cash,
        returns=period_returns(run.equity, run.ts, periods, execution.cash),
        deepest=deepest,
        longest=longest,
        equity_sum=total,
        bars=len(run.ts),
        bars_held=_bars_held(run.position),
        fees=fills.commission,
        values=np.abs(fills.size * fills.price * fills.multiplier),
        net=run.trades.pnl_net,
        open_at_end=run.open_at_end,
    )


def _bars_held(position: FloatArray) -> int:
    """Return on how many bars units (k, m) of any symbol are held."""
    held = position[0] if len(position) == 1 else position.any(axis=0)
    return int(np.count_nonzero(held))


def account_metrics(
    account: Account, execution: Execution, periods: Periods
) -> dict[str, float | int | bool]:
    """Return the metrics of an account.

    Returns
    -------
    dict
        One value for each of `whatif.domain.METRIC_KEYS`. Money is in the currency of the prices, `*_pct` in
        percent, `exposure` and `win_rate` are fractions. What cannot be computed is NaN; so is what
        would be divided by rounding (`whatif.domain.noise`).
    """
    figures = _figures(account.returns, periods.per_year, account.net, account.fees, account.values)
    columns = metric_columns(
        cash=np.array([execution.cash], dtype=np.float64),
        final=np.array([account.final], dtype=np.float64),
        deepest=np.array([account.deepest]),
        longest=np.array([account.longest]),
        equity_sum=np.array([account.equity_sum]),
        bars=account.bars,
        bars_held=np.array([account.bars_held]),
        figures=np.array([figures]),
        trades=np.array([len(account.net)]),
        open_at_end=np.array([account.open_at_end]),
    )
    return {name: values[0].item() for name, values in columns.items()}


def metric_columns(
    *,
    cash: FloatArray,
    final: FloatArray,
    deepest: FloatArray,
    longest: IntArray,
    equity_sum: FloatArray,
    bars: int,
    bars_held: IntArray,
    figures: FloatArray,
    trades: IntArray,
    open_at_end: BoolArray,
) -> dict[str, Any]:
    """Return the metrics of c accounts over the same bars.

    Parameters
    ----------
    cash : float64 array (c,)
        Equity before the first bar.
    final, deepest, longest, equity_sum, bars_held, open_at_end : arrays (c,)
        As in `Account`.
    bars : int
        Bars of the window.
    figures : float64 array (c, 7)
        What `whatif.domain.statistics.figures` returns of each.
    trades : int64 array (c,)
        Closed trades.

    Returns
    -------
    dict of str to array (c,)
        As `account_metrics`.
    """
    sharpe, sortino, rate, factor, sqn, costs, traded = figures.T
    mean = equity_sum / bars if bars else np.full(len(cash), NAN)
    usable = mean > noise_of(cash)
    return {
        "pnl_gross": final - cash + costs,
        "pnl_net": final - cash,
        "costs": costs,
        "return_pct": 100.0 * (final / cash - 1.0),
        "sharpe": sharpe,
        "sortino": sortino,
        "max_drawdown_pct": deepest,
        "max_drawdown_bars": longest,
        "trades": trades,
        "win_rate": rate,
        "profit_factor": factor,
        "sqn": sqn,
        "exposure": bars_held / bars if bars else np.full(len(cash), NAN),
        "turnover": np.where(usable, traded / np.where(usable, mean, 1.0), NAN),
        "open_at_end": open_at_end,
    }


def period_rows(ts: IntArray, periods: Periods) -> IntArray:
    """Return the number of bars that start before each period's end, (k,)."""
    return np.asarray(np.searchsorted(ts, periods.ends, side="left"), dtype=np.int64)


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
        positive any more, or is rounding of the cash: a ratio to debt or to nothing says nothing,
        and must not look like a profit.
    """
    levels, returns = np.empty(len(periods) + 1), np.empty(len(periods))
    pick_levels(equity, period_rows(ts, periods), cash, levels)
    level_returns(levels, returns)
    return returns


def sharpe(returns: FloatArray, per_year: float) -> float:
    """Return mean / std(ddof=1) * sqrt(per_year), risk-free rate 0; NaN without a spread but rounding.

    Parameters
    ----------
    returns : float64 array (k,)
        Simple return of each period. NaN under two of them, and where one is not finite.
    per_year : float
        Periods in a year.
    """
    return _figures(returns, per_year)[0]


def sortino(returns: FloatArray, per_year: float) -> float:
    """Return mean / sqrt(mean(min(r, 0)^2)) * sqrt(per_year); NaN without a loss but rounding.

    Parameters
    ----------
    returns : float64 array (k,)
        Simple return of each period. NaN under two of them, and where one is not finite.
    per_year : float
        Periods in a year.
    """
    return _figures(returns, per_year)[1]


def max_drawdown(equity: FloatArray, start: float = -math.inf) -> tuple[float, int]:
    """Return the deepest fall from a peak in percent and the longest stay below one in bars.

    Parameters
    ----------
    equity : float64 array (m,)
        The account's value at each bar's close.
    start : float
        Its value before the first bar, which is the first peak. Without it the first close is, and
        the figures equal Backtrader's `DrawDown` analyzer as bytes.
    """
    deepest, longest, _ = tally_array(equity, start)
    return float(deepest), int(longest)


def profit_metrics(net: FloatArray) -> dict[str, float | int]:
    """Return what the net profits of closed trades say: number, win rate, profit factor, SQN.

    A trade wins if its net profit is not negative (Backtrader's rule) but for rounding, here of the
    largest of them. SQN is Backtrader's: sqrt(c) * mean / population deviation of the net profits.

    Parameters
    ----------
    net : float64 array (c,)
        Net profit of each closed trade.
    """
    _, _, rate, factor, sqn, _, _ = _figures(_NONE, 1.0, net)
    return {"trades": len(net), "win_rate": rate, "profit_factor": factor, "sqn": sqn}


def _figures(
    returns: FloatArray,
    per_year: float,
    net: FloatArray = _NONE,
    fees: FloatArray = _NONE,
    values: FloatArray = _NONE,
) -> tuple[float, float, float, float, float, float, float]:
    room = np.empty(max(len(returns), len(net)))
    return figures(returns, per_year, net, fees, values, 2.0, room, _PARTIALS)
