"""Strategy that a calibration sweeps: follow the last bars' return, or go against it."""

from __future__ import annotations

import math
from typing import Any

from whatif.strategies import Intent, Param, hold, strategy, target


@strategy(
    params={
        "direction": Param(1, low=-1, high=1),
        "horizon": Param(20, low=1),
        "threshold": Param(0.0, low=0),
        "size": Param(1.0, low=0),
    },
    inputs={"change": "roc(horizon)"},
)
def momentum(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Go long `size` when the return of `horizon` bars is above the threshold, short below its negative.

    `direction` 1 follows the return, -1 goes against it. `threshold` is a fraction for one bar; over
    `horizon` bars it is that times the square root of their number. In between nothing changes.
    """
    change = x.change[i] * p.direction
    least = p.threshold * math.sqrt(p.horizon)
    if change > least:
        return target(p.size)
    return target(-p.size) if change < -least else hold()
