"""What Backtrader's broker computes for orders on stocks and futures, as functions of numbers.

Version 1.9.78.123. All arithmetic is in doubles in the order in which Backtrader writes it; where
it multiplies by one or adds zero, which changes no bit, nothing is written here. Sizes are signed.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np

from whatif.domain import inlinable, part_charge, price_distance
from whatif.strategies import BUY, CLOSE, SELL, TARGET
from whatif.typing import FloatArray

Slippage: TypeAlias = tuple[float, float, bool, bool, bool, bool, bool]
"""Fraction, money for each unit, the switches slip_open, slip_match, slip_out and slip_limit, and whether
Backtrader's oddities are left out."""

Prices: TypeAlias = tuple[float, float, float, float]
"""Open, high, low and close of a bar."""


class Costs(NamedTuple):
    """What a unit costs.

    Attributes
    ----------
    commission, fixed : float, bool
        Commission, and whether it is money for each unit and no fraction.
    shortcash : bool
        Whether opening a short raises cash.
    is_outright : bool
        Whether a unit is paid in full and worth its price: what follows is 0 and 1 then.
    margin, mult, leverage : float
        As `whatif.domain.Execution` has them.
    signed : bool
        Whether a short future counts as less than nothing where a share of the account is wanted.
    """

    commission: float
    fixed: bool
    shortcash: bool
    is_outright: bool
    margin: float
    mult: float
    leverage: float
    signed: bool


class Parts(NamedTuple):
    """How much of an order a bar fills: `whatif.domain.Filler.numbers`, the first 0 for all of it."""

    kind: float
    amount: float
    minmov: float


FIXED_SIZE, FIXED_BAR_PERC = 1.0, 2.0
"""Kinds of `Parts`; every other one is `bar_point_perc`."""


class Deal(NamedTuple):
    """What an execution is charged by, where there are `whatif.domain.Costs`.

    Attributes
    ----------
    adds, resumed, traded, charges
        As `whatif.domain.charges.order_charge` takes them; no charges where `Costs` above hold.
    """

    adds: bool
    resumed: bool
    traded: float
    charges: FloatArray


@inlinable
def moved(size: float, price: float, order: float, at: float) -> tuple[float, float, float, float]:
    """Return size, average price, and the units opened and closed, after `order` at price `at`.

    `Position.update`: tests are exact, a reduction keeps the average, a reversal takes the new price.
    """
    new = size + order
    if new == 0.0:
        return new, 0.0, 0.0, order
    if size == 0.0:
        return new, at, order, 0.0
    if (size > 0.0) == (order > 0.0):
        return new, (price * size + order * at) / new, order, 0.0
    if (new > 0.0) == (size > 0.0):
        return new, price, 0.0, order
    return new, at, new, -size


@inlinable
def fee(size: float, at: float, costs: Costs) -> float:
    """Return the commission of `size` units at price `at`."""
    if costs.fixed:
        return abs(size) * costs.commission
    return abs(size) * costs.commission * at


@inlinable
def paid(size: float, before: float, at: float, costs: Costs, deal: Deal) -> float:
    """Return what `size` units pay of an execution at price `at` of which `before` units have paid."""
    if len(deal.charges) == 0:
        return fee(size, at, costs)
    return part_charge(size, before, at, deal.adds, deal.resumed, deal.traded, deal.charges)


@inlinable
def worth(size: float, at: float, costs: Costs) -> float:
    """Return the cash of `size` units at price `at`; of a short negative, unless shorting costs cash.

    Of a future its margin, and of a stock with leverage the part of its worth that is paid.
    """
    if costs.is_outright:
        return size * at if costs[2] else abs(size) * at
    if costs.margin != 0.0:
        return abs(size) * costs.margin
    value = size * at if costs[2] else abs(size) * at
    return value / costs.leverage if value > 0.0 else value


@inlinable
def settlement(size: float, before: float, at: float, costs: Costs) -> float:
    """Return what `size` units of a future bring when they are settled at `at`, last settled at `before`."""
    return size * (at - before) * costs.mult


@inlinable
def cash_after_check(
    cash: float, size: float, price: float, order: float, at: float, costs: Costs, deal: Deal
) -> float:
    """Return the cash that would be left if `order` were filled at `at`, the close of its own bar.

    The check at submission: what is closed is valued at that same price, without a profit.
    """
    _, _, opened, closed = moved(size, price, order, at)
    if closed != 0.0:
        cash += worth(-closed, at, costs)
        cash -= paid(closed, 0.0, at, costs, deal)
    if opened != 0.0:
        cash -= worth(opened, at, costs)
        cash -= paid(opened, closed, at, costs, deal)
    return cash


