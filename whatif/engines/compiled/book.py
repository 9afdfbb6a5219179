"""Book of one run: its settings, the room it writes to, the orders that wait, and what is filled on a bar.

Nothing here depends on a strategy, so that it is compiled once for all of a process's loops.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, NamedTuple, TypeAlias

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
    TRADED,
    inlinable,
    inlinable_lean,
    traded_by,
)
from whatif.engines.compiled.broker import (
    Costs,
    Deal,
    Parts,
    Prices,
    Slippage,
    account_value,
    cash_after_check,
    executed,
    fill_price,
    outright_value,
    part_of,
    settlement,
    slippage_on,
)
from whatif.engines.compiled.notes import NOTES_KEPT, SHOWN_FIELDS
from whatif.strategies import (
    BUY,
    CLOSE,
    HOLD,
    ORDER_NOTES,
    SELL,
    TARGET,
    TARGET_PERCENT,
    OverlayRules,
)
from whatif.typing import FloatArray, IntArray

BAD_INTENT, BAD_SIZE, FULL_BOOK, BAD_ORDER, DELAYED_ORDERS, MANY_ORDERS, MANY_WAITING = range(1, 8)
"""Why a loop ended before its window: the step's answer is no intent, or makes an order of no usable
size, or there were more executions than the book has room for, or an order breaks a rule, or latency
cannot act on it, or there are too many of them on one bar, or that wait."""

CLOSED, OPENED, PRICE, CLOSED_FEE, OPENED_FEE, MULTIPLIER = range(6)
"""Rows of a book's executions."""

GROUPS_MADE, ORDERS_MADE = range(2)
"""Places of a book's serial numbers."""

TOLD = 7
"""Numbers of an order that is told, see `whatif.engines.compiled.working`."""

MOST_FILLS_A_BAR = 512
"""Executions a bar, on average, for which room is made where a run needs more: a filler fills a part of each
order that waits on each bar."""

Position: TypeAlias = tuple[float, float, float, float]
"""Cash, size, entry price, and what the account was worth when it was last looked at."""


class Asking(NamedTuple):
    """How a strategy's compiled part is called.

    Attributes
    ----------
    address : int
        Where its machine code lies; where numba is told to compile nothing, the function itself.
    lookback : int
        Row before which the step is not called.
    series_at : int
        Where `Runs.addresses` lie.
    places_at : int
        Where the memory lies that its calls share, see `calling`.
    session_ends_at : int
        Where the first row of the session after each row's own lies, int64, `stop` of them; none if
        `max_orders` is 0.
    max_orders : int
        Orders that may wait, of a strategy that answers with more than market orders; else 0.
    room : int
        Executions that one run may have.
    months_at, days_at : int
        Where the calendar month, and the day, of each bar that orders are tried on lies, float64; none if no
        run's charges, or interest, ask.
    begins_at : int
        Where the first of the finer bars inside each row lies, int64, `stop` + 1 of them; 0 if orders are
        tried on the rows themselves.
    finer_at, finer_stop : int
        Where the addresses of the finer bars' prices and volume lie, as those of the bars' own, and how many
        bars there are.
    """

    address: Any
    lookback: int
    series_at: int
    places_at: int
    session_ends_at: int
    max_orders: int
    room: int
    months_at: int
    days_at: int
    begins_at: int
    finer_at: int
    finer_stop: int


class Broker(NamedTuple):
    """Settings of the broker: cash at the start, costs, and when and how orders are checked and filled.

    `charges` is what `whatif.domain.charges_of` gives, empty without `whatif.domain.Costs`; `tally` (TALLY,)
    what they are reckoned by, written to. `settles` says that a position may change the cash without an
    order: it is a future's, or pays interest, `rate` of its entry value a day, a long one if that
    `charges_longs`. `parts` says how much of an order a bar fills, `coo` that the check
    takes a market order's next open, and `corrected` that Backtrader's oddities are left out.
    """

    cash: float
    costs: Costs
    slippage: Slippage
    checksubmit: bool
    coc: bool
    charges: FloatArray
    tally: FloatArray
    settles: bool
    rate: float
    charges_longs: bool
    parts: Parts
    coo: bool
    corrected: bool


