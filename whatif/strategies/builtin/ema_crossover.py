"""Two exponential moving averages that cross."""

from __future__ import annotations

from typing import Any

from whatif.strategies.intents import Intent, hold, target
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={
        "fast": Param(10, low=1),
        "slow": Param(50, low=1),
        "size": Param(100.0, low=0),
        "enter_at_once": Param(False),
    },
    inputs={"fast": "ema(fast)", "slow": "ema(slow)", "cross": "crossover(ema(fast), ema(slow))"},
    lookback=0,
)
def ema_crossover(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Go long `size` when the fast average crosses above the slow one, short when below.

    Acts on a cross only and reverses; before the first cross it stays flat. With `enter_at_once`
    it does not wait: whenever it is flat, from the first bar that has both averages, it goes long
    if the fast one is above, short if below, and it reverses when their order flips; equal ones
    change nothing. A `fast` that is not below `slow` is allowed: the same rule, turned round, and
    with equal ones no trade.
    """
    if p.enter_at_once:
        if x.fast[i] > x.slow[i] and s.size <= 0.0:
            return target(p.size)
        if x.fast[i] < x.slow[i] and s.size >= 0.0:
            return target(-p.size)
        return hold()
    if x.cross[i] > 0.0:
        return target(p.size)
    if x.cross[i] < 0.0:
        return target(-p.size)
    return hold()
