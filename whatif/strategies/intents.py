"""What a step function sees of its account, and what it may ask the broker for.

An intent is a pair (code, amount), so that the same step function runs in Python and in a
compiled loop; an `Order` says more, and a tuple of orders says several things at once. Nothing is
remembered between bars.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np

from whatif.domain import inlinable
from whatif.errors import nearest
from whatif.typing import FloatArray, IntArray

Intent: TypeAlias = tuple[int, float]
"""Code and amount."""

NO_PRICE = math.nan

SESSION = -1
"""As `valid` of an order: it lives until the session of the bar that it was made on ends."""


class Order(NamedTuple):
    """An intent with what an order may say beside its size; what is empty says nothing.

    Prices are money a unit, and NaN where there is none. Only a `buy`, a `sell` and a `bracket` may
    fill fields.

    Attributes
    ----------
    code, amount : int, float
        As in an `Intent`: the side, or the position aimed at, and how much.
    limit : float
        The worst price to fill at; of a bracket, of its entry.
    stop : float
        The price that has to be reached first; of a bracket, its stop loss. With a trail: the price that
        trailing starts from, the bar's close if there is none.
    trail, trail_percent : float
        How far the stop follows the bars' closes: in money, or as a fraction of the close.
    target : float
        Price at which a bracket takes its profit.
    valid : int
        Bars that the order lives; 0 until it is filled or cancelled, `SESSION` until its session ends.
    at_close : int
        1 if it is to fill at the session's last close, else 0.
    """

    code: int
    amount: float
    limit: float = NO_PRICE
    stop: float = NO_PRICE
    trail: float = NO_PRICE
    trail_percent: float = NO_PRICE
    target: float = NO_PRICE
    valid: int = 0
    at_close: int = 0


Answer: TypeAlias = Intent | Order | tuple[Any, ...]
"""What a step returns: one intent or order, or a tuple of them, of which each may be such a tuple again."""

ORDER_FIELDS = Order._fields[2:]
"""Fields of an order beyond code and amount; an engine says which of them it acts on."""

HOLD, TARGET, BUY, SELL, CLOSE, TARGET_PERCENT, CANCEL, BRACKET, OCO, WEIGHTS, SIZES, EACH = range(12)

MAX_ANSWERED = 32
"""Orders that a step may answer with on one bar, the marks of `oco` among them."""


@inlinable
def hold() -> Intent:
    """Leave everything as it is."""
    return (HOLD, 0.0)


@inlinable
def target(size: float) -> Intent:
    """Ask for the position to become `size` (signed): Backtrader's `order_target_size`."""
    return (TARGET, float(size))


def buy(
    size: float,
    *,
    limit: float = NO_PRICE,
    stop: float = NO_PRICE,
    trail: float = NO_PRICE,
    trail_percent: float = NO_PRICE,
    valid: int = 0,
    at_close: bool = False,
) -> Intent | Order:
    """Buy `size` units (not negative), at the market unless a price is given.

    Parameters
    ----------
    size : float
        Units.
    limit : float
        The most that is paid for a unit. Backtrader's limit order; with `stop` its stop-limit order.
    stop : float
        The order waits until the price is this high: a stop order.
    trail, trail_percent : float
        The stop follows the closes down, this much above the lowest: money, or a fraction of the close.
        `stop` is then the price to start from in place of the bar's close, and `limit` is held as far from
        the stop as it is from that price.
    valid : int
        Bars that the order is tried on; 0 until it is cancelled, `SESSION` until the session ends.
    at_close : bool
        Fill at the last close of the session, or of the next one if this bar is the last.

    Returns
    -------
    tuple
        A pair of code and amount if only the size is given, else an `Order`.
    """
    return _order(BUY, size, limit, stop, trail, trail_percent, valid, at_close)


def sell(
    size: float,
    *,
    limit: float = NO_PRICE,
    stop: float = NO_PRICE,
    trail: float = NO_PRICE,
    trail_percent: float = NO_PRICE,
    valid: int = 0,
    at_close: bool = False,
) -> Intent | Order:
    """Sell `size` units (not negative), at the market unless a price is given: `buy` the other way round."""
    return _order(SELL, size, limit, stop, trail, trail_percent, valid, at_close)


def _order(
    code: int,
    size: float,
    limit: float,
    stop: float,
    trail: float,
    trail_percent: float,
    valid: int,
    at_close: bool,
) -> Intent | Order:
    made = Order(code, float(size), limit, stop, trail, trail_percent, NO_PRICE, valid, int(at_close))
    return made if fields_filled(made) else (code, made.amount)


