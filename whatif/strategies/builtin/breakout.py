"""Follow a price that leaves the range of the bars before it."""

from __future__ import annotations

from typing import Any

from whatif.strategies.intents import Intent, hold, target
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={
        "period": Param(50, low=1),
        "exit_period": Param(0, low=0, same_as="period"),
        "go_long": Param(True),
        "go_short": Param(True),
        "on_close": Param(False),
        "size": Param(100.0, low=0),
    },
    inputs={
        "high_entry": "highest(high, period)",
        "low_entry": "lowest(low, period)",
        "high_exit": "highest(high, exit_period)",
        "low_exit": "lowest(low, exit_period)",
        "top_entry": "highest(close, period)",
        "bottom_entry": "lowest(close, period)",
        "top_exit": "highest(close, exit_period)",
        "bottom_exit": "lowest(close, exit_period)",
    },
    lookback=1,
)
def breakout(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Go long `size` above the highest high of the `period` bars before this one, short below the lowest low.

    It is the close that must be beyond. A long position is left below the lowest low of the
    `exit_period` bars before (0: as many as for the entry), a short one above the highest high;
    where that is also an entry to the other side, it reverses. `on_close` takes highest and lowest
    closes instead; `go_long` and `go_short` say which sides are traded at all.
    """
    close = x.close[i]
    if p.on_close:
        above, below = x.top_entry[i - 1], x.bottom_entry[i - 1]
        exit_above, exit_below = x.top_exit[i - 1], x.bottom_exit[i - 1]
    else:
        above, below = x.high_entry[i - 1], x.low_entry[i - 1]
        exit_above, exit_below = x.high_exit[i - 1], x.low_exit[i - 1]
    leaves_long = s.size > 0.0 and close < exit_below
    leaves_short = s.size < 0.0 and close > exit_above
    if p.go_long and close > above and (s.size == 0.0 or leaves_short):
        return target(p.size)
    if p.go_short and close < below and (s.size == 0.0 or leaves_long):
        return target(-p.size)
    return target(0.0) if leaves_long or leaves_short else hold()
