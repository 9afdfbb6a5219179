"""Working orders of one run: those that wait for a price, how they are made, and what a bar does with them.

Backtrader's queue of pending orders, with brackets, groups of which one cancels the others, validity and
trailing. An order is a row of numbers, see `WORKING`; nothing here depends on a strategy.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from whatif.domain import (
    BAR_SPAN,
    BAR_VOLUME,
    DUE,
    LAST_SPAN,
    LAST_VOLUME,
    TRADED,
    inlinable_lean,
)
from whatif.engines.compiled.book import (
    BAD_ORDER,
    BAD_SIZE,
    GROUPS_MADE,
    MANY_ORDERS,
    MANY_WAITING,
    ORDERS_MADE,
    TOLD,
    Account,
    Book,
    Broker,
    OrderCount,
    charged,
    execute,
)
from whatif.engines.compiled.broker import (
    Deal,
    Prices,
    Slippage,
    adds_liquidity,
    cash_after_check,
    fill_price,
    limit_price,
    order_size,
    part_of,
    slippage_on,
    stop_limit_price,
    stop_price,
)
from whatif.engines.compiled.notes import show_order
from whatif.engines.language.order_answers import WIDTH, order_at
from whatif.engines.orders import (
    DESK_ROOM,
    EXITS,
    EXITS_ONLY,
    EXITS_WAITING,
    FINE,
    LARGEST_SIZE,
    MARKET_WAITING,
    MAX_EXITS,
    PRICED,
    order_fault,
    tie_fault,
)
from whatif.strategies import (
    AT_CLOSE,
    BRACKET,
    CANCEL,
    HOLD,
    LIMIT,
    MARKET,
    MAX_ANSWERED,
    OCO,
    SESSION,
    STOP,
    STOP_LIMIT,
    Order,
)
from whatif.strategies import TRAIL as STOP_TRAIL
from whatif.strategies import TRAIL_LIMIT as STOP_TRAIL_LIMIT
from whatif.typing import FloatArray, IntArray

WORKING = 21
KIND, SIZE, REST, PRICE, LIMIT_PRICE, TRAIL, TRAIL_PERCENT, OFFSET = range(8)
CLOSE, MADE, LAST, NOTED, TRIGGERED, STATE, GROUP, FAMILY, IS_CHILD, IS_EXIT, NUMBER = range(8, 19)
ROW, SYMBOL = 19, 20
"""Numbers of a working order: what kind it is; signed size, and what of it is not filled; price that it
acts at, the limit behind that, and how both trail; close and row that it was made on; the last row that it is
tried on; the close that was noted for an order at the close; whether a stop-limit order is triggered; its
state; the number of the group of which one cancels the others, and of its bracket, 0 for none; whether it
leaves the position that the bracket's first order opens; whether it is one of the overlays'; how many orders
were made before it; the row of the window that it was made on, which `MADE` is of the symbol's own bars; and
the symbol's place."""

TOLD_KIND, TOLD_SIZE, TOLD_PRICE, TOLD_LIMIT, TOLD_MADE, TOLD_ENDED, TOLD_SYMBOL = range(TOLD)
"""Numbers of an order that is told: what `whatif.domain.Orders` has of it."""

ENDED, SUBMITTED, INACTIVE, WAKING, ACTIVE = range(5)
"""States: no longer there; cash not checked yet; waits for its bracket's first order to fill; becomes active
on the next bar; is tried on each bar."""

ROWS_AT_ONCE = 32
"""Rows that are looked at together for the prices of orders: a loop that the compiler makes vectors of."""

ROOM_FOR_ANSWERS = 3 * MAX_ANSWERED + 2 * MAX_EXITS
"""Working orders that the answer of one bar may make, the overlays' among them."""


def order_room(max_orders: int) -> dict[str, Any]:
    """Return the parts of a `Book` for so many orders that wait, and for what a step answers on one bar."""
    return {
        "working": np.empty((max_orders + ROOM_FOR_ANSWERS, WORKING)),
        "desk": np.empty(DESK_ROOM * WIDTH),
        "serial": np.zeros(2, dtype=np.int64),
    }


