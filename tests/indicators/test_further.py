"""The indicators beyond averages: by hand, against TA-Lib (1e-9), over missing values, plain and compiled."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from whatif.indicators.momentum import (
    atr,
    atr_python,
    macd,
    macd_histogram,
    macd_histogram_python,
    macd_python,
    macd_signal,
    macd_signal_python,
    rsi,
    rsi_python,
)
from whatif.indicators.moving import smma, smma_python, smooth, smooth_python, wma, wma_python
from whatif.indicators.spread import (
    bollinger_bottom,
    bollinger_mid,
    bollinger_top,
    power,
    power_python,
    stddev,
)
from whatif.indicators.windows import highest, highest_python, lowest, lowest_python

NAN = np.nan


@pytest.mark.parametrize("n", [2, 14, 50])
def test_agree_with_ta_lib(real_bars, random_walk, n: int) -> None:
    _, high, low, close = real_bars("estx50")
    for series in (close, random_walk):
        np.testing.assert_allclose(wma(series, n), talib.WMA(series, n), rtol=1e-9)
        np.testing.assert_allclose(highest(series, n), talib.MAX(series, n), rtol=1e-9)
        np.testing.assert_allclose(lowest(series, n), talib.MIN(series, n), rtol=1e-9)
        # the difference of squares cancels about nine digits of a price near 3,600 that moves by ticks
        np.testing.assert_allclose(stddev(series, n), talib.STDDEV(series, n), rtol=1e-9, atol=2e-4)
        top, mid, bottom = talib.BBANDS(series, n, 2.0, 2.0)
        np.testing.assert_allclose(bollinger_mid(series, n), mid, rtol=1e-9)
        np.testing.assert_allclose(bollinger_top(series, n, 2.0), top, rtol=1e-9, atol=4e-4)
        np.testing.assert_allclose(bollinger_bottom(series, n, 2.0), bottom, rtol=1e-9, atol=4e-4)
        # TA-Lib says 0 where nothing moved, ours 50 as Backtrader's RSI_Safe
        moved = ~((rsi(series, n) == 50.0) & (talib.RSI(series, n) == 0.0))
        np.testing.assert_allclose(rsi(series, n)[moved], talib.RSI(series, n)[moved], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(atr(high, low, close, n), talib.ATR(high, low, close, n), rtol=1e-9)


@pytest.mark.parametrize(("fast", "slow", "signal"), [(12, 26, 9), (3, 10, 5)])
def test_macd_agrees_with_ta_lib_once_the_seeds_are_forgotten(
    random_walk, fast: int, slow: int, signal: int
) -> None:
    # TA-Lib seeds the fast average later, so that both begin on one bar, and gives no value
    # before the signal has one: after 40 slow periods nothing of a seed is left
    line, of_line, histogram = talib.MACD(random_walk, fast, slow, signal)
    late = slice(40 * slow, None)

    np.testing.assert_allclose(macd(random_walk, fast, slow)[late], line[late], rtol=1e-9, atol=1e-9)
    found = macd_signal(random_walk, fast, slow, signal)
    np.testing.assert_allclose(found[late], of_line[late], rtol=1e-9, atol=1e-9)
    found = macd_histogram(random_walk, fast, slow, signal)
    np.testing.assert_allclose(found[late], histogram[late], rtol=1e-9, atol=1e-9)


def test_values_by_hand() -> None:
    series = np.array([2.0, 4.0, 9.0, 3.0])

    # (2 + 2 * 4) / 3, (4 + 2 * 9) / 3, (9 + 2 * 3) / 3
    np.testing.assert_allclose(wma(series, 2), [NAN, 10 / 3, 22 / 3, 5.0], rtol=1e-15)
    np.testing.assert_array_equal(highest(series, 2), [NAN, 4.0, 9.0, 9.0])
    np.testing.assert_array_equal(lowest(series, 2), [NAN, 2.0, 4.0, 3.0])
    # seed 3, then halfway to the next value
    np.testing.assert_array_equal(smma(series, 2), [NAN, 3.0, 6.0, 4.5])
    # fast = series; slow: seed 3, then alpha 2/3: 3 / 3 + 9 * 2 / 3 = 7, 7 / 3 + 2 = 13 / 3
    np.testing.assert_allclose(macd(series, 1, 2), [NAN, 1.0, 2.0, 3.0 - 13 / 3], rtol=1e-14)
    np.testing.assert_allclose(macd_signal(series, 1, 2, 2), [NAN, NAN, 1.5, 0.5 - 8 / 9], rtol=1e-14)
    histogram = macd_histogram(series, 1, 2, 2)
    np.testing.assert_allclose(histogram, [NAN, NAN, 0.5, 3.0 - 13 / 3 - 0.5 + 8 / 9], rtol=1e-14)
    # rises 2, 5, 0 and falls 0, 0, 6: averages 3.5 and 0, then 1.75 and 3
    np.testing.assert_allclose(rsi(series, 2), [NAN, NAN, 100.0, 100.0 - 100.0 / (1.0 + 1.75 / 3.0)])
    # squares 4, 16, 81, 9: sqrt(10 - 9), sqrt(48.5 - 42.25), sqrt(45 - 36)
    np.testing.assert_array_equal(stddev(series, 2), [NAN, 1.0, 2.5, 3.0])
    np.testing.assert_array_equal(bollinger_top(series, 2, 2.0), [NAN, 5.0, 11.5, 12.0])
    np.testing.assert_array_equal(bollinger_bottom(series, 2, 2.0), [NAN, 1.0, 1.5, 0.0])


def test_atr_reaches_back_to_the_close_before() -> None:
    high, low = np.array([11.0, 15.0, 9.0, 9.0]), np.array([9.0, 14.0, 8.0, 8.0])
    close = np.array([10.0, 14.5, 8.5, 8.5])

    # 15 - 10 and 14.5 - 8 over the gaps, then 9 - 8: seed 5.75, then (5.75 + 1) / 2
    np.testing.assert_array_equal(atr(high, low, close, 2), [NAN, NAN, 5.75, 3.375])


WITH_GAP = np.concatenate([np.arange(1.0, 9.0), [NAN], np.array([3.0, 9.0, 4.0, 8.0, 5.0, 1.0, 7.0, 7.0])])
KERNELS = [
    (wma, (3,), 2),
    (smma, (3,), 2),
    (highest, (3,), 2),
    (lowest, (3,), 2),
    (stddev, (3,), 2),
    (bollinger_mid, (3,), 2),
    (bollinger_top, (3, 2.0), 2),
    (bollinger_bottom, (3, 2.0), 2),
    (macd, (2, 3), 2),
    (macd_signal, (2, 3, 2), 3),
    (macd_histogram, (2, 3, 2), 3),
    (rsi, (3,), 3),
    (lambda x, n: atr(x + 1.0, x - 1.0, x, n), (3,), 3),
]


@pytest.mark.parametrize(("kernel", "numbers", "warmup"), KERNELS)
@pytest.mark.parametrize("missing", [NAN, np.inf, -np.inf])
def test_after_a_missing_value_it_begins_again(kernel, numbers, warmup: int, missing: float) -> None:
    series = np.where(np.isnan(WITH_GAP), missing, WITH_GAP)

    with np.errstate(invalid="ignore"):
        result = kernel(series, *numbers)

    assert np.isnan(result[:warmup]).all()
    assert np.isfinite(result[warmup:8]).all()
    assert np.isnan(result[8 : 9 + warmup]).all()
    np.testing.assert_array_equal(result[9 + warmup :], kernel(WITH_GAP[9:], *numbers)[warmup:])


@pytest.mark.parametrize(("kernel", "numbers", "warmup"), KERNELS)
def test_a_series_shorter_than_the_window_has_no_value(kernel, numbers, warmup: int) -> None:
    assert np.isnan(kernel(WITH_GAP[:warmup], *numbers)).all()
    assert len(kernel(np.array([]), *numbers)) == 0


@pytest.mark.parametrize(
    ("compiled", "plain", "numbers"),
    [
        (wma, wma_python, (13,)),
        (smma, smma_python, (13,)),
        (smooth, smooth_python, (13, 0.3)),
        (highest, highest_python, (13,)),
        (lowest, lowest_python, (13,)),
        (macd, macd_python, (5, 9)),
        (macd_signal, macd_signal_python, (5, 9, 4)),
        (macd_histogram, macd_histogram_python, (5, 9, 4)),
        (rsi, rsi_python, (13,)),
        (power, power_python, (2.0,)),
    ],
)
def test_compiled_and_plain_kernels_give_the_same_bytes(random_walk, compiled, plain, numbers) -> None:
    series = random_walk[:500].copy()
    series[100] = NAN

    assert compiled(series, *numbers).tobytes() == plain(series, *numbers).tobytes()


def test_compiled_and_plain_ranges_give_the_same_bytes(random_walk) -> None:
    close = random_walk[:500]
    wide = (close * 1.01, close * 0.985, close)

    assert atr(*wide, 13).tobytes() == atr_python(*wide, 13).tobytes()


def test_a_power_is_pythons(random_walk) -> None:
    # x * x and sqrt(x) are something else in one case of a thousand
    assert power(random_walk, 2.0).tolist() == [x**2 for x in random_walk.tolist()]
    assert power(random_walk, 0.5).tolist() == [x**0.5 for x in random_walk.tolist()]


def test_wma_sums_exactly_where_a_running_sum_would_not() -> None:
    import math

    rng = np.random.default_rng(3)
    series = rng.normal(size=400) * 10.0 ** rng.uniform(-200, 200, 400)

    for t, value in list(enumerate(wma(series, 5)))[4:]:
        window = [
            x * w for x, w in zip(series[t - 4 : t + 1].tolist(), (1.0, 2.0, 3.0, 4.0, 5.0), strict=True)
        ]
        assert value == 2.0 / (5 * 6.0) * math.fsum(window)
