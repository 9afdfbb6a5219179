"""Random parameters, overlays and windows for comparing the compiled broker with Backtrader's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whatif.domain.bars import Bars
from whatif.domain.overlays import Overlays
from whatif.engines.closing import check_flat
from whatif.errors import EngineError
from whatif.strategies import StrategySpec
from whatif.testing import random_series


def random_size(rng: np.random.Generator, affordable: float) -> float:
    """Return a part of the units that the cash pays for, or more than those; half of all are whole."""
    size = affordable * float(rng.choice([0.003, 0.05, 0.3, 0.97, 2.0]))
    return float(np.ceil(size)) if rng.random() < 0.5 else size


def random_overlays(rng: np.random.Generator) -> Overlays:
    """Return no overlays for a third of all draws, else each of them at random."""
    if rng.random() < 1 / 3:
        return Overlays()
    values = {
        "take_profit": float(rng.choice([0.001, 0.01, 0.05])),
        "stop_loss": float(rng.choice([0.001, 0.01, 0.05])),
        "max_bars_held": int(rng.integers(1, 60)),
        # so early that a late order fills in the same session
        "flat_before_close": int(rng.integers(10, 60)),
        str(rng.choice(["percent_of_equity", "percent_of_cash"])): float(rng.choice([0.1, 0.95, 1.0])),
        "latency": int(rng.integers(1, 4)),
    }
    return Overlays(**{name: value for name, value in values.items() if rng.random() < 0.4})


def that_act(overlays: Overlays, bars: Bars, rows: tuple[int, int]) -> Overlays:
    """Return the overlays; where bars end too early for the close, hours earlier or without it."""
    earlier = None if overlays.flat_before_close is None else 4 * overlays.flat_before_close
    for some in (overlays, replace(overlays, flat_before_close=earlier)):
        try:
            check_flat(bars, *rows, some)
        except EngineError:
            continue
        return some
    return replace(overlays, flat_before_close=None)


def with_inputs(spec: StrategySpec, bars: Bars, rng: np.random.Generator) -> Bars:
    """Return the bars with a random series, a tenth of it NaN, for each that the strategy needs."""
    series = {}
    for name in sorted(spec.external_inputs()):
        values = random_series(int(rng.integers(2**32)), len(bars))
        series[name] = 0.5 + 20.0 * values if name.startswith("prob") else values
    return bars.with_inputs(series)


def windows(rng: np.random.Generator, bars: int, count: int, longest: int) -> list[tuple[int, int]]:
    """Return `count` half-open ranges of rows: the first cover all bars, the others lie anywhere."""
    longest = min(longest, bars)
    tiles = [(at, min(at + longest, bars)) for at in range(0, bars, longest)]
    assert len(tiles) <= count, "the windows are too short to cover all bars"
    lengths = rng.integers(min(50, longest), longest + 1, count - len(tiles))
    starts = rng.integers(0, bars - lengths + 1)
    return tiles + list(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))