@inlinable
def executed(
    cash: float, size: float, price: float, base: float, order: float, at: float, costs: Costs, deal: Deal
) -> tuple[float, float, float, float, float, float, float, float, bool]:
    """Fill an order at price `at`; `base` is the price that a future was settled at last.

    Returns
    -------
    cash, size, price, base : float
        Account and position afterwards.
    closed, opened : float
        Units that reduced, and that opened or increased, the position.
    closed_fee, opened_fee : float
        Commission of either part.
    refused : bool
        Whether the part that opens was dropped for want of cash. The part that closes is filled
        all the same.
    """
    _, _, opened, closed = moved(size, price, order, at)
    closed_fee = 0.0
    opened_fee = 0.0
    refused = False
    if closed != 0.0:
        # a future has been paid its profit at each close
        profit = -closed * (at - price) if costs.margin == 0.0 else 0.0
        cash += worth(-closed, price, costs) + profit
        closed_fee = paid(closed, 0.0, at, costs, deal)
        cash -= closed_fee
        if costs.margin != 0.0:
            cash += settlement(-closed, base, at, costs)
        # Backtrader adds interest of nothing, which makes a fee of -0.0 (at a price below zero) 0.0
        closed_fee += 0.0
    if opened != 0.0:
        left = cash - worth(opened, at, costs)
        opened_fee = paid(opened, closed, at, costs, deal)
        left -= opened_fee
        if left < 0.0:
            refused = True
            opened = 0.0
            opened_fee = 0.0
        else:
            cash = left
            if costs.margin != 0.0:
                whole = size + order
                if abs(whole) > abs(opened):
                    cash += settlement(whole - opened, base, at, costs)
                base = at
    filled = closed + opened
    if filled != 0.0:
        size, price, _, _ = moved(size, price, filled, at)
    return cash, size, price, base, closed, opened, closed_fee, opened_fee, refused


@inlinable
def slipped(order: float, at: float, end: float, is_limit: bool, slippage: Slippage) -> float:
    """Return the price that an order slips to from `at`, or NaN if it leaves the bar.

    `BackBroker._slip_up` and `_slip_down`: `end` is the worst price there is, and `is_limit` whether
    slip_limit caps at it what slip_match does not.
    """
    fraction, money, _, slip_match, slip_out, slip_limit, _ = slippage
    if fraction != 0.0:
        to = at * (1.0 + fraction) if order > 0.0 else at * (1.0 - fraction)
    elif money != 0.0:
        to = at + money if order > 0.0 else at - money
    else:
        return at
    if (to <= end) if order > 0.0 else (to >= end):
        return to
    if slip_match or (is_limit and slip_limit):
        return to if slip_out else end
    return math.nan


@inlinable
def slippage_on(
    order: float, bar: Prices, volume: float, slippage: Slippage, charges: FloatArray
) -> Slippage:
    """Return the slippage of an order on a bar, what its charges say of the price added to the money.

    The money is NaN where the order cannot trade on the bar.
    """
    if len(charges) == 0:
        return slippage
    fraction, money, slip_open, slip_match, slip_out, slip_limit, corrected = slippage
    bar_open, high, low, _ = bar
    money += price_distance(order, bar_open, high, low, volume, charges)
    return fraction, money, slip_open, slip_match, slip_out, slip_limit, corrected


@inlinable
def adds_liquidity(
    order: float, stop: float, limit: float, has_stop: bool, triggered: bool, bar: Prices
) -> bool:
    """Return whether a limit order that fills on a bar lay in the book when the price came to it.

    Not so if the bar opens at or beyond its limit; nor if a stop before it, which is not `triggered` yet, is
    hit within the bar, and the limit is at or beyond that.
    """
    bar_open = bar[0]
    buys = order > 0.0
    if has_stop and not triggered and not ((bar_open >= stop) if buys else (bar_open <= stop)):
        return limit < stop if buys else limit > stop
    return limit < bar_open if buys else limit > bar_open


@inlinable
def fill_price(order: float, at: float, high: float, low: float, slippage: Slippage) -> float:
    """Return the price of a market order that would fill at `at`; NaN if slippage leaves the bar."""
    if not slippage[2]:
        return at
    return slipped(order, at, high if order > 0.0 else low, False, slippage)


@inlinable
def limit_price(order: float, limit: float, bar: Prices, slippage: Slippage) -> float:
    """Return the price at which a limit order fills on a bar, or NaN: `BackBroker._try_exec_limit`.

    A sell order that fills at the open slips down to its limit, not to the bar's low: it can fill below
    that, unless it is corrected.
    """
    bar_open, high, low, _ = bar
    if order > 0.0:
        if limit >= bar_open:
            end = min(high, limit)
            return slipped(order, bar_open, end, True, slippage) if slippage[2] else bar_open
        return limit if limit >= low else math.nan
    if limit <= bar_open:
        end = max(low, limit) if slippage[6] else limit
        return slipped(order, bar_open, end, True, slippage) if slippage[2] else bar_open
    return limit if limit <= high else math.nan


@inlinable
def stop_price(order: float, stop: float, bar: Prices, slippage: Slippage) -> float:
    """Return the price at which a stop order fills on a bar, or NaN: `BackBroker._try_exec_stop`.

    What slippage takes out of the bar is tried anew on the next one, from its own prices.
    """
    bar_open, high, low, _ = bar
    end = high if order > 0.0 else low
    if (bar_open >= stop) if order > 0.0 else (bar_open <= stop):
        return slipped(order, bar_open, end, False, slippage) if slippage[2] else bar_open
    if (high >= stop) if order > 0.0 else (low <= stop):
        return slipped(order, stop, end, False, slippage)
    return math.nan


