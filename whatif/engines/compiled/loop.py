"""Many configurations over one window: the loop around a strategy's compiled part, itself compiled once."""

from __future__ import annotations

import math

from whatif.domain import (
    MONTH,
    PRICE_FIELDS,
    TIERS,
    inlinable_lean,
    jit_lean,
    pick_levels,
    room_at,
    tally_array,
    view_at,
    whole_at,
)
from whatif.engines.compiled.book import (
    AMOUNT,
    AT,
    BARS_HELD,
    CLOSED,
    CLOSED_FEE,
    CODE,
    DEEPEST,
    EQUITY_SUM,
    FAILED,
    FILLS,
    FINAL,
    FULL_BOOK,
    GROUPS_MADE,
    LONGEST,
    MULTIPLIER,
    OPENED,
    OPENED_FEE,
    ORDERS_MADE,
    PRICE,
    REJECTED,
    SIZE,
    Account,
    Asked,
    Asking,
    Book,
    Broker,
    OrderCount,
    Outcomes,
    Runs,
    begin_bar,
    begin_interest,
    fill_orders,
    keep_order,
    mark_equity,
    settings_of,
    settled,
)
from whatif.engines.compiled.broker import Costs, Prices, account_value, moved
from whatif.engines.compiled.calling import ask
from whatif.engines.compiled.notes import begin_notes, note_fill
from whatif.engines.compiled.working import (
    Placed,
    fill_working,
    place_answer,
    quiet_until,
    show_waiting,
    tell_waiting,
)
from whatif.engines.orders import has_exit_orders
from whatif.indicators import mark_crossings
from whatif.strategies import OverlayRules
from whatif.typing import FloatArray, IntArray

_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME = map(PRICE_FIELDS.index, ("open", "high", "low", "close", "volume"))
_WORD = 8
SHORTEST_REACH = 4
"""Bars looked ahead at first for working orders; twice as many each time that nothing comes of it."""


@inlinable_lean
def note_failure(
    money: FloatArray, counts: IntArray, failed: int, row: int, code: int, amount: float
) -> None:
    """Write why a run ends early to its row of `Outcomes`, and what is said of that."""
    counts[FAILED], counts[AT], counts[CODE] = failed, row, code
    money[AMOUNT] = amount


@inlinable_lean
def note_end(
    money: FloatArray,
    counts: IntArray,
    account: Account,
    orders: OrderCount,
    value: float,
    used: int,
    bars_held: int,
) -> None:
    """Write what a run ends with to its row of `Outcomes`; the book had `used` executions before it."""
    money[FINAL], money[SIZE] = value, account.size
    counts[FILLS], counts[REJECTED], counts[BARS_HELD] = orders.fills - used, orders.rejected, bars_held


@inlinable_lean
def fill_row(
    i: int,
    first: int,
    series_at: int,
    account: Account,
    orders: OrderCount,
    broker: Broker,
    book: Book,
    used: int,
    asking: Asking,
    stop: int,
) -> tuple[bool, Account, OrderCount]:
    """Fill what fills on row `i`, on the finer bars inside it if there are any: on each, while it matters."""
    begin, end, since, count = i, i + 1, first, stop
    if asking.begins_at != 0:
        begins = whole_at(asking.begins_at, stop + 1)
        begin, end, since, count = begins[i], begins[i + 1], begins[first], asking.finer_stop
        series_at = asking.finer_at
    addresses = whole_at(series_at, len(PRICE_FIELDS))
    opens, highs = view_at(addresses[_OPEN], count), view_at(addresses[_HIGH], count)
    lows, closes = view_at(addresses[_LOW], count), view_at(addresses[_CLOSE], count)
    fits = True
    for j in range(begin, end):
        bar, noted = (opens[j], highs[j], lows[j], closes[j]), orders.fills
        tried = (j, since, count, addresses[_VOLUME])
        rest = (account, orders, broker, book, used, asking, stop)
        fits, account, orders = fill_bar(i, first, tried, bar, *rest)
        for k in range(noted, min(orders.fills, len(book.finer))):
            book.finer[k] = j
        if not fits or (orders.waiting == 0 and not (broker.settles and account.size != 0.0)):
            break
    return fits, account, orders


