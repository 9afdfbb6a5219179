"""Trade a predicted return when it is large enough."""

from __future__ import annotations

from typing import Any

from whatif.strategies.intents import Intent, hold, target
from whatif.strategies.params import Param
from whatif.strategies.spec import strategy


@strategy(
    params={
        "threshold": Param(0.0001, low=0),
        "exit_on_neutral": Param(False),
        "size": Param(100.0, low=0),
    },
    inputs={"forecast": "forecast"},
)
def forecast_threshold(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Go long `size` if the forecast is above the threshold, short if below its negative.

    `forecast` is a predicted return from outside. In between, the position is kept, or left
    with `exit_on_neutral`; without a forecast (NaN) nothing changes.
    """
    forecast = x.forecast[i]
    if forecast > p.threshold:
        return target(p.size)
    if forecast < -p.threshold:
        return target(-p.size)
    if p.exit_on_neutral and forecast == forecast:
        return target(0.0)
    return hold()