class Placed(NamedTuple):
    """What came of a step's answer.

    Attributes
    ----------
    failed : int
        0, or why the run ends here.
    at : int
        Place on the desk of the order that is refused.
    amount : float
        What is said of it: the rule that it breaks, or its size.
    waiting : int
        Orders that wait then.
    """

    failed: int
    at: int
    amount: float
    waiting: int


@inlinable_lean
def last_row(valid: int, made: int, session_ends: IntArray) -> float:
    """Return the last row on which an order of that validity is tried; infinite if there is none."""
    if valid == SESSION:
        return float(session_ends[made] - 1)
    return float(made + valid) if valid > 0 else math.inf


@inlinable_lean
def place_order(
    book: Book,
    at: int,
    kind: int,
    size: float,
    price: float,
    made: int,
    close: float,
    last: float,
    state: int,
) -> None:
    """Write a working order without trail, group or bracket to place `at`."""
    row = book.working[at]
    row[KIND], row[SIZE], row[REST], row[PRICE], row[LIMIT_PRICE] = kind, size, size, price, price
    row[TRAIL], row[TRAIL_PERCENT], row[OFFSET] = 0.0, 0.0, 0.0
    row[CLOSE], row[MADE], row[LAST], row[NOTED] = close, made, last, 0.0
    row[TRIGGERED], row[STATE], row[GROUP], row[FAMILY] = 0.0, state, 0.0, 0.0
    row[IS_CHILD], row[IS_EXIT], row[NUMBER] = 0.0, 0.0, book.serial[ORDERS_MADE]
    book.serial[ORDERS_MADE] += 1


@inlinable_lean
def trail_after(row: FloatArray, price: float) -> None:
    """Move a trailing order's stop behind a price, if it comes closer: `Order.trailadjust`."""
    distance = row[TRAIL] if row[TRAIL] != 0.0 else price * row[TRAIL_PERCENT]
    buys = row[SIZE] > 0.0
    to = price + distance if buys else price - distance
    if (to < row[PRICE]) if buys else (to > row[PRICE]):
        row[PRICE] = to
        if row[KIND] == STOP_TRAIL_LIMIT:
            row[LIMIT_PRICE] = to - row[OFFSET]


@inlinable_lean
def place_single(
    book: Book, at: int, order: Order, size: float, made: int, close: float, last: float, state: int
) -> None:
    """Write the working order that a `buy` or `sell` of `size` (signed) makes to place `at`."""
    _, _, limit, stop, trail, trail_percent, _, _, at_close = order
    has_limit, has_stop = limit == limit, stop == stop
    trails = trail == trail or trail_percent == trail_percent
    row = book.working[at]
    if trails:
        begin = stop if has_stop else close
        kind = STOP_TRAIL_LIMIT if has_limit else STOP_TRAIL
        place_order(book, at, kind, size, math.inf if size > 0.0 else -math.inf, made, close, last, state)
        row[TRAIL] = trail if trail == trail else 0.0
        row[TRAIL_PERCENT] = trail_percent if trail_percent == trail_percent else 0.0
        row[OFFSET] = begin - limit if has_limit else 0.0
        trail_after(row, begin)
    elif has_stop:
        place_order(book, at, STOP_LIMIT if has_limit else STOP, size, stop, made, close, last, state)
        if has_limit:
            row[LIMIT_PRICE] = limit
    elif has_limit:
        place_order(book, at, LIMIT, size, limit, made, close, last, state)
    else:
        place_order(book, at, AT_CLOSE if at_close != 0 else MARKET, size, close, made, close, last, state)


@inlinable_lean
def place_bracket(book: Book, at: int, order: Order, made: int, close: float, last: float, state: int) -> int:
    """Write a bracket's orders from place `at` on; return how many."""
    _, size, limit, stop, _, _, target, _, _ = order
    has_limit = limit == limit
    waits = SUBMITTED if state == SUBMITTED else INACTIVE
    kind, price = (LIMIT, limit) if has_limit else (MARKET, close)
    place_order(book, at, kind, size, price, made, close, last, state)
    count = 1
    if stop == stop:
        place_order(book, at + count, STOP, -size, stop, made, close, math.inf, waits)
        count += 1
    if target == target:
        place_order(book, at + count, LIMIT, -size, target, made, close, math.inf, waits)
        count += 1
    book.serial[GROUPS_MADE] += 1
    for k in range(at, at + count):
        book.working[k, FAMILY] = book.serial[GROUPS_MADE]
        book.working[k, IS_CHILD] = 0.0 if k == at else 1.0
    return count


