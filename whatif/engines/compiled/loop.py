"""One configuration over one window: the loop that becomes machine code.

`kernel` writes this module's text to a file of its own for each strategy, with the strategy's
step in place of the one imported from `step_placeholder`. It must therefore stand for itself.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

from whatif.domain import Tally, inlinable, jit_lean, settled, tally
from whatif.engines.compiled.broker import (
    Costs,
    Slippage,
    account_value,
    cash_after_check,
    executed,
    fill_price,
    order_size,
)
from whatif.engines.compiled.step_placeholder import (
    ORDERS,
    OVERLAID,
    State,
    arrays_of,
    params_of,
    seen_of,
    step,
)
from whatif.engines.orders import LARGEST_SIZE
from whatif.strategies import (
    BUY,
    CLOSE,
    HOLD,
    SELL,
    TARGET,
    TARGET_PERCENT,
    OverlayRules,
    apply_overlays,
    delay,
    fields_filled,
)
from whatif.typing import FloatArray, IntArray

BAD_INTENT, BAD_SIZE, FULL_BOOK, BAD_ORDER = 1, 2, 3, 4
"""Why a loop ended before its window: the step's answer is no intent, or makes an order of no usable
size, or there were more executions than the book has room for, or an order fills fields beyond its size."""

CLOSED, OPENED, PRICE, CLOSED_FEE, OPENED_FEE, MULTIPLIER = range(6)
"""Rows of a book's executions."""

Position: TypeAlias = tuple[float, float, float, float]
"""Cash, size, entry price, and what the account was worth when it was last looked at."""


class Clock(NamedTuple):
    """Whole minutes from the session's open to each bar's start, and from there to its close, (n,)."""

    minute: IntArray
    to_close: IntArray


class Broker(NamedTuple):
    """Settings of the broker: cash at the start, costs, and when and how orders are checked and filled."""

    cash: float
    costs: Costs
    slippage: Slippage
    checksubmit: bool
    coc: bool


class Book(NamedTuple):
    """Room that one run after the other writes to; m bars in the window, k periods.

    Attributes
    ----------
    row : int64 array (2 m,)
        Row of each execution, counted from the window's first bar.
    executions : float64 array (6, 2 m)
        Executions as in `whatif.domain.fills.Fills`, rows as above; the last one is not written to.
    order_size, order_rest, order_close : float64 arrays (m + 1,)
        Orders that wait: signed size, what of it is not filled yet, and close of the bar they were
        made on.
    levels : float64 array (k + 1,)
        The initial cash, and equity at each period's end.
    scratch, memory : float64 arrays
        Of the step, and of the overlays.
    equity, cash : float64 arrays (m,) or (0,)
        Value and cash at each bar's close; left alone if they are empty.
    """

    row: IntArray
    executions: FloatArray
    order_size: FloatArray
    order_rest: FloatArray
    order_close: FloatArray
    levels: FloatArray
    scratch: FloatArray
    memory: FloatArray
    equity: FloatArray
    cash: FloatArray


class Outcome(NamedTuple):
    """What a run ended with.

    Attributes
    ----------
    final, size : float
        Equity and position at the last bar's close.
    fills, rejected : int
        Executions, and orders refused for want of cash.
    deepest, longest, equity_sum : float, int, float
        Maximum drawdown in percent, longest stay below a peak in bars, equity of all bars added up.
    bars_held : int
        Bars at whose close a position was held.
    failed, at : int
        0, or why and on which row the run ended early.
    code, amount : int, float
        The intent that it ended with; of an order with fields filled, which ones, in place of the code.
    """

    final: float
    size: float
    fills: int
    rejected: int
    deepest: float
    longest: int
    equity_sum: float
    bars_held: int
    failed: int
    at: int
    code: int
    amount: float


@inlinable
def worth_at(close: float, position: Position, costs: Costs) -> float:
    """Return what the account is worth at a bar's close."""
    cash, size, price, value = position
    return value if size == 0.0 else account_value(cash, size, price, close, costs)


@inlinable
def stretch(
    closes: FloatArray,
    begin: int,
    end: int,
    position: Position,
    costs: Costs,
    so_far: Tally,
) -> tuple[float, Tally]:
    """Take the rows `begin` to `end` into account, on which nothing was filled.

    Returns
    -------
    float, Tally
        Equity at the last one's close, and the tally.
    """
    cash, size, price, value = position
    peak, trough, deepest, below, longest, total = so_far
    if size == 0.0:
        for _ in range(begin, end):
            peak, trough, deepest, below, longest, total = tally(
                peak, trough, deepest, below, longest, total, value
            )
    else:
        for k in range(begin, end):
            value = account_value(cash, size, price, closes[k], costs)
            peak, trough, deepest, below, longest, total = tally(
                peak, trough, deepest, below, longest, total, value
            )
    return value, (peak, trough, deepest, below, longest, total)


@inlinable
def is_intent(code: int, amount: float) -> bool:
    """Return whether a code is one of the intents, and the amount one that it may have."""
    if code == HOLD:
        return True
    known = code in (TARGET, BUY, SELL, CLOSE, TARGET_PERCENT)
    return known and math.isfinite(amount) and (amount >= 0.0 or code not in (BUY, SELL))


@inlinable
def keep_order(book: Book, at: int, order: float, rest: float, close: float) -> None:
    """Write an order that waits, of which `rest` is not filled, to place `at` of a book."""
    book.order_size[at] = order
    book.order_rest[at] = rest
    book.order_close[at] = close


