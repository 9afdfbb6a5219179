"""Kernels of the metrics, shared by a broker's compiled loop and by arrays of a finished run.

Whatever is measured bar by bar is a function of the bar before and this one, so that a loop can
measure while it runs, and a finished run gives the same bytes.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from whatif.domain.compile import jit, usable_in_both
from whatif.domain.sums import exact_total
from whatif.typing import FloatArray, IntArray

Tally: TypeAlias = tuple[float, float, float, int, int, float]
"""Peak, trough since then, deepest fall in percent, bars below the peak now and at most, sum of equity."""


@usable_in_both
def fall(peak: float, trough: float) -> float:
    """Return the fall from `peak` to `trough` in percent of the peak, as Backtrader's `DrawDown`."""
    return 100.0 * (peak - trough) / peak


@usable_in_both
def tally(
    peak: float, trough: float, deepest: float, below: int, longest: int, total: float, equity: float
) -> Tally:
    """Take one bar's equity into account.

    A fall within one peak is the deeper the lower equity is, and a stay below it the longer the
    later, so both are only looked at where the next peak begins; `settled` looks at the last ones.
    """
    total += equity
    if equity < peak:
        below += 1
        if equity < trough:
            trough = equity
    else:
        longest = max(longest, below)
        below = 0
        if equity > peak:
            if trough < peak:
                deepest = max(deepest, fall(peak, trough))
            peak = equity
            trough = equity
    return peak, trough, deepest, below, longest, total


@usable_in_both
def settled(peak: float, trough: float, deepest: float, below: int, longest: int) -> tuple[float, int]:
    """Return the deepest fall in percent and the longest stay below a peak, the last ones included."""
    if trough < peak:
        deepest = max(deepest, fall(peak, trough))
    return deepest, max(longest, below)


@usable_in_both
def invested(size: float, close: float, equity: float) -> float:
    """Return the share of equity that a position is worth, whatever its side; 0 once there is none."""
    return abs(size * close) / equity if equity > 0.0 else 0.0


def tally_python(equity: FloatArray) -> tuple[float, int, float]:
    """Return deepest fall in percent, longest stay below a peak in bars, and sum of equity.

    Parameters
    ----------
    equity : float64 array (m,)
        The account's value at each bar's close.
    """
    peak, trough, deepest, below, longest, total = -math.inf, -math.inf, 0.0, 0, 0, 0.0
    for k in range(len(equity)):
        peak, trough, deepest, below, longest, total = tally(
            peak, trough, deepest, below, longest, total, equity[k]
        )
    deepest, longest = settled(peak, trough, deepest, below, longest)
    return deepest, longest, total


tally_array = jit(tally_python)


def shares_python(size: FloatArray, close: FloatArray, equity: FloatArray) -> float:
    """Return the sum over all bars of the share of equity invested; all arrays have length m."""
    total = 0.0
    for k in range(len(equity)):
        if size[k] != 0.0:
            total += invested(size[k], close[k], equity[k])
    return total


sum_shares = jit(shares_python)


def pick_levels_python(equity: FloatArray, last: IntArray, cash: float, levels: FloatArray) -> None:
    """Write into `levels` (k + 1,) the cash, and then equity after the first `last[j]` bars, (k,)."""
    levels[0] = cash
    for j in range(len(last)):
        levels[j + 1] = equity[last[j] - 1] if last[j] > 0 else cash


pick_levels = jit(pick_levels_python)


def returns_python(levels: FloatArray, returns: FloatArray) -> None:
    """Write the simple returns between levels (k + 1,) into `returns` (k,).

    NaN once a level is not positive any more: a ratio to debt says nothing.
    """
    alive = True
    for j in range(len(returns)):
        alive = alive and levels[j] > 0.0
        returns[j] = levels[j + 1] / levels[j] - 1.0 if alive else np.nan


level_returns = jit(returns_python)


@usable_in_both
def _all_finite(values: FloatArray) -> bool:
    for value in values:  # noqa: SIM110 (what is compiled knows no generators)
        if not math.isfinite(value):
            return False
    return True


@usable_in_both
def _all_equal(values: FloatArray) -> bool:
    for value in values:  # noqa: SIM110
        if value != values[0]:
            return False
    return True


def sharpe_python(returns: FloatArray, per_year: float) -> float:
    """Return mean / std(ddof=1) * sqrt(per_year).

    NaN under two returns, without variance, and where a return is NaN.
    """
    n = len(returns)
    if n < 2 or not _all_finite(returns) or _all_equal(returns):
        return math.nan
    mean = exact_total(returns, n) / n
    squares = np.empty(n)
    for k in range(n):
        squares[k] = (returns[k] - mean) * (returns[k] - mean)
    deviation = math.sqrt(exact_total(squares, n) / (n - 1))
    return mean / deviation * math.sqrt(per_year) if deviation > 0.0 else math.nan


sharpe_ratio = jit(sharpe_python)


def sortino_python(returns: FloatArray, per_year: float) -> float:
    """Return mean / sqrt(mean(min(r, 0)^2)) * sqrt(per_year); NaN where `sharpe` is for want of returns."""
    n = len(returns)
    if n < 2 or not _all_finite(returns):
        return math.nan
    squares = np.empty(n)
    for k in range(n):
        loss = min(returns[k], 0.0)
        squares[k] = loss * loss
    deviation = math.sqrt(exact_total(squares, n) / n)
    return exact_total(returns, n) / n / deviation * math.sqrt(per_year) if deviation > 0.0 else math.nan


sortino_ratio = jit(sortino_python)


def trade_figures_python(net: FloatArray, n: int, two: float) -> tuple[float, float, float]:
    """Return win rate, profit factor and SQN of the first `n` net profits; NaN where undefined.

    `two` is 2.0, given at run time: the C library's power, which Backtrader's SQN uses, is not
    always the product that a compiler makes of a constant exponent.
    """
    if n == 0:
        return math.nan, math.nan, math.nan
    part = np.empty(n)
    won = 0
    for k in range(n):
        won += net[k] >= 0.0
        part[k] = max(net[k], 0.0)
    wins = exact_total(part, n)
    for k in range(n):
        part[k] = max(-net[k], 0.0)
    losses = exact_total(part, n)
    factor = wins / losses if losses > 0.0 else math.inf
    if n < 2:
        return won / n, factor, math.nan
    mean = exact_total(net, n) / n
    for k in range(n):
        part[k] = math.pow(net[k] - mean, two)
    deviation = math.sqrt(exact_total(part, n) / n)
    return won / n, factor, math.sqrt(n) * mean / deviation if deviation > 0.0 else math.nan


trade_figures = jit(trade_figures_python)


def costs_python(
    closed: FloatArray,
    opened: FloatArray,
    price: FloatArray,
    closed_fee: FloatArray,
    opened_fee: FloatArray,
    count: int,
) -> tuple[float, float]:
    """Return all commission paid and the value of everything traded, of the first `count` executions."""
    part = np.empty(count)
    for k in range(count):
        part[k] = closed_fee[k] + opened_fee[k]
    fees = exact_total(part, count)
    for k in range(count):
        part[k] = abs((closed[k] + opened[k]) * price[k])
    return fees, exact_total(part, count)


sum_costs = jit(costs_python)
