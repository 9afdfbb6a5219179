"""The MACD line that crosses its signal."""

from __future__ import annotations

from typing import Any

from whatif.strategies.intents import Intent, hold, target
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={
        "fast": Param(12, low=1),
        "slow": Param(26, low=1),
        "signal": Param(9, low=1),
        "size": Param(100.0, low=0),
        "enter_at_once": Param(False),
    },
    inputs={
        "line": "macd(fast, slow)",
        "signal": "macd_signal(fast, slow, signal)",
        "cross": "crossover(macd(fast, slow), macd_signal(fast, slow, signal))",
    },
    lookback=0,
)
def macd_crossover(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Go long `size` when the MACD line crosses above its signal, short when below.

    Acts on a cross only and reverses; before the first cross it stays flat. With `enter_at_once`
    it does not wait: whenever it is flat, from the first bar that has both, it goes long if the
    line is above its signal, short if below, and it reverses when their order flips; equal ones
    change nothing.
    """
    if p.enter_at_once:
        if x.line[i] > x.signal[i] and s.size <= 0.0:
            return target(p.size)
        if x.line[i] < x.signal[i] and s.size >= 0.0:
            return target(-p.size)
        return hold()
    if x.cross[i] > 0.0:
        return target(p.size)
    if x.cross[i] < 0.0:
        return target(-p.size)
    return hold()
