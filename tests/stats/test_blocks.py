"""Length of a bootstrap's blocks."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length

from whatif.errors import StatisticsError
from whatif.stats.blocks import block_length


def persistent(periods: int = 500, memory: float = 0.8) -> np.ndarray:
    """Return an autoregressive series."""
    series = np.random.default_rng(0).normal(size=periods)
    for t in range(1, periods):
        series[t] += memory * series[t - 1]
    return series


def test_optimal_rounded_up() -> None:
    series = persistent()
    optimal = float(optimal_block_length(series)["stationary"].iloc[0])
    assert optimal < block_length(series) < optimal + 1.0
    assert block_length(series) > block_length(persistent(memory=0.0)) >= 1


def test_the_root_where_there_is_no_optimum() -> None:
    assert block_length(np.zeros(100)) == 10
    assert block_length(np.random.default_rng(1).normal(size=9)) == 3
    assert block_length(np.array([0.1, 0.2])) == 2


def test_what_is_given_is_taken() -> None:
    assert block_length(np.zeros(100), 7) == 7
    with pytest.raises(StatisticsError, match="block=101: from 1 to the number of periods, 100"):
        block_length(np.zeros(100), 101)


@pytest.mark.parametrize("seed", range(20))
def test_short_series_have_a_length(seed: int) -> None:
    series = np.random.default_rng(seed).normal(size=20 + seed)
    assert 1 <= block_length(series) <= len(series)
    assert 1 <= block_length(np.round(series / 2.0)) <= len(series)
