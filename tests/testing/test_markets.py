"""Random markets are markets, and of all kinds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from whatif.testing import Shape, markets, random_bars, random_series
from whatif.testing.markets import PRICES, random_shape


def assert_market(bars) -> None:
    for name in ("open", "high", "low", "close"):
        prices = getattr(bars, name)
        assert np.isfinite(prices).all()
        assert (prices > 0).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (np.diff(bars.ts) > 0).all()
    assert ((bars.ts >= bars.session_open) & (bars.ts < bars.session_close)).all()


@settings(derandomize=True, database=None, deadline=None, max_examples=200)
@given(bars=markets())
def test_drawn_markets_are_markets(bars) -> None:
    assert_market(bars)


@pytest.mark.parametrize("price", PRICES)
def test_random_markets_are_markets(price) -> None:
    for seed in range(50):
        assert_market(random_bars(seed, 90, random_shape(np.random.default_rng(seed), price)))


def test_the_same_seed_is_the_same_market() -> None:
    one, same, other = (random_bars(seed, 50) for seed in (3, 3, 4))

    assert one.close.tobytes() == same.close.tobytes()
    assert one.close.tobytes() != other.close.tobytes()


def test_flat_bars_gaps_ties_and_repeats_occur() -> None:
    bars = random_bars(1, 400, Shape(tick=0.01, flat=0.2, gap=0.3, repeat=0.1))
    same = np.all([np.diff(getattr(bars, name)) == 0 for name in ("open", "high", "low", "close")], axis=0)

    assert (bars.high == bars.low).sum() > 40
    assert (bars.open[1:] != bars.close[:-1]).sum() > 40
    assert (np.diff(bars.close) == 0).sum() > 20
    assert same.sum() > 10
    assert len(set(bars.session.tolist())) == 14


def test_a_series_from_outside_is_missing_here_and_there() -> None:
    series = random_series(1, 1000)

    assert 50 < np.isnan(series).sum() < 200
