"""Long what has risen most, short what has risen least."""

from __future__ import annotations

from typing import Any

from whatif.strategies.intents import Intent, hold, weights
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={
        "period": Param(60, low=1),
        "every": Param(20, low=1),
        "count": Param(1, low=1),
        "share": Param(0.9, low=0, high=1),
    },
    inputs={"change": "roc(period)"},
    scratch=1,
    cross_sectional=True,
)
def cross_sectional_momentum(i: int, x: Any, p: Any, s: Any) -> Intent | tuple[int, Any]:
    """Hold the `count` symbols that rose most over `period` bars, and sell as many that rose least short.

    Every `every` timestamps: each gets the same part of `share`, and all others are left. Of equals the
    first symbols come first. Where there are too few whose change is known, fewer are held.
    """
    if i % p.every != 0:
        return hold()
    for k in range(len(x.change)):
        s.scratch[k] = x.change[k]
        s.answer[k] = 0.0 if s.scratch[k] == s.scratch[k] else s.answer[k]
    for _ in range(p.count):
        best, worst = -1, -1
        for k in range(len(x.change)):
            if s.answer[k] == 0.0 and (best < 0 or s.scratch[k] > s.scratch[best]):
                best = k
            if s.answer[k] == 0.0 and (worst < 0 or s.scratch[k] <= s.scratch[worst]):
                worst = k
        if best != worst:
            s.answer[best], s.answer[worst] = p.share / (2.0 * p.count), -p.share / (2.0 * p.count)
    return weights(s.answer)