class Runs(NamedTuple):
    """What c configurations of a strategy with s series differ in.

    Attributes
    ----------
    addresses : int64 array (c, s)
        Where the values of each series lie, `stop` of them, in the kernel's order: the bars' own first.
    settings : float64 array (c, SETTINGS)
        Broker and overlays, see `settings_of`.
    charges : float64 array (c, w)
        Rows of charges, each as long as its first number says.
    special : tuple of int
        Not empty if one of them has a setting of `whatif.domain.SPECIAL_SETTINGS` for which there is machine
        code of its own.
    crossed : int64 array (c, x, 2)
        Where the two series lie whose crossings are made just before a configuration runs, if it reads any.
    crossed_at : int64 array (x,)
        Where these are written to: one row of `stop` values serves all configurations, and so stays in the
        processor's cache.
    """

    addresses: IntArray
    settings: FloatArray
    charges: FloatArray
    special: tuple[int, ...]
    crossed: IntArray
    crossed_at: IntArray


class Book(NamedTuple):
    """Room that one call after the other writes to; m bars in the window, k periods, f executions.

    Attributes
    ----------
    row : int64 array (f,)
        Row of each execution, counted from the window's first bar; one configuration after the other.
    executions : float64 array (6, f)
        Executions as in `whatif.domain.fills.Fills`, rows as above.
    order_size, order_rest, order_close : float64 arrays (m + 1,)
        Orders that wait: signed size, what of it is not filled yet, and close of the bar they were
        made on.
    scratch, memory : float64 arrays
        Of the step, and of the overlays.
    equity : float64 array (m,)
        Value at each bar's close, of the configuration that ran last.
    cash : float64 array (m,) or (0,)
        Cash at each bar's close; left alone if it is empty.
    at_work : int64 array (1,)
        The configuration that runs, or ran last.
    working : float64 array (w, WORKING)
        Orders that wait, of a strategy that answers with more than market orders; `order_size` and its
        like are not used then. See `whatif.engines.compiled.working`.
    desk : float64 array (DESK_ROOM * WIDTH,)
        Orders that a step answered with.
    serial : int64 array (2,)
        Number of the group or bracket that was made last, and of orders made, of a strategy that answers
        with more than market orders.
    tally : float64 array (TALLY,)
        What charges are reckoned by.
    notes, shown : float64 arrays
        What is kept for a step that reads it, else of no length: see `whatif.engines.compiled.notes`.
    told, of_fill : float64 array (o, TOLD) and int64 array (f,)
        Orders in the order in which they were made, and which of them each execution was of; of no length
        if nobody asks. What there is no room for is left out.
    finer : int64 array (f,)
        Finer bar of each execution; of no length if orders are tried on the rows, or nobody asks.
    """

    row: IntArray
    executions: FloatArray
    order_size: FloatArray
    order_rest: FloatArray
    order_close: FloatArray
    scratch: FloatArray
    memory: FloatArray
    equity: FloatArray
    cash: FloatArray
    at_work: IntArray
    working: FloatArray
    desk: FloatArray
    serial: IntArray
    tally: FloatArray
    notes: FloatArray
    shown: FloatArray
    told: FloatArray
    of_fill: IntArray
    finer: IntArray


class Outcomes(NamedTuple):
    """What runs ended with, of c configurations and k periods.

    Attributes
    ----------
    money : float64 array (c, 5)
        Equity and position at the last bar's close, maximum drawdown in percent, equity of all bars
        added up, and the amount of the intent that a run ended early with.
    counts : int64 array (c, 7), or (c, 8) of several symbols
        Executions; orders refused for want of cash; longest stay below a peak in bars; bars at whose
        close a position was held; 0, or why the run ended early; on which row, and with which code (of
        an order that breaks a rule: its place on the desk, and in place of the amount the rule), and of which
        symbol.
    levels : float64 array (c, k + 1)
        The initial cash, and equity at each period's end.
    """

    money: FloatArray
    counts: IntArray
    levels: FloatArray


