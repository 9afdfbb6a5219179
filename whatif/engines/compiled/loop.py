"""One configuration over one window: the loop that becomes machine code.

`kernel` writes this module's text to a file of its own for each strategy, with the strategy's
step in place of the one imported from `step_placeholder`. It must therefore stand for itself.
"""

from __future__ import annotations

from typing import Any

from whatif.domain import inlinable_lean, jit_lean, pick_levels, tally_array
from whatif.engines.compiled.book import (
    AMOUNT,
    AT,
    BAD_INTENT,
    BAD_ORDER,
    BAD_SIZE,
    BARS_HELD,
    CODE,
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
    Asked,
    Book,
    Broker,
    Clock,
    OrderCount,
    Outcomes,
    Runs,
    fill_orders,
    is_intent,
    keep_order,
    mark_equity,
    settings_of,
)
from whatif.engines.compiled.broker import Costs, account_value, order_size
from whatif.engines.compiled.step_placeholder import (
    ORDERS,
    OVERLAID,
    State,
    arrays_of,
    params_of,
    seen_of,
    series_of,
    step,
    values_of,
)
from whatif.engines.orders import LARGEST_SIZE
from whatif.strategies import HOLD, OverlayRules, apply_overlays, delay, fields_filled
from whatif.typing import FloatArray, IntArray


@inlinable_lean
def ask_step(
    begin: int,
    halt: int,
    lookback: int,
    series: tuple[FloatArray, ...],
    values: tuple[Any, ...],
    clock: Clock,
    account: Account,
    value: float,
    waiting: int,
    costs: Costs,
    rules: OverlayRules,
    latency: int,
    book: Book,
) -> tuple[int, Asked]:
    """Ask the step from row `begin` on, until an order comes of it or `halt` is next.

    Parameters
    ----------
    series : tuple of float64 arrays (n,)
        What the step reads as ``x.name``.
    value : float
        What the account is worth while it holds nothing.

    Returns
    -------
    int, Asked
        The row that was asked last, and what came of it there.
    """
    x = arrays_of(series)
    p = params_of(values)
    cash, size, price, opened_row = account
    code, amount, held, filled = HOLD, 0.0, 0, 0
    for i in range(max(begin, lookback), halt):
        now = value
        if size != 0.0:
            now = account_value(cash, size, price, x.close[i], costs)
            held = i - opened_row
        minute, to_close = clock.minute[i], clock.to_close[i]
        state = State(size, price, held, cash, now, waiting, minute, to_close, book.scratch)
        answer = step(i, seen_of(series, i), p, state)
        if ORDERS:
            filled = fields_filled(answer)
            code, asked, _, _, _, _ = answer
        else:
            code, asked = answer
        if code == HOLD and filled == 0 and not OVERLAID:
            continue
        amount = float(asked)
        if filled != 0:
            return i, Asked(BAD_ORDER, filled, amount, 0.0)
        if not is_intent(code, amount):
            return i, Asked(BAD_INTENT, code, amount, 0.0)
        if OVERLAID:
            code, amount = apply_overlays(code, amount, x.close[i], size, price, held, now, to_close, rules)
            code, amount = delay(code, amount, i, latency, book.memory)
            if code == HOLD:
                continue
        order = order_size(code, amount, size, price, now, x.close[i], costs)
        if not abs(order) <= LARGEST_SIZE:
            return i, Asked(BAD_SIZE, code, order, 0.0)
        if order != 0.0:
            return i, Asked(0, code, amount, order)
    return halt - 1, Asked(0, HOLD, 0.0, 0.0)


@inlinable_lean
def run_bars(
    first: int,
    stop: int,
    lookback: int,
    series: tuple[FloatArray, ...],
    values: tuple[Any, ...],
    clock: Clock,
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
    series : tuple of float64 arrays (n,)
        What the step reads as ``x.name``, in the kernel's order.
    values : tuple
        What it reads as ``p.name``.
    used : int
        Executions in the book, of configurations before this one; there is room for two more a bar.
    money, counts : float64 array (5,) and int64 array (7,)
        Written to, rows of `Outcomes`; if the run fails, only of what is said of that.
    """
    x = arrays_of(series)
    costs = broker.costs
    account, orders = Account(broker.cash, 0.0, 0.0, 0), OrderCount(0, False, used, 0)
    limit = used + 2 * (stop - first)
    value, bars_held = broker.cash, 0
    i = first
    while i < stop:
        # what happens on few bars stands outside of the two loops that go over all of them: the step is
        # asked until an order comes of it, and then what the account was worth on those bars is written
        halt = stop
        if orders.waiting > 0:
            bar = (x.open[i], x.high[i], x.low[i])
            fits, account, orders = fill_orders(i, first, bar, account, orders, broker, book, limit)
            if not fits:
                counts[FAILED], counts[AT] = FULL_BOOK, i
                return
            value = account_value(account.cash, account.size, account.price, x.close[i], costs)
            if orders.waiting > 0:
                halt = i + 1
        waiting = orders.waiting
        last, asked = ask_step(
            i, halt, lookback, series, values, clock, account, value, waiting, costs, rules, latency, book
        )
        if asked.failed != 0:
            counts[FAILED], counts[AT], counts[CODE] = asked.failed, last, asked.code
            money[AMOUNT] = asked.amount
            return
        begin, end = i - first, last + 1 - first
        position = (account.cash, account.size, account.price, value)
        value = mark_equity(
            x.close[i : last + 1], book.equity[begin:end], book.cash[begin:end], position, costs
        )
        bars_held += end - begin if account.size != 0.0 else 0
        if asked.order != 0.0:
            keep_order(book, waiting, asked.order, asked.order, x.close[last])
            orders = OrderCount(waiting + 1, True, orders.fills, orders.rejected)
        i = last + 1
    money[FINAL], money[SIZE] = value, account.size
    counts[FILLS], counts[REJECTED], counts[BARS_HELD] = orders.fills - used, orders.rejected, bars_held


def run_many_python(
    first: int,
    stop: int,
    lookback: int,
    begin: int,
    runs: Runs,
    clock: Clock,
    ends: IntArray,
    book: Book,
    outcomes: Outcomes,
) -> int:
    """Run configurations one after the other over the same bars, as long as the book has room.

    Parameters
    ----------
    first, stop : int
        The window as rows of the series.
    lookback : int
        Row before which the step is not called.
    begin : int
        The configuration to begin with.
    runs : Runs
        What they differ in.
    clock : Clock
        Where each bar is in its session.
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
        if used + 2 * bars > len(book.row):
            return run
        book.at_work[0] = run
        for k in range(len(book.scratch)):
            book.scratch[k] = 0.0
        for k in range(len(book.memory)):
            book.memory[k] = 0.0
        broker, rules, latency = settings_of(runs.settings, run)
        money, counts = outcomes.money[run], outcomes.counts[run]
        counts[FILLS], counts[FAILED] = 0, 0
        series, values = series_of(runs.addresses, run, stop), values_of(runs.values, run)
        run_bars(
            first, stop, lookback, series, values, clock, broker, rules, latency, used, book, money, counts
        )
        if counts[FAILED] == 0:
            pick_levels(equity, ends, broker.cash, outcomes.levels[run])
            money[DEEPEST], counts[LONGEST], money[EQUITY_SUM] = tally_array(equity, broker.cash)
            used += counts[FILLS]
    return len(runs.settings)


run_many = jit_lean(run_many_python)
