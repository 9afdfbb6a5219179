"""Orders as machine code: how a step makes one, and an order in place of whatever it answers with."""

from __future__ import annotations

import math
from typing import Any

from numba.core import types
from numba.extending import register_jitable

from whatif.engines.language.kinds import is_number, is_whole, machine_code_of
from whatif.strategies import Answer, Order

NAN = math.nan


@register_jitable
def made_order(code, amount, price=NAN, second=NAN, valid=0, group=0):  # type: ignore[no-untyped-def]
    """Stand for `Order`, whose defaults numba does not know."""
    return Order(code, amount, price, second, valid, group)


def as_order(answer: Answer) -> Order:
    """Return what a step answers with as an order, its numbers of the types that are declared."""
    if isinstance(answer, Order):
        return answer
    code, amount = answer
    return Order(code, amount)


@machine_code_of(as_order)
def _as_order(answer: Any) -> Any:
    if not isinstance(answer, types.BaseTuple) or not all(map(is_number, answer)) or not is_whole(answer[0]):
        return None
    if getattr(answer, "instance_class", None) is Order and is_whole(answer[4]) and is_whole(answer[5]):

        def whole(answer: Any) -> Any:
            code, amount, price, second, valid, group = answer
            return Order(int(code), float(amount), float(price), float(second), int(valid), int(group))

        return whole

    def pair(answer: Any) -> Any:
        code, amount = answer
        return Order(int(code), float(amount), NAN, NAN, 0, 0)

    return pair if isinstance(answer, (types.Tuple, types.UniTuple)) and len(answer) == 2 else None