def bracket(
    size: float,
    stop: float = NO_PRICE,
    target: float = NO_PRICE,
    limit: float = NO_PRICE,
    valid: int = 0,
) -> Order:
    """Open a position together with the orders that leave it: the first of them to fill cancels the other.

    Parameters
    ----------
    size : float
        Units, signed: a bracket of a short position is negative.
    stop, target : float
        Prices at which the position is left at a loss, by a stop order, and at a profit, by a limit order;
        NaN for neither. They act from the bar after the one that the entry fills on.
    limit : float
        The worst price to enter at; at the market if there is none.
    valid : int
        Bars that the entry is tried on, as in `buy`; when it ends unfilled, so do the others.
    """
    return Order(BRACKET, float(size), limit, stop, NO_PRICE, NO_PRICE, target, valid, 0)


def oco(*orders: Answer) -> tuple[Any, ...]:
    """Tie orders together: when one of them fills, in part even, or ends, the others are cancelled."""
    return (Order(OCO, float(len(orders))), *orders)


WAITING_FOR_PRICE = 1.0
"""As the amount of a cancellation: market orders that wait are left alone."""


def cancel() -> Order:
    """Cancel all orders in this symbol that the broker holds from earlier bars."""
    return Order(CANCEL, 0.0)


@inlinable
def close() -> Intent:
    """Leave the position: Backtrader's `close`."""
    return (CLOSE, 0.0)


@inlinable
def target_percent(fraction: float) -> Intent:
    """Ask for a position worth `fraction` of the account: Backtrader's `order_target_percent`."""
    return (TARGET_PERCENT, float(fraction))


@inlinable
def weights(values: Any) -> tuple[int, Any]:
    """Ask for a share of the account in each symbol: of a cross-sectional step.

    Parameters
    ----------
    values : float64 array (k,), or list or tuple of k floats
        Fractions of the account's value, in the order of the symbols, negative for short; NaN leaves a
        symbol alone. Each symbol that has a bar now gets Backtrader's `order_target_percent`.
    """
    return (WEIGHTS, values)


@inlinable
def sizes(values: Any) -> tuple[int, Any]:
    """Ask for a position in each symbol: of a cross-sectional step.

    Parameters
    ----------
    values : float64 array (k,), or list or tuple of k floats
        Signed units, in the order of the symbols; NaN leaves a symbol alone. Each symbol that has a bar now
        gets Backtrader's `order_target_size`.
    """
    return (SIZES, values)


def orders(answers: Any) -> tuple[int, Any]:
    """Ask for orders in each symbol: of a cross-sectional step.

    Parameters
    ----------
    answers : sequence of k answers
        What a step by symbol would answer, in the order of the symbols: an intent, an order, or a tuple of
        them; `hold` leaves a symbol alone. They are done for each symbol that has a bar now.
    """
    return (EACH, answers)


ORDER_MAKERS = (Order, bracket, oco, cancel, orders)
"""What a step reads that may answer with an `Order`; `buy` and `sell` make one of `ORDER_KEYWORDS`."""

ORDER_KEYWORDS = frozenset(ORDER_FIELDS) - {"target"}


@inlinable
def fields_filled(order: Order) -> int:
    """Return which of `ORDER_FIELDS` an order fills, the first as bit 0; 0 if it says what a pair does."""
    _, _, limit, stop, trail, trail_percent, target, valid, at_close = order
    prices = (1 if limit == limit else 0) + (2 if stop == stop else 0) + (4 if trail == trail else 0)
    prices += (8 if trail_percent == trail_percent else 0) + (16 if target == target else 0)
    return prices + (32 if valid != 0 else 0) + (64 if at_close != 0 else 0)


def flattened(answer: Answer) -> list[Order]:
    """Return the orders of a step's answer one after the other, intents as orders.

    Whatever is no intent or order in it comes out as one with no number for a code.
    """
    if isinstance(answer, Order):
        return [answer]
    if not isinstance(answer, tuple) or not answer:
        return [Order(answer, NO_PRICE)]  # type: ignore[arg-type]  # which is what is said of it
    if any(isinstance(one, tuple) for one in answer):
        return [order for one in answer for order in flattened(one)]
    code, *rest = answer
    return [Order(code, rest[0] if len(rest) == 1 else NO_PRICE)]


def several(answer: Answer) -> list[Order] | None:
    """Return the orders of a step's answer, or None if it is to be read as a pair of code and amount."""
    if isinstance(answer, Order) or (isinstance(answer, tuple) and any(isinstance(a, tuple) for a in answer)):
        return flattened(answer)
    return None


