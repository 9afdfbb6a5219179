"""Rates of change and crossings against Backtrader (bytes) and TA-Lib (1e-9)."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.indicators.momentum import crossover, crossover_python, roc, roc100, roc100_python, roc_python
from whatif.indicators.moving import sma

STEPS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=40)


@pytest.mark.parametrize(
    "period",
    [pytest.param(1, marks=pytest.mark.slow), 5, pytest.param(60, marks=pytest.mark.slow)],
)
@pytest.mark.slow
def test_has_backtraders_bytes_on_real_bars(estx50_close, by_backtrader, period: int) -> None:
    fraction = by_backtrader(lambda close: bt.ind.ROC(close, period=period), estx50_close)
    percent = by_backtrader(lambda close: bt.ind.ROC100(close, period=period), estx50_close)

    assert roc(estx50_close, period).tobytes() == fraction.tobytes()
    assert roc100(estx50_close, period).tobytes() == percent.tobytes()


@pytest.mark.parametrize("period", [1, 5, 60])
def test_ta_lib_calls_percent_what_backtrader_calls_roc100(estx50_close, random_walk, period: int) -> None:
    # TA-Lib computes (value / earlier - 1) * 100, so tiny changes differ by cancellation
    for series in (estx50_close, random_walk):
        np.testing.assert_allclose(roc100(series, period), talib.ROC(series, period), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(roc(series, period), talib.ROCP(series, period), rtol=1e-9, atol=1e-13)


def test_values_by_hand() -> None:
    np.testing.assert_array_equal(roc(np.array([4.0, 5.0, 2.0]), 1), [np.nan, 0.25, -0.6])
    np.testing.assert_array_equal(roc100(np.array([4.0, 5.0, 2.0]), 2), [np.nan, np.nan, -50.0])


def test_no_value_from_nothing_or_from_zero() -> None:
    series = np.array([0.0, 1.0, np.nan, 2.0, 4.0])

    np.testing.assert_array_equal(roc(series, 1), [np.nan, np.nan, np.nan, np.nan, 1.0])


def test_compiled_and_plain_kernels_give_the_same_bytes(random_walk) -> None:
    assert roc(random_walk, 7).tobytes() == roc_python(random_walk, 7).tobytes()
    assert roc100(random_walk, 7).tobytes() == roc100_python(random_walk, 7).tobytes()


@pytest.mark.slow
def test_has_backtraders_bytes_on_averages_of_real_bars(estx50_close, by_backtrader) -> None:
    expected = by_backtrader(
        lambda close: bt.ind.CrossOver(bt.ind.SMA(close, period=10), bt.ind.SMA(close, period=30)),
        estx50_close,
    )

    found = crossover(sma(estx50_close, 10), sma(estx50_close, 30))

    # Backtrader's first value is on bar 31: 30 for the average, one more to compare with
    assert np.isnan(found[:30]).all()
    assert found[30:].tobytes() == expected[30:].tobytes()


@settings(deadline=None, max_examples=50)
@given(steps=STEPS)
def test_has_backtraders_bytes_where_the_series_touch(by_backtrader, steps: list[tuple[int, int]]) -> None:
    first, second = (np.array(side, dtype=np.float64) for side in zip(*steps, strict=True))

    expected = by_backtrader(bt.ind.CrossOver, first, second)

    assert crossover(first, second)[1:].tobytes() == expected[1:].tobytes()


def test_touching_and_turning_back_is_no_cross_and_going_through_is_one() -> None:
    second = np.full(7, 2.0)
    first = np.array([1.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0])

    np.testing.assert_array_equal(crossover(first, second), [np.nan, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0])


def test_a_missing_value_forgets_the_side() -> None:
    first = np.array([1.0, 1.0, np.nan, 3.0, 1.0])

    np.testing.assert_array_equal(crossover(first, np.full(5, 2.0)), [np.nan, 0.0, np.nan, np.nan, -1.0])


def test_compiled_and_plain_crossings_are_the_same(random_walk) -> None:
    averages = sma(random_walk, 3), sma(random_walk, 11)

    assert crossover(*averages).tobytes() == crossover_python(*averages).tobytes()
