"""Bid below and offer above a band around the mean, and leave at the mean."""

from __future__ import annotations

from typing import Any

from whatif.strategies.intents import Answer, bracket, cancel, hold, oco
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={
        "period": Param(20, low=2),
        "width": Param(2.0, low=0),
        "loss": Param(0.01, low=0, high=0.99),
        "size": Param(100.0, low=0),
    },
    inputs={
        "top": "bollinger_top(period, width)",
        "mean": "bollinger_mid(period)",
        "bottom": "bollinger_bottom(period, width)",
    },
)
def bollinger_reversion(i: int, x: Any, p: Any, s: Any) -> Answer:
    """Enter by limit at a band of `width` deviations; leave at the mean, or at a loss of `loss`.

    Both entries wait anew on each bar without a position, for `size` units; the first to fill cancels the
    other. The mean is the one of the bar on which the entry was placed, and `loss` a fraction of its limit.
    """
    top, mean, bottom = x.top[i], x.mean[i], x.bottom[i]
    if s.size != 0.0 or not 0.0 < bottom < mean < top:
        return hold()
    low = bracket(p.size, limit=bottom, stop=bottom * (1.0 - p.loss), target=mean)
    high = bracket(-p.size, limit=top, stop=top * (1.0 + p.loss), target=mean)
    return cancel(), oco(low, high)