@inlinable_lean
def end_group(working: FloatArray, waiting: int, at: int, corrected: bool) -> None:
    """Cancel the orders of a group of which one has been filled or has ended: `BackBroker._ococheck`.

    Those whose cash is not checked yet escape it, and brackets are left as they are, unless it is corrected.
    """
    group = working[at, GROUP]
    if group == 0.0:
        return
    for k in range(waiting):
        if working[k, GROUP] == group:
            working[k, GROUP] = 0.0
            if k != at and (corrected or working[k, STATE] != SUBMITTED):
                working[k, STATE] = ENDED
                if corrected:
                    end_family(working, waiting, k)


@inlinable_lean
def end_family(working: FloatArray, waiting: int, at: int) -> None:
    """End all orders of a bracket of which one is cancelled, or fills: `BackBroker._bracketize`."""
    family = working[at, FAMILY]
    if family == 0.0:
        return
    for k in range(waiting):
        if working[k, FAMILY] == family:
            working[k, STATE] = ENDED


@inlinable_lean
def end_order(working: FloatArray, waiting: int, at: int, corrected: bool) -> None:
    """End an order that is cancelled, expired or refused, its group, its bracket, and that one's group."""
    working[at, STATE] = ENDED
    end_group(working, waiting, at, corrected)
    end_family(working, waiting, at)
    for k in range(waiting):
        # an exit that is refused takes its entry along, and so what is tied to that
        if working[k, FAMILY] == working[at, FAMILY] and working[k, FAMILY] != 0.0:
            end_group(working, waiting, k, corrected)


@inlinable_lean
def tell_order(told: FloatArray, row: FloatArray, ended: int) -> None:
    """Write an order to those that are told, if there is room; it ended on that row of the window."""
    place = int(row[NUMBER])
    if place >= len(told):
        return
    kind, price, limit = int(row[KIND]), row[PRICE], math.nan
    if kind in (MARKET, AT_CLOSE):
        price = math.nan
    elif kind in (STOP_LIMIT, STOP_TRAIL_LIMIT):
        limit = row[LIMIT_PRICE]
    told[place, TOLD_KIND], told[place, TOLD_SIZE] = kind, row[SIZE]
    told[place, TOLD_PRICE], told[place, TOLD_LIMIT] = price, limit
    told[place, TOLD_MADE], told[place, TOLD_ENDED], told[place, TOLD_SYMBOL] = row[ROW], ended, row[SYMBOL]


@inlinable_lean
def tell_waiting(book: Book, waiting: int, rows: int) -> None:
    """Write the orders that wait when a window of so many rows ends to those that are told, if any are."""
    if len(book.told) > 0:
        for k in range(waiting):
            tell_order(book.told, book.working[k], rows)


@inlinable_lean
def left_over(book: Book, waiting: int, ended: int) -> int:
    """Move the orders that have not ended to the front, in order; return how many they are.

    What has ended is told to have done so on row `ended` of the window, if orders are told.
    """
    working, kept = book.working, 0
    for k in range(waiting):
        if working[k, STATE] != ENDED:
            if kept != k:
                for field in range(WORKING):
                    working[kept, field] = working[k, field]
            kept += 1
        elif len(book.told) > 0:
            tell_order(book.told, working[k], ended)
    return kept


@inlinable_lean
def cancel_all(book: Book, waiting: int, meant: float, corrected: bool, symbol: int, made: int) -> int:
    """Cancel the orders in a symbol that are meant, see `whatif.engines.orders`; return how many are left.

    Those whose cash is not checked yet escape it, unless it is corrected. It is asked for on row `made` of
    the window, and known on the next one.
    """
    working = book.working
    for k in range(waiting):
        row = working[k]
        if row[SYMBOL] != symbol:
            continue
        is_meant = row[KIND] != MARKET if meant == PRICED else (row[IS_EXIT] != 0.0) == (meant == EXITS_ONLY)
        if is_meant and row[STATE] != ENDED and (corrected or row[STATE] != SUBMITTED):
            end_order(working, waiting, k, corrected)
    return left_over(book, waiting, made + 1)


