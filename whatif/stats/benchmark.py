"""Benchmark: what holding the market with all of the account would have given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from whatif.domain import (
    Bars,
    Contract,
    EngineRun,
    Execution,
    Periods,
    charges_of,
    fall,
    jit_lean,
    level_returns,
    noise_of,
    order_charge,
    period_rows,
    pick_levels,
    price_distance,
    sharpe,
    tally_array,
    write_returns,
)
from whatif.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class BuyAndHold:
    """A long position bought at the window's first open and held to its end.

    Attributes
    ----------
    weight : float
        Fraction of the initial cash invested.
    returns : float64 array (k,)
        Simple return in each period.
    return_pct : float
        Over the whole window, in percent of the initial cash.
    sharpe : float
        As the metric of this name.
    max_drawdown_pct : float
        As the metric of this name.
    equity : float64 array (m,)
        Account value at each bar's close; empty where nobody asked.
    """

    weight: float
    returns: FloatArray
    return_pct: float
    sharpe: float
    max_drawdown_pct: float
    equity: FloatArray = field(default_factory=lambda: np.empty(0))


class FirstBar(NamedTuple):
    """What is told of the bar on which the market is bought."""

    open: float
    high: float
    low: float
    volume: float

    @classmethod
    def of(cls, bars: Bars, row: int) -> FirstBar:
        """Return that of a row of bars."""
        values = (bars.open[row], bars.high[row], bars.low[row], bars.volume[row])
        return cls(*(float(value) for value in values))


class Holding:
    """One symbol in one window, to be held at any weight.

    Equity held is a rising function of the close, and stays one when it is rounded: its peaks are
    the close's, and its deepest fall is one from such a peak to the lowest close before the next.
    So a weight costs as much work as there are peaks, not as there are bars, and gives the same bytes.

    Parameters
    ----------
    first : FirstBar
        The bar on which it is bought.
    close : float64 array (m,)
        Closes of the window.
    ends : int64 array (k,)
        Bars of the window that start before each period's end.
    execution : Execution
        Initial cash, and the commission and slippage of the one purchase.
    periods : Periods
        Over which returns are measured.
    contract : Contract, optional
        What a unit is and costs, where that is not the execution's matter.
    """

    def __init__(
        self,
        first: FirstBar,
        close: FloatArray,
        ends: IntArray,
        execution: Execution,
        periods: Periods,
        contract: Contract | None = None,
    ) -> None:
        self._contract = contract
        self._first = first
        self._close = np.ascontiguousarray(close)
        self._execution, self._periods = execution, periods
        self._at = np.array([close[last - 1] if last else np.nan for last in ends])
        self._peaks, self._troughs = falls(self._close)

    def at(self, weight: float) -> BuyAndHold:
        """Return what holding `weight` of the initial cash gives."""
        cash = self._execution.cash
        units, cost, fee = self._bought(weight)
        returns = np.empty(len(self._at))
        levels = np.empty(len(self._at) + 1)
        final, deepest = _hold(
            cash,
            units,
            cost,
            fee,
            self._peaks,
            self._troughs,
            self._at,
            float(self._close[-1]),
            levels,
            returns,
        )
        return BuyAndHold(
            weight=weight,
            returns=returns,
            return_pct=100.0 * (final / cash - 1.0),
            sharpe=sharpe(returns, self._periods.per_year),
            max_drawdown_pct=deepest,
        )

    def returns(self, weight: float) -> FloatArray:
        """Return what `at` gives as returns, the same bytes, by whole arrays: a verdict loads no kernel."""
        cash = self._execution.cash
        units, cost, fee = self._bought(weight)
        worth = np.where(np.isnan(self._at), cash, cash + (units * self._at - cost - fee))
        levels = np.concatenate(([cash], worth))
        alive = np.logical_and.accumulate(levels[:-1] > noise_of(cash))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(alive, levels[1:] / levels[:-1] - 1.0, np.nan)

    def equity(self, weight: float) -> FloatArray:
        """Return the account's value at each bar's close, (m,)."""
        units, cost, fee = self._bought(weight)
        return np.asarray(self._execution.cash + (units * self._close - cost - fee), dtype=np.float64)

    def _bought(self, weight: float) -> tuple[float, float, float]:
        return bought(weight * self._execution.cash, self._first, self._execution, self._contract)


def falls(close: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each highest close so far, and the lowest close from there to the next.

    Parameters
    ----------
    close : float64 array (m,)
        Closes of the window, at least one.

    Returns
    -------
    peaks, troughs : float64 array (p,)
        In time order; the first peak is the first close.
    """
    first = np.flatnonzero(np.concatenate(([True], close[1:] > np.fmax.accumulate(close)[:-1])))
    return close[first], np.fmin.reduceat(close, first)


def hold_python(
    cash: float,
    units: float,
    cost: float,
    fee: float,
    peaks: FloatArray,
    troughs: FloatArray,
    at: FloatArray,
    last: float,
    levels: FloatArray,
    returns: FloatArray,
) -> tuple[float, float]:
    """Write the returns of each period, (k,); return final equity and maximum drawdown in percent.

    `levels` (k + 1,) is room.
    """
    levels[0] = cash
    for j in range(len(at)):
        levels[j + 1] = cash if math.isnan(at[j]) else cash + (units * at[j] - cost - fee)
    write_returns(levels, returns)
    deepest = 0.0
    for k in range(len(peaks)):
        # what the purchase cost is a fall from the cash
        peak = max(cash, cash + (units * peaks[k] - cost - fee))
        trough = cash + (units * troughs[k] - cost - fee)
        if trough < peak:
            deepest = max(deepest, fall(peak, trough))
    return cash + (units * last - cost - fee), deepest


