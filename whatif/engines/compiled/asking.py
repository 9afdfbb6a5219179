"""Asking a strategy's step, bar after bar, until an order comes of it: what is compiled for each strategy.

`kernel` writes this module's text to a file of its own for each strategy, with the strategy's
step in place of the one imported from `step_placeholder`. It must therefore stand for itself.
"""

from __future__ import annotations

from typing import Any

from whatif.domain import inlinable_lean, jit_addressed_lean, room_at, whole_at
from whatif.engines.compiled.book import (
    BAD_INTENT,
    BAD_SIZE,
    DELAYED_ORDERS,
    Account,
    Asked,
    is_intent,
)
from whatif.engines.compiled.broker import Costs, account_value, order_size
from whatif.engines.compiled.calling import (
    COLUMNS,
    DESK,
    LEFT,
    MEMORY,
    MEMORY_LENGTH,
    MINUTE,
    PLACES,
    SCRATCH,
    SCRATCH_LENGTH,
    STOP,
    TO_CLOSE,
    due,
    is_due,
    rows_before_leaving,
    seen_by_overlays,
)
from whatif.engines.compiled.step_placeholder import (
    AHEAD,
    ORDERS,
    OVERLAID,
    SHARED,
    arrays_of,
    params_of,
    seen_of,
    series_of,
    state_of,
    step,
)
from whatif.engines.compiled.trying import tried
from whatif.engines.language.order_answers import WIDTH, order_at
from whatif.engines.orders import DESK_ROOM, LARGEST_SIZE, has_exit_orders, overlay_orders
from whatif.strategies import (
    CLOSE,
    HOLD,
    MAX_ANSWERED,
    NEVER,
    NOT_SIZED,
    TARGET,
    TARGET_PERCENT,
    OverlayRules,
    apply_overlays,
    delay,
    fields_filled,
)
from whatif.typing import FloatArray, IntArray


@inlinable_lean
def worth_of(account: Account, value: float, close: float, costs: Costs) -> float:
    """Return what the account is worth at a row's close: `value` when flat, and of several symbols.

    Reckoned where it is needed, so that machine code leaves it out of the bars of a step that does not look.
    """
    cash, size, price, _ = account
    return account_value(cash, size, price, close, costs) if size != 0.0 and not SHARED else value


@inlinable_lean
def order_by(code: int, amount: float, account: Account, value: float, close: float, costs: Costs) -> float:
    """Return the units that an intent asks for, by what the account is worth."""
    _, size, price, _ = account
    return order_size(code, amount, size, price, worth_of(account, value, close, costs), close, costs)