@inlinable_lean
def exits_among(working: FloatArray, waiting: int) -> int:
    """Return how many of the orders that wait are the overlays'."""
    count = 0
    for k in range(waiting):
        count += 1 if working[k, IS_EXIT] != 0.0 else 0
    return count


@inlinable_lean
def own_waiting(working: FloatArray, waiting: int, symbol: int) -> int:
    """Return how many of the orders that wait are the step's in a symbol."""
    count = 0
    for k in range(waiting):
        count += 1 if working[k, SYMBOL] == symbol and working[k, IS_EXIT] == 0.0 else 0
    return count


@inlinable_lean
def note_waiting(working: FloatArray, waiting: int, memory: FloatArray) -> int:
    """Tell the overlays what waits; return how many of the orders are the step's."""
    exits, market = exits_among(working, waiting), 0
    for k in range(waiting):
        market += 1 if working[k, KIND] == MARKET else 0
    memory[EXITS_WAITING], memory[MARKET_WAITING] = exits, market
    return waiting - exits


@inlinable_lean
def show_waiting(book: Book, waiting: int, exits: bool) -> int:
    """Tell overlays with exits, and a step that reads it, what waits; return how many are the step's."""
    own = note_waiting(book.working, waiting, book.memory) if exits else waiting
    if len(book.shown) > 0:
        show_working(book, waiting, 0)
    return own


@inlinable_lean
def show_working(book: Book, waiting: int, symbol: int) -> None:
    """Show a step that reads them its orders in a symbol that wait."""
    at = 0
    for k in range(waiting):
        row = book.working[k]
        if row[IS_EXIT] != 0.0 or row[SYMBOL] != symbol:
            continue
        kind, price = int(row[KIND]), row[PRICE]
        if kind in (MARKET, AT_CLOSE):
            price = math.nan
        elif row[TRIGGERED] != 0.0:
            # one without a limit has become an order at the market
            price = math.nan if kind in (STOP, STOP_TRAIL) else row[LIMIT_PRICE]
        show_order(book.shown, at, kind, row[REST], price, int(row[MADE]))
        at += 1


@inlinable_lean
def place_answer(
    book: Book,
    count: int,
    row: int,
    symbol: int,
    made: int,
    close: float,
    session_ends: IntArray,
    account: Account,
    value: float,
    waiting: int,
    broker: Broker,
    max_orders: int,
) -> Placed:
    """Turn the orders on the desk into working orders.

    Parameters
    ----------
    count : int
        How many the step answered with.
    row, symbol : int
        The row of the window, and the place of the symbol in the account.
    made, close : int, float
        The bar that they were made on, a row of the symbol's bars, and its close.
    session_ends : int64 array (stop,)
        Of each row, the first one of the session after its own.
    account, value
        At that close.
    waiting, max_orders : int
        Orders that wait, and those of the symbol's that may.
    """
    if count > DESK_ROOM:
        return Placed(MANY_ORDERS, 0, 0.0, waiting)
    state = SUBMITTED if broker.checksubmit else ACTIVE
    tied, group, exits = 0, 0, 0.0
    for k in range(count):
        order = order_at(book.desk, k)
        code, amount = order.code, order.amount
        if code == EXITS:
            exits = 1.0
            continue
        fault = order_fault(order, close)
        if fault == FINE:
            fault = tie_fault(code, amount, tied, count - k - 1)
        if fault != FINE:
            return Placed(BAD_ORDER, k, float(fault), waiting)
        if code == OCO:
            book.serial[GROUPS_MADE] += 1
            tied, group = int(amount), book.serial[GROUPS_MADE]
            continue
        if code == HOLD:
            continue
        if code == CANCEL:
            waiting = cancel_all(book, waiting, amount, broker.corrected, symbol, row)
            continue
        size = amount
        if code != BRACKET:
            size = order_size(code, amount, account.size, account.price, value, close, broker.costs)
        if not abs(size) <= LARGEST_SIZE:
            return Placed(BAD_SIZE, k, size, waiting)
        first = waiting
        if size != 0.0:
            last = last_row(order.valid, made, session_ends)
            if code == BRACKET:
                waiting += place_bracket(book, waiting, order, made, close, last, state)
            else:
                place_single(book, waiting, order, size, made, close, last, state)
                book.working[waiting, IS_EXIT] = exits
                waiting += 1
        for j in range(first, waiting):
            book.working[j, ROW], book.working[j, SYMBOL] = row, symbol
        if tied > 0 and waiting > first:
            book.working[first, GROUP] = group
        tied = max(tied - 1, 0)
    if waiting > max_orders and own_waiting(book.working, waiting, symbol) > max_orders:
        return Placed(MANY_WAITING, 0, 0.0, waiting)
    return Placed(0, 0, 0.0, waiting)


