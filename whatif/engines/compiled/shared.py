"""Many configurations of one account of several symbols: the loop around a strategy's compiled part.

What a bar does is that of `loop` and `book`, with the orders of all symbols in one queue, one cash, and a
value that is summed over the positions in the order in which the account came to know them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from whatif.domain import (
    ACCRUED,
    BAR_SPAN,
    BAR_VOLUME,
    BASE,
    DUE,
    LAST_SPAN,
    LAST_VOLUME,
    MONTH,
    TIERS,
    TRADED,
    inlinable_lean,
    jit_lean,
    pick_levels,
    tally_array,
    view_at,
    whole_at,
)
from whatif.engines.compiled.book import (
    AMOUNT,
    BAD_ORDER,
    BAD_SIZE,
    BARS_HELD,
    DEEPEST,
    EQUITY_SUM,
    FAILED,
    FILLS,
    FINAL,
    FULL_BOOK,
    LONGEST,
    ORDERS_MADE,
    REJECTED,
    SIZE,
    SYMBOL_AT,
    TOLD,
    Account,
    Asked,
    Asking,
    Broker,
    Outcomes,
    Runs,
    begin_interest,
    begin_month,
    settings_of,
)
from whatif.engines.compiled.broker import (
    Prices,
    order_size,
    settlement,
)
from whatif.engines.compiled.calling import PLACES, ask, ask_across
from whatif.engines.compiled.loop import note_failure, note_fills
from whatif.engines.compiled.notes import NOTES_KEPT
from whatif.engines.compiled.shared_book import (
    CLOSE,
    HELD,
    HIGH,
    LOW,
    MET,
    OPEN,
    Across,
    Beyond,
    Market,
    Queue,
    SharedBook,
    advance,
    begin_account,
    grown,
    hide_leaving,
    leaves,
    meet,
    price_at,
    push_order,
    show_queue,
    take_turn,
    worth_of_all,
)
from whatif.engines.compiled.working import (
    ACTIVE,
    IS_EXIT,
    KIND,
    MADE,
    REST,
    ROOM_FOR_ANSWERS,
    ROW,
    STATE,
    SUBMITTED,
    Placed,
    cancel_all,
    check_order,
    left_over,
    place_answer,
    place_order,
    show_working,
    tell_waiting,
    try_order,
    wake_orders,
)
from whatif.engines.compiled.working import PRICE as ACTS_AT
from whatif.engines.compiled.working import SYMBOL as OF_SYMBOL
from whatif.engines.language.order_answers import EACH_WIDTH, WIDTH
from whatif.engines.orders import (
    DESK_ROOM,
    EXITS_WAITING,
    LARGEST_SIZE,
    MARKET_WAITING,
    PRICED,
    answer_fault,
    bounded,
    has_bounds,
    has_exit_orders,
)
from whatif.strategies import (
    BUY,
    EACH,
    HOLD,
    MARKET,
    MAX_ANSWERED,
    SELL,
    TARGET,
    TARGET_PERCENT,
    WEIGHTS,
    OverlayRules,
)
from whatif.strategies import CLOSE as CLOSE_POSITION
from whatif.typing import FloatArray, IntArray

_WORD = 8


@inlinable_lean
def push_asked(
    asked: Asked, symbol: int, market: Market, order: float, waiting: int, book: SharedBook
) -> Placed:
    """Write the order at the market that a step was asked for to the end of the queue, if there is one."""
    if asked.code not in (HOLD, BUY, SELL):
        meet(book, symbol)
    if order == 0.0:
        return Placed(0, 0, 0.0, waiting)
    if waiting == len(book.order_size):
        return Placed(FULL_BOOK, asked.code, asked.amount, waiting)
    push_order(book, waiting, symbol, order, price_at(market, CLOSE, symbol, book.cursor[symbol]))
    return Placed(0, 0, 0.0, waiting + 1)


@inlinable_lean
def note_month(symbol: int, market: Market, beyond: Beyond, broker: Broker, book: SharedBook) -> None:
    """Forget what has been traded in the month if a symbol's present bar is of a later one."""
    charges, tally = broker.charges, broker.tally
    if len(charges) > 0 and charges[TIERS] > 1.0:
        i = book.cursor[symbol]
        begin_month(tally, view_at(beyond.months_at[symbol], i + 1)[i])


