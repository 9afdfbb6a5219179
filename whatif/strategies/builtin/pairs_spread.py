"""Pairs of symbols whose spread comes back to its mean."""

from __future__ import annotations

import math
from typing import Any

from whatif.strategies.intents import weights
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={
        "period": Param(60, low=2),
        "enter": Param(2.0, low=0),
        "leave": Param(0.5, low=0),
        "share": Param(0.9, low=0, high=1),
    },
    constraint="leave < enter",
    scratch=2,
    cross_sectional=True,
)
def pairs_spread(i: int, x: Any, p: Any, s: Any) -> tuple[int, Any]:
    """Sell the first of two symbols and buy the second when the first is dear, and the other way round.

    Symbols are pairs in declared order: the first and second, the third and fourth, and so on; an odd last
    one is left alone. Of the logarithm of a pair's prices by each other, mean and deviation are kept with
    exponential weights, `period` bars of both at least. A flat pair is entered where the logarithm is more
    than `enter` deviations off the mean, an equal part of `share` on each side, and left within `leave`.
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
