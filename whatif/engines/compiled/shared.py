"""Many configurations of one account of several symbols: the loop around a strategy's compiled part.

What a bar does is that of `loop` and `book`, with the orders of all symbols in one queue, one cash, and a
value that is summed over the positions in the order in which the account came to know them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from whatif.domain import inlinable_lean, jit_lean, pick_levels, tally_array, view_at, whole_at
from whatif.engines.compiled.book import (
    AMOUNT,
    BAD_SIZE,
    BARS_HELD,
    DEEPEST,
    EQUITY_SUM,
    FAILED,
    FILLS,
    FINAL,
    FULL_BOOK,
    LONGEST,
    REJECTED,
    SIZE,
    Account,
    Asking,
    Broker,
    Outcomes,
    Runs,
    settings_of,
    write_execution,
)
from whatif.engines.compiled.broker import (
    Costs,
    Deal,
    cash_after_check,
    executed,
    fill_price,
    held_value,
    order_size,
)
from whatif.engines.compiled.calling import PLACES, ask, ask_across
from whatif.engines.compiled.loop import note_failure
from whatif.engines.compiled.notes import NOTES_KEPT, begin_notes, note_fill, show_order
from whatif.engines.orders import LARGEST_SIZE, answer_fault, bounded, has_bounds
from whatif.strategies import BUY, HOLD, MARKET, SELL, TARGET, TARGET_PERCENT, WEIGHTS, OverlayRules
from whatif.typing import FloatArray, IntArray

OPEN, HIGH, LOW, CLOSE = range(4)
"""Rows of `Market.prices_at`."""

SYMBOL = 7
"""Column of `Outcomes.counts` that tells which symbol a run ended early on."""

MET, HELD = range(2)
"""Places of `SharedBook.tally`."""

_WORD = 8


class Market(NamedTuple):
    """The bars of k symbols over a window of m rows.

    Attributes
    ----------
    ts : int64 array (m,)
        Timestamps on which any symbol has a bar.
    stamps_at : int64 array (k,)
        Where the timestamps lie of the rows that each symbol's bars stand on, `stops` of them.
    prices_at : int64 array (4, k)
        Where each symbol's opens, highs, lows and closes lie, `stops` of them.
    firsts, stops : int64 arrays (k,)
        The window as rows of each symbol's bars.
    together : bool
        Whether all symbols have bars on all rows.
    leaving_at : int64 array (k,) or (0,)
        Where, for each symbol, it is told of its rows whether it is not to be held any more, `stops` of
        them; none unless a cross-sectional step is asked of a universe.
    """

    ts: IntArray
    stamps_at: IntArray
    prices_at: IntArray
    firsts: IntArray
    stops: IntArray
    together: bool
    leaving_at: IntArray


class SharedBook(NamedTuple):
    """Room that one call after the other writes to; m rows, k symbols, f executions, q orders.

    Attributes
    ----------
    row, symbol : int64 arrays (f,)
        Row and symbol of each execution, one configuration after the other.
    executions : float64 array (6, f)
        As in `whatif.engines.compiled.book.Book`.
    order_symbol, order_made : int64 arrays (q,)
        Orders that wait, first come first: symbol, and the row of its bars that it was made on.
    order_size, order_rest, order_close : float64 arrays (q,)
        Signed size, what of it is not filled yet, and the close that it was made at.
    size, price : float64 arrays (k,)
        Units held, and their average price.
    opened, cursor, following, pending, fresh, met : int64 arrays (k,)
        Row of the symbol's bars on which its position was opened; its present row, -1 before its first;
        the row of its next bar; its orders that wait; symbols that have a bar on this row; and whether the
        account knows it.
    order_met : int64 array (k,)
        Symbols in the order in which the account came to know them.
    tally : int64 array (2,)
        How many it knows, and how many positions are open.
    scratch, memory : float64 arrays
        Of the step, and of the overlays, one symbol after the other.
    equity : float64 array (m,)
        Value at each row, of the configuration that ran last.
    cash : float64 array (m,) or (0,)
        Cash at each row; left alone if it is empty.
    at_work : int64 array (1,)
        The configuration that runs, or ran last.
    desk : float64 array (max(k, 2),)
        Room that a step's compiled part writes its answer to.
    has_bar, held : int64 arrays (k,)
        Whether each symbol has a bar on this row, and bars since that on which its position was opened.
    bound, last : float64 arrays (k,)
        Units of each symbol with all of its orders that wait filled, and its last close, where the account
        has bounds.
    notes, shown : float64 arrays
        What is kept for a step that reads it, else of no length: see `whatif.engines.compiled.notes`; notes
        of one symbol after the other, and the orders of the one whose turn it is, of up to q.
    """

    row: IntArray
    symbol: IntArray
    executions: FloatArray
    order_symbol: IntArray
    order_made: IntArray
    order_size: FloatArray
    order_rest: FloatArray
    order_close: FloatArray
    size: FloatArray
    price: FloatArray
    opened: IntArray
    cursor: IntArray
    following: IntArray
    pending: IntArray
    fresh: IntArray
    met: IntArray
    order_met: IntArray
    tally: IntArray
    scratch: FloatArray
    memory: FloatArray
    equity: FloatArray
    cash: FloatArray
    at_work: IntArray
    desk: FloatArray
    has_bar: IntArray
    held: IntArray
    bound: FloatArray
    last: FloatArray
    notes: FloatArray
    shown: FloatArray


class Across(NamedTuple):
    """What a cross-sectional step is asked by.

    Attributes
    ----------
    is_on : bool
        Whether the strategy is cross-sectional at all.
    max_gross : float
        The most that its absolute weights may sum to.
    session, bar_of_session : int64 arrays (m,), or (0,) if it is not
        As `whatif.strategies.AcrossState` has them.
    """

    is_on: bool
    max_gross: float
    session: IntArray
    bar_of_session: IntArray


class Queue(NamedTuple):
    """Orders that wait, how many of them are checked, place of the next execution, and orders refused."""

    waiting: int
    checked: int
    fills: int
    rejected: int


@inlinable_lean
def price_at(market: Market, field: int, symbol: int, row: int) -> float:
    """Return one price of a symbol's bar."""
    return float(view_at(market.prices_at[field, symbol], row + 1)[row])