@inlinable_lean
def check_queue(
    market: Market, beyond: Beyond, cash: float, waiting: int, broker: Broker, book: SharedBook
) -> int:
    """Check the cash of the working orders that came since the last row; return how many are refused.

    As `whatif.engines.compiled.working.check_cash`, with the cash of all symbols, and units of each.
    """
    working, refused = book.working, 0
    for k in range(len(book.paper)):
        book.paper[k] = book.size[k]
    for q in range(waiting):
        order = working[q]
        if order[STATE] != SUBMITTED:
            continue
        k = int(order[OF_SYMBOL])
        meet(book, k)
        note_month(k, market, beyond, broker, book)
        at = order[ACTS_AT]
        if broker.coo and order[KIND] == MARKET:
            at = price_at(market, OPEN, k, book.cursor[k])
        cash, book.paper[k], is_refused = check_order(
            working, waiting, q, at, cash, book.paper[k], book.price[k], broker
        )
        refused += is_refused
    return refused


@inlinable_lean
def interest_due(market: Market, beyond: Beyond, broker: Broker, book: SharedBook) -> float:
    """Return what all positions owe for the days since their last bars, and note it for each."""
    due = 0.0
    for j in range(book.tally[MET]):
        k = book.order_met[j]
        i, size = book.cursor[k], book.size[k]
        if size == 0.0 or book.has_bar[k] == 0 or i <= market.firsts[k]:
            continue
        days = view_at(beyond.days_at[k], i + 1)
        begin_interest(broker, Account(0.0, size, book.price[k], 0), days[i] - days[i - 1])
        due += broker.tally[DUE]
        book.accrued[k] += broker.tally[DUE]
    return due


@inlinable_lean
def settle_all(market: Market, cash: float, broker: Broker, book: SharedBook) -> float:
    """Return the cash after all futures have been settled at their present closes."""
    for j in range(book.tally[MET]):
        k = book.order_met[j]
        if book.size[k] != 0.0:
            close = price_at(market, CLOSE, k, book.cursor[k])
            cash += settlement(book.size[k], book.base[k], close, broker.costs)
            book.base[k] = close
    return cash


@inlinable_lean
def begin_try(symbol: int, market: Market, beyond: Beyond, broker: Broker, book: SharedBook) -> Prices:
    """Return the prices of a symbol's present bar; write what else orders are filled by to the tally."""
    i, tally = book.cursor[symbol], broker.tally
    high, low = price_at(market, HIGH, symbol, i), price_at(market, LOW, symbol, i)
    tally[BASE], tally[ACCRUED] = book.base[symbol], book.accrued[symbol]
    if len(broker.charges) > 0 or broker.parts.kind != 0.0:
        volumes, before = view_at(beyond.volumes_at[symbol], i + 1), max(i - 1, 0)
        tally[BAR_VOLUME], tally[BAR_SPAN] = volumes[i], high - low
        tally[LAST_VOLUME] = volumes[before]
        tally[LAST_SPAN] = price_at(market, HIGH, symbol, before) - price_at(market, LOW, symbol, before)
    return (price_at(market, OPEN, symbol, i), high, low, price_at(market, CLOSE, symbol, i))