NO_CROSSINGS = np.empty((0, 0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
"""`Runs.crossed` and `crossed_at` where all series are there before."""

FINAL, SIZE, DEEPEST, EQUITY_SUM, AMOUNT = range(5)
FILLS, REJECTED, LONGEST, BARS_HELD, FAILED, AT, CODE, SYMBOL_AT = range(8)
"""Columns of `Outcomes`; the last one is of an account of several symbols."""

SETTINGS = 41
"""Numbers that say what broker and overlays do."""


def shows_orders(notes: Collection[str]) -> bool:
    """Return whether a step that reads these of `whatif.strategies.NOTES` is shown the orders that wait."""
    return not set(ORDER_NOTES).isdisjoint(notes)


def note_room(notes: Collection[str], symbols: int, orders: int) -> dict[str, Any]:
    """Return the parts of a book for what a step reads.

    Parameters
    ----------
    notes : collection of str
        Which of `whatif.strategies.NOTES`.
    symbols, orders : int
        Symbols of the account, and orders that may wait.
    """
    room = orders if shows_orders(notes) else 0
    return {
        "notes": np.empty(symbols * NOTES_KEPT if notes else 0),
        "shown": np.empty(SHOWN_FIELDS * room),
    }


class Account(NamedTuple):
    """Cash, signed size, average entry price, and the row on which the position was opened."""

    cash: float
    size: float
    price: float
    opened_row: int


class OrderCount(NamedTuple):
    """Orders that wait, whether the newest is unchecked, place of the next execution, and orders refused."""

    waiting: int
    unchecked: bool
    fills: int
    rejected: int


class Asked(NamedTuple):
    """Why the step was asked no further.

    Attributes
    ----------
    row : int
        The row that it was asked on last.
    failed : int
        0, or why the run ends here.
    code, amount : int, float
        What is said of that: the step's answer; of an order of no usable size, that size in place of the
        amount. Of a step that writes orders to the desk, how many, in place of the code.
    order : float
        Signed size of the order that is to be kept, 1.0 for what is written to the desk; 0.0 for none.
    """

    row: int
    failed: int
    code: int
    amount: float
    order: float


@inlinable_lean
def settings_of(runs: Runs, run: int, tally: FloatArray) -> tuple[Broker, OverlayRules, int]:
    """Return broker, rules and latency of a configuration from its row of `Runs.settings`."""
    row, charges = runs.settings[run], runs.charges[run]
    # without special settings all of these are constants, which leave nothing in machine code
    special = len(runs.special) > 0
    is_outright, corrected = float(row[30]) != 0.0 or not special, special and float(row[40]) != 0.0
    margin, rate = float(row[31]) if special else 0.0, float(row[34]) if special else 0.0
    mult, leverage = float(row[32]) if special else 1.0, float(row[33]) if special else 1.0
    costs = Costs(
        float(row[1]), float(row[2]) != 0.0, float(row[3]) != 0.0, is_outright, margin, mult, leverage,
        corrected,
    )  # fmt: skip
    slippage = (
        float(row[4]),
        float(row[5]),
        float(row[6]) != 0.0,
        float(row[7]) != 0.0,
        float(row[8]) != 0.0,
        float(row[9]) != 0.0,
        corrected,
    )
    checksubmit, coc = float(row[10]) != 0.0, float(row[11]) != 0.0
    parts = float(row[36]) if special else 0.0
    broker = Broker(
        float(row[0]), costs, slippage, checksubmit, coc, charges[: int(charges[0])], tally,
        costs.margin != 0.0 or rate != 0.0, rate, float(row[35]) != 0.0,
        Parts(parts, float(row[37]), float(row[38])), special and float(row[39]) != 0.0, corrected,
    )  # fmt: skip
    rules = OverlayRules(
        float(row[12]), float(row[13]), int(row[14]), int(row[15]), int(row[16]), float(row[17]),
        float(row[18]), float(row[19]), int(row[20]), float(row[21]), float(row[22]), float(row[23]),
        float(row[24]), float(row[25]), float(row[26]), int(row[27]), float(row[28]),
    )  # fmt: skip
    return broker, rules, int(row[29])


@inlinable_lean
def mark_equity(
    closes: FloatArray, equity: FloatArray, cash: FloatArray, position: Position, costs: Costs
) -> float:
    """Write what an account is worth at the closes of bars on which nothing is filled.

    Parameters
    ----------
    closes, equity : float64 arrays (b,)
        Closes of those bars, at least one, and what is written to.
    cash : float64 array (b,) or (0,)
        Written to as well, if there is room.

    Returns
    -------
    float
        What it is worth at the last of them.
    """
    held, size, price, value = position
    if size == 0.0:
        for k in range(len(equity)):
            equity[k] = value
    elif costs.is_outright:
        for k in range(len(equity)):
            equity[k] = outright_value(held, size, price, closes[k], costs)
    else:
        for k in range(len(equity)):
            equity[k] = account_value(held, size, price, closes[k], costs)
    for k in range(len(cash)):
        cash[k] = held
    return float(equity[len(equity) - 1])


@inlinable
def is_intent(code: int, amount: float) -> bool:
    """Return whether a code is one of the intents, and the amount one that it may have."""
    if code == HOLD:
        return True
    known = code in (TARGET, BUY, SELL, CLOSE, TARGET_PERCENT)
    return known and math.isfinite(amount) and (amount >= 0.0 or code not in (BUY, SELL))


@inlinable_lean
def begin_bar(tally: FloatArray, month: float, volume: float, span: float) -> None:
    """Write a bar's month, volume and span to a tally."""
    begin_month(tally, month)
    tally[LAST_VOLUME], tally[LAST_SPAN] = tally[BAR_VOLUME], tally[BAR_SPAN]
    tally[BAR_VOLUME], tally[BAR_SPAN] = volume, span


@inlinable_lean
def begin_month(tally: FloatArray, month: float) -> None:
    """Write a bar's month to a tally; in a new one nothing has been traded yet."""
    if month > tally[MONTH]:
        tally[MONTH], tally[TRADED] = month, 0.0


@inlinable_lean
def note_traded(broker: Broker, size: float, at: float) -> None:
    """Add an execution to what has been traded in the month."""
    if len(broker.charges) > 0:
        broker.tally[TRADED] += traded_by(size, at, broker.charges)


@inlinable_lean
def begin_interest(broker: Broker, account: Account, days: float) -> None:
    """Write what a position owes for so many days to a tally: `BackBroker.next`."""
    due = 0.0
    if days > 0.0 and (account.size < 0.0 or (account.size > 0.0 and broker.charges_longs)):
        due = days * broker.rate * abs(account.size) * account.price
    broker.tally[DUE] = due
    broker.tally[ACCRUED] += due


@inlinable_lean
def charged(account: Account, due: float) -> Account:
    """Return an account that has paid the interest that is due."""
    return Account(account.cash - due, account.size, account.price, account.opened_row)


@inlinable_lean
def take_accrued(tally: FloatArray) -> float:
    """Return the interest that is charged to what closes next: all that there was since the last one."""
    accrued = tally[ACCRUED]
    tally[ACCRUED] = 0.0
    return float(accrued)


@inlinable_lean
def settled(broker: Broker, account: Account, close: float) -> Account:
    """Return an account whose futures are settled at the bar's close."""
    cash, size, price, opened_row = account
    if size != 0.0 and broker.costs.margin != 0.0:
        cash += settlement(size, broker.tally[BASE], close, broker.costs)
        broker.tally[BASE] = close
    return Account(cash, size, price, opened_row)


@inlinable_lean
def keep_order(book: Book, at: int, order: float, rest: float, close: float) -> None:
    """Write an order that waits, of which `rest` is not filled, to place `at` of a book."""
    book.order_size[at] = order
    book.order_rest[at] = rest
    book.order_close[at] = close


@inlinable_lean
def write_execution(
    book: Book,
    at: int,
    row: int,
    closed: float,
    opened: float,
    price: float,
    closed_fee: float,
    opened_fee: float,
    mult: float,
) -> None:
    """Write an execution on a row of the window to place `at` of a book."""
    book.row[at] = row
    book.executions[CLOSED, at] = closed
    book.executions[OPENED, at] = opened
    book.executions[PRICE, at] = price
    book.executions[CLOSED_FEE, at] = closed_fee
    book.executions[OPENED_FEE, at] = opened_fee
    book.executions[MULTIPLIER, at] = mult


@inlinable_lean
def execute(
    book: Book,
    broker: Broker,
    account: Account,
    units: float,
    at: float,
    deal: Deal,
    row: int,
    first: int,
    place: int,
    limit: int,
) -> tuple[Account, float, float, bool]:
    """Fill signed `units` at price `at` on a row, and write that to a place of the book that has room.

    Returns
    -------
    Account, float, float, bool
        The account afterwards, the units that closed and opened, and whether what opens was refused.
    """
    tally = broker.tally
    cash, size, price, base, closed, opened, closed_fee, opened_fee, refused = executed(
        account.cash, account.size, account.price, tally[BASE], units, at, broker.costs, deal
    )
    note_traded(broker, closed + opened, at)
    if broker.settles:
        tally[BASE] = base
        closed_fee += take_accrued(tally) if closed != 0.0 else 0.0
    if (closed != 0.0 or opened != 0.0) and place < limit:
        mult = broker.costs.mult
        write_execution(book, place, row - first, closed, opened, at, closed_fee, opened_fee, mult)
    opened_row = row if opened != 0.0 and size == opened else account.opened_row
    return Account(cash, size, price, opened_row), closed, opened, refused


@inlinable_lean
def fill_orders(
    i: int,
    first: int,
    bar: Prices,
    account: Account,
    orders: OrderCount,
    broker: Broker,
    book: Book,
    limit: int,
) -> tuple[bool, Account, OrderCount]:
    """Check cash for the newest order that waits if that is to do, and fill what fills on row `i`.

    Parameters
    ----------
    bar : tuple of float
        Its open, high, low and close.
    limit : int
        Place in the book from which on there is no room for executions.

    Returns
    -------
    bool, Account, OrderCount
        Whether the book had room for all executions; account and orders after them.
    """
    charges, tally = broker.charges, broker.tally
    waiting, unchecked, fills, rejected = orders
    bar_open, high, low, _ = bar
    if unchecked and broker.checksubmit:
        last = waiting - 1
        order, at = book.order_size[last], bar_open if broker.coo else book.order_close[last]
        deal = Deal(False, False, tally[TRADED], charges)
        left = cash_after_check(account.cash, account.size, account.price, order, at, broker.costs, deal)
        if not left >= 0.0:
            rejected += 1
            waiting = last
    if broker.settles:
        account = charged(account, tally[DUE])
    kept = 0
    for k in range(waiting):
        order, rest = book.order_size[k], book.order_rest[k]
        slippage = slippage_on(order, bar, tally[BAR_VOLUME], broker.slippage, charges)
        at = fill_price(order, book.order_close[k] if broker.coc else bar_open, high, low, slippage)
        if math.isnan(at) or math.isnan(slippage[1]):
            keep_order(book, kept, order, rest, book.order_close[k])
            kept += 1
            continue
        deal, units = Deal(False, rest != order, tally[TRADED], charges), rest
        if broker.parts.kind != 0.0:
            units = part_of(order, rest, tally[BAR_VOLUME], tally[BAR_SPAN], broker.parts, broker.corrected)
        account, closed, opened, refused = execute(
            book, broker, account, units, at, deal, i, first, fills, limit
        )
        rest -= closed + opened
        if refused:
            rejected += 1
        elif rest != 0.0:
            # filled in part; or the parts of a reversal, which need not add up to its size
            keep_order(book, kept, order, rest, book.order_close[k])
            kept += 1
        if closed != 0.0 or opened != 0.0:
            if fills == limit:
                return False, account, orders
            fills += 1
    return True, account, OrderCount(kept, False, fills, rejected)