@inlinable_lean
def check_cash(working: FloatArray, waiting: int, bar_open: float, account: Account, broker: Broker) -> int:
    """Check the cash of the orders that came since the last bar; return how many are refused.

    `BackBroker.check_submitted`: one after the other as if it were filled at its own price, and what is
    refused counts for those after it, unless it is corrected.
    """
    cash, size, price, _ = account
    refused = 0
    for k in range(waiting):
        row = working[k]
        if row[STATE] != SUBMITTED:
            continue
        at = bar_open if broker.coo and row[KIND] == MARKET else row[PRICE]
        cash, size, is_refused = check_order(working, waiting, k, at, cash, size, price, broker)
        refused += is_refused
    return refused


@inlinable_lean
def check_order(
    working: FloatArray,
    waiting: int,
    at: int,
    fills_at: float,
    cash: float,
    size: float,
    price: float,
    broker: Broker,
) -> tuple[float, float, int]:
    """Check the cash of the order at a place of the queue, as if it were filled at a price.

    Parameters
    ----------
    cash, size, price : float
        What is there when it is checked: the account's cash, units of its symbol, and their average price.

    Returns
    -------
    float, float, int
        Cash and units when the next one is checked, and 1 if this one is refused, else 0.
    """
    row, deal = working[at], Deal(False, False, broker.tally[TRADED], broker.charges)
    left = cash_after_check(cash, size, price, row[SIZE], fills_at, broker.costs, deal)
    if left >= 0.0 or not broker.corrected:
        cash, size = left, size + row[SIZE]
    if left >= 0.0:
        row[STATE] = INACTIVE if row[IS_CHILD] != 0.0 else ACTIVE
        return cash, size, 0
    end_order(working, waiting, at, broker.corrected)
    return cash, size, 1


@inlinable_lean
def price_of(
    row: FloatArray, i: int, bar: Prices, session_ends: IntArray, coc: bool, slippage: Slippage
) -> float:
    """Return the price that an order fills at on row `i`, or NaN; note what it remembers of the bar."""
    kind, size = int(row[KIND]), row[SIZE]
    bar_open, high, low, close = bar
    if kind == MARKET:
        return fill_price(size, row[CLOSE] if coc else bar_open, high, low, slippage)
    if kind == LIMIT:
        return limit_price(size, row[PRICE], bar, slippage)
    if kind in (STOP, STOP_TRAIL):
        if slippage[6]:
            # once it is reached, it is an order at the market
            if row[TRIGGERED] != 0.0:
                return fill_price(size, bar_open, high, low, slippage)
            row[TRIGGERED] = 1.0 if max(bar_open, high) >= row[PRICE] else 0.0
            if size < 0.0:
                row[TRIGGERED] = 1.0 if min(bar_open, low) <= row[PRICE] else 0.0
        return stop_price(size, row[PRICE], bar, slippage)
    if kind == AT_CLOSE:
        if i >= session_ends[int(row[MADE])]:
            return row[NOTED] if row[NOTED] != 0.0 else close
        row[NOTED] = close
        return math.nan
    if row[TRIGGERED] != 0.0:
        return limit_price(size, row[LIMIT_PRICE], bar, slippage)
    triggered, at = stop_limit_price(size, row[PRICE], row[LIMIT_PRICE], bar, slippage)
    row[TRIGGERED] = 1.0 if triggered else 0.0
    return at