@inlinable_lean
def try_working(
    q: int,
    row: int,
    market: Market,
    beyond: Beyond,
    cash: float,
    queue: Queue,
    broker: Broker,
    book: SharedBook,
    limit: int,
) -> tuple[bool, float, Queue]:
    """Try one working order on its symbol's present bar, which need not be a new one.

    It has to be for an order at the market, and for all that are corrected.

    Returns
    -------
    bool, float, Queue
        Whether the book had room for its execution; cash and orders after it.
    """
    waiting, checked, fills, rejected = queue
    k, tally = int(book.working[q, OF_SYMBOL]), broker.tally
    i = book.cursor[k]
    if broker.corrected and book.has_bar[k] == 0:
        return True, cash, queue
    if book.working[q, KIND] == MARKET and i <= book.working[q, MADE] and not (broker.coc or broker.coo):
        return True, cash, queue
    bar = begin_try(k, market, beyond, broker, book)
    month, traded = tally[MONTH], tally[TRADED]
    note_month(k, market, beyond, broker, book)
    ends = whole_at(beyond.session_ends_at[k], market.stops[k])
    before = Account(cash, book.size[k], book.price[k], book.opened[k])
    at: Any = (broker, book, fills, limit)
    fits, after, filled, refused, was_met = try_order(q, waiting, i, i - row, bar, ends, before, *at)
    if not fits:
        return False, cash, queue
    if not was_met:
        tally[MONTH], tally[TRADED] = month, traded
        return True, cash, queue
    meet(book, k)
    book.size[k], book.price[k], book.opened[k] = after.size, after.price, after.opened_row
    book.base[k], book.accrued[k] = tally[BASE], tally[ACCRUED]
    book.tally[HELD] += (1 if after.size != 0.0 else 0) - (1 if before.size != 0.0 else 0)
    if filled > fills:
        book.symbol[fills] = k
        if len(book.notes) > 0:
            notes = book.notes[k * NOTES_KEPT : (k + 1) * NOTES_KEPT]
            note_fills(notes, book.executions, i, fills, filled, before)
    return True, after.cash, Queue(waiting, checked, filled, rejected + refused)


@inlinable_lean
def take_working_turn(
    row: int,
    market: Market,
    beyond: Beyond,
    cash: float,
    queue: Queue,
    broker: Broker,
    book: SharedBook,
    limit: int,
) -> tuple[bool, float, Queue]:
    """Do as `take_turn` with working orders, costs and contracts: `BackBroker.next`."""
    waiting, refused = queue.waiting, 0
    wake_orders(book.working, waiting)
    if broker.checksubmit:
        refused = check_queue(market, beyond, cash, waiting, broker, book)
    if broker.rate != 0.0:
        cash -= interest_due(market, beyond, broker, book)
    queue = Queue(waiting, waiting, queue.fills, queue.rejected + refused)
    for q in range(waiting):
        fits, cash, queue = try_working(q, row, market, beyond, cash, queue, broker, book, limit)
        if not fits:
            return False, cash, queue
    if broker.costs.margin != 0.0:
        cash = settle_all(market, cash, broker, book)
    waiting = left_over(book, waiting, row)  # type: ignore[arg-type]
    return True, cash, Queue(waiting, waiting, queue.fills, queue.rejected)


@inlinable_lean
def count_waiting(book: SharedBook, waiting: int, exits: bool) -> None:
    """Count the step's orders that wait in each symbol, and tell overlays with `exits` of theirs."""
    symbols, working = len(book.pending), book.working
    each = len(book.memory) // symbols
    for k in range(symbols):
        book.pending[k] = 0
        if exits:
            book.memory[k * each + EXITS_WAITING], book.memory[k * each + MARKET_WAITING] = 0.0, 0.0
    for q in range(waiting):
        k = int(working[q, OF_SYMBOL])
        book.pending[k] += 1 if working[q, IS_EXIT] == 0.0 else 0
        if exits:
            book.memory[k * each + EXITS_WAITING] += 1.0 if working[q, IS_EXIT] != 0.0 else 0.0
            book.memory[k * each + MARKET_WAITING] += 1.0 if working[q, KIND] == MARKET else 0.0


@inlinable_lean
def place_market(
    book: SharedBook, at: int, row: int, symbol: int, size: float, close: float, broker: Broker
) -> None:
    """Write a working order at the market, made on a symbol's present bar, to place `at` of the queue."""
    state = SUBMITTED if broker.checksubmit else ACTIVE
    place_order(book, at, MARKET, size, close, book.cursor[symbol], close, math.inf, state)  # type: ignore[arg-type]
    book.working[at, ROW], book.working[at, OF_SYMBOL] = row, symbol


