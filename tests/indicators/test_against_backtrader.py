"""Every indicator that Backtrader has, against Backtrader: equal as bytes on real and on awkward bars."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from whatif.indicators import INDICATORS, get_indicator

Sources = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


FURTHER = {"adx", "adxr", "ao", "apo", "ppo", "bbands", "cci", "dema", "tema", "trix", "tsi", "hma", "zlema",
           "dpo", "percentrank"}  # fmt: skip
"""Those that test_formulas.py holds against Backtrader."""

OF_BACKTRADER = {name for name, one in INDICATORS.items() if one.origin == "Backtrader"} - FURTHER


def by_whatif(bars: Sources, n: int, m: int, k: int, factor: float) -> dict[str, np.ndarray]:
    """Return each indicator on the close (ATR on its three prices, extremes on theirs too)."""
    _, high, low, close = bars
    numbers: dict[str, tuple[Any, ...]] = {
        "macd": (n, m),
        "macd_signal": (n, m, k),
        "macd_histogram": (n, m, k),
        "bollinger_top": (n, factor),
        "bollinger_bottom": (n, factor),
    }
    found = {
        name: get_indicator(name).kernel(close, *numbers.get(name, (n,)))
        for name in INDICATORS
        if name not in ("crossover", "atr") and name in OF_BACKTRADER
    }
    return found | {
        "atr": get_indicator("atr").kernel(high, low, close, n),
        "highest of high": get_indicator("highest").kernel(high, n),
        "lowest of low": get_indicator("lowest").kernel(low, n),
        "highest of macd": get_indicator("highest").kernel(found["macd"], k),
        "crossover": get_indicator("crossover").kernel(found["macd"], found["macd_signal"]),
    }


def by_backtrader(n: int, m: int, k: int, factor: float, rsi: Any = bt.ind.RSI):
    def make(data: Any) -> dict[str, Any]:
        macd = bt.ind.MACDHisto(data, period_me1=n, period_me2=m, period_signal=k)
        bands = bt.ind.BollingerBands(data, period=n, devfactor=factor)
        single = {
            "sma": bt.ind.SMA(data, period=n),
            "ema": bt.ind.EMA(data, period=n),
            "wma": bt.ind.WMA(data, period=n),
            "smma": bt.ind.SMMA(data, period=n),
            "roc": bt.ind.ROC(data, period=n),
            "roc100": bt.ind.ROC100(data, period=n),
            "highest": bt.ind.Highest(data, period=n),
            "lowest": bt.ind.Lowest(data, period=n),
            "rsi": rsi(data, period=n),
            "atr": bt.ind.ATR(data, period=n),
            "stddev": bt.ind.StdDev(data, period=n),
            "highest of high": bt.ind.Highest(data.high, period=n),
            "lowest of low": bt.ind.Lowest(data.low, period=n),
            "highest of macd": bt.ind.Highest(macd.lines.macd, period=k),
            "crossover": bt.ind.CrossOver(macd.lines.macd, macd.lines.signal),
        }
        lines = {name: indicator.lines[0] for name, indicator in single.items()}
        return lines | {
            "macd": macd.lines.macd,
            "macd_signal": macd.lines.signal,
            "macd_histogram": macd.lines.histo,
            "bollinger_top": bands.lines.top,
            "bollinger_mid": bands.lines.mid,
            "bollinger_bottom": bands.lines.bot,
        }

    return make


def assert_same_bytes(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    assert found.keys() >= OF_BACKTRADER
    for name, values in expected.items():
        if found[name].tobytes() != values.tobytes():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
            raise AssertionError(f"{name}: equal, but not as bytes")


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        pytest.param("estx50", (20, 50, 9, 2.0), marks=pytest.mark.slow),
        ("2006", (12, 26, 9, 2)),
        ("2006", (1, 3, 1, 2.5)),
        ("2006", (26, 12, 9, 0.0)),
        pytest.param("daily/spy.zip", (14, 30, 9, 1.7), marks=pytest.mark.slow),
        ("daily/goog.zip", (5, 17, 4, 3.0)),
        pytest.param("hour/aig.zip", (33, 60, 7, 2.0), marks=pytest.mark.slow),
        ("minute/aapl/20140605_trade.zip", (2, 5, 3, 2.0)),
    ],
)
def test_on_real_bars(real_bars, lines_by_backtrader, name: str, numbers) -> None:
    bars = real_bars(name)
    # over a few bars it happens that nothing falls, and RSI divides by zero
    rsi = bt.ind.RSI if numbers[0] > 9 else bt.ind.RSI_Safe

    expected = lines_by_backtrader(by_backtrader(*numbers, rsi), bars)

    assert_same_bytes(by_whatif(bars, *numbers), expected)


def shaped(closes: list[float], wicks: list[float]) -> Sources:
    """Return bars that open at the last close and reach beyond body by the wicks."""
    close = np.array(closes)
    opened = np.concatenate([close[:1], close[:-1]])
    reach = np.resize(np.array(wicks), len(close))
    return opened, np.maximum(opened, close) + reach, np.minimum(opened, close) - reach, close


PRICE = st.one_of(
    st.floats(min_value=1e-4, max_value=1e6),
    # few different values: ties, flat bars, differences that cancel
    st.sampled_from([10.0, 10.0, 10.01, 9.99, 1e-4, 12345.678]),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    closes=st.lists(PRICE, min_size=35, max_size=80),
    wicks=st.lists(st.sampled_from([0.0, 0.0, 0.01, 3.7]), min_size=1, max_size=7),
    n=st.integers(1, 12),
    m=st.integers(1, 12),
    k=st.integers(1, 8),
    factor=st.floats(0.0, 4.0),
)
@example(closes=[10.0] * 40, wicks=[0.0], n=3, m=5, k=2, factor=2.0)
@example(closes=[10.0, 10.1] * 20, wicks=[0.0], n=2, m=2, k=2, factor=2.0)
@example(closes=[float(x) for x in range(1, 41)], wicks=[0.01], n=5, m=9, k=4, factor=2.0)
@example(closes=[float(x) for x in range(40, 0, -1)], wicks=[0.01], n=5, m=9, k=4, factor=2.0)
def test_on_random_and_adversarial_bars(
    lines_by_backtrader, closes, wicks, n: int, m: int, k: int, factor: float
) -> None:
    bars = shaped(closes, wicks)

    # RSI raises where nothing fell; RSI_Safe is the same with a value for that case
    expected = lines_by_backtrader(by_backtrader(n, m, k, factor, bt.ind.RSI_Safe), bars)

    assert_same_bytes(by_whatif(bars, n, m, k, factor), expected)


def test_backtraders_rsi_raises_where_ours_says_what_its_safe_one_says(lines_by_backtrader) -> None:
    bars = shaped([10.0, 11.0, 12.0, 13.0, 13.0], [0.0])

    with pytest.raises(ZeroDivisionError):
        lines_by_backtrader(lambda data: {"rsi": bt.ind.RSI(data, period=2).lines[0]}, bars)
    assert get_indicator("rsi").kernel(bars[3], 2)[2:].tolist() == [100.0, 100.0, 100.0]
    assert get_indicator("rsi").kernel(np.full(5, 9.0), 2)[2:].tolist() == [50.0, 50.0, 50.0]
