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
from whatif.engines.orders import DESK_ROOM, LARGEST_SIZE, overlay_orders
from whatif.strategies import (
    HOLD,
    MAX_ANSWERED,
    TARGET,
    TARGET_PERCENT,
    OverlayRules,
    apply_overlays,
    delay,
    fields_filled,
)
from whatif.typing import FloatArray, IntArray


@inlinable_lean
def order_by(
    code: int,
    amount: float,
    size: float,
    price: float,
    cash: float,
    value: float,
    close: float,
    costs: Costs,
) -> float:
    """Return the units that an intent asks for, by what the account is worth: `value` when flat.

    Reckoned here anew, so that machine code leaves it out of the bars of a step that does not look at it.
    """
    worth = account_value(cash, size, price, close, costs) if size != 0.0 and not SHARED else value
    return order_size(code, amount, size, price, worth, close, costs)


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
    now: float,
    row: int,
    places: IntArray,
    rules: OverlayRules,
) -> Any:
    """Return what the overlays leave of an intent, see `apply_overlays`."""
    cash, size, price, _ = account
    rest = seen_by_overlays(row, places, rules)
    return apply_overlays(code, amount, close, size, price, held, cash, now, *rest)


AT_ONCE = 64
"""Rows on which a step that keeps nothing is asked together: a loop that the compiler makes vectors of."""


@inlinable_lean
def next_to_ask(
    row: int,
    ahead: int,
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
) -> tuple[int, int]:
    """Return the row to ask the step on, `row` or a later one, and from which on to look ahead again.

    On row `ahead` it is asked on groups of rows at once, as many as have none on which it wants something:
    it keeps nothing, and nothing changes its account before it orders. The other arguments are as `ask_step`
    has them.
    """
    if not AHEAD or latency != 0 or row < ahead:
        return row, ahead
    cash, size, price, opened_row = account
    minutes, ends = whole_at(places[MINUTE], places[STOP]), whole_at(places[TO_CLOSE], places[STOP])
    lefts = whole_at(places[LEFT], places[STOP])
    i = row
    while i + AT_ONCE <= halt:
        # slices of their own, so that no index is tested
        closes, left = x.close[i : i + AT_ONCE], lefts[i : i + AT_ONCE]
        minute, to_close = minutes[i : i + AT_ONCE], ends[i : i + AT_ONCE]
        wanted = 0
        for k in range(AT_ONCE):
            j, close, now, held = i + k, closes[k], value, 0
            if size != 0.0:
                now = account_value(cash, size, price, close, costs)
                held = j - opened_row
            own = (size, price, held, cash, now, waiting, minute[k], to_close[k], scratch)
            state = state_of(own, desk, x, j, opened_row, places)
            failed, code, amount = tried(step, j, seen_of(series, j), p, state)
            if OVERLAID:
                asks = code != HOLD or is_due(left[k], close, account, held, rules)
            else:
                asks = code != HOLD and not (code == TARGET and amount == size)
            wanted |= failed | (1 if asks else 0)
        if wanted != 0:
            break
        i += AT_ONCE
    return i, i + AT_ONCE


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
    (scratch, memory), i, ahead = rooms_of(places), int(max(begin, lookback)) - 1, 0
    x, p, desk = arrays_of(series), params_of(places[COLUMNS], run), room_at(places[DESK], DESK_ROOM * WIDTH)
    (cash, size, price, opened_row), code, amount, held, count, plain = account, HOLD, 0.0, 0, 1, True
    while True:
        given = (x, p, series, desk, scratch, places, account, value, waiting, costs, rules)
        i, ahead = next_to_ask(i + 1, ahead, halt, latency, *given)
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
            if OVERLAID and latency == 0:
                rest = seen_by_overlays(i, places, rules)
                count = overlay_orders(desk, count, close, account, held, now, waiting, *rest, memory)
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
            code, amount = overlaid(code, amount, close, account, held, now, i, places, rules)
            code, amount = delay(code, amount, i, latency, memory)
            if code == HOLD:
                continue
        order = order_by(code, amount, size, price, cash, value, close, costs)
        if not abs(order) <= LARGEST_SIZE:
            return Asked(i, BAD_SIZE, code, order, 0.0)
        if order != 0.0 or SHARED:
            desk[0], desk[1] = code, amount
            return Asked(i, 0, 1 if ORDERS else code, amount, order)


ask_step = jit_addressed_lean(ask_step_python)