@inlinable_lean
def take_asked(
    asked: Asked,
    row: int,
    symbol: int,
    market: Market,
    beyond: Beyond,
    order: float,
    account: Account,
    value: float,
    waiting: int,
    broker: Broker,
    book: SharedBook,
) -> Placed:
    """Place what a step was asked for of a symbol: an order at the market, or those on the desk."""
    if asked.code == HOLD:
        return Placed(0, 0, 0.0, waiting)
    if waiting + ROOM_FOR_ANSWERS > len(book.working):
        return Placed(FULL_BOOK, 0, 0.0, waiting)
    i = book.cursor[symbol]
    close = price_at(market, CLOSE, symbol, i)
    if beyond.max_orders > 0:
        for j in range(min(asked.code, DESK_ROOM)):
            # these look at the position, also where no order comes of it
            if int(book.desk[j * WIDTH]) in (TARGET, TARGET_PERCENT, CLOSE_POSITION):
                meet(book, symbol)
        ends = whole_at(beyond.session_ends_at[symbol], market.stops[symbol])
        at = (row, symbol, i, close, ends, account, value, waiting, broker)
        return place_answer(book, asked.code, *at, beyond.max_orders)  # type: ignore[arg-type]
    if asked.code not in (BUY, SELL):
        meet(book, symbol)
    if order != 0.0:
        place_market(book, waiting, row, symbol, order, close, broker)
        waiting += 1
    return Placed(0, 0, 0.0, waiting)


@inlinable_lean
def take_each(
    row: int,
    symbol: int,
    market: Market,
    beyond: Beyond,
    cash: float,
    value: float,
    waiting: int,
    broker: Broker,
    book: SharedBook,
) -> Placed:
    """Place the orders that a cross-sectional step has written to its desk for a symbol."""
    at = symbol * EACH_WIDTH
    count = int(book.each[at])
    for j in range(min(count, MAX_ANSWERED) * WIDTH):
        book.desk[j] = book.each[at + 1 + j]
    count = count if count <= MAX_ANSWERED else DESK_ROOM + 1
    asked = Asked(book.cursor[symbol], 0, count, 0.0, 1.0)
    account = Account(cash, book.size[symbol], book.price[symbol], book.opened[symbol])
    return take_asked(asked, row, symbol, market, beyond, 0.0, account, value, waiting, broker, book)


@inlinable_lean
def with_orders(queue: Queue, waiting: int, broker: Broker) -> Queue:
    """Return a queue in which so many orders wait, the new ones unchecked if the broker checks them."""
    checked = queue.checked if broker.checksubmit else waiting
    return Queue(waiting, checked, queue.fills, queue.rejected)


@inlinable_lean
def look_at_bounds(market: Market, beyond: Beyond | None, book: SharedBook, queue: Queue) -> None:
    """Write what each symbol's position will be when its orders that wait are filled, and its last close."""
    for k in range(len(market.firsts)):
        book.bound[k], i = book.size[k], book.cursor[k]
        book.last[k] = price_at(market, CLOSE, k, i) if i >= 0 else 0.0
    for q in range(queue.waiting):
        if beyond is None:
            book.bound[book.order_symbol[q]] += book.order_rest[q]
        else:
            book.bound[int(book.working[q, OF_SYMBOL])] += book.working[q, REST]


@inlinable_lean
def within_bounds(book: SharedBook, order: float, symbol: int, value: float, rules: OverlayRules) -> float:
    """Return what the account's bounds leave of an order, which counts for those after it."""
    left = bounded(order, symbol, book.bound, book.last, value, rules)
    book.bound[symbol] += left
    return left


