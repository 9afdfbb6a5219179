"""Two moving averages that cross."""

from __future__ import annotations

from typing import Any

from whatif.strategies.intents import Intent, hold, target
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={"fast": Param(10, low=1), "slow": Param(50, low=1), "size": Param(100.0, low=0)},
    inputs={"cross": "crossover(sma(fast), sma(slow))"},
)
def sma_crossover(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Go long `size` when the fast average crosses above the slow one, short when below.

    Acts on a cross only and reverses; before the first cross it stays flat. A `fast` that is
    not below `slow` is allowed: the same rule, turned round, and with equal ones no trade.
    """
    if x.cross[i] > 0.0:
        return target(p.size)
    if x.cross[i] < 0.0:
        return target(-p.size)
    return hold()
