"""Axis of shocks: bars as they would have been, had prices jumped, or varied, drifted or traded otherwise."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

import numpy as np

from whatif.axes.market import LEAST, PRICES, MarketAxis, previous_close
from whatif.domain import YEAR_US, Bars
from whatif.errors import nearest
from whatif.typing import FloatArray

NEUTRAL: Mapping[str, float] = {
    "gap": 0.0,
    "volatility": 1.0,
    "trend": 0.0,
    "spread": 1.0,
    "volume": 1.0,
    "missing": 0.0,
    "tick": 0.0,
    "delay": 0,
}
"""What a shock may hold, with the value that changes nothing."""

BOUNDS: Mapping[str, tuple[float, float, str]] = {
    "gap": (-0.99, 100.0, "a fraction of the prices, from -0.99"),
    "volatility": (0.0, 100.0, "a factor of returns, from 0"),
    "trend": (-0.99, 100.0, "a fraction a year, from -0.99"),
    "spread": (0.0, 1_000.0, "a factor of how far high and low lie beyond open and close, from 0"),
    "volume": (0.0, 1e6, "a factor, from 0"),
    "missing": (0.0, 0.99, "a fraction of the bars, from 0 to 0.99"),
    "tick": (0.0, 1e6, "a step of prices, from 0"),
    "delay": (0, 1_000_000, "a whole number of bars, from 0"),
}
"""Least and greatest value of each, and what it is."""

BESIDE = ("at", "seed", "symbols")
"""Keys that change nothing alone: when a gap is, the seed of what is missing, and whose bars are changed."""


class Shock(MarketAxis):
    """Mappings of what is changed of the bars, for whoever trades or names them; {} changes nothing."""

    kind: str = "shock"
    values: tuple[dict[str, Any], ...]

    takes_ranges: ClassVar[bool] = False

    @classmethod
    def read(cls, name: str, values: list[Any]) -> list[Any]:
        """Return each shock with its instant as a text; refuse what is none."""
        return [_read(name, value) for value in values]

    def is_off(self, value: Any) -> bool:
        """Return whether a shock changes nothing."""
        return not _acting(value)

    def shown(self, value: Any) -> Any:
        """Return the shock in one line, "none" if it changes nothing."""
        return "none" if self.is_off(value) else super().shown(value)

    def change_bars(self, value: Any, bars: Bars) -> Bars:
        """Return bars after each change, in the order of `NEUTRAL`."""
        if bars.symbol not in value.get("symbols", (bars.symbol,)):
            return bars
        for key, amount in _acting(value).items():
            bars = _CHANGES[key](bars, amount, value)
        return bars


def _acting(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a shock changes bars, in the order in which it does."""
    return {key: value[key] for key, neutral in NEUTRAL.items() if value.get(key, neutral) != neutral}


def _read(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(
            f"axis {name} holds {repr(value)[:200]}: each value is a mapping such as "
            "{gap: -0.05, at: 2024-01-17T15:00:00Z}, {volatility: 1.5} or {}"
        )
    found = dict(value)
    for key, given in value.items():
        if key not in NEUTRAL and key not in BESIDE:
            raise ValueError(
                f"axis {name}: a shock has no key {key!r}: {nearest(str(key), [*NEUTRAL, *BESIDE])}"
            )
        if key in NEUTRAL:
            _check_amount(name, key, given)
    if "at" in value:
        found["at"] = _instant(name, value["at"])
    if value.get("gap", 0.0) != 0.0 and "at" not in value:
        raise ValueError(f"axis {name}: a gap needs its instant: add at: 2024-01-17T15:00:00Z")
    seed = value.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"axis {name}: seed = {seed!r} must be a whole number from 0 to {2**32 - 1}")
    symbols = value.get("symbols", [""])
    if not isinstance(symbols, (list, tuple)) or not symbols or not all(isinstance(s, str) for s in symbols):
        raise ValueError(
            f"axis {name}: symbols = {symbols!r} must be a list of symbols whose bars are changed"
        )
    return found


def _check_amount(name: str, key: str, given: Any) -> None:
    low, high, what = BOUNDS[key]
    number = not isinstance(given, bool) and isinstance(given, int if key == "delay" else (int, float))
    if not number or not math.isfinite(given) or not low <= given <= high:
        raise ValueError(f"axis {name}: {key} = {given!r} must be {what}, at most {high:g}")