@inlinable_lean
def fill_bar(
    i: int,
    first: int,
    tried: tuple[int, int, int, int],
    bar: Prices,
    account: Account,
    orders: OrderCount,
    broker: Broker,
    book: Book,
    used: int,
    asking: Asking,
    stop: int,
) -> tuple[bool, Account, OrderCount]:
    """Fill what fills on a bar: `fill_orders`, or `fill_working` of a step that answers with orders.

    Parameters
    ----------
    i : int
        The row that it is, or lies inside.
    tried : tuple of int
        Its place among the bars that orders are tried on, that of the window's first one, how many there
        are, and where their volumes lie.
    bar : tuple of float
        Its open, high, low and close.
    """
    j, since, count, volumes_at = tried
    if len(broker.charges) > 0 or broker.parts.kind != 0.0:
        has_tiers = len(broker.charges) > 0 and broker.charges[TIERS] > 1.0
        month = view_at(asking.months_at, count)[j] if has_tiers else 0.0
        begin_bar(broker.tally, month, view_at(volumes_at, count)[j], bar[1] - bar[2])
    if broker.settles:
        passed = 0.0
        if broker.rate != 0.0 and j > since:
            days = view_at(asking.days_at, count)
            passed = days[j] - days[j - 1]
        begin_interest(broker, account, passed)
    limit, before, noted = used + asking.room, account, orders.fills
    if asking.max_orders == 0:
        fits, account, orders = fill_orders(i, first, bar, before, orders, broker, book, limit)
    else:
        session_ends = whole_at(asking.session_ends_at, stop)
        fits, account, orders = fill_working(i, first, bar, session_ends, before, orders, broker, book, limit)
    if len(book.notes) > 0:
        note_fills(book.notes, book.executions, i, noted, orders.fills, before)
    if broker.settles:
        account = settled(broker, account, bar[3])
    return fits, account, orders


@inlinable_lean
def next_settlement(i: int, halt: int, broker: Broker, asking: Asking, stop: int) -> int:
    """Return the row after `i` on which a position changes the cash: of a future the next one.

    So it is with finer bars, of which any may be another day's. Else the first one of another day, `halt` if
    there is none before.
    """
    if broker.costs.margin != 0.0 or asking.begins_at != 0:
        return min(i + 1, halt)
    days = view_at(asking.days_at, stop)
    for j in range(i + 1, halt):
        if days[j] != days[i]:
            return j
    return halt


@inlinable_lean
def note_fills(
    notes: FloatArray, executions: FloatArray, row: int, begin: int, end: int, account: Account
) -> None:
    """Note the executions `begin` to `end`, which are those of a row, of a symbol's account before them."""
    _, size, price, _ = account
    for k in range(begin, end):
        closed, opened = executions[CLOSED, k], executions[OPENED, k]
        at, fees = executions[PRICE, k], executions[CLOSED_FEE : OPENED_FEE + 1, k]
        mult = executions[MULTIPLIER, k]
        entry = price
        size, price, _, _ = moved(size, price, closed + opened, at)
        note_fill(notes, row, entry, closed, opened, size, at, fees[0], fees[1], mult)


@inlinable_lean
def take_answer(
    asked: Asked,
    first: int,
    close: float,
    account: Account,
    value: float,
    waiting: int,
    broker: Broker,
    book: Book,
    asking: Asking,
    stop: int,
) -> Placed:
    """Keep the order that a step was asked for, or what it has written to the desk."""
    if asking.max_orders == 0:
        keep_order(book, waiting, asked.order, asked.order, close)
        return Placed(0, 0, 0.0, waiting + 1)
    session_ends = whole_at(asking.session_ends_at, stop)
    at = (asked.row - first, 0, asked.row, close, session_ends, account, value, waiting, broker)
    return place_answer(book, asked.code, *at, asking.max_orders)


@inlinable_lean
def next_fill(
    i: int,
    halt: int,
    series: tuple[FloatArray, FloatArray, FloatArray],
    book: Book,
    waiting: int,
    asking: Asking,
) -> int:
    """Return the row after `i` on which orders that wait are to be tried next: see `quiet_until`."""
    return i + 1 if asking.max_orders == 0 else quiet_until(i, halt, series, book, waiting)


@inlinable_lean
def next_turn(
    i: int,
    stop: int,
    reach: int,
    series: tuple[FloatArray, FloatArray, FloatArray],
    book: Book,
    size: float,
    waiting: int,
    broker: Broker,
    asking: Asking,
) -> int:
    """Return the row after `i` on which the broker may have something to do, if the step does not order."""
    halt = stop
    if waiting > 0:
        halt = next_fill(i, min(stop, i + reach), series, book, waiting, asking)
    if broker.settles and size != 0.0:
        halt = next_settlement(i, halt, broker, asking, stop)
    return halt


@inlinable_lean
def mark_bars(
    book: Book, closes: FloatArray, begin: int, account: Account, value: float, costs: Costs
) -> float:
    """Write what an account is worth at closes (b,) to a book from place `begin` on; return the last."""
    end = begin + len(closes)
    position = (account.cash, account.size, account.price, value)
    return mark_equity(closes, book.equity[begin:end], book.cash[begin:end], position, costs)


