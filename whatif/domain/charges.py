"""Charges of an order: the formulas of `Costs`, of numbers alone, which all brokers compute by."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from whatif.domain.compile import inlinable
from whatif.typing import FloatArray

if TYPE_CHECKING:
    from whatif.domain.costs import Costs

Row: TypeAlias = FloatArray | tuple[float, ...]
"""Numbers that costs come to: an array in machine code, a tuple in Python."""

CHARGES, PER_ORDER, MINIMUM, MAXIMUM, MAXIMUM_FRACTION, OTHER_UNIT, OTHER_FRACTION = range(7)
BUY_UNIT, BUY_FRACTION, SELL_UNIT, SELL_FRACTION, HALF_SPREAD, RANGE, IMPACT = range(7, 14)
BY_VALUE, MARGINAL, TIERS = range(14, 17)
HEAD = 17
"""Numbers of a row of charges: how many they are; what `Costs` says, NaN for no bound; how many tiers there
are, at least one, and from `HEAD` on each tier's numbers."""

TIER_START, TIER_UNIT, TIER_MAKER, TIER_TAKER, TIER_WIDTH = range(5)

MONTH, TRADED, BAR_VOLUME, BAR_SPAN, LAST_VOLUME, LAST_SPAN, BASE, DUE, ACCRUED, TALLY = range(10)
"""Numbers of a tally: calendar month of the bar, what has been traded in it, and the bar's volume and high
less low, and those of the bar before it; the price that a future was settled at last; the interest of this
bar, and what there was since the last closing."""


@lru_cache(maxsize=256)
def charges_of(costs: Costs | None) -> tuple[float, ...]:
    """Return costs as the row of numbers that the functions here take; nothing for none."""
    if costs is None:
        return ()

    def bound(value: float | None) -> float:
        return math.nan if value is None else value

    rows = [tier.written for tier in costs.tiers] or [
        {"per_unit": costs.per_unit, "fraction": costs.fraction}
        | ({} if costs.maker is None else {"maker": costs.maker, "taker": bound(costs.taker)})
    ]
    tiers: list[float] = []
    for row, start in zip(rows, [tier.start for tier in costs.tiers] or [0.0], strict=True):
        fraction = row.get("fraction", 0.0)
        tiers += [start, row.get("per_unit", 0.0), row.get("maker", fraction), row.get("taker", fraction)]
    head = (
        costs.per_order,
        costs.minimum,
        bound(costs.maximum),
        bound(costs.maximum_fraction),
        costs.exchange_per_unit,
        costs.exchange_fraction,
        costs.buy_per_unit,
        costs.buy_fraction,
        costs.sell_per_unit,
        costs.sell_fraction,
        0.5 * (costs.spread_ticks * costs.tick),
        costs.range_slippage,
        costs.impact,
        float(costs.by_value),
        float(costs.marginal),
        float(len(rows)),
    )
    return (float(HEAD + len(tiers)), *head, *tiers)


@inlinable
def rated(units: float, value: float, adds: bool, traded: float, charges: Row) -> float:
    """Return the commission of so many units and so much value by the rates of the tiers they lie in."""
    amount = value if charges[BY_VALUE] != 0.0 else units
    tiers = int(charges[TIERS])
    end = traded + amount if charges[MARGINAL] != 0.0 else traded
    money = 0.0
    for k in range(tiers):
        at = HEAD + TIER_WIDTH * k
        low = charges[at + TIER_START]
        high = charges[at + TIER_WIDTH + TIER_START] if k + 1 < tiers else math.inf
        share = 0.0
        if low <= traded < high and end <= high:
            share = 1.0
        elif low < end and traded < high and end > traded:
            share = ((high if high < end else end) - (low if low > traded else traded)) / amount
        if share != 0.0:
            fraction = charges[at + TIER_MAKER] if adds else charges[at + TIER_TAKER]
            money += share * (units * charges[at + TIER_UNIT] + value * fraction)
    return money


@inlinable
def order_charge(size: float, at: float, adds: bool, resumed: bool, traded: float, charges: Row) -> float:
    """Return what an order of signed `size` that is filled at price `at` pays.

    Parameters
    ----------
    adds : bool
        Whether it adds liquidity.
    resumed : bool
        Whether it is what an earlier execution left of the order, whose minimum is paid.
    traded : float
        Units or money that have been traded in the month before it.
    charges : float64 array or tuple
        See `charges_of`.
    """
    units = abs(size)
    value = abs(size * at)
    money: float = rated(units, value, adds, traded, charges)
    if not resumed:
        money += charges[PER_ORDER]
        if money < charges[MINIMUM]:
            money = charges[MINIMUM]
    if money > charges[MAXIMUM]:
        money = charges[MAXIMUM]
    if money > charges[MAXIMUM_FRACTION] * value:
        money = charges[MAXIMUM_FRACTION] * value
    money += units * charges[OTHER_UNIT] + value * charges[OTHER_FRACTION]
    if size > 0.0:
        money += units * charges[BUY_UNIT] + value * charges[BUY_FRACTION]
    else:
        money += units * charges[SELL_UNIT] + value * charges[SELL_FRACTION]
    return money


@inlinable
def part_charge(
    size: float, before: float, at: float, adds: bool, resumed: bool, traded: float, charges: Row
) -> float:
    """Return what `size` units add to the charge of an execution of which `before` units are charged already.

    So the part of a reversal that opens pays what it adds to the part that closes: one order, one minimum.
    """
    whole = order_charge(before + size, at, adds, resumed, traded, charges)
    if before == 0.0:
        return whole
    return whole - order_charge(before, at, adds, resumed, traded, charges)


@inlinable
def traded_by(size: float, at: float, charges: Row) -> float:
    """Return what an execution adds to the month's volume, in units or money as the tiers count."""
    return abs(size * at) if charges[BY_VALUE] != 0.0 else abs(size)


@inlinable
def price_distance(
    order: float, bar_open: float, high: float, low: float, volume: float, charges: Row
) -> float:
    """Return the money by which an order's price is worse on a bar; NaN if it cannot trade on it.

    That is an order with an impact on a bar without volume.
    """
    money: float = charges[HALF_SPREAD] + charges[RANGE] * (high - low)
    if charges[IMPACT] != 0.0:
        if not volume > 0.0:
            return math.nan
        money += charges[IMPACT] * math.sqrt(abs(order) / volume) * bar_open
    return money
