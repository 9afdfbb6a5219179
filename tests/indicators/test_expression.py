"""Evaluation on bars: sources, sharing, and no look-ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from whatif.domain.bars import PRICE_FIELDS, Bars
from whatif.errors import IndicatorError
from whatif.indicators import INDICATORS, evaluate, parse
from whatif.indicators.moving import sma

EVERY = {
    "sma": "sma(7)",
    "ema": "ema(7)",
    "wma": "wma(7)",
    "smma": "smma(7)",
    "highest": "highest(high, 7)",
    "lowest": "lowest(7)",
    "macd": "macd(3, 7)",
    "macd_signal": "macd_signal(3, 7, 4)",
    "macd_histogram": "macd_histogram(7, 3, 4)",
    "rsi": "rsi(7)",
    "atr": "atr(7)",
    "stddev": "stddev(sma(3), 7)",
    "bollinger_top": "bollinger_top(7, 2.5)",
    "bollinger_mid": "bollinger_mid(7)",
    "bollinger_bottom": "bollinger_bottom(vwap, 7, 2)",
    "roc": "roc(7)",
    "roc100": "roc100(7)",
    "crossover": "crossover(close, sma(7))",
    "lag": "lag(roc(2), 7)",
    "scaled": "scaled(3, 2, 7)",
    "zscore": "zscore(7)",
    "log": "log(close + 100)",
    "abs": "abs(roc(7))",
    "clip": "clip(close, low, sma(7))",
    "where": "where(close > sma(7), high, -1)",
}


@pytest.fixture
def bars() -> Bars:
    rng = np.random.default_rng(11)
    n = 200
    series = {name: 50.0 + np.cumsum(rng.normal(size=n)) for name in PRICE_FIELDS}
    ts = np.arange(n, dtype=np.int64) * 60_000_000
    day = np.zeros(n, dtype=np.int64)
    return Bars(
        "X",
        ts=ts,
        session=day,
        session_open=day,
        session_close=day,
        inputs={"news": series["open"]},
        **series,
    )


def test_takes_the_series_it_names(bars: Bars) -> None:
    for text, source in (
        ("sma(5)", bars.close),
        ("sma(vwap, 5)", bars.vwap),
        ("sma(news, 5)", bars.inputs["news"]),
    ):
        np.testing.assert_array_equal(evaluate(parse(text), bars), sma(source, 5))
    np.testing.assert_array_equal(evaluate(parse("volume"), bars), bars.volume)


def test_the_cache_shares_parts_and_tells_bars_apart(bars: Bars) -> None:
    cache: dict = {}
    first = evaluate(parse("sma(5)"), bars, cache)

    evaluate(parse("crossover(sma(5), sma(9))"), bars, cache)

    assert len(cache) == 3
    assert evaluate(parse("sma(close, 5)"), bars, cache) is first
    other = replace(bars, close=bars.close + 1.0)
    np.testing.assert_array_equal(evaluate(parse("sma(5)"), other, cache), sma(other.close, 5))


def test_what_is_shared_cannot_be_written_to(bars: Bars) -> None:
    with pytest.raises(ValueError, match="read-only"):
        evaluate(parse("sma(5)"), bars)[0] = 1.0


def test_an_unknown_series_is_refused_with_the_nearest(bars: Bars) -> None:
    with pytest.raises(IndicatorError, match="did you mean 'close'"):
        evaluate(parse("sma(clse, 5)"), bars)


def test_an_unbound_parameter_is_refused(bars: Bars) -> None:
    with pytest.raises(IndicatorError, match="bind the parameters first"):
        evaluate(parse("sma(fast)"), bars)


def test_every_indicator_is_tested_for_look_ahead() -> None:
    # those of libraries and formulas, all at once, in test_library.py
    assert set(EVERY) <= set(INDICATORS)


@pytest.mark.parametrize("text", EVERY.values())
def test_no_look_ahead_and_the_declared_warmup(bars: Bars, text: str) -> None:
    expression = parse(text)
    before = evaluate(expression, bars)
    for t in (20, 77, 198):
        changed = {
            name: np.concatenate([getattr(bars, name)[: t + 1], getattr(bars, name)[t + 1 :] * 3.0])
            for name in PRICE_FIELDS
        }
        after = evaluate(expression, replace(bars, **changed))
        assert after[: t + 1].tobytes() == before[: t + 1].tobytes()
    warmup = expression.warmup()
    assert np.isnan(before[:warmup]).all()
    assert np.isfinite(before[warmup:]).all()