@inlinable
def stop_limit_price(
    order: float, stop: float, limit: float, bar: Prices, slippage: Slippage
) -> tuple[bool, float]:
    """Return whether a stop-limit order is triggered by a bar, and the price it fills at on it, or NaN.

    `BackBroker._try_exec_stoplimit`: behind the trigger the limit is tried where the bar's open and close
    tell the way that the price went.
    """
    bar_open, high, low, close = bar
    buys = order > 0.0
    if (bar_open >= stop) if buys else (bar_open <= stop):
        return True, limit_price(order, limit, bar, slippage)
    if not ((high >= stop) if buys else (low <= stop)):
        return False, math.nan
    if (limit >= stop) if buys else (limit <= stop):
        end = high if buys else low
        if slippage[6]:
            end = min(high, limit) if buys else max(low, limit)
        return True, slipped(order, stop, end, True, slippage)
    turned = bar_open > close if buys else bar_open <= close
    reached = limit >= close if buys else limit <= close
    return True, limit if turned and reached else math.nan


@inlinable
def held_value(size: float, price: float, close: float, costs: Costs) -> float:
    """Return a position's worth as `getvalue` of its data; of a short negative, if it raised cash.

    Of a future it is the margin, of a short one too.
    """
    if costs.margin != 0.0:
        return abs(size) * costs.margin
    return stock_value(size, price, close, costs)


@inlinable
def stock_value(size: float, price: float, close: float, costs: Costs) -> float:
    """Return what `held_value` is of a stock."""
    if costs[2] or size >= 0.0:
        return size * close
    value = price * size
    value += (price - close) * size
    return value


@inlinable
def account_value(cash: float, size: float, price: float, close: float, costs: Costs) -> float:
    """Return cash and position at the bar's close, summed as Backtrader sums them."""
    if costs.is_outright:
        return outright_value(cash, size, price, close, costs)
    value = held_value(size, price, close, costs)
    value = value if costs[2] else abs(value)
    profit = size * (close - price) * costs.mult
    return cash + ((value - profit) / costs.leverage + profit if value > 0.0 else value)


@inlinable
def outright_value(cash: float, size: float, price: float, close: float, costs: Costs) -> float:
    """Return what `account_value` is where units are paid in full."""
    value = stock_value(size, price, close, costs)
    if not costs[2]:
        value = abs(value)
    if value > 0.0:
        profit = size * (close - price)
        value = value - profit + profit
    return cash + value


@inlinable
def whole_units(price: float, money: float) -> float:
    """Return how many whole units `money` buys: Python's ``int(money // price)`` for positive numbers."""
    rest = np.fmod(money, price)
    quotient = (money - rest) / price
    whole: float = np.floor(quotient)
    return whole + 1.0 if quotient - whole > 0.5 else whole


@inlinable
def affordable(price: float, money: float, costs: Costs) -> float:
    """Return how many whole units `money` pays for: `getsize` of Backtrader's commission scheme."""
    if costs.is_outright:
        return whole_units(price, money)
    if costs.margin != 0.0:
        return whole_units(costs.margin, money)
    return float(np.floor(costs.leverage * whole_units(price, money)))


@inlinable
def part_of(order: float, rest: float, volume: float, span: float, parts: Parts, corrected: bool) -> float:
    """Return the signed units that a bar fills of the `rest` of an order: `backtrader.fillers`.

    Its volume is that of the bar, `span` its high less its low.
    """
    if not volume > 0.0:
        return 0.0
    if parts.kind == FIXED_SIZE:
        most = min(volume, parts.amount)
    elif parts.kind == FIXED_BAR_PERC:
        most = whole_units(100.0, volume * parts.amount)
    else:
        shares = whole_units(parts.minmov, span + parts.minmov) if parts.minmov != 0.0 else 1.0
        most = whole_units(100.0, volume / shares * parts.amount)
    units = min(most, abs(rest))
    # rounding may leave a rest of the other side, to which Backtrader adds
    side = rest if corrected else order
    return units if side > 0.0 else -units


@inlinable
def order_size(
    code: int, amount: float, size: float, price: float, value: float, close: float, costs: Costs
) -> float:
    """Return the signed size of the order that an intent makes; 0.0 for none.

    `buy`, `sell`, `close`, `order_target_size` and `order_target_percent` of a Backtrader strategy
    on this bar; `value` is the account's at its close. Orders that wait are not counted.
    """
    if code == BUY:
        return abs(amount)
    if code == SELL:
        return -abs(amount)
    if code == CLOSE:
        return -size
    if code == TARGET:
        return amount - size
    wanted = amount * value
    if wanted == 0.0 and size != 0.0:
        return -size
    held = held_value(size, price, close, costs)
    if costs.signed and costs.margin != 0.0 and size < 0.0:
        held = -held
    if wanted > held:
        return affordable(close, wanted - held, costs)
    if wanted < held:
        return -affordable(close, held - wanted, costs)
    return 0.0