STATE_FIELDS = (
    "size", "entry_price", "bars_held", "cash", "value", "pending", "minute", "minutes_to_close", "scratch",
)  # fmt: skip
"""Names of a `State`'s values, in the order in which machine code holds them."""

ORDER_NOTES = ("order_kind", "order_size", "order_price", "order_age")
"""Names of what a `State` says of the orders that wait."""

NOTES = (
    "last_fill_price", "last_fill_size", "bars_since_fill", "best_price", "worst_price", "realised",
    *ORDER_NOTES,
)  # fmt: skip
"""Names of what a `State` says beyond `STATE_FIELDS`: it is kept for a step that reads it."""

MARKET, AT_CLOSE, LIMIT, STOP, STOP_LIMIT, TRAIL, TRAIL_LIMIT = range(7)
"""Kinds of orders that wait, as `State.order_kind` says them: Backtrader's, by its numbers."""


ACROSS_FIELDS = (
    "size", "entry_price", "bars_held", "pending", "cash", "value", "session", "bar_of_session", "scratch",
    "answer",
)  # fmt: skip
"""Names of an `AcrossState`'s values, in the order in which machine code holds them."""


class AcrossState:
    """Positions and account on a timestamp, as a cross-sectional step reads them; of k symbols.

    Attributes
    ----------
    size, entry_price : float64 arrays (k,)
        Units held, negative when short, and their average price; 0.0 when flat.
    bars_held, pending : int64 arrays (k,)
        Bars of the symbol since the one on which its position was opened, and its orders that the broker
        still holds.
    cash, value : float
        Cash of the account, and cash and positions at the last closes.
    session, bar_of_session : int
        Sessions that have begun in the window before the present one, and timestamps since that began.
    scratch : float64 array (k * scratch,)
        Values of the step's own, zeros at the start of the window: as many as it declares for each symbol.
    answer : float64 array (k,)
        Room for an answer, NaN for each symbol whenever the step is called.
    """

    __slots__ = ACROSS_FIELDS

    def __getattr__(self, name: str) -> NoReturn:
        """Say what else there is to do for what a step by symbol sees."""
        if name in NOTES:
            raise AttributeError(
                f"s.{name} is seen by steps that are called symbol by symbol; a cross-sectional step keeps "
                "what it needs of it in s.scratch"
            )
        raise AttributeError(name)

    size: FloatArray
    entry_price: FloatArray
    bars_held: IntArray
    pending: IntArray
    cash: float
    value: float
    session: int
    bar_of_session: int
    scratch: FloatArray
    answer: FloatArray


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
    last_fill_price, last_fill_size : float
        Price and signed units of the last fill in this symbol, whoever asked for it; NaN and 0.0 before the
        first.
    bars_since_fill : float
        Bars since the one that it is on, 0.0 there; infinite before the first.
    best_price, worst_price : float
        Of the bars from the one on which the position was opened, up to this one: the highest high and the
        lowest low of a long position, the other way round of a short one. NaN when flat.
    realised : float
        What the fills in this symbol have brought so far: the profit of what was closed, less commission,
        also that of what is open. It is the sum of `pnlcomm` over Backtrader's trades.
    order_kind, order_size, order_price, order_age : float64 arrays (pending,)
        Of each order that waits, in the order in which they came: its kind (`MARKET`, `AT_CLOSE`, `LIMIT`,
        `STOP`, `STOP_LIMIT`, `TRAIL`, `TRAIL_LIMIT`); signed units that are not filled yet; the price that it
        acts at, of a trail where that is now, of a stop-limit order its limit once it is triggered, NaN at
        the market and at the close, and of a stop that was reached and is an order at the market now; and
        bars since the one that it was made on.
    """

    __slots__ = (*STATE_FIELDS, "_note")

    def __init__(self, cash: float, scratch: int, note: Callable[[str], Any]) -> None:
        """Begin flat.

        Parameters
        ----------
        cash : float
            Of the account.
        scratch : int
            Values of the step's own.
        note : callable
            Returns the present value of one of `NOTES`.
        """
        self._note = note
        self.size: float = 0.0
        self.entry_price: float = 0.0
        self.bars_held: int = 0
        self.cash: float = cash
        self.value: float = cash
        self.pending: int = 0
        self.minute: int = 0
        self.minutes_to_close: int = 0
        self.scratch: FloatArray = np.zeros(scratch)

    def __getattr__(self, name: str) -> Any:
        """Return one of `NOTES`, which are found when they are asked for."""
        if name in NOTES:
            return self._note(name)
        raise AttributeError(f"a step's state has no {name!r}; {nearest(name, (*STATE_FIELDS, *NOTES))}")