@inlinable_lean
def advance(row: int, market: Market, book: SharedBook) -> int:
    """Move the symbols that have a bar on a row to it; return how many, which stand in `book.fresh`."""
    count, now = 0, market.ts[row]
    for k in range(len(market.firsts)):
        following = book.following[k]
        book.has_bar[k] = 0
        if following >= market.stops[k]:
            continue
        if market.together or whole_at(market.stamps_at[k], following + 1)[following] == now:
            book.cursor[k], book.following[k] = following, following + 1
            book.fresh[count], book.has_bar[k] = k, 1
            count += 1
    return count


@inlinable_lean
def meet(book: SharedBook, symbol: int) -> None:
    """Let the account know a symbol: the order in which it does is that of the sum of its value."""
    if book.met[symbol] == 0:
        book.met[symbol] = 1
        book.order_met[book.tally[MET]] = symbol
        book.tally[MET] += 1


@inlinable_lean
def push_order(book: SharedBook, at: int, symbol: int, size: float, close: float) -> None:
    """Write an order that was made on a symbol's present bar to place `at` of the queue."""
    book.order_symbol[at], book.order_made[at] = symbol, book.cursor[symbol]
    book.order_size[at], book.order_rest[at], book.order_close[at] = size, size, close
    book.pending[symbol] += 1


@inlinable_lean
def move_order(book: SharedBook, to: int, at: int, rest: float) -> None:
    """Move an order forward in the queue, with what is left of it."""
    book.order_symbol[to], book.order_made[to] = book.order_symbol[at], book.order_made[at]
    book.order_size[to], book.order_close[to] = book.order_size[at], book.order_close[at]
    book.order_rest[to] = rest


