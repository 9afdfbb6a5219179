"""Orders as machine code: how a step makes them, and how what it answers with is written down."""

from __future__ import annotations

import math
from typing import Any

from numba.core import types
from numba.extending import register_jitable

from whatif.engines.language.kinds import is_number, is_whole, machine_code_of
from whatif.strategies import (
    BRACKET,
    BUY,
    CANCEL,
    EACH,
    MAX_ANSWERED,
    OCO,
    SELL,
    Answer,
    Intent,
    Order,
    bracket,
    buy,
    cancel,
    flattened,
    oco,
    orders,
    sell,
)
from whatif.typing import FloatArray

DESK = "desk_of_orders"
"""Name by which compiled code finds, in a step's state, what its orders are written to."""

NAN = math.nan
WIDTH = len(Order._fields)
"""Numbers of an order."""


@register_jitable
def made_order(  # type: ignore[no-untyped-def]
    code, amount, limit=NAN, stop=NAN, trail=NAN, trail_percent=NAN, target=NAN, valid=0, at_close=0
):
    """Stand for `Order`, whose defaults numba does not know."""
    return Order(code, amount, limit, stop, trail, trail_percent, target, valid, at_close)


@register_jitable
def buy_pair(size: float) -> Intent:
    """Stand for `buy` in a step that answers with pairs."""
    return (BUY, float(size))


@register_jitable
def sell_pair(size: float) -> Intent:
    """Stand for `sell` in a step that answers with pairs."""
    return (SELL, float(size))


@register_jitable
def buy_order(  # type: ignore[no-untyped-def]
    size, limit=NAN, stop=NAN, trail=NAN, trail_percent=NAN, valid=0, at_close=False
):
    """Stand for `buy` in a step that answers with orders."""
    return Order(BUY, size, limit, stop, trail, trail_percent, NAN, valid, int(at_close))


@register_jitable
def sell_order(  # type: ignore[no-untyped-def]
    size, limit=NAN, stop=NAN, trail=NAN, trail_percent=NAN, valid=0, at_close=False
):
    """Stand for `sell` in a step that answers with orders."""
    return Order(SELL, size, limit, stop, trail, trail_percent, NAN, valid, int(at_close))


@register_jitable
def bracket_order(size, stop=NAN, target=NAN, limit=NAN, valid=0):  # type: ignore[no-untyped-def]
    """Stand for `bracket`."""
    return Order(BRACKET, size, limit, stop, NAN, NAN, target, valid, 0)


@register_jitable
def cancel_order():  # type: ignore[no-untyped-def]
    """Stand for `cancel`."""
    return Order(CANCEL, 0.0, NAN, NAN, NAN, NAN, NAN, 0, 0)


@register_jitable
def oco_orders(*orders):  # type: ignore[no-untyped-def]
    """Stand for `oco`."""
    return (Order(OCO, float(len(orders)), NAN, NAN, NAN, NAN, NAN, 0, 0), *orders)


@register_jitable
def orders_of_each(answers):  # type: ignore[no-untyped-def]
    """Stand for `orders` of a cross-sectional step."""
    return (EACH, answers)


MAKERS = {
    Order: made_order, buy: buy_order, sell: sell_order, bracket: bracket_order, cancel: cancel_order,
    oco: oco_orders, orders: orders_of_each,
}  # fmt: skip
"""What stands for each maker of orders."""


def as_order(answer: Intent | Order) -> Order:
    """Return an intent or an order as an order, its numbers of the types that are declared."""
    if isinstance(answer, Order):
        return answer
    code, amount = answer
    return Order(code, amount)


@machine_code_of(as_order)
def _as_order(answer: Any) -> Any:
    if is_order(answer):

        def whole(answer: Any) -> Any:
            code, amount, limit, stop, trail, trail_percent, target, valid, at_close = answer
            return Order(
                int(code), float(amount), float(limit), float(stop), float(trail), float(trail_percent),
                float(target), int(valid), int(at_close),
            )  # fmt: skip

        return whole

    def pair(answer: Any) -> Any:
        code, amount = answer
        return Order(int(code), float(amount), NAN, NAN, NAN, NAN, NAN, 0, 0)

    return pair if _is_pair(answer) else None


