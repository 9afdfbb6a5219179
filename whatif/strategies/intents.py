"""What a step function sees of its account, and what it may ask the broker for.

An intent is a pair (code, amount), so that the same step function runs in Python and in a
compiled loop; an `Order` has room for more. Nothing is remembered between bars.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np

from whatif.domain import inlinable
from whatif.typing import FloatArray

Intent: TypeAlias = tuple[int, float]
"""Code and amount."""

NO_PRICE = math.nan


class Order(NamedTuple):
    """An intent with room for what an order may say beside its size; what is empty says nothing.

    Attributes
    ----------
    code, amount : int, float
        As in an `Intent`: the side, or the position aimed at, and how much.
    price : float
        Money a unit at which the order begins to act or limits itself; NaN for the market.
    second : float
        A second price: the limit behind a trigger, or the distance that a trigger trails at; NaN for none.
    valid : int
        Bars that the order lives; 0 until it is filled or cancelled.
    group : int
        Number that ties orders together, such as a bracket's, or those of which one fill cancels the
        others; 0 for none.
    """

    code: int
    amount: float
    price: float = NO_PRICE
    second: float = NO_PRICE
    valid: int = 0
    group: int = 0


Answer: TypeAlias = Intent | Order
"""What a step returns."""

ORDER_FIELDS = Order._fields[2:]
"""Fields of an order beyond code and amount; an engine says which of them it acts on."""

HOLD, TARGET, BUY, SELL, CLOSE, TARGET_PERCENT = range(6)


@inlinable
def hold() -> Intent:
    """Leave everything as it is."""
    return (HOLD, 0.0)


@inlinable
def target(size: float) -> Intent:
    """Ask for the position to become `size` (signed): Backtrader's `order_target_size`."""
    return (TARGET, float(size))


@inlinable
def buy(size: float) -> Intent:
    """Buy `size` units (not negative) at the market."""
    return (BUY, float(size))


@inlinable
def sell(size: float) -> Intent:
    """Sell `size` units (not negative) at the market."""
    return (SELL, float(size))


@inlinable
def close() -> Intent:
    """Leave the position: Backtrader's `close`."""
    return (CLOSE, 0.0)


@inlinable
def target_percent(fraction: float) -> Intent:
    """Ask for a position worth `fraction` of the account: Backtrader's `order_target_percent`."""
    return (TARGET_PERCENT, float(fraction))


@inlinable
def fields_filled(order: Order) -> int:
    """Return which of `ORDER_FIELDS` an order fills, the first as bit 0; 0 if it says what a pair does."""
    _, _, price, second, valid, group = order
    prices = (1 if price == price else 0) + (2 if second == second else 0)
    return prices + (4 if valid != 0 else 0) + (8 if group != 0 else 0)


STATE_FIELDS = (
    "size", "entry_price", "bars_held", "cash", "value", "pending", "minute", "minutes_to_close", "scratch",
)  # fmt: skip
"""Names of a `State`'s values, in the order in which machine code holds them."""


class State:
    """Position and account at a bar's close; the engine writes it, the step reads it.

    Attributes
    ----------
    size : float
        Units held, negative when short.
    entry_price : float
        Average price of the position; 0.0 when flat.
    bars_held : int
        Bars since the one on which the position was opened; 0 on that bar and when flat.
    cash : float
        Cash of the account.
    value : float
        Cash and positions at this bar's close.
    pending : int
        Orders in this symbol that the broker still holds.
    minute : int
        Whole minutes from the session's regular open to the bar's start; negative before it.
    minutes_to_close : int
        Whole minutes from the bar's start to the session's regular close.
    scratch : float64 array
        Values of the step's own, zeros at the start of the window.
    """

    __slots__ = STATE_FIELDS

    def __init__(self, cash: float, scratch: int) -> None:
        self.size: float = 0.0
        self.entry_price: float = 0.0
        self.bars_held: int = 0
        self.cash: float = cash
        self.value: float = cash
        self.pending: int = 0
        self.minute: int = 0
        self.minutes_to_close: int = 0
        self.scratch: FloatArray = np.zeros(scratch)