@inlinable_lean
def check_orders(book: SharedBook, queue: Queue, cash: float, broker: Broker) -> tuple[int, int]:
    """Check the cash of the orders that came since the last row; return orders that wait, and those refused.

    `BackBroker.check_submitted`: one after the other as if each were filled at the close that it was made at.
    The cash that one leaves is what the next is judged by, also if it is refused. A symbol has one on a row.
    """
    kept, rejected, deal = queue.checked, queue.rejected, Deal(False, False, 0.0, broker.charges)
    for q in range(queue.checked, queue.waiting):
        symbol, order = book.order_symbol[q], book.order_size[q]
        meet(book, symbol)
        held, price = book.size[symbol], book.price[symbol]
        cash = cash_after_check(cash, held, price, order, book.order_close[q], broker.costs, deal)
        if cash >= 0.0:
            move_order(book, kept, q, order)
            kept += 1
        else:
            rejected += 1
            book.pending[symbol] -= 1
    return kept, rejected


@inlinable_lean
def try_price(q: int, market: Market, book: SharedBook, broker: Broker) -> float:
    """Return the price that a waiting order fills at on this row, or NaN.

    It is tried on each row that comes after its bar, also where its symbol has no new one: at the close that
    it was made at (cheat on close), or else once the symbol has had a later bar, on that one.
    """
    symbol = book.order_symbol[q]
    i = book.cursor[symbol]
    if not broker.coc and i <= book.order_made[q]:
        return math.nan
    at = book.order_close[q] if broker.coc else price_at(market, OPEN, symbol, i)
    high, low = price_at(market, HIGH, symbol, i), price_at(market, LOW, symbol, i)
    return fill_price(book.order_size[q], at, high, low, broker.slippage)


@inlinable_lean
def show_queue(book: SharedBook, waiting: int, symbol: int) -> None:
    """Show a step that reads them the orders of a symbol that wait."""
    at = 0
    for q in range(waiting if len(book.shown) > 0 else 0):
        if book.order_symbol[q] == symbol:
            show_order(book.shown, at, MARKET, book.order_rest[q], math.nan, book.order_made[q])
            at += 1


@inlinable_lean
def take_turn(
    row: int, market: Market, cash: float, queue: Queue, broker: Broker, book: SharedBook, limit: int
) -> tuple[bool, float, Queue]:
    """Do with the waiting orders what Backtrader's broker does on a row: check those that came, then fill.

    Returns
    -------
    bool, float, Queue
        Whether the book had room for all executions; cash and orders after them.
    """
    waiting, rejected, fills = queue.waiting, queue.rejected, queue.fills
    if broker.checksubmit:
        waiting, rejected = check_orders(book, queue, cash, broker)
    kept, deal = 0, Deal(False, False, 0.0, broker.charges)
    for q in range(waiting):
        at = try_price(q, market, book, broker)
        if math.isnan(at):
            move_order(book, kept, q, book.order_rest[q])
            kept += 1
            continue
        k, rest = book.order_symbol[q], book.order_rest[q]
        meet(book, k)
        before, entry = book.size[k], book.price[k]
        cash, size, price, _, closed, opened, closed_fee, opened_fee, refused = executed(
            cash, before, entry, 0.0, rest, at, broker.costs, deal
        )
        book.size[k], book.price[k] = size, price
        book.tally[HELD] += (1 if size != 0.0 else 0) - (1 if before != 0.0 else 0)
        rest -= closed + opened
        if rest != 0.0 and not refused:
            # the parts of a reversal need not add up to its size; the order lives on
            move_order(book, kept, q, rest)
            kept += 1
        else:
            rejected += 1 if refused else 0
            book.pending[k] -= 1
        if closed != 0.0 or opened != 0.0:
            if fills == limit:
                return False, cash, queue
            book.symbol[fills] = k
            write_execution(book, fills, row, closed, opened, at, closed_fee, opened_fee, 1.0)  # type: ignore[arg-type]
            fills += 1
            if len(book.notes) > 0:
                notes, fees = book.notes[k * NOTES_KEPT : (k + 1) * NOTES_KEPT], (closed_fee, opened_fee)
                note_fill(notes, book.cursor[k], entry, closed, opened, size, at, *fees, 1.0)
        if opened != 0.0 and size == opened:
            book.opened[k] = book.cursor[k]
    return True, cash, Queue(kept, kept, fills, rejected)


