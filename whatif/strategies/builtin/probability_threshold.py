"""Trade a predicted probability when it is large enough, with a target and a stop."""

from __future__ import annotations

from typing import Any

from whatif.strategies.intents import Intent, close, hold, target
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={
        "long_threshold": Param(0.5, low=0, high=1),
        "short_threshold": Param(0.5, low=0, high=1),
        "target": Param(0.02, low=0),
        "stop": Param(0.015, low=0),
        "size": Param(100.0, low=0),
    },
    inputs={"prob_long": "prob_long", "prob_short": "prob_short"},
    lookback=0,
)
def probability_threshold(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Go long `size` if `prob_long` is above its threshold, else short if `prob_short` is above its own.

    Both are probabilities from outside; where one is missing (NaN), nothing is opened. A position
    is kept, whatever the probabilities, until the close is `target` better or `stop` worse than the
    entry price, as fractions of it.
    """
    if s.size > 0.0:
        leave = x.close[i] >= s.entry_price * (1.0 + p.target) or x.close[i] <= s.entry_price * (1.0 - p.stop)
        return close() if leave else hold()
    if s.size < 0.0:
        leave = x.close[i] <= s.entry_price * (1.0 - p.target) or x.close[i] >= s.entry_price * (1.0 + p.stop)
        return close() if leave else hold()
    long, short = x.prob_long[i], x.prob_short[i]
    if long != long or short != short:
        return hold()
    if long > p.long_threshold:
        return target(p.size)
    return target(-p.size) if short > p.short_threshold else hold()