def _instant(name: str, given: Any) -> str:
    """Return an instant as a text that is the same for the same one."""
    try:
        found = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError:
        raise ValueError(f"axis {name}: at = {given!r} is no instant: write 2024-01-17T15:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError(f"axis {name}: at = {given!r} has no time zone: write 2024-01-17T15:00:00Z")
    return found.isoformat()


def _scaled(bars: Bars, factor: FloatArray) -> Bars:
    """Return bars whose prices are multiplied, the same for all of a bar."""
    return replace(bars, **{name: getattr(bars, name) * factor for name in PRICES})


def _gap(bars: Bars, amount: float, value: Mapping[str, Any]) -> Bars:
    at_us = datetime.fromisoformat(value["at"]).timestamp() * 1e6
    return _scaled(bars, np.where(bars.ts >= at_us, 1.0 + amount, 1.0))


def _volatility(bars: Bars, amount: float, value: Mapping[str, Any]) -> Bars:
    before = previous_close(bars)
    moved = {name: np.maximum(1.0 + amount * (getattr(bars, name) / before - 1.0), LEAST) for name in PRICES}
    level = bars.open[0] * np.cumprod(np.concatenate(([1.0], moved["close"][:-1])))
    return replace(bars, **{name: level * moved[name] for name in PRICES})


def _trend(bars: Bars, amount: float, value: Mapping[str, Any]) -> Bars:
    years = ((bars.ts - bars.ts[0]) / YEAR_US).tolist()
    # by the C library: numpy's own differs from processor to processor
    return _scaled(bars, np.array([math.pow(1.0 + amount, one) for one in years]))


def _spread(bars: Bars, amount: float, value: Mapping[str, Any]) -> Bars:
    top, bottom = np.maximum(bars.open, bars.close), np.minimum(bars.open, bars.close)
    high = np.maximum(top + amount * (bars.high - top), top)
    # a price stays above 0
    low = np.minimum(np.maximum(bottom - amount * (bottom - bars.low), bottom * LEAST), bottom)
    return replace(bars, high=high, low=low)


def _volume(bars: Bars, amount: float, value: Mapping[str, Any]) -> Bars:
    return replace(bars, volume=bars.volume * amount)


def _missing(bars: Bars, amount: float, value: Mapping[str, Any]) -> Bars:
    """Return the bars that are there: whether one is, follows from seed, symbol and time alone."""
    name = hashlib.sha256(f"{value.get('seed', 0)} {bars.symbol}".encode()).digest()
    drawn = bars.ts.astype(np.uint64) ^ np.uint64(int.from_bytes(name[:8], "big"))
    # splitmix64: neighbours in time become independent numbers
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        drawn = (drawn ^ (drawn >> np.uint64(shift))) * np.uint64(factor)
    drawn ^= drawn >> np.uint64(31)
    kept = (drawn >> np.uint64(11)).astype(np.float64) / 2.0**53 >= amount
    kept[0] = True
    return bars.take(kept)


def _tick(bars: Bars, amount: float, value: Mapping[str, Any]) -> Bars:
    rounded = {
        name: np.maximum(np.rint(getattr(bars, name) / amount), 1.0) * amount
        for name in ("open", "high", "low", "close")
    }
    return replace(bars, **rounded)


def _delay(bars: Bars, amount: int, value: Mapping[str, Any]) -> Bars:
    """Return bars that come so many bars late, each where a later one stood; before them, the first price."""
    late = min(amount, len(bars))

    def after(first: float, series: FloatArray) -> FloatArray:
        return np.concatenate((np.full(late, first), series[: len(bars) - late]))

    series: dict[str, Any] = {name: after(bars.open[0], getattr(bars, name)) for name in PRICES}
    return replace(bars, **series, volume=after(0.0, bars.volume))


_CHANGES: Mapping[str, Callable[[Bars, Any, Mapping[str, Any]], Bars]] = {
    "gap": _gap,
    "volatility": _volatility,
    "trend": _trend,
    "spread": _spread,
    "volume": _volume,
    "missing": _missing,
    "tick": _tick,
    "delay": _delay,
}
