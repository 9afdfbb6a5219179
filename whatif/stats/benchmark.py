"""What holding the market would have given for the same exposure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whatif.domain.bars import Bars
from whatif.domain.execution import Execution
from whatif.domain.metrics import max_drawdown, period_returns, sharpe
from whatif.domain.periods import Periods
from whatif.domain.run import EngineRun
from whatif.typing import FloatArray


@dataclass(frozen=True, eq=False)
class BuyAndHold:
    """A long position bought at the window's first open and held to its end.

    Attributes
    ----------
    weight : float
        Fraction of the initial cash invested.
    equity : float64 array (m,)
        Account value at each bar's close, on the run's `ts`.
    returns : float64 array (k,)
        Simple return in each period.
    return_pct : float
        Over the whole window, in percent of the initial cash.
    sharpe : float
        As the metric of this name.
    max_drawdown_pct : float
        As the metric of this name.
    """

    weight: float
    equity: FloatArray
    returns: FloatArray
    return_pct: float
    sharpe: float
    max_drawdown_pct: float


def buy_and_hold(run: EngineRun, bars: Sequence[Bars], execution: Execution, periods: Periods) -> BuyAndHold:
    """Return buy-and-hold matched to the exposure of a run.

    Parameters
    ----------
    run : EngineRun
        Its mean of abs(position * close) / equity over all bars is the weight, symbol by symbol.
    bars : sequence of Bars
        The bars it ran on, in the order of its symbols.
    execution : Execution
        Initial cash, and the commission and slippage of the one purchase.
    periods : Periods
        Over which returns are measured.

    Notes
    -----
    Units may be fractional. The purchase is at the open of the symbol's first bar in the window,
    slipped as a market order of the study would be; until then its cash lies idle.
    """
    equity = np.full(len(run.ts), execution.cash)
    total = 0.0
    for k, one in enumerate(bars):
        weight = _weight(run, k)
        total += weight
        if weight > 0.0:
            equity += _gain(one, run, k, weight * execution.cash, execution)
    final = float(equity[-1]) if len(equity) else execution.cash
    returns = period_returns(equity, run.ts, periods, execution.cash)
    return BuyAndHold(
        weight=total,
        equity=equity,
        returns=returns,
        return_pct=100.0 * (final / execution.cash - 1.0),
        sharpe=sharpe(returns, periods.per_year),
        max_drawdown_pct=max_drawdown(equity)[0],
    )


def _weight(run: EngineRun, k: int) -> float:
    held = run.position[k] != 0.0
    invested = np.zeros(len(run.ts))
    invested[held] = np.abs(run.position[k, held] * run.close[k, held])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(run.equity > 0.0, invested / run.equity, 0.0)
    return float(share.mean()) if len(share) else 0.0


def _gain(bars: Bars, run: EngineRun, k: int, invested: float, execution: Execution) -> FloatArray:
    """Profit at each bar's close of `invested` money put into one symbol, (m,)."""
    known = np.isfinite(run.close[k])
    bought = int(np.flatnonzero(known)[0])
    row = int(np.searchsorted(bars.ts, run.ts[bought]))
    price = _slipped(float(bars.open[row]), float(bars.high[row]), execution)
    units = invested / price
    fee = units * execution.commission * (1.0 if execution.commtype == "fixed" else price)
    gain = np.zeros(len(run.ts))
    gain[known] = units * run.close[k, known] - invested - fee
    return gain


def _slipped(opened: float, high: float, execution: Execution) -> float:
    if not execution.slip_open:
        return opened
    slipped = opened * (1.0 + execution.slippage) if execution.slippage else opened + execution.slippage_fixed
    return slipped if execution.slip_out else min(slipped, high)
