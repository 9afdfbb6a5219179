"""Random settings of Backtrader's broker that not every case has: contracts, interest, fillers and more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from whatif.domain import FILLERS, Bars, Execution, Filler
from whatif.testing.markets import DAY_US

_C = TypeVar("_C")


def with_settings(case: _C, seed: int) -> _C:
    """Return a `Case` or `OrderCase` with random settings of those kinds, most of them together.

    Every fifth day's bars are followed by two days without, in half of the cases.
    """
    rng = np.random.default_rng([seed, 9])
    bars, execution = case.bars, case.execution  # type: ignore[attr-defined]
    price = float(bars.open[0])
    if rng.random() < 0.5:
        bars = _with_weekends(bars)
    drawn = _contract(rng, price, execution) if rng.random() < 0.7 else {}
    execution = replace(execution, **drawn)
    if rng.random() < 0.5:
        execution = replace(execution, filler=_filler(rng, price))
        volume = np.round(rng.exponential(30.0, len(bars)), 2) * (rng.random(len(bars)) < 0.8)
        volume[0] = 1.0
        bars = replace(bars, volume=volume)
    execution = replace(execution, coo=bool(rng.random() < 0.25))
    if rng.random() < 0.4:
        execution = replace(execution, semantics="corrected")
    return replace(case, bars=bars, execution=execution)  # type: ignore[type-var]


def _contract(rng: np.random.Generator, price: float, execution: Execution) -> dict[str, Any]:
    """Return a future, a stock with leverage, or one that is paid in full; interest on two in three."""
    drawn: dict[str, Any] = {}
    if rng.random() < 0.7:
        drawn["interest"] = float(rng.choice([0.05, 0.31, 9.7]))
        drawn["interest_long"] = bool(rng.random() < 0.5)
    kind = rng.choice(["future", "leverage", "outright"], p=[0.5, 0.35, 0.15])
    if kind == "leverage":
        drawn["leverage"] = float(rng.choice([2.0, 3.7, 50.0]))
    if kind == "future":
        mult = float(rng.choice([1.0, 1.0, 0.1, 5.0, 50.0]))
        drawn |= {"margin": float(price * rng.choice([0.05, 0.333, 1.5])), "mult": mult, "shortcash": True}
        if execution.commtype == "perc" and mult != 1.0 and execution.commission:
            drawn |= {"commission": execution.commission * price, "commtype": "fixed"}
    return drawn


def _filler(rng: np.random.Generator, price: float) -> Filler:
    kind = str(rng.choice(FILLERS))
    if kind == "fixed_size":
        return Filler(kind, float(rng.choice([1.0, 7.5, 100.0])))
    perc = float(rng.choice([100.0, 33.3, 5.0]))
    minmov = float(price * rng.choice([0.0, 0.01, 0.0007])) if kind == "bar_point_perc" else 0.0
    return Filler(kind, perc, minmov)


def _with_weekends(bars: Bars) -> Bars:
    """Return bars whose sessions have two days after each fifth."""
    day = bars.session - bars.session[0]
    later = 2 * (day // 5)
    us = later * DAY_US
    return replace(
        bars,
        ts=bars.ts + us,
        session=bars.session + later,
        session_open=bars.session_open + us,
        session_close=bars.session_close + us,
    )