@inlinable_lean
def run_bars(
    first: int,
    stop: int,
    run: int,
    asking: Asking,
    addresses: IntArray,
    broker: Broker,
    rules: OverlayRules,
    latency: int,
    used: int,
    book: Book,
    money: FloatArray,
    counts: IntArray,
) -> None:
    """Run one configuration over rows `first` to `stop`; executions and equity are left in `book`.

    Parameters
    ----------
    run : int
        Its place among all.
    asking : Asking
        How its strategy is asked.
    addresses : int64 array (s,)
        Where the values of its series lie, the bars' own first.
    used : int
        Executions in the book, of configurations before this one; there is room for `asking.room` more.
    money, counts : float64 array (5,) and int64 array (7,)
        Written to, rows of `Outcomes`; if the run fails, only of what is said of that.
    """
    opens, highs = view_at(addresses[_OPEN], stop), view_at(addresses[_HIGH], stop)
    lows, closes = view_at(addresses[_LOW], stop), view_at(addresses[_CLOSE], stop)
    series_at = asking.series_at + _WORD * run * len(addresses)
    costs = broker.costs
    account, orders = Account(broker.cash, 0.0, 0.0, 0), OrderCount(0, False, used, 0)
    value, bars_held, reach, rest = broker.cash, 0, SHORTEST_REACH, (asking, stop)
    exits = has_exit_orders(rules)
    i = first
    while i < stop:
        # what happens on few bars stands outside of the two loops that go over all of them: the step is
        # asked until an order comes of it, and then what the account was worth on those bars is written
        halt = stop
        if orders.waiting > 0 or (broker.settles and account.size != 0.0):
            fits, account, orders = fill_row(i, first, series_at, account, orders, broker, book, used, *rest)
            if not fits:
                note_failure(money, counts, FULL_BOOK, i, 0, 0.0)
                return
            value = account_value(account.cash, account.size, account.price, closes[i], costs)
            series = (opens, highs, lows)
            halt = next_turn(i, stop, reach, series, book, account.size, orders.waiting, broker, asking)
        waiting = orders.waiting
        own = show_waiting(book, waiting, exits)
        asked = ask(
            asking.address, i, halt, asking.lookback, run, series_at, asking.places_at,
            account, value, own, costs, rules, latency,
        )  # fmt: skip
        last = asked.row
        if asked.failed != 0:
            note_failure(money, counts, asked.failed, last, asked.code, asked.amount)
            return
        value = mark_bars(book, closes[i : last + 1], i - first, account, value, costs)
        bars_held += last + 1 - i if account.size != 0.0 else 0
        if asked.order != 0.0:
            given = (account, value, waiting, broker, book, asking, stop)
            placed = take_answer(asked, first, closes[last], *given)
            if placed.failed != 0:
                note_failure(money, counts, placed.failed, last, placed.at, placed.amount)
                return
            orders = OrderCount(placed.waiting, True, orders.fills, orders.rejected)
            reach = SHORTEST_REACH
        else:
            reach = min(2 * reach, stop)
        i = last + 1
    tell_waiting(book, orders.waiting, stop - first)
    note_end(money, counts, account, orders, value, used, bars_held)


@inlinable_lean
def make_crossings(runs: Runs, run: int, stop: int) -> None:
    """Write the crossings that a configuration reads, all `stop` rows of them."""
    for k in range(len(runs.crossed_at)):
        one, other = runs.crossed[run, k, 0], runs.crossed[run, k, 1]
        mark_crossings(view_at(one, stop), view_at(other, stop), room_at(runs.crossed_at[k], stop))


def run_many_python(
    first: int,
    stop: int,
    begin: int,
    asking: Asking,
    runs: Runs,
    ends: IntArray,
    book: Book,
    outcomes: Outcomes,
) -> int:
    """Run configurations one after the other over the same bars, as long as the book has room.

    Parameters
    ----------
    first, stop : int
        The window as rows of the series.
    begin : int
        The configuration to begin with.
    asking : Asking
        How their strategy is asked.
    runs : Runs
        What they differ in.
    ends : int64 array (k,)
        Bars of the window that start before each period's end.
    book, outcomes
        Written to, `outcomes` from row `begin` on.

    Returns
    -------
    int
        The configuration to go on with: the number of all if none is left.
    """
    used, bars = 0, stop - first
    equity = book.equity[:bars]
    for run in range(begin, len(runs.settings)):
        if used + asking.room > len(book.row):
            return run
        book.at_work[0] = run
        for k in range(len(book.scratch)):
            book.scratch[k] = 0.0
        for k in range(len(book.memory)):
            book.memory[k] = 0.0
        book.serial[GROUPS_MADE], book.serial[ORDERS_MADE] = 0, 0
        begin_notes(book.notes)
        for k in range(len(book.tally)):
            book.tally[k] = -math.inf if k == MONTH else 0.0
        broker, rules, latency = settings_of(runs, run, book.tally)
        money, counts = outcomes.money[run], outcomes.counts[run]
        counts[FILLS], counts[FAILED] = 0, 0
        make_crossings(runs, run, stop)
        addresses = runs.addresses[run]
        run_bars(first, stop, run, asking, addresses, broker, rules, latency, used, book, money, counts)
        if counts[FAILED] == 0:
            pick_levels(equity, ends, broker.cash, outcomes.levels[run])
            money[DEEPEST], counts[LONGEST], money[EQUITY_SUM] = tally_array(equity, broker.cash)
            used += counts[FILLS]
    return len(runs.settings)


run_many = jit_lean(run_many_python)
