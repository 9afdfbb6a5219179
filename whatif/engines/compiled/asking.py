"""Asking a strategy's step, bar after bar, until an order comes of it: what is compiled for each strategy.

`kernel` writes this module's text to a file of its own for each strategy, with the strategy's
step in place of the one imported from `step_placeholder`. It must therefore stand for itself.
"""

from __future__ import annotations

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
    MEMORY,
    MEMORY_LENGTH,
    MINUTE,
    PLACES,
    SCRATCH,
    SCRATCH_LENGTH,
    STOP,
    TO_CLOSE,
    due,
    seen_by_overlays,
)
from whatif.engines.compiled.step_placeholder import (
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
from whatif.engines.language.order_answers import WIDTH, order_at
from whatif.engines.orders import DESK_ROOM, LARGEST_SIZE, overlay_orders
from whatif.strategies import (
    HOLD,
    MAX_ANSWERED,
    TARGET_PERCENT,
    OverlayRules,
    apply_overlays,
    delay,
    fields_filled,
)


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
    """Ask the step from row `begin` on, until an order comes of it or `halt` is next.

    Parameters
    ----------
    begin, halt, lookback : int
        Rows of the series; the step is not called before row `lookback`.
    run, series_at, places_at, costs, rules, latency
        The configuration's place in columns, where its series and the places of `calling` lie; its settings.
    account, value, waiting : Account, float, int
        After the fills of row `begin`; its worth when flat (of several symbols: on this row); orders waiting.

    Returns
    -------
    Asked
        The row asked last, and what came of it; of several symbols also an answer that asks for no order.
    """
    places = whole_at(places_at, PLACES)
    series = series_of(series_at, places[STOP])
    minutes, ends = whole_at(places[MINUTE], places[STOP]), whole_at(places[TO_CLOSE], places[STOP])
    scratch = room_at(places[SCRATCH], places[SCRATCH_LENGTH])
    memory = room_at(places[MEMORY], places[MEMORY_LENGTH])
    x, p, desk = arrays_of(series), params_of(places[COLUMNS], run), room_at(places[DESK], DESK_ROOM * WIDTH)
    (cash, size, price, opened_row), code, amount, held, count, plain = account, HOLD, 0.0, 0, 1, True
    for i in range(max(begin, lookback), halt):
        now, close = value, x.close[i]
        if size != 0.0:
            now = value if SHARED else account_value(cash, size, price, close, costs)
            held = i - opened_row
        own = (size, price, held, cash, now, waiting, minutes[i], ends[i], scratch)
        state = state_of(own, desk, x, i, opened_row, places)
        if ORDERS:
            count = step(i, seen_of(series, i), p, state)
            count = count if count <= MAX_ANSWERED else DESK_ROOM + 1
            if OVERLAID and latency == 0:
                rest = seen_by_overlays(i, places, rules)
                count = overlay_orders(desk, count, close, account, held, now, waiting, *rest, memory)
            code, asked = int(desk[0]), desk[1]
            plain = count == 1 and code <= TARGET_PERCENT and fields_filled(order_at(desk, 0)) == 0
            if latency == 0 and count > 0 and not (code == HOLD and plain):
                return Asked(i, 0, count, 0.0, 1.0)
            if latency == 0:
                continue
        else:
            code, asked = step(i, seen_of(series, i), p, state)
        if code == HOLD and plain and not (OVERLAID and due(i, places, close, account, held, rules, latency)):
            continue
        amount = float(asked)
        if not plain or not is_intent(code, amount):
            return Asked(i, BAD_INTENT if plain else DELAYED_ORDERS, code, amount, 0.0)
        if OVERLAID:
            rest = seen_by_overlays(i, places, rules)
            code, amount = apply_overlays(code, amount, close, size, price, held, cash, now, *rest)
            code, amount = delay(code, amount, i, latency, memory)
            if code == HOLD:
                continue
        order = order_by(code, amount, size, price, cash, value, close, costs)
        if not abs(order) <= LARGEST_SIZE:
            return Asked(i, BAD_SIZE, code, order, 0.0)
        if order != 0.0 or SHARED:
            desk[0], desk[1] = code, amount
            return Asked(i, 0, 1 if ORDERS else code, amount, order)
    return Asked(halt - 1, 0, HOLD, 0.0, 0.0)


ask_step = jit_addressed_lean(ask_step_python)