@inlinable_lean
def worth_of_all(market: Market, book: SharedBook, cash: float, costs: Costs) -> float:
    """Return cash and positions at the present closes, summed as Backtrader sums them."""
    total = 0.0
    for j in range(book.tally[MET]):
        k = book.order_met[j]
        size, price = book.size[k], book.price[k]
        if size == 0.0:
            continue
        close = price_at(market, CLOSE, k, book.cursor[k])
        value = held_value(size, price, close, costs)
        if not costs[2]:
            value = abs(value)
        if value > 0.0:
            profit = size * (close - price)
            total = total + (value - profit)
            total = total + profit
        else:
            total = total + value
    return cash + total


@inlinable_lean
def begin_account(market: Market, book: SharedBook) -> None:
    """Empty the account, and put every symbol before its first bar."""
    book.tally[MET], book.tally[HELD] = 0, 0
    for k in range(len(market.firsts)):
        book.size[k], book.price[k] = 0.0, 0.0
        book.opened[k], book.pending[k], book.met[k], book.held[k] = 0, 0, 0, 0
        book.cursor[k], book.following[k] = -1, market.firsts[k]
    begin_notes(book.notes)
    for k in range(len(book.scratch)):
        book.scratch[k] = 0.0
    for k in range(len(book.memory)):
        book.memory[k] = 0.0


@inlinable_lean
def with_orders(queue: Queue, waiting: int, broker: Broker) -> Queue:
    """Return a queue in which so many orders wait, the new ones unchecked if the broker checks them."""
    checked = queue.checked if broker.checksubmit else waiting
    return Queue(waiting, checked, queue.fills, queue.rejected)


@inlinable_lean
def look_at_bounds(market: Market, book: SharedBook, queue: Queue) -> None:
    """Write what each symbol's position will be when its orders that wait are filled, and its last close."""
    for k in range(len(market.firsts)):
        book.bound[k], i = book.size[k], book.cursor[k]
        book.last[k] = price_at(market, CLOSE, k, i) if i >= 0 else 0.0
    for q in range(queue.waiting):
        book.bound[book.order_symbol[q]] += book.order_rest[q]


@inlinable_lean
def within_bounds(book: SharedBook, order: float, symbol: int, value: float, rules: OverlayRules) -> float:
    """Return what the account's bounds leave of an order, which counts for those after it."""
    left = bounded(order, symbol, book.bound, book.last, value, rules)
    book.bound[symbol] += left
    return left