@inlinable_lean
def is_maker(row: FloatArray, was_triggered: bool, bar: Prices) -> bool:
    """Return whether an order that fills on a bar adds liquidity."""
    kind = int(row[KIND])
    if kind not in (LIMIT, STOP_LIMIT, STOP_TRAIL_LIMIT):
        return False
    return adds_liquidity(row[SIZE], row[PRICE], row[LIMIT_PRICE], kind != LIMIT, was_triggered, bar)


@inlinable_lean
def part_of_working(row: FloatArray, broker: Broker) -> float:
    """Return the signed units that a bar fills of an order; at a noted close, those of the bar before."""
    volume, span = broker.tally[BAR_VOLUME], broker.tally[BAR_SPAN]
    if int(row[KIND]) == AT_CLOSE and row[NOTED] != 0.0:
        volume, span = broker.tally[LAST_VOLUME], broker.tally[LAST_SPAN]
    return part_of(row[SIZE], row[REST], volume, span, broker.parts, broker.corrected)


@inlinable_lean
def settle_order(
    working: FloatArray, waiting: int, k: int, refused: bool, bar_open: float, corrected: bool
) -> None:
    """Note what an execution left of an order: its bracket wakes or ends with it, or it lives on.

    Exits wake on the next bar. Corrected they are tried on this one, but for the target of an entry that was
    filled within it.
    """
    row = working[k]
    if refused:
        end_order(working, waiting, k, corrected)
    elif row[REST] == 0.0:
        row[STATE] = ENDED
        if row[IS_CHILD] != 0.0:
            end_family(working, waiting, k)
        elif row[FAMILY] != 0.0:
            at_open = (bar_open <= row[PRICE]) == (row[SIZE] > 0.0) or bar_open == row[PRICE]
            within = row[KIND] == LIMIT and not at_open
            for j in range(waiting):
                if working[j, FAMILY] == row[FAMILY] and working[j, STATE] == INACTIVE:
                    is_now = corrected and not (within and working[j, KIND] == LIMIT)
                    working[j, STATE] = ACTIVE if is_now else WAKING


@inlinable_lean
def quiet_until(
    i: int, halt: int, series: tuple[FloatArray, FloatArray, FloatArray], book: Book, waiting: int
) -> int:
    """Return the first row after `i` on which a working order may change, `halt` if there is none before.

    An order that waits for a price only looks at a bar that does not reach it; what follows the bars (a
    trail, an order at the close) or is to be tried on the next one changes on each.

    Parameters
    ----------
    series : tuple of float64 arrays (stop,)
        Opens, highs and lows.
    """
    opens, highs, lows = series
    above, below, end = math.inf, -math.inf, float(halt)
    for k in range(waiting):
        row = book.working[k]
        kind, state = row[KIND], row[STATE]
        end = min(end, row[LAST] + 1.0)
        if state == INACTIVE:
            continue
        behind = row[TRIGGERED] != 0.0
        if state != ACTIVE or kind not in (LIMIT, STOP, STOP_LIMIT) or (behind and kind == STOP):
            return i + 1
        price = row[LIMIT_PRICE] if behind else row[PRICE]
        if (row[SIZE] > 0.0) == (kind == LIMIT or behind):
            below = max(below, price)
        else:
            above = min(above, price)
    last, begin, touched = max(int(end), i + 1), i + 1, 0
    while begin + ROWS_AT_ONCE <= last:
        # slices of their own, so that no index is tested
        after = begin + ROWS_AT_ONCE
        at, top, bottom = opens[begin:after], highs[begin:after], lows[begin:after]
        for k in range(ROWS_AT_ONCE):
            reached = (bottom[k] <= below) | (top[k] >= above) | (at[k] <= below) | (at[k] >= above)
            touched |= 1 if reached else 0
        if touched != 0:
            break
        begin += ROWS_AT_ONCE
    for j in range(begin, last):
        if lows[j] <= below or highs[j] >= above or opens[j] <= below or opens[j] >= above:
            return j
    return last


class Tried(NamedTuple):
    """What came of an order that was tried.

    Attributes
    ----------
    fits : bool
        Whether the book had room for its execution.
    account : Account
        After it.
    fills, rejected : int
        Place of the next execution, and 1 if the order was refused for want of cash.
    was_met : bool
        Whether it had a price to be filled at.
    """

    fits: bool
    account: Account
    fills: int
    rejected: int
    was_met: bool


