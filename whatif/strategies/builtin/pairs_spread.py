"""Pairs of symbols whose spread comes back to its mean."""

from __future__ import annotations

import math
from typing import Any

from whatif.strategies.intents import weights
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={"period": Param(60, low=2), "enter": Param(2.0, low=0), "leave": Param(0.5, low=0),
            "share": Param(0.9, low=0, high=1)}, constraint="leave < enter", scratch=2, cross_sectional=True,
)  # fmt: skip
def pairs_spread(i: int, x: Any, p: Any, s: Any) -> tuple[int, Any]:
    """Sell the dear one of each pair of symbols, in declared order, and buy the other, until they come back.

    Of the logarithm of their prices by each other, mean and deviation have exponential weights, from `period`
    bars on. A pair is entered beyond `enter` deviations, `share` in equal parts, and left within `leave`.
    """
    part = p.share / max(2 * (len(x.close) // 2), 1)
    for a in range(0, len(x.close) - 1, 2):
        if x.has_bar[a] + x.has_bar[a + 1] < 2:
            continue
        off = math.log(x.close[a] / x.close[a + 1]) - s.scratch[2 * a]
        away = off / math.sqrt(s.scratch[2 * a + 1]) if s.scratch[2 * a + 1] > 0.0 else 0.0
        pace = 2.0 / (p.period + 1.0) if s.scratch[2 * a + 2] > 0.0 else 1.0
        s.scratch[2 * a] += pace * off
        s.scratch[2 * a + 1] = (1.0 - pace) * (s.scratch[2 * a + 1] + pace * off * off)
        s.scratch[2 * a + 2] += 1.0
        if s.scratch[2 * a + 2] > p.period and s.size[a] == 0.0 and abs(away) > p.enter:
            s.answer[a], s.answer[a + 1] = (-part, part) if away > 0.0 else (part, -part)
        if abs(away) < p.leave and s.size[a] != 0.0:
            s.answer[a], s.answer[a + 1] = 0.0, 0.0
    return weights(s.answer)