@inlinable_lean
def ask_symbols(
    fresh: int,
    market: Market,
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
        look_at_bounds(market, book, queue)
    for j in range(fresh):
        k = book.fresh[j]
        i = book.cursor[k]
        series_at = asking.series_at + _WORD * count * k
        places_at = asking.places_at + _WORD * PLACES * k
        account = Account(cash, book.size[k], book.price[k], book.opened[k])
        show_queue(book, waiting, k)
        asked = ask(
            asking.address, i, i + 1, asking.lookback, run, series_at, places_at,
            account, value, book.pending[k], broker.costs, rules, latency,
        )  # fmt: skip
        if asked.failed != 0 or (asked.order != 0.0 and waiting == len(book.order_size)):
            failed = asked.failed if asked.failed != 0 else FULL_BOOK
            note_failure(money, counts, failed, i, asked.code, asked.amount)
            counts[SYMBOL] = k
            break
        if asked.code not in (HOLD, BUY, SELL):
            meet(book, k)
        order = within_bounds(book, asked.order, k, value, rules) if bounds else asked.order
        if order != 0.0:
            push_order(book, waiting, k, order, price_at(market, CLOSE, k, i))
            waiting += 1
    return with_orders(queue, waiting, broker)


@inlinable_lean
def leaves(market: Market, book: SharedBook, symbol: int) -> bool:
    """Return whether a symbol that has a bar is not to be held any more."""
    if len(market.leaving_at) == 0:
        return False
    i = book.cursor[symbol]
    return bool(whole_at(market.leaving_at[symbol], i + 1)[i] != 0)


@inlinable_lean
def hide_leaving(fresh: int, market: Market, book: SharedBook) -> bool:
    """Tell a cross-sectional step that symbols that are not to be held have no bar; return if one is held."""
    found = False
    for j in range(fresh if len(market.leaving_at) > 0 else 0):
        k = book.fresh[j]
        if leaves(market, book, k):
            book.has_bar[k] = 0
            found = found or book.size[k] != 0.0
    return found


@inlinable_lean
def ask_all(
    row: int,
    fresh: int,
    market: Market,
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
    if failed != 0 and code != HOLD:
        note_failure(money, counts, failed, row, code, gross)
        counts[SYMBOL] = symbol
        return queue
    waiting, bounds = queue.waiting, has_bounds(rules)
    if bounds:
        look_at_bounds(market, book, queue)
    for j in range(fresh):
        k = book.fresh[j]
        wanted, kind = book.desk[k], TARGET_PERCENT if code == WEIGHTS else TARGET
        if leaves(market, book, k):
            wanted, kind = 0.0 if book.size[k] != 0.0 else math.nan, TARGET
        elif code == HOLD:
            continue
        if wanted != wanted:
            continue
        meet(book, k)
        close = price_at(market, CLOSE, k, book.cursor[k])
        order = order_size(kind, wanted, book.size[k], book.price[k], value, close, broker.costs)
        if not abs(order) <= LARGEST_SIZE or (order != 0.0 and waiting == len(book.order_size)):
            fits = abs(order) <= LARGEST_SIZE
            note_failure(money, counts, FULL_BOOK if fits else BAD_SIZE, row, code, order)
            counts[SYMBOL] = k
            break
        if bounds:
            order = within_bounds(book, order, k, value, rules)
        if order != 0.0:
            push_order(book, waiting, k, order, close)
            waiting += 1
    return with_orders(queue, waiting, broker)


@inlinable_lean
def run_account(
    market: Market,
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
    for row in range(len(market.ts)):
        fresh = advance(row, market, book)
        if queue.waiting > 0:
            fits, cash, queue = take_turn(row, market, cash, queue, broker, book, len(book.row))
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
        if across.is_on:
            queue = ask_all(
                row,
                fresh,
                market,
                run,
                asking,
                across,
                cash,
                value,
                queue,
                broker,
                rules,
                book,
                money,
                counts,
            )
        else:
            queue = ask_symbols(
                fresh, market, run, asking, count, cash, value, queue, broker, rules, latency, book, money,
                counts,
            )  # fmt: skip
        if counts[FAILED] != 0:
            return
    money[FINAL], money[SIZE] = value, float(book.tally[HELD])
    counts[FILLS], counts[REJECTED], counts[BARS_HELD] = queue.fills - used, queue.rejected, bars_held


def run_accounts_python(
    market: Market,
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
    market : Market
        The bars.
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
        # costs that go by what was traded are not covered here: there is no tally
        broker, rules, latency = settings_of(runs, run, book.equity[:0])
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
        run_account(market, run, at_run, across, count, broker, rules, latency, used, book, money, counts)
        if counts[FAILED] == FULL_BOOK:
            return run
        if counts[FAILED] == 0:
            pick_levels(book.equity, ends, broker.cash, outcomes.levels[run])
            money[DEEPEST], counts[LONGEST], money[EQUITY_SUM] = tally_array(book.equity, broker.cash)
            used += counts[FILLS]
    return len(runs.settings)


run_accounts = jit_lean(run_accounts_python)
