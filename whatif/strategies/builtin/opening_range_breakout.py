"""Follow the first price that leaves the range of a session's first minutes."""

from __future__ import annotations

import math
from typing import Any

from whatif.strategies.intents import SESSION, Answer, buy, cancel, close, hold, oco, sell
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy

_LAST, _HIGH, _LOW, _OPEN = range(4)


@strategy(
    params={"minutes": Param(30, low=1), "flat": Param(5, low=1), "size": Param(100.0, low=0)},
    lookback=0,
    scratch=4,
)
def opening_range_breakout(i: int, x: Any, p: Any, s: Any) -> Answer:
    """Enter by stop where a session first leaves the range of its first `minutes`; leave on its other side.

    One position of `size` units a session, from the bar that starts `minutes` after its regular open on. It
    is left by a stop at the range's other side, or on the bar that starts `flat` minutes before the close.
    A session whose first bars are not in the window is not traded.
    """
    seen = s.scratch
    if s.minute <= seen[_LAST]:
        seen[_HIGH], seen[_LOW], seen[_OPEN] = -math.inf, math.inf, 1.0
    seen[_LAST] = s.minute
    if s.minutes_to_close <= p.flat:
        return cancel(), close()
    if 0 <= s.minute < p.minutes:
        seen[_HIGH], seen[_LOW] = max(seen[_HIGH], x.high[i]), min(seen[_LOW], x.low[i])
    elif not seen[_LOW] < seen[_HIGH]:
        return hold()
    elif s.size != 0.0 and s.pending == 0:
        return sell(s.size, stop=seen[_LOW]) if s.size > 0.0 else buy(-s.size, stop=seen[_HIGH])
    elif s.minute >= p.minutes and seen[_OPEN] == 1.0:
        seen[_OPEN] = 0.0
        return oco(buy(p.size, stop=seen[_HIGH], valid=SESSION), sell(p.size, stop=seen[_LOW], valid=SESSION))
    return hold()