_hold = jit_lean(hold_python)


def buy_and_hold(run: EngineRun, bars: Sequence[Bars], execution: Execution, periods: Periods) -> BuyAndHold:
    """Return what the market gives that is bought with all of the cash, and equity at each bar's close.

    Parameters
    ----------
    run : EngineRun
        Its bars are those of the window.
    bars : sequence of Bars
        The bars it ran on, in the order of its symbols; several get equal shares of the cash.
    execution : Execution
        Initial cash, and the commission and slippage of the one purchase.
    periods : Periods
        Over which returns are measured.

    Notes
    -----
    Long at 100 %, whatever the strategy does: a strategy that holds half of the time, or is short, is
    compared with it by its slope on the market (`whatif.stats.net_exposure`). Units may be
    fractional. The purchase is at the open of the symbol's first bar in the window, slipped as a market
    order of the study would be; until then its cash lies idle.
    """
    contracts = run.contracts or (None,) * len(bars)
    if len(bars) == 1:
        row = int(np.searchsorted(bars[0].ts, run.ts[0]))
        held = Holding(
            FirstBar.of(bars[0], row),
            run.close[0],
            period_rows(run.ts, periods),
            execution,
            periods,
            contracts[0],
        )
        return replace(held.at(1.0), equity=held.equity(1.0))
    return hold_shares(run.ts, run.close, bars, execution, periods, contracts)


def hold_shares(
    ts: IntArray,
    closes: Iterable[FloatArray],
    bars: Sequence[Bars],
    execution: Execution,
    periods: Periods,
    contracts: Sequence[Contract | None] = (),
) -> BuyAndHold:
    """Return what several symbols give that are bought with equal shares of the cash, see `buy_and_hold`.

    Parameters
    ----------
    ts : int64 array (m,)
        Rows of the account, see `whatif.domain.EngineRun`.
    closes : iterable of float64 array (m,)
        Each symbol's last close; NaN before its first bar.
    bars, execution, periods
        As `buy_and_hold` takes them.
    contracts : sequence of Contract or None
        One for each symbol, where that is not the execution's matter.
    """
    equity = np.full(len(ts), execution.cash)
    for one, close, contract in zip(bars, closes, contracts or (None,) * len(bars), strict=True):
        if np.isfinite(close).any():
            equity += _gain(one, ts, close, execution.cash / len(bars), execution, contract)
    levels, returns = np.empty(len(periods) + 1), np.empty(len(periods))
    pick_levels(equity, period_rows(ts, periods), execution.cash, levels)
    level_returns(levels, returns)
    return BuyAndHold(
        weight=1.0,
        returns=returns,
        return_pct=100.0 * (float(equity[-1]) / execution.cash - 1.0),
        sharpe=sharpe(returns, periods.per_year),
        max_drawdown_pct=tally_array(equity, float(execution.cash))[0],
        equity=equity,
    )


def _gain(
    bars: Bars,
    ts: IntArray,
    close: FloatArray,
    invested: float,
    execution: Execution,
    contract: Contract | None,
) -> FloatArray:
    """Profit at each bar's close of `invested` money put into one symbol, (m,)."""
    known = np.isfinite(close)
    # a bar that is longer than others stands on a later row than it starts on
    row = int(np.searchsorted(bars.ts, ts[int(np.flatnonzero(known)[0])], side="right")) - 1
    units, cost, fee = bought(invested, FirstBar.of(bars, row), execution, contract)
    gain = np.zeros(len(ts))
    gain[known] = units * close[known] - cost - fee
    return gain


def bought(
    money: float, first: FirstBar, execution: Execution, contract: Contract | None = None
) -> tuple[float, float, float]:
    """Return the units that `money` buys on a bar, the money, and the commission.

    Of a future, they are units of what it stands for, as many as its contracts and their multiplier make.
    """
    price = slipped(first, execution, money)
    units = money / price
    if contract is None and execution.costs is not None:
        contracts = units / execution.mult
        fee = order_charge(contracts, price, False, False, 0.0, charges_of(execution.costs))
        return units, money, fee
    if contract is None:
        contract = Contract(execution.mult, execution.commission, execution.commtype == "fixed")
    fee = units / contract.multiplier * contract.commission
    return units, money, fee * (1.0 if contract.fixed else price)


def slipped(first: FirstBar, execution: Execution, money: float) -> float:
    """Return the price of a purchase for `money` at the open, slipped as a market order of the study.

    An impact is reckoned by the units at the open; it is left out on a bar without volume.
    """
    opened = first.open
    if not execution.slip_open:
        return opened
    price = opened * (1.0 + execution.slippage) if execution.slippage else opened + execution.slippage_fixed
    if execution.costs is not None:
        worse = price_distance(money / opened, *first, charges_of(execution.costs))
        price += 0.0 if math.isnan(worse) else worse
    return price if execution.slip_out else min(price, first.high)
