"""Contract of axes that change bars: what they give is a market, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from whatif.axes.market import MarketAxis
from whatif.domain import PRICE_FIELDS, Bars
from whatif.errors import PluginError


def check_changed(axis: MarketAxis, value: Any, bars: Bars, made: Any) -> None:
    """Raise unless what `change_bars` made of bars keeps to its contract.

    Raises
    ------
    PluginError
        Naming the axis, the value and the rule.
    """
    for broken in _broken(bars, made):
        raise PluginError(
            f"axis {axis.kind!r} breaks its contract: change_bars of {value!r} on {bars.symbol} {broken}"
        )


def _broken(bars: Bars, made: Any) -> Iterator[str]:
    """Yield what is wrong with bars."""
    if not isinstance(made, Bars):
        yield f"gives a {type(made).__name__}, no Bars"
        return
    if made.symbol != bars.symbol:
        yield f"gives bars of {made.symbol}"
    series = {name: getattr(made, name) for name in PRICE_FIELDS}
    for name in ("ts", "session", "session_open", "session_close"):
        if len(getattr(made, name)) != len(made.ts) or getattr(made, name).dtype != np.int64:
            yield f"gives a {name} that is no int64 array of {len(made.ts)}"
    for name, values in series.items():
        if len(values) != len(made.ts) or values.dtype != np.float64:
            yield f"gives a {name} that is no float64 array of {len(made.ts)}"
    if not len(made):
        yield "leaves no bar"
        return
    if not bool(np.all(np.diff(made.ts) > 0)):
        yield "gives bars whose ts does not increase"
    if made.ts[0] < bars.ts[0] or made.ts[-1] > bars.ts[-1]:
        yield "gives bars outside of the time of those that it was given"
    for name in ("open", "high", "low", "close"):
        if not bool(np.all(np.isfinite(series[name]) & (series[name] > 0))):
            yield f"gives a {name} that is not positive and finite"
    outside = (series["low"] > np.minimum(series["open"], series["close"])) | (
        series["high"] < np.maximum(series["open"], series["close"])
    )
    if bool(outside.any()):
        yield "gives an open or close that is not between low and high"
    if not bool(np.all(series["volume"] >= 0)):
        yield "gives a volume that is negative or missing"