@inlinable_lean
def ask_symbols(
    row: int,
    fresh: int,
    market: Market,
    beyond: Beyond | None,
    run: int,
    asking: Asking,
    count: int,
    cash: float,
    value: float,
    queue: Queue,
    broker: Broker,
    rules: OverlayRules,
    latency: int,
    book: SharedBook,
    money: FloatArray,
    counts: IntArray,
) -> Queue:
    """Ask the step for each symbol that has a bar, in declared order; return the orders that wait then.

    What ends the run is written to `money` and `counts`.
    """
    waiting, bounds = queue.waiting, has_bounds(rules)
    if bounds:
        look_at_bounds(market, beyond, book, queue)
    for j in range(fresh):
        k = book.fresh[j]
        i = book.cursor[k]
        series_at = asking.series_at + _WORD * count * k
        places_at = asking.places_at + _WORD * PLACES * k
        account = Account(cash, book.size[k], book.price[k], book.opened[k])
        if beyond is None:
            show_queue(book, waiting, k)
        elif len(book.shown) > 0:
            show_working(book, waiting, k)  # type: ignore[arg-type]
        asked = ask(
            asking.address, i, i + 1, asking.lookback, run, series_at, places_at,
            account, value, book.pending[k], broker.costs, rules, latency,
        )  # fmt: skip
        if asked.failed != 0:
            placed = Placed(asked.failed, asked.code, asked.amount, waiting)
        else:
            order = within_bounds(book, asked.order, k, value, rules) if bounds else asked.order
            if beyond is None:
                placed = push_asked(asked, k, market, order, waiting, book)
            else:
                placed = take_asked(
                    asked, row, k, market, beyond, order, account, value, waiting, broker, book
                )
        if placed.failed != 0:
            note_failure(money, counts, placed.failed, i, placed.at, placed.amount)
            counts[SYMBOL_AT] = k
            break
        waiting = placed.waiting
    return with_orders(queue, waiting, broker)


@inlinable_lean
def place_sized(
    row: int,
    symbol: int,
    order: float,
    left: float,
    close: float,
    waiting: int,
    beyond: Beyond | None,
    broker: Broker,
    book: SharedBook,
) -> Placed:
    """Place an order at the market, of the size that bounds have `left` of it."""
    if not abs(order) <= LARGEST_SIZE:
        return Placed(BAD_SIZE, 0, order, waiting)
    if waiting == (len(book.order_size) if beyond is None else len(book.working)):
        return Placed(FULL_BOOK, 0, order, waiting)
    if left == 0.0:
        return Placed(0, 0, order, waiting)
    if beyond is None:
        push_order(book, waiting, symbol, left, close)
    else:
        place_market(book, waiting, row, symbol, left, close, broker)
    return Placed(0, 0, order, waiting + 1)


@inlinable_lean
def place_for(
    code: int,
    row: int,
    symbol: int,
    market: Market,
    beyond: Beyond | None,
    cash: float,
    value: float,
    waiting: int,
    broker: Broker,
    rules: OverlayRules,
    book: SharedBook,
) -> Placed:
    """Place what a cross-sectional step's answer of a code asks for of a symbol that has a bar.

    One that is not to be held any more is left, and what waits for a price in it is cancelled.
    """
    wanted, kind, k = book.desk[symbol], TARGET_PERCENT if code == WEIGHTS else TARGET, symbol
    if leaves(market, book, k):
        if beyond is not None:
            waiting = cancel_all(book, waiting, PRICED, broker.corrected, k, row)  # type: ignore[arg-type]
        wanted, kind = 0.0 if book.size[k] != 0.0 else math.nan, TARGET
    elif code == EACH:
        if beyond is not None:
            return take_each(row, k, market, beyond, cash, value, waiting, broker, book)
        return Placed(FULL_BOOK, 0, 0.0, waiting)
    if wanted != wanted:
        return Placed(0, 0, 0.0, waiting)
    meet(book, k)
    close = price_at(market, CLOSE, k, book.cursor[k])
    order = order_size(kind, wanted, book.size[k], book.price[k], value, close, broker.costs)
    left = within_bounds(book, order, k, value, rules) if has_bounds(rules) else order
    return place_sized(row, k, order, left, close, waiting, beyond, broker, book)