def is_order(answer: Any) -> bool:
    """Return whether a type is that of an `Order`."""
    if getattr(answer, "instance_class", None) is not Order or not all(map(is_number, answer)):
        return False
    return all(is_whole(answer[k]) for k in (0, WIDTH - 2, WIDTH - 1))


def _is_pair(answer: Any) -> bool:
    plain = isinstance(answer, (types.Tuple, types.UniTuple)) and len(answer) == 2
    return plain and all(map(is_number, answer)) and is_whole(answer[0])


@register_jitable
def order_at(desk: FloatArray, k: int) -> Order:
    """Return the order that is written at place `k` of a desk, float64 (MAX_ANSWERED * WIDTH,)."""
    at = k * WIDTH
    return Order(
        int(desk[at]), desk[at + 1], desk[at + 2], desk[at + 3], desk[at + 4], desk[at + 5], desk[at + 6],
        int(desk[at + 7]), int(desk[at + 8]),
    )  # fmt: skip


@register_jitable
def put_order(desk: FloatArray, k: int, order: Order) -> None:
    """Write an order to place `k` of a desk, float64 (MAX_ANSWERED * WIDTH,)."""
    code, amount, limit, stop, trail, trail_percent, target, valid, at_close = order
    at = k * WIDTH
    desk[at], desk[at + 1], desk[at + 2], desk[at + 3] = code, amount, limit, stop
    desk[at + 4], desk[at + 5], desk[at + 6] = trail, trail_percent, target
    desk[at + 7], desk[at + 8] = valid, at_close


def write_orders(desk: FloatArray, count: int, answer: Answer) -> int:
    """Write what a step answers with, (MAX_ANSWERED, WIDTH) in a row; return how many orders there are then.

    Parameters
    ----------
    desk : float64 array (MAX_ANSWERED * WIDTH,)
        Written to; what it has no room for is counted only.
    count : int
        Orders there already.
    answer : tuple
        One intent or order, or a tuple of answers.
    """
    for order in flattened(answer):
        if count < MAX_ANSWERED:
            put_order(desk, count, order)
        count += 1
    return count


@machine_code_of(write_orders)
def _write_orders(desk: Any, count: Any, answer: Any) -> Any:
    if is_order(answer) or _is_pair(answer):

        def one(desk: Any, count: Any, answer: Any) -> Any:
            if count < MAX_ANSWERED:
                put_order(desk, count, as_order(answer))
            return count + 1

        return one
    if not isinstance(answer, (types.Tuple, types.UniTuple)) or len(answer) == 0:
        return None
    if len(answer) == 1:
        return lambda desk, count, answer: write_orders(desk, count, answer[0])
    return lambda desk, count, answer: write_orders(desk, write_orders(desk, count, answer[0]), answer[1:])


EACH_WIDTH = 1 + MAX_ANSWERED * WIDTH
"""Numbers that a desk of a cross-sectional step has for each symbol: how many orders, and these."""


def write_each(desk: FloatArray, k: int, answers: Any) -> None:
    """Write the answers for symbols from place `k` on to a cross-sectional step's desk, EACH_WIDTH each."""
    for place, answer in enumerate(answers):
        _write_own(desk, k + place, answer)


@register_jitable
def _write_own(desk: FloatArray, k: int, answer: Answer) -> None:
    at = k * EACH_WIDTH
    desk[at] = write_orders(desk[at + 1 : at + EACH_WIDTH], 0, answer)


@machine_code_of(write_each)
def _write_each(desk: Any, k: Any, answers: Any) -> Any:
    if isinstance(answers, types.List) and is_order(answers.dtype):

        def listed(desk: Any, k: Any, answers: Any) -> Any:
            for place in range(len(answers)):
                _write_own(desk, k + place, answers[place])

        return listed
    if not isinstance(answers, types.BaseTuple) or is_order(answers) or len(answers) == 0:
        return None
    if len(answers) == 1:
        return lambda desk, k, answers: _write_own(desk, k, answers[0])

    def first(desk: Any, k: Any, answers: Any) -> Any:
        _write_own(desk, k, answers[0])
        write_each(desk, k + 1, answers[1:])

    return first
