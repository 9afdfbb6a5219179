"""Crossings of many pairs of series at once: each row as the indicator has it."""

from __future__ import annotations

import numpy as np

from whatif.indicators.momentum import crossings, crossover


def test_each_row_is_the_indicators() -> None:
    rng = np.random.default_rng(3)
    series = np.round(rng.normal(0.0, 1.0, (7, 400)).cumsum(axis=1))  # rounded, so that some are equal
    series[2, 50:60] = np.nan
    at = series.__array_interface__["data"][0] + 8 * 400 * np.arange(7)
    first, second = np.meshgrid(np.arange(7), np.arange(7))
    made = np.empty((49, 400))
    crossings(at[first.ravel()], at[second.ravel()], made)
    for k, (a, b) in enumerate(zip(first.ravel(), second.ravel(), strict=True)):
        assert made[k].tobytes() == crossover(series[a], series[b]).tobytes()
    assert (made == 1.0).sum() > 50