@inlinable_lean
def rooms_of(places: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the step's and the overlays' memory."""
    scratch = room_at(places[SCRATCH], places[SCRATCH_LENGTH])
    return scratch, room_at(places[MEMORY], places[MEMORY_LENGTH])


@inlinable_lean
def within_room(count: int) -> int:
    """Return how many orders a step answered with, one more than there is room for if they are too many."""
    return count if count <= MAX_ANSWERED else DESK_ROOM + 1


@inlinable_lean
def overlaid(
    code: int,
    amount: float,
    close: float,
    account: Account,
    held: int,
    value: float,
    costs: Costs,
    row: int,
    places: IntArray,
    rules: OverlayRules,
) -> Any:
    """Return what the overlays leave of an intent, see `apply_overlays`."""
    cash, size, price, _ = account
    now, rest = worth_of(account, value, close, costs), seen_by_overlays(row, places, rules)
    return apply_overlays(code, amount, close, size, price, held, cash, now, *rest)


@inlinable_lean
def acts_on_orders(
    row: int, close: float, account: Account, held: int, places: IntArray, rules: OverlayRules
) -> bool:
    """Return whether the overlays may have something to do with the orders of a row, see `overlay_orders`."""
    if has_exit_orders(rules) or rules.sizing != NOT_SIZED:
        return True
    left = whole_at(places[LEFT], row + 1)[row]
    return left <= rules.flat_before_close or is_due(left, close, account, held, rules)


@inlinable_lean
def overlaid_orders(
    desk: FloatArray,
    count: int,
    close: float,
    account: Account,
    held: int,
    value: float,
    waiting: int,
    costs: Costs,
    row: int,
    places: IntArray,
    rules: OverlayRules,
    memory: FloatArray,
) -> int:
    """Let the overlays act on the orders on the desk, see `overlay_orders`; return how many are left."""
    now, rest = worth_of(account, value, close, costs), seen_by_overlays(row, places, rules)
    return overlay_orders(desk, count, close, account, held, now, waiting, *rest, memory)


FEW_AT_ONCE, AT_ONCE, MANY_TIMES = 16, 256, 4
"""Rows on which a step that keeps nothing is asked together: a loop that the compiler makes vectors of. At
first a few, as an order often comes soon, and then so many times as many."""

LEAST, LARGEST = 5e-324, 1.7976931348623157e308
"""Positive numbers."""


@inlinable_lean
def kept_targets(size: float, rules: OverlayRules) -> tuple[float, float]:
    """Return the least and the largest target by which a position of that size stays as it is.

    Where a rule sizes positions, it is each one on its side (`whatif.strategies.apply_overlays`).
    """
    if not OVERLAID or rules.sizing == NOT_SIZED or size == 0.0:
        return size, size
    return (LEAST, LARGEST) if size > 0.0 else (-LARGEST, -LEAST)


@inlinable_lean
def next_to_ask(
    row: int,
    halt: int,
    latency: int,
    x: Any,
    p: Any,
    series: Any,
    desk: FloatArray,
    scratch: FloatArray,
    places: IntArray,
    account: Account,
    value: float,
    waiting: int,
    costs: Costs,
    rules: OverlayRules,
) -> int:
    """Return the row to ask the step on next: `row`, or a later one if nothing is wanted on those before.

    A step that keeps nothing is asked on groups of rows at once: nothing changes its account before it
    orders. Of answers that make no order only those are passed by that are sure to be no failure either. The
    other arguments are as `ask_step` has them.
    """
    if not AHEAD or latency != 0:
        return row
    cash, size, price, opened_row = account
    minutes, ends = whole_at(places[MINUTE], places[STOP]), whole_at(places[TO_CLOSE], places[STOP])
    flat, (least, most) = size == 0.0, kept_targets(size, rules)
    since = NEVER if flat else opened_row
    i, count = row, FEW_AT_ONCE
    while i < halt:
        count = min(count, halt - i)
        if OVERLAID and not flat:
            count = rows_before_leaving(i, count, x.close, places, account, rules)
            if count == 0:
                return i
        # slices of their own, so that no index is tested
        closes, minute, to_close = x.close[i : i + count], minutes[i : i + count], ends[i : i + count]
        found = count
        for k in range(count):
            j, close, now = i + k, closes[k], value
            if not flat:
                now = account_value(cash, size, price, close, costs)
            own = (size, price, max(j - since, 0), cash, now, waiting, minute[k], to_close[k], scratch)
            state = state_of(own, desk, x, j, opened_row, places)
            failed, code, amount = tried(step, j, seen_of(series, j), p, state)
            # without branches, so that vectors can be made of it
            keeps = (code == TARGET) & (amount >= least) & (amount <= most)
            keeps = keeps | ((code == CLOSE) & flat & (amount == 0.0)) | (code == HOLD)
            found = min(found, count if (failed == 0) & keeps else k)
        i += found
        if found < count:
            return i
        count = min(MANY_TIMES * count, AT_ONCE)
    return i


def ask_step_python(
    begin: int,
    halt: int,
    lookback: int,
    run: int,
    series_at: int,
    places_at: int,
    account: Account,
    value: float,
    waiting: int,
    costs: Costs,
    rules: OverlayRules,
    latency: int,
) -> Asked:
    """Ask the step from row `begin` on, until an order comes of it or `halt` is next; return what came of it.

    Of several symbols an answer that asks for no order ends it too.

    Parameters
    ----------
    begin, halt, lookback : int
        Rows of the series; the step is not called before row `lookback`.
    run, series_at, places_at, costs, rules, latency
        The configuration's place in columns, where its series and the places of `calling` lie; its settings.
    account, value, waiting : Account, float, int
        After the fills of row `begin`; its worth when flat (of several symbols: on this row); orders waiting.
    """
    places = whole_at(places_at, PLACES)
    series = series_of(series_at, places[STOP])
    minutes, ends = whole_at(places[MINUTE], places[STOP]), whole_at(places[TO_CLOSE], places[STOP])
    (scratch, memory), i = rooms_of(places), int(max(begin, lookback)) - 1
    x, p, desk = arrays_of(series), params_of(places[COLUMNS], run), room_at(places[DESK], DESK_ROOM * WIDTH)
    (cash, size, price, opened_row), code, amount, held, count, plain = account, HOLD, 0.0, 0, 1, True
    while True:
        given = (x, p, series, desk, scratch, places, account, value, waiting, costs, rules)
        i = next_to_ask(i + 1, halt, latency, *given)
        if i >= halt:
            return Asked(halt - 1, 0, HOLD, 0.0, 0.0)
        now, close = value, x.close[i]
        if size != 0.0:
            now = value if SHARED else account_value(cash, size, price, close, costs)
            held = i - opened_row
        own = (size, price, held, cash, now, waiting, minutes[i], ends[i], scratch)
        state, seen = state_of(own, desk, x, i, opened_row, places), seen_of(series, i)
        if ORDERS:
            count = within_room(step(i, seen, p, state))
            if OVERLAID and latency == 0 and acts_on_orders(i, close, account, held, places, rules):
                rest = (costs, i, places, rules, memory)
                count = overlaid_orders(desk, count, close, account, held, value, waiting, *rest)
            code, asked = int(desk[0]), desk[1]
            plain = count == 1 and code <= TARGET_PERCENT and fields_filled(order_at(desk, 0)) == 0
            if latency == 0:
                if count == 0 or (code == HOLD and plain):
                    continue
                return Asked(i, 0, count, 0.0, 1.0)
        else:
            code, asked = step(i, seen, p, state)
        if code == HOLD and plain and not (OVERLAID and due(i, places, close, account, held, rules, latency)):
            continue
        amount = float(asked)
        if not plain or not is_intent(code, amount):
            return Asked(i, BAD_INTENT if plain else DELAYED_ORDERS, code, amount, 0.0)
        if OVERLAID:
            code, amount = overlaid(code, amount, close, account, held, value, costs, i, places, rules)
            code, amount = delay(code, amount, i, latency, memory)
            if code == HOLD:
                continue
        order = order_by(code, amount, account, value, close, costs)
        if not abs(order) <= LARGEST_SIZE:
            return Asked(i, BAD_SIZE, code, order, 0.0)
        if order != 0.0 or SHARED:
            desk[0], desk[1] = code, amount
            return Asked(i, 0, 1 if ORDERS else code, amount, order)


ask_step = jit_addressed_lean(ask_step_python)