@inlinable_lean
def ask_all(
    row: int,
    fresh: int,
    market: Market,
    beyond: Beyond | None,
    run: int,
    asking: Asking,
    across: Across,
    cash: float,
    value: float,
    queue: Queue,
    broker: Broker,
    rules: OverlayRules,
    book: SharedBook,
    money: FloatArray,
    counts: IntArray,
) -> Queue:
    """Ask a cross-sectional step once; return the orders that wait then.

    Each symbol that has a bar, in declared order, gets the order that makes its position what was asked for,
    or that leaves it, if it is not to be held any more.
    What ends the run is written to `money` and `counts`.
    """
    if row < asking.lookback:
        return queue
    symbols, leaving = len(market.firsts), hide_leaving(fresh, market, book)
    for k in range(symbols):
        book.desk[k] = math.nan
        book.held[k] = book.cursor[k] - book.opened[k] if book.size[k] != 0.0 else 0
    code = ask_across(
        asking.address, row, run, asking.series_at, asking.places_at, cash, value, across.session[row],
        across.bar_of_session[row],
    )  # fmt: skip
    if code == HOLD and not leaving:
        return queue
    failed, symbol, gross = answer_fault(code, book.desk[:symbols], across.max_gross)
    if failed != 0 and code not in (HOLD, EACH):
        note_failure(money, counts, failed, row, code, gross)
        counts[SYMBOL_AT] = symbol
        return queue
    waiting = queue.waiting
    if has_bounds(rules):
        look_at_bounds(market, beyond, book, queue)
    for j in range(fresh):
        k = book.fresh[j]
        if code == HOLD and not leaves(market, book, k):
            continue
        placed = place_for(code, row, k, market, beyond, cash, value, waiting, broker, rules, book)
        if placed.failed != 0:
            of_orders = code == EACH and not leaves(market, book, k)
            at = placed.at if placed.failed == BAD_ORDER else code
            note_failure(
                money, counts, placed.failed, book.cursor[k] if of_orders else row, at, placed.amount
            )
            counts[SYMBOL_AT] = k
            break
        waiting = placed.waiting
    return with_orders(queue, waiting, broker)


@inlinable_lean
def run_account(
    market: Market,
    beyond: Beyond | None,
    run: int,
    asking: Asking,
    across: Across,
    count: int,
    broker: Broker,
    rules: OverlayRules,
    latency: int,
    used: int,
    book: SharedBook,
    money: FloatArray,
    counts: IntArray,
) -> None:
    """Run one configuration over all rows; executions and equity are left in `book`.

    Parameters
    ----------
    run, count : int
        Its place among all, and how many series there are of each symbol, of all of them together.
    asking : Asking
        How its strategy is asked; its places and series are those of the first symbol.
    across : Across
        The same of a cross-sectional one.
    used : int
        Executions in the book, of configurations before this one.
    money, counts : float64 array (5,) and int64 array (8,)
        Written to, rows of `Outcomes`; if the run fails, only of what is said of that.
    """
    begin_account(market, book)
    cash, value, bars_held, queue = broker.cash, broker.cash, 0, Queue(0, 0, used, 0)
    exits = has_exit_orders(rules)
    for row in range(len(market.ts)):
        fresh = advance(row, market, book)
        has_turn = queue.waiting > 0
        if beyond is not None:
            has_turn = has_turn or (broker.settles and book.tally[HELD] > 0)
        if has_turn:
            room = len(book.row)
            if beyond is None:
                fits, cash, queue = take_turn(row, market, cash, queue, broker, book, room)
            else:
                fits, cash, queue = take_working_turn(row, market, beyond, cash, queue, broker, book, room)
            if not fits:
                note_failure(money, counts, FULL_BOOK, 0, 0, 0.0)
                return
            value = cash
        if book.tally[HELD] > 0:
            value = worth_of_all(market, book, cash, broker.costs)
            bars_held += 1
        book.equity[row] = value
        if len(book.cash) > 0:
            book.cash[row] = cash
        if beyond is not None:
            count_waiting(book, queue.waiting, exits)
        if across.is_on:
            queue = ask_all(
                row, fresh, market, beyond, run, asking, across, cash, value, queue, broker, rules, book,
                money, counts,
            )  # fmt: skip
        else:
            queue = ask_symbols(
                row, fresh, market, beyond, run, asking, count, cash, value, queue, broker, rules, latency,
                book, money, counts,
            )  # fmt: skip
        if counts[FAILED] != 0:
            return
    if beyond is not None:
        tell_waiting(book, queue.waiting, len(market.ts))  # type: ignore[arg-type]
    money[FINAL], money[SIZE] = value, float(book.tally[HELD])
    counts[FILLS], counts[REJECTED], counts[BARS_HELD] = queue.fills - used, queue.rejected, bars_held