@inlinable
def write_execution(
    book: Book,
    at: int,
    row: int,
    closed: float,
    opened: float,
    price: float,
    closed_fee: float,
    opened_fee: float,
) -> None:
    """Write an execution on a row of the window to place `at` of a book."""
    book.row[at] = row
    book.executions[CLOSED, at] = closed
    book.executions[OPENED, at] = opened
    book.executions[PRICE, at] = price
    book.executions[CLOSED_FEE, at] = closed_fee
    book.executions[OPENED_FEE, at] = opened_fee


@inlinable
def failed_outcome(failed: int, at: int, code: int, amount: float) -> Outcome:
    """Return the outcome of a run that ended early."""
    return Outcome(0.0, 0.0, 0, 0, 0.0, 0, 0.0, 0, failed, at, code, amount)


def run_bars_python(
    first: int,
    stop: int,
    lookback: int,
    series: tuple[FloatArray, ...],
    values: tuple[Any, ...],
    clock: Clock,
    broker: Broker,
    rules: OverlayRules,
    ends: IntArray,
    book: Book,
) -> Outcome:
    """Run rows `first` to `stop` and return what came of them; executions are left in `book`.

    Parameters
    ----------
    first, stop : int
        The window as rows of the series.
    lookback : int
        Row before which the step is not called.
    series : tuple of float64 arrays (n,)
        What the step reads as ``x.name``, in the kernel's order: the bars' own first.
    values : tuple
        What it reads as ``p.name``.
    clock, broker, rules
        Where each bar is in its session, settings, overlays.
    ends : int64 array (k,)
        Bars of the window that start before each period's end.
    book : Book
        Scratch and memory hold zeros; everything else is overwritten.
    """
    x = arrays_of(series)
    p = params_of(values)
    costs, slippage = broker.costs, broker.slippage
    cash, value = broker.cash, broker.cash
    size, price = 0.0, 0.0
    opened_row, waiting, unchecked = 0, 0, False
    fills, rejected, bars_held = 0, 0, 0
    so_far = (broker.cash, broker.cash, 0.0, 0, 0, 0.0)
    keeps = len(book.equity) > 0
    book.levels[0] = cash
    period, periods = 0, len(ends)
    i = first
    while i < stop:
        # what happens on few bars stands outside of the inner loop: periods end, orders are filled
        while period < periods and ends[period] + first <= i:
            period += 1
            book.levels[period] = value
        halt = ends[period] + first if period < periods else stop
        if waiting > 0:
            if unchecked and broker.checksubmit:
                last = waiting - 1
                order, at = book.order_size[last], book.order_close[last]
                if not cash_after_check(cash, size, price, order, at, costs) >= 0.0:
                    rejected += 1
                    waiting = last
            unchecked = False
            kept = 0
            for k in range(waiting):
                order = book.order_size[k]
                at = book.order_close[k] if broker.coc else x.open[i]
                at = fill_price(order, at, x.high[i], x.low[i], slippage)
                rest = book.order_rest[k]
                if math.isnan(at):
                    keep_order(book, kept, order, rest, book.order_close[k])
                    kept += 1
                    continue
                cash, size, price, closed, opened, closed_fee, opened_fee, refused = executed(
                    cash, size, price, rest, at, costs
                )
                rest -= closed + opened
                if refused:
                    rejected += 1
                elif rest != 0.0:
                    # the parts of a reversal need not add up to its size; the order lives on
                    keep_order(book, kept, order, rest, book.order_close[k])
                    kept += 1
                if closed != 0.0 or opened != 0.0:
                    if fills == len(book.row):
                        return failed_outcome(FULL_BOOK, i, 0, 0.0)
                    write_execution(book, fills, i - first, closed, opened, at, closed_fee, opened_fee)
                    fills += 1
                if opened != 0.0 and size == opened:
                    opened_row = i
            waiting = kept
            value = account_value(cash, size, price, x.close[i], costs)
        if waiting > 0:
            halt = i + 1
        # two short loops are faster than a long one: the step is asked until it wants something, and
        # then what the account was worth on those bars is added up
        begin = i
        code, amount, held, filled = HOLD, 0.0, 0, 0
        while True:
            if i >= lookback:
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
                amount = float(asked)
            if code != HOLD or filled != 0 or OVERLAID or i + 1 >= halt:
                break
            i += 1
        position = (cash, size, price, value)
        value, so_far = stretch(x.close, begin, i + 1, position, costs, so_far)
        if size != 0.0:
            bars_held += i + 1 - begin
        if keeps:
            for k in range(begin, i + 1):
                book.equity[k - first] = worth_at(x.close[k], position, costs)
                book.cash[k - first] = cash
        if filled != 0:
            return failed_outcome(BAD_ORDER, i, filled, amount)
        if not is_intent(code, amount):
            return failed_outcome(BAD_INTENT, i, code, amount)
        close = x.close[i]
        if OVERLAID and i >= lookback:
            code, amount = apply_overlays(
                code, amount, close, size, price, held, value, clock.to_close[i], rules
            )
            code, amount = delay(code, amount, i, len(book.memory) // 2, book.memory)
        if code != HOLD:
            order = order_size(code, amount, size, price, value, close, costs)
            if not abs(order) <= LARGEST_SIZE:
                return failed_outcome(BAD_SIZE, i, code, order)
            if order != 0.0:
                keep_order(book, waiting, order, order, close)
                waiting += 1
                unchecked = True
        i += 1
    while period < periods:
        period += 1
        book.levels[period] = value
    peak, trough, deepest, below, longest, equity_sum = so_far
    deepest, longest = settled(peak, trough, deepest, below, longest)
    return Outcome(value, size, fills, rejected, deepest, longest, equity_sum, bars_held, 0, 0, 0, 0.0)


run_bars = jit_lean(run_bars_python)
