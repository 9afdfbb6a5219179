"""Bars and book of an account of several symbols, its orders at the market, and what it is worth."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from whatif.domain import MONTH, TALLY, inlinable_lean, view_at, whole_at
from whatif.engines.compiled.book import GROUPS_MADE, ORDERS_MADE, TOLD, Broker, note_room, write_execution
from whatif.engines.compiled.broker import Costs, Deal, cash_after_check, executed, fill_price, held_value
from whatif.engines.compiled.notes import NOTES_KEPT, begin_notes, note_fill, show_order
from whatif.engines.compiled.working import ROOM_FOR_ANSWERS, order_room
from whatif.engines.language.order_answers import EACH_WIDTH
from whatif.strategies import MARKET
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.strategies import StrategySpec

OPEN, HIGH, LOW, CLOSE = range(4)
"""Rows of `Market.prices_at`."""

MET, HELD = range(2)
"""Places of `SharedBook.tally`."""


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
    working, serial, reckoned, told, of_fill : arrays
        As `working`, `serial`, `tally`, `told` and `of_fill` of `whatif.engines.compiled.book.Book`, the
        orders of all symbols in one queue; of no length but with `Beyond`.
    base, accrued, paper : float64 arrays (k,) or (0,)
        Of each symbol, the price that a future was settled at last, interest that was charged to nothing yet,
        and units held on paper while orders are checked.
    each : float64 array (k * EACH_WIDTH,) or (0,)
        Desk for a cross-sectional step that answers with orders of each symbol.
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
    working: FloatArray
    serial: IntArray
    reckoned: FloatArray
    told: FloatArray
    of_fill: IntArray
    base: FloatArray
    accrued: FloatArray
    paper: FloatArray
    each: FloatArray


class Beyond(NamedTuple):
    """What orders that wait, costs and contracts need of k symbols: all that market orders do without.

    Attributes
    ----------
    volumes_at, months_at, days_at : int64 arrays (k,)
        Where the volume, the calendar month and the calendar day of each symbol's bars lie, float64, `stops`
        of them; months and days only if a run's charges, or interest, ask.
    session_ends_at : int64 array (k,)
        Where the first row of the session after each row's own lies, int64; only if `max_orders` is not 0.
    max_orders : int
        Orders that may wait in each symbol, of a kernel that writes them to the desk; else 0.
    """

    volumes_at: IntArray
    months_at: IntArray
    days_at: IntArray
    session_ends_at: IntArray
    max_orders: int


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


_BEYOND = ("reckoned", "base", "accrued", "paper")
"""Parts of a book that there are only with `Beyond`, beside those of orders that wait."""

_ORDERS_WAITING = 2_048
"""Orders that wait, in all symbols, that there is room for at first; more is made when it is full."""


def empty_book(
    spec: StrategySpec, symbols: int, rows: int, longest: int, notes: Collection[str], room: int
) -> SharedBook:
    """Return a book with room for market orders alone.

    Parameters
    ----------
    spec : StrategySpec
        The strategy.
    symbols, rows, longest : int
        Symbols of the account, rows of the window, and the most bars that a symbol has in it.
    notes : collection of str
        Which of `whatif.strategies.NOTES` the step reads.
    room : int
        Executions, and orders that wait, that there is room for.
    """
    k = symbols
    each: dict[str, Any] = {
        name: np.zeros(k, dtype=np.int64)
        for name in (
            "opened", "cursor", "following", "pending", "fresh", "met", "order_met", "has_bar", "held",
        )
    }  # fmt: skip
    desk = order_room(0)["desk"]
    none: dict[str, Any] = {name: np.empty(0) for name in _BEYOND}
    return SharedBook(
        **_room_for(room),
        **each,
        **note_room(notes, k, max(1 + longest, spec.max_orders) + ROOM_FOR_ANSWERS),
        **none,
        **_untold(),
        working=np.empty((0, order_room(0)["working"].shape[1])),
        serial=np.empty(0, dtype=np.int64),
        size=np.zeros(k),
        bound=np.zeros(k),
        last=np.zeros(k),
        price=np.zeros(k),
        tally=np.zeros(2, dtype=np.int64),
        scratch=np.empty(k * spec.scratch),
        memory=np.empty(0),
        equity=np.empty(rows),
        cash=np.empty(0),
        at_work=np.zeros(1, dtype=np.int64),
        desk=desk if len(desk) > k else np.empty(k),
        each=np.empty(k * EACH_WIDTH if spec.cross_sectional and spec.answers_orders else 0),
    )


def with_room_beyond(book: SharedBook, tells: bool) -> SharedBook:
    """Return a book with room for what goes beyond market orders; if it `tells` orders, for these too."""
    k = len(book.size)
    parts: dict[str, Any] = {}
    if not len(book.working):
        made = order_room(_ORDERS_WAITING)
        parts |= {"working": made["working"], "serial": made["serial"]}
        parts |= {name: np.zeros(TALLY if name == "reckoned" else k) for name in _BEYOND}
    if tells:
        parts |= {"told": np.empty((len(book.row), TOLD)), "of_fill": np.empty(len(book.row), dtype=np.int64)}
    return book._replace(**_untold())._replace(**parts)


def grown(book: SharedBook, room: int) -> SharedBook:
    """Return a book with room for so many executions, and for as many times the orders that wait."""
    parts = _room_for(room)
    if len(book.working):
        parts["working"] = order_room(len(book.working) * (room // len(book.row) + 1))["working"]
    if len(book.of_fill):
        parts["of_fill"] = np.empty(room, dtype=np.int64)
    return book._replace(**parts)


def _untold() -> dict[str, Any]:
    """Return the parts of a book that tells no orders."""
    return {"told": np.empty((0, TOLD)), "of_fill": np.empty(0, dtype=np.int64)}


def _room_for(count: int) -> dict[str, Any]:
    """Return the parts of a book for so many executions, and orders at the market that wait."""
    executions = np.empty((6, count))
    whole = {
        name: np.empty(count, dtype=np.int64) for name in ("row", "symbol", "order_symbol", "order_made")
    }
    floats = {name: np.empty(count) for name in ("order_size", "order_rest", "order_close")}
    return {"executions": executions, **whole, **floats}


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
            profit = size * (close - price) * costs.mult
            total = total + (value - profit) / costs.leverage
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
    for k in range(len(book.base)):
        book.base[k], book.accrued[k] = 0.0, 0.0
    for k in range(len(book.reckoned)):
        book.reckoned[k] = -math.inf if k == MONTH else 0.0
    if len(book.serial) > 0:
        book.serial[GROUPS_MADE], book.serial[ORDERS_MADE] = 0, 0


@inlinable_lean
def leaves(market: Market, book: SharedBook, symbol: int) -> bool:
    """Return whether a symbol that has a bar is not to be held any more."""
    if len(market.leaving_at) == 0:
        return False
    i = book.cursor[symbol]
    return bool(whole_at(market.leaving_at[symbol], i + 1)[i] != 0)


@inlinable_lean
def hide_leaving(fresh: int, market: Market, book: SharedBook) -> bool:
    """Tell a cross-sectional step that symbols not to be held have no bar; return if one is to leave.

    That is one that is held, or has orders that wait.
    """
    found = False
    for j in range(fresh if len(market.leaving_at) > 0 else 0):
        k = book.fresh[j]
        if leaves(market, book, k):
            book.has_bar[k] = 0
            found = found or book.size[k] != 0.0 or book.pending[k] > 0
    return found


class Queue(NamedTuple):
    """Orders that wait, how many of them are checked, place of the next execution, and orders refused."""

    waiting: int
    checked: int
    fills: int
    rejected: int


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