def run_accounts_python(
    market: Market,
    beyond: Beyond | None,
    begin: int,
    asking: Asking,
    across: Across,
    runs: Runs,
    ends: IntArray,
    book: SharedBook,
    outcomes: Outcomes,
) -> int:
    """Run configurations one after the other over the same bars, as long as the book has room.

    Parameters
    ----------
    market, beyond : Market, Beyond
        The bars, and what orders that wait, costs and contracts need of them: None for runs that have none of
        those, which leaves nothing of them in their machine code.
    begin : int
        The configuration to begin with.
    asking, across : Asking, Across
        How their strategy is asked.
    runs : Runs
        What they differ in; its addresses are (k * c, s), of one symbol after the other, or, of a
        cross-sectional step, (c, s * k), of one series after the other.
    ends : int64 array (p,)
        Rows of the window that start before each period's end.
    book, outcomes
        Written to, `outcomes` from row `begin` on.

    Returns
    -------
    int
        The configuration to go on with: the number of all if none is left. Where it is `begin`, the book
        has no room for that one alone.
    """
    used = 0
    count = len(runs.settings) * runs.addresses.shape[1]
    for run in range(begin, len(runs.settings)):
        book.at_work[0] = run
        broker, rules, latency = settings_of(runs, run, book.reckoned)
        money, counts = outcomes.money[run], outcomes.counts[run]
        counts[FILLS], counts[FAILED], money[AMOUNT] = 0, 0, 0.0
        at_run = Asking(
            asking.address,
            asking.lookback,
            asking.series_at + _WORD * run * runs.addresses.shape[1],
            asking.places_at,
            asking.session_ends_at,
            asking.max_orders,
            asking.room,
            asking.months_at,
            asking.days_at,
            asking.begins_at,
            asking.finer_at,
            asking.finer_stop,
        )
        given = (run, at_run, across, count, broker, rules, latency, used, book, money, counts)
        run_account(market, beyond, *given)
        if counts[FAILED] == FULL_BOOK:
            return run
        if counts[FAILED] == 0:
            pick_levels(book.equity, ends, broker.cash, outcomes.levels[run])
            money[DEEPEST], counts[LONGEST], money[EQUITY_SUM] = tally_array(book.equity, broker.cash)
            used += counts[FILLS]
    return len(runs.settings)


run_accounts = jit_lean(run_accounts_python)


class SharedCall:
    """A call of the loop, with what it writes to.

    Parameters
    ----------
    market : tuple
        The bars, and what goes beyond market orders, as `run_accounts` takes them.
    given : tuple
        How the strategy is asked, what its runs differ in, and periods' ends, as it takes them.
    book, outcomes
        The same.
    most : int
        Executions that a run may have.
    alive : tuple
        What lies at the addresses in `asking`, which nothing else keeps.
    """

    def __init__(
        self,
        market: tuple[Market, Beyond | None],
        given: tuple[Asking, Across, Runs, IntArray],
        book: SharedBook,
        outcomes: Outcomes,
        most: int,
        alive: tuple[Any, ...],
    ) -> None:
        self._market, self._given = market, given
        self.book, self.outcomes = book, outcomes
        self._most, self._alive = most, alive

    def run(self, begin: int) -> int:
        """Run configurations from place `begin` on; return the place to go on with."""
        market, beyond = self._market
        asking, across, runs, ends = self._given
        following: int = run_accounts(
            market, beyond, begin, asking, across, runs, ends, self.book, self.outcomes
        )
        return following

    def run_one(self) -> None:
        """Run the first configuration, with as much room as it takes, for orders that are told too."""
        while self.run(0) == 0 and self.grow():
            pass
        told = len(self.book.told)
        if told and int(self.book.serial[ORDERS_MADE]) > told:
            self.book = self.book._replace(told=np.empty((int(self.book.serial[ORDERS_MADE]), TOLD)))
            self.run(0)

    def grow(self) -> bool:
        """Make more room for executions and orders; return whether there could be more."""
        room = len(self.book.row)
        if room >= self._most:
            return False
        self.book = grown(self.book, min(4 * room, self._most))
        return True
