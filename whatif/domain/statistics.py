"""Kernels of the metrics, shared by a broker's compiled loop and by arrays of a finished run.

Whatever is measured bar by bar is a function of the bar before and this one, so that a loop can
measure while it runs, and a finished run gives the same bytes.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from whatif.domain.compile import inlinable, jit_lean
from whatif.domain.noise import noise_of, noise_of_returns
from whatif.domain.sums import exact_total
from whatif.typing import FloatArray, IntArray

for _shared in (noise_of, noise_of_returns):
    inlinable(_shared)

Tally: TypeAlias = tuple[float, float, float, int, int, float]
"""Peak, trough since then, deepest fall in percent, bars below the peak now and at most, sum of equity."""


@inlinable
def fall(peak: float, trough: float) -> float:
    """Return the fall from `peak` to `trough` in percent of the peak, as Backtrader's `DrawDown`."""
    return 100.0 * (peak - trough) / peak


@inlinable
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


@inlinable
def settled(peak: float, trough: float, deepest: float, below: int, longest: int) -> tuple[float, int]:
    """Return the deepest fall in percent and the longest stay below a peak, the last ones included."""
    if trough < peak:
        deepest = max(deepest, fall(peak, trough))
    return deepest, max(longest, below)


def tally_python(equity: FloatArray, start: float) -> tuple[float, int, float]:
    """Return deepest fall in percent, longest stay below a peak in bars, and sum of equity.

    Parameters
    ----------
    equity : float64 array (m,)
        The account's value at each bar's close.
    start : float
        Its value before the first bar, which is the first peak; -inf if there is none.
    """
    peak, trough, deepest, below, longest, total = start, start, 0.0, 0, 0, 0.0
    for k in range(len(equity)):
        peak, trough, deepest, below, longest, total = tally(
            peak, trough, deepest, below, longest, total, equity[k]
        )
    deepest, longest = settled(peak, trough, deepest, below, longest)
    return deepest, longest, total


tally_array = jit_lean(tally_python)


def pick_levels_python(equity: FloatArray, last: IntArray, cash: float, levels: FloatArray) -> None:
    """Write into `levels` (k + 1,) the cash, and then equity after the first `last[j]` bars, (k,)."""
    levels[0] = cash
    for j in range(len(last)):
        levels[j + 1] = equity[last[j] - 1] if last[j] > 0 else cash


pick_levels = jit_lean(pick_levels_python)


@inlinable
def write_returns(levels: FloatArray, returns: FloatArray) -> None:
    """Write the simple returns between levels (k + 1,) into `returns` (k,).

    NaN once a level is not positive any more, or nothing but rounding of the first one: a ratio to
    debt or to nothing says nothing.
    """
    alive, least = True, noise_of(levels[0])
    for j in range(len(returns)):
        alive = alive and levels[j] > least
        returns[j] = levels[j + 1] / levels[j] - 1.0 if alive else math.nan


def returns_python(levels: FloatArray, returns: FloatArray) -> None:
    """Do as `write_returns`: read `levels` (k + 1,), and write into `returns` (k,)."""
    write_returns(levels, returns)


level_returns = jit_lean(returns_python)


def figures_python(
    returns: FloatArray,
    per_year: float,
    net: FloatArray,
    fees: FloatArray,
    values: FloatArray,
    two: float,
    part: FloatArray,
    partials: FloatArray,
) -> tuple[float, float, float, float, float, float, float]:
    """Return Sharpe ratio, Sortino ratio, win rate, profit factor, SQN, commission paid, and value traded.

    They are one function because what each of them needs most of is the exact sum: called from
    several, its machine code would be made for each.

    Parameters
    ----------
    returns : float64 array (k,)
        Simple return of each period. The ratios are NaN under two of them and where one is not
        finite; and where what they divide by is rounding (`noise_of_returns`): Sharpe where returns
        do not vary, Sortino where none is a loss.
    per_year : float
        Periods in a year.
    net : float64 array (c,)
        Net profit of each closed trade. Rate, factor and SQN are NaN where there are too few. What is
        rounding of the largest execution (`noise_of`) is no loss: a trade wins, the factor is infinite
        (NaN without a gain either), and SQN is NaN where profits do not differ by more.
    fees, values : float64 arrays (f,)
        Commission and value of each execution.
    two : float
        2.0, given at run time: the C library's power, which Backtrader's SQN uses, is not always
        the product that a compiler makes of a constant exponent.
    part, partials : float64 arrays (max(k, c),) and (PARTIALS,)
        Room; overwritten.
    """
    k, c = len(returns), len(net)
    usable = k >= 2
    for j in range(k):
        usable = usable and math.isfinite(returns[j])
    sharpe, sortino = math.nan, math.nan
    if usable:
        mean, year = exact_total(returns, k, partials) / k, math.sqrt(per_year)
        least = noise_of_returns(mean)
        for j in range(k):
            part[j] = (returns[j] - mean) * (returns[j] - mean)
        deviation = math.sqrt(exact_total(part, k, partials) / (k - 1))
        if deviation > least:
            sharpe = mean / deviation * year
        for j in range(k):
            loss = min(returns[j], 0.0)
            part[j] = loss * loss
        deviation = math.sqrt(exact_total(part, k, partials) / k)
        if deviation > least:
            sortino = mean / deviation * year
    rate, factor, sqn = math.nan, math.nan, math.nan
    if c > 0:
        largest = 0.0
        for j in range(len(values)):
            largest = max(largest, abs(values[j]))
        for j in range(c):
            largest = max(largest, abs(net[j]))
        least = noise_of(largest)
        won = 0
        for j in range(c):
            won += 1 if net[j] >= -least else 0
            part[j] = max(net[j], 0.0)
        wins = exact_total(part, c, partials)
        for j in range(c):
            part[j] = max(-net[j], 0.0)
        losses = exact_total(part, c, partials)
        rate = won / c
        if losses > least:
            factor = wins / losses
        elif wins > least:
            factor = math.inf
        if c > 1:
            mean = exact_total(net, c, partials) / c
            for j in range(c):
                part[j] = math.pow(net[j] - mean, two)
            deviation = math.sqrt(exact_total(part, c, partials) / c)
            if deviation > least:
                sqn = math.sqrt(c) * mean / deviation
    paid, traded = exact_total(fees, len(fees), partials), exact_total(values, len(values), partials)
    return sharpe, sortino, rate, factor, sqn, paid, traded


figures = jit_lean(figures_python)
