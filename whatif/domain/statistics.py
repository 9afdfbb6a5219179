"""Kernels of the metrics, shared by a broker's compiled loop and by arrays of a finished run."""

from __future__ import annotations

import math

from whatif.domain.compile import inlinable, inlinable_lean, jit_lean
from whatif.domain.noise import noise_of, noise_of_returns
from whatif.domain.sums import exact_total
from whatif.typing import FloatArray, IntArray

for _shared in (noise_of, noise_of_returns):
    inlinable(_shared)

BLOCK = 64
"""Rows that are looked at together for a new peak; few enough to be quick to look at again, and so many
that the compiler makes a loop of vectors of them."""


@inlinable
def fall(peak: float, trough: float) -> float:
    """Return the fall from `peak` to `trough` in percent of the peak, as Backtrader's `DrawDown`."""
    return 100.0 * (peak - trough) / peak


@inlinable_lean
def sum_in_lanes(values: FloatArray) -> float:
    """Return the sum of values, (n,): eight at a time, so that no addition waits for the one before.

    Sum j of eight takes the values j, j + 8 and so on of whole groups of eight; the eight are added in
    pairs, pairs of pairs and those, and then the up to seven values that are left, in order.
    """
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    groups = len(values) // 8
    for k in range(groups):
        # a slice of its own, so that no index is tested
        eight = values[8 * k : 8 * k + 8]
        a += eight[0]
        b += eight[1]
        c += eight[2]
        d += eight[3]
        e += eight[4]
        f += eight[5]
        g += eight[6]
        h += eight[7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for k in range(8 * groups, len(values)):
        total += values[k]
    return total


@inlinable_lean
def falls_of(
    equity: FloatArray, peak: float, trough: float, deepest: float, below: int, longest: int
) -> tuple[float, float, float, int, int]:
    """Take bars into account one by one.

    A fall within one peak is the deeper the lower equity is, and a stay below it the longer the later,
    so both are only looked at where the next peak begins.

    Parameters
    ----------
    equity : float64 array (m,)
        The account's value at each bar's close.
    peak, trough, deepest, below, longest : float, float, float, int, int
        Peak, lowest value since then, deepest fall in percent, and bars below a peak now and at most.

    Returns
    -------
    tuple of float, float, float, int, int
        The same, afterwards.
    """
    for k in range(len(equity)):
        value = equity[k]
        if value < peak:
            below += 1
            if value < trough:
                trough = value
        else:
            longest = max(longest, below)
            below = 0
            if value > peak:
                if trough < peak:
                    deepest = max(deepest, fall(peak, trough))
                peak = value
                trough = value
    return peak, trough, deepest, below, longest


@inlinable_lean
def drawdown(equity: FloatArray, start: float) -> tuple[float, int]:
    """Return the deepest fall from a peak in percent, and the longest stay below one in bars.

    Parameters
    ----------
    equity : float64 array (m,)
        The account's value at each bar's close.
    start : float
        Its value before the first bar, which is the first peak; -inf if there is none.

    Notes
    -----
    Of a block whose values all lie below the peak only the lowest counts, and that only if it is lower
    than those before: most blocks are such, which takes a quarter of the time.
    """
    peak, trough, deepest, below, longest = start, start, 0.0, 0, 0
    blocks = len(equity) // BLOCK
    for q in range(blocks):
        block = equity[BLOCK * q : BLOCK * q + BLOCK]
        under, lower = 0, 0
        for j in range(BLOCK):
            under += 1 if block[j] < peak else 0
            lower += 1 if block[j] < trough else 0
        if under < BLOCK:
            peak, trough, deepest, below, longest = falls_of(block, peak, trough, deepest, below, longest)
            continue
        below += BLOCK
        if lower > 0:
            for j in range(BLOCK):
                trough = block[j] if block[j] < trough else trough
    peak, trough, deepest, below, longest = falls_of(
        equity[BLOCK * blocks :], peak, trough, deepest, below, longest
    )
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
    deepest, longest = drawdown(equity, start)
    return deepest, longest, sum_in_lanes(equity)


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
