"""Moving averages against Backtrader (bytes), TA-Lib (1e-9) and `math.fsum`."""

from __future__ import annotations

import math

import backtrader as bt
import numpy as np
import pytest
import talib
from hypothesis import example, given, settings
from hypothesis import strategies as st

from whatif.indicators.moving import ema, ema_python, sma, sma_python

PRICES = st.floats(min_value=1e-4, max_value=1e6)
ANY_MAGNITUDE = st.floats(min_value=-1e290, max_value=1e290, allow_nan=False)


def fsum_average(values: np.ndarray, period: int) -> np.ndarray:
    """Return what Backtrader's SMA computes: `math.fsum(window) / period`."""
    result = np.full(len(values), np.nan)
    for t in range(period - 1, len(values)):
        result[t] = math.fsum(values[t - period + 1 : t + 1]) / period
    return result


PERIODS = [*(pytest.param(period, marks=pytest.mark.slow) for period in (1, 2, 3, 20)), 199]


@pytest.mark.parametrize("period", PERIODS)
def test_sma_has_backtraders_bytes_on_real_bars(estx50_close, by_backtrader, period: int) -> None:
    expected = by_backtrader(lambda close: bt.ind.SMA(close, period=period), estx50_close)

    assert sma(estx50_close, period).tobytes() == expected.tobytes()


@pytest.mark.parametrize("period", PERIODS)
def test_ema_has_backtraders_bytes_on_real_bars(estx50_close, by_backtrader, period: int) -> None:
    expected = by_backtrader(lambda close: bt.ind.EMA(close, period=period), estx50_close)

    assert ema(estx50_close, period).tobytes() == expected.tobytes()


@settings(deadline=None, max_examples=200)
@given(values=st.lists(PRICES, min_size=1, max_size=120), period=st.integers(1, 40))
def test_sma_has_the_bytes_of_fsum_on_prices(values: list[float], period: int) -> None:
    series = np.array(values)

    assert sma(series, period).tobytes() == fsum_average(series, period).tobytes()


@settings(deadline=None, max_examples=300)
@given(values=st.lists(ANY_MAGNITUDE, min_size=1, max_size=60), period=st.integers(1, 12))
@example(values=[1e16, 1.0, -1e16, 1.0, 1.0, 1e-300], period=3)
@example(values=[1.0, 2.0**-53, 2.0**-53, 2.0**-106, 1.0, 2.0**-54], period=3)
@example(values=[1e290, 1.0, -1e290, 1e-290, 5e-324, 1.0], period=2)
def test_sma_has_the_bytes_of_fsum_for_any_magnitudes(values: list[float], period: int) -> None:
    series = np.array(values)

    assert sma(series, period).tobytes() == fsum_average(series, period).tobytes()


def test_sma_falls_back_to_the_exact_sum_where_the_running_one_is_ambiguous() -> None:
    # each window holds values 600 decimal orders apart: no double-double can carry them along
    rng = np.random.default_rng(3)
    series = rng.normal(size=4_000) * 10.0 ** rng.uniform(-300, 280, 4_000)

    assert sma(series, 7).tobytes() == fsum_average(series, 7).tobytes()


@pytest.mark.parametrize("period", [2, 20, 50])
def test_sma_agrees_with_ta_lib(estx50_close, random_walk, period: int) -> None:
    for series in (estx50_close, random_walk):
        np.testing.assert_allclose(sma(series, period), talib.SMA(series, period), rtol=1e-9)


@pytest.mark.parametrize("period", [2, 20, 50])
def test_ema_agrees_with_ta_lib(estx50_close, random_walk, period: int) -> None:
    # the same seed here: TA-Lib's default (classic) start is the simple average too
    for series in (estx50_close, random_walk):
        np.testing.assert_allclose(ema(series, period), talib.EMA(series, period), rtol=1e-9)


@pytest.mark.parametrize("average", [sma, ema])
def test_a_missing_value_starts_the_window_again(average) -> None:
    series = np.array([1.0, 2.0, 3.0, np.nan, 5.0, 7.0, 10.0])

    result = average(series, 2)

    assert np.isnan(result[[0, 3, 4]]).all()
    np.testing.assert_array_equal(result[[1, 2]], average(series[:3], 2)[[1, 2]])
    np.testing.assert_array_equal(result[5:], average(series[4:], 2)[1:])


def test_values_by_hand() -> None:
    series = np.array([3.0, 5.0, 10.0, 6.0])

    np.testing.assert_array_equal(sma(series, 2), [np.nan, 4.0, 7.5, 8.0])
    # alpha = 2 / (1 + 3) = 0.5, seed (3 + 5 + 10) / 3 = 6, then 6 * 0.5 + 6 * 0.5
    np.testing.assert_array_equal(ema(series, 3), [np.nan, np.nan, 6.0, 6.0])


@pytest.mark.parametrize("average", [sma, ema])
def test_a_series_shorter_than_the_window_has_no_value(average) -> None:
    assert np.isnan(average(np.array([1.0, 2.0]), 3)).all()
    assert len(average(np.array([]), 3)) == 0


@pytest.mark.parametrize(("compiled", "plain"), [(sma, sma_python), (ema, ema_python)])
def test_compiled_and_plain_kernels_give_the_same_bytes(random_walk, compiled, plain) -> None:
    series = random_walk[:500].copy()
    series[100] = np.nan

    assert compiled(series, 13).tobytes() == plain(series, 13).tobytes()