@inlinable_lean
def try_order(
    k: int,
    waiting: int,
    i: int,
    first: int,
    bar: Prices,
    session_ends: IntArray,
    account: Account,
    broker: Broker,
    book: Book,
    fills: int,
    limit: int,
) -> Tried:
    """Try the working order at place `k` of `waiting` on row `i` of its bars, or end it if its time is over.

    Parameters
    ----------
    first : int
        The row of them that the window begins with.
    bar, session_ends, limit
        As `fill_working` takes them.
    account, fills : Account, int
        Of its symbol, before it; place of the next execution in the book.
    """
    working, row = book.working, book.working[k]
    if row[STATE] == ENDED:
        return Tried(True, account, fills, 0, False)
    if row[KIND] != MARKET and i > row[LAST]:
        end_order(working, waiting, k, broker.corrected)
        return Tried(True, account, fills, 0, False)
    if row[STATE] != ACTIVE:
        return Tried(True, account, fills, 0, False)
    was_triggered = row[TRIGGERED] != 0.0
    slippage = slippage_on(row[SIZE], bar, broker.tally[BAR_VOLUME], broker.slippage, broker.charges)
    if math.isnan(slippage[1]):
        return Tried(True, account, fills, 0, False)
    at = price_of(row, i, bar, session_ends, broker.coc, slippage)
    refused, was_met = False, not math.isnan(at)
    if was_met:
        adds = len(broker.charges) > 0 and is_maker(row, was_triggered, bar)
        deal = Deal(adds, row[REST] != row[SIZE], broker.tally[TRADED], broker.charges)
        units = part_of_working(row, broker) if broker.parts.kind != 0.0 else row[REST]
        account, closed, opened, refused = execute(
            book, broker, account, units, at, deal, i, first, fills, limit
        )
        row[REST] -= closed + opened
        if closed != 0.0 or opened != 0.0:
            if fills == limit:
                return Tried(False, account, fills, 0, True)
            if fills < len(book.of_fill):
                book.of_fill[fills] = int(row[NUMBER])
            fills += 1
            end_group(working, waiting, k, broker.corrected)
        settle_order(working, waiting, k, refused, bar[0], broker.corrected)
    trails = row[KIND] in (STOP_TRAIL, STOP_TRAIL_LIMIT) and not was_triggered
    if trails and row[STATE] == ACTIVE:
        trail_after(row, bar[3])
    return Tried(True, account, fills, 1 if refused else 0, was_met)


@inlinable_lean
def wake_orders(working: FloatArray, waiting: int) -> None:
    """Make the orders active whose bracket's entry was filled on the bar before."""
    for k in range(waiting):
        if working[k, STATE] == WAKING:
            working[k, STATE] = ACTIVE


@inlinable_lean
def fill_working(
    i: int,
    first: int,
    bar: Prices,
    session_ends: IntArray,
    account: Account,
    orders: OrderCount,
    broker: Broker,
    book: Book,
    limit: int,
) -> tuple[bool, Account, OrderCount]:
    """Do with the working orders what Backtrader's broker does on row `i`: `BackBroker.next`.

    Parameters
    ----------
    bar : tuple of float
        Its open, high, low and close.
    session_ends : int64 array (stop,)
        Of each row, the first one of the session after its own.
    limit : int
        Place in the book from which on there is no room for executions.

    Returns
    -------
    bool, Account, OrderCount
        Whether the book had room for all executions; account and orders after them.
    """
    waiting, _, fills, rejected = orders
    wake_orders(book.working, waiting)
    if broker.checksubmit:
        rejected += check_cash(book.working, waiting, bar[0], account, broker)
    if broker.settles:
        account = charged(account, broker.tally[DUE])
    for k in range(waiting):
        fits, account, fills, refused, _ = try_order(
            k, waiting, i, first, bar, session_ends, account, broker, book, fills, limit
        )
        if not fits:
            return False, account, orders
        rejected += refused
    waiting = left_over(book, waiting, i - first)
    return True, account, OrderCount(waiting, False, fills, rejected)
