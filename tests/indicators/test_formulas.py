"""Indicators by formula, each against its formula written out window by window, or Backtrader's indicator."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from whatif.domain.bars import Bars
from whatif.indicators import INDICATORS, evaluate, parse
from whatif.testing import bars_of_prices

NAN = math.nan


@cache
def market() -> Bars:
    rng = np.random.default_rng(5)
    rows = 160
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, rows)))
    opened = close * np.exp(rng.normal(0.0, 0.01, rows))
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.985
    bars = bars_of_prices(np.column_stack([opened, high, low, close]))
    return replace(bars, volume=np.round(10.0 + 500.0 * rng.random(rows)))


BARS = market()
OPEN, HIGH, LOW, CLOSE, VOLUME = (
    pd.Series(one) for one in (BARS.open, BARS.high, BARS.low, BARS.close, BARS.volume)
)


def exponential(source: pd.Series, period: int, alpha: float = 0.0) -> pd.Series:
    """Average exponentially from the mean of the first `period` values on."""
    alpha = alpha or 2.0 / (period + 1.0)
    values, found = source.dropna(), {}
    mean = values.iloc[:period].mean()
    for k in range(period - 1, len(values)):
        mean = mean if k == period - 1 else mean + alpha * (values.iloc[k] - mean)
        found[values.index[k]] = mean
    return pd.Series(found).reindex(source.index)


def by_window(period: int, value, *series: pd.Series) -> pd.Series:
    """Return a value of each window of some series."""
    found = [
        value(*(one.to_numpy()[t - period + 1 : t + 1] for one in series)) if t >= period - 1 else NAN
        for t in range(len(series[0]))
    ]
    return pd.Series(found)


def line(x, y, weight=None):
    slope, intercept = np.polyfit(x, y, 1, w=None if weight is None else np.sqrt(weight))
    return slope, intercept


def explained(x, y, weight):
    mean = np.average(y, weights=weight)
    slope, intercept = line(x, y, weight)
    left = np.sum(weight * (y - slope * x - intercept) ** 2)
    return 1.0 - left / np.sum(weight * (y - mean) ** 2)


def ranges() -> pd.Series:
    before = CLOSE.shift(1)
    found = pd.concat([HIGH - LOW, (HIGH - before).abs(), (LOW - before).abs()], axis=1).max(axis=1)
    return found.where(before.notna())


def fisher_by_loop(period: int) -> pd.Series:
    middle, inside, value, found = (HIGH + LOW) / 2.0, 0.0, 0.0, []
    for t in range(len(middle)):
        window = middle.iloc[max(t - period + 1, 0) : t + 1]
        if len(window) < period:
            found.append(NAN)
            continue
        place = (middle.iloc[t] - window.min()) / (window.max() - window.min())
        inside = 0.33 * 2.0 * (place - 0.5) + 0.67 * inside
        inside = min(max(inside, -0.999), 0.999)
        value = 0.5 * math.log((1.0 + inside) / (1.0 - inside)) + 0.5 * value
        found.append(value)
    return pd.Series(found)


def klinger_by_loop(fast: int, slow: int) -> pd.Series:
    typical, width = HIGH + LOW + CLOSE, HIGH - LOW
    force, total, trend_before = [NAN], NAN, 0
    for t in range(1, len(typical)):
        trend = 1 if typical[t] > typical[t - 1] else -1
        total = total + width[t] if trend == trend_before else width[t - 1] + width[t]
        force.append(VOLUME[t] * abs(2.0 * (width[t] / total - 1.0)) * trend * 100.0)
        trend_before = trend
    return exponential(pd.Series(force), fast) - exponential(pd.Series(force), slow)


RETURNS = np.log(CLOSE / CLOSE.shift(1))
OTHERS = np.log(OPEN / OPEN.shift(1))
ROWS = pd.Series(np.arange(len(CLOSE), dtype=float))
ONES = pd.Series(np.ones(len(CLOSE)))
MIDDLE = (HIGH + LOW) / 2.0


def volatility(returns: pd.Series, period: int) -> pd.Series:
    return (returns**2).rolling(period).sum() ** 0.5


def wanted() -> dict[str, pd.Series]:
    channel = CLOSE.rolling(9)
    keltner = exponential(CLOSE, 9), exponential(ranges(), 7, 1.0 / 7.0)
    short, base = ((HIGH.rolling(n).max() + LOW.rolling(n).min()) / 2.0 for n in (5, 8))
    klinger = klinger_by_loop(7, 11)
    weighed = {
        "slope": by_window(9, lambda x, y, w: line(x, y, w)[0], OPEN, CLOSE, VOLUME),
        "intercept": by_window(9, lambda x, y, w: line(x, y, w)[1], OPEN, CLOSE, VOLUME),
        "value": by_window(9, lambda x, y, w: np.polyval(line(x, y, w), x[-1]), OPEN, CLOSE, VOLUME),
        "r2": by_window(9, explained, OPEN, CLOSE, VOLUME),
    }
    plain = {
        "slope": by_window(9, lambda x, y: line(x, y)[0], OPEN, CLOSE),
        "intercept": by_window(9, lambda x, y: line(x, y)[1], OPEN, CLOSE),
        "value": by_window(9, lambda x, y: np.polyval(line(x, y), x[-1]), OPEN, CLOSE),
        "r2": by_window(9, lambda x, y: np.corrcoef(x, y)[0, 1] ** 2, OPEN, CLOSE),
    }
    trend = {
        "slope": by_window(9, lambda x, y, w: line(x, y, w)[0], ROWS, CLOSE, VOLUME),
        "intercept": by_window(9, lambda x, y, w: np.polyval(line(x, y, w), x[0]), ROWS, CLOSE, VOLUME),
        "value": by_window(9, lambda x, y, w: np.polyval(line(x, y, w), x[-1]), ROWS, CLOSE, VOLUME),
        "r2": by_window(9, explained, ROWS, CLOSE, VOLUME),
    }
    return {
        "emv(9, 1000)": (MIDDLE.diff() / (VOLUME / 1000.0 / (HIGH - LOW))).rolling(9).mean(),
        "fisher(9).fisher": fisher_by_loop(9),
        "fisher(9).signal": fisher_by_loop(9).shift(1),
        "ichimoku(5, 8, 13).tenkan": short,
        "ichimoku(5, 8, 13).kijun": base,
        "ichimoku(5, 8, 13).span_a": ((short + base) / 2.0).shift(8),
        "ichimoku(5, 8, 13).span_b": ((HIGH.rolling(13).max() + LOW.rolling(13).min()) / 2.0).shift(8),
        "ichimoku(5, 8, 13).lagging": CLOSE,
        "keltner(9, 7, 1.5).upper": keltner[0] + 1.5 * keltner[1],
        "keltner(9, 7).middle": keltner[0],
        "keltner(9, 7).lower": keltner[0] - 2.0 * keltner[1],
        "klinger(7, 11, 5).kvo": klinger,
        "klinger(7, 11, 5).signal": exponential(klinger, 5),
        "price_channel(9).upper": channel.max(),
        "price_channel(9).middle": (channel.max() + channel.min()) / 2.0,
        "price_channel(9).lower": channel.min(),
        **{f"linear_regression(open, close, 9).{part}": one for part, one in plain.items()},
        **{
            f"weighted_linear_regression(open, close, volume, 9).{part}": one for part, one in weighed.items()
        },
        **{f"weighted_trend(close, volume, 9).{part}": one for part, one in trend.items()},
        "correlation(close, open, 9)": by_window(9, lambda x, y: np.corrcoef(x, y)[0, 1], CLOSE, OPEN),
        "spread(close, open, 9)": by_window(
            9, lambda y, x: y[-1] - np.polyval(line(x, y), x[-1]), CLOSE, OPEN
        ),
        "realized_volatility(9)": volatility(RETURNS, 9),
        "realized_correlation(close, open, 9)": (RETURNS * OTHERS).rolling(9).sum()
        / (volatility(RETURNS, 9) * volatility(OTHERS, 9)),
        "realized_volatility_spread(close, open, 9)": volatility(RETURNS, 9) - volatility(OTHERS, 9),
        # also in Backtrader, below; these are of other lengths
        "kama(9, 3, 20)": kama_by_loop(9, 3, 20),
        "percentrank(9)": by_window(9, lambda x: np.sum(x < x[-1]) / 9.0, CLOSE),
        "zscore(9)": by_window(9, lambda x: (x[-1] - x.mean()) / x.std(), CLOSE),
    }


def kama_by_loop(period: int, fast: int, slow: int) -> pd.Series:
    found = [NAN] * len(CLOSE)
    for t in range(period, len(CLOSE)):
        way = CLOSE.diff().abs().iloc[t - period + 1 : t + 1].sum()
        ratio = abs(CLOSE[t] - CLOSE[t - period]) / way
        alpha = (ratio * (2.0 / (fast + 1) - 2.0 / (slow + 1)) + 2.0 / (slow + 1)) ** 2
        seed = CLOSE.iloc[t - period + 1 : t + 1].mean()
        found[t] = seed if t == period else found[t - 1] + alpha * (CLOSE[t] - found[t - 1])
    return pd.Series(found)


def test_each_formula_gives_what_it_says() -> None:
    expected = wanted()
    for text, values in expected.items():
        found = evaluate(parse(text), BARS)
        np.testing.assert_allclose(found, values, rtol=1e-7, atol=1e-9, err_msg=text)
    own = {name for name, one in INDICATORS.items() if one.origin == "own"}
    elsewhere = {"lag", "scaled", "log", "abs", "clip", "where"}  # in test_arithmetic, test_elsewhere
    assert {text.partition("(")[0] for text in expected} >= own - elsewhere


def test_a_kama_is_backtraders_up_to_rounding(lines_by_backtrader) -> None:
    prices = tuple(one.to_numpy() for one in (OPEN, HIGH, LOW, CLOSE))
    made = lines_by_backtrader(lambda data: {"kama": bt.ind.KAMA(data, period=12, fast=2, slow=30)}, prices)
    np.testing.assert_allclose(evaluate(parse("kama(12)"), BARS), made["kama"], rtol=1e-12)


def test_an_ichimoku_is_backtraders_but_for_what_looks_ahead(lines_by_backtrader) -> None:
    prices = tuple(one.to_numpy() for one in (OPEN, HIGH, LOW, CLOSE))

    def make(data):
        whole = bt.ind.Ichimoku(data, tenkan=5, kijun=8, senkou=13, senkou_lead=8, chikou=8)
        lines = ("tenkan_sen", "kijun_sen", "senkou_span_a", "senkou_span_b")
        return {name: getattr(whole.lines, name) for name in lines}

    for part, values in zip(
        ("tenkan", "kijun", "span_a", "span_b"), lines_by_backtrader(make, prices).values(), strict=True
    ):
        found = evaluate(parse(f"ichimoku(5, 8, 13).{part}"), BARS)
        np.testing.assert_array_equal(found, values[: len(found)])


def test_a_flat_market_divides_nothing_by_zero() -> None:
    flat = bars_of_prices([(0.1, 0.1, 0.1, 0.1)] * 60)
    for text in (
        "zscore(9)",
        "correlation(close, open, 9)",
        "linear_regression(open, close, 9).slope",
        "cci(9)",
    ):
        assert np.isnan(evaluate(parse(text), flat)).all(), text
    assert evaluate(parse("realized_volatility(9)"), flat)[9:].tolist() == [0.0] * 51


@pytest.mark.parametrize(("periods", "name"), [((14, 26, 9), "2006"), ((5, 17, 4), "daily/goog.zip")])
def test_what_backtrader_has_too_is_equal_as_bytes(
    real_bars, lines_by_backtrader, periods, name: str
) -> None:
    n, m, k = periods
    bars = real_bars(name)
    _, high, low, close = bars

    def make(data):
        made = {
            "adx": bt.ind.ADX(data, period=n),
            "adxr": bt.ind.ADXR(data, period=n).lines.adxr,
            "ao": bt.ind.AO(data, fast=n, slow=m),
            "apo": bt.ind.APO(data, period1=n, period2=m),
            "ppo": bt.ind.PPO(data, period1=n, period2=m),
            "cci": bt.ind.CCI(data, period=n),
            "dema": bt.ind.DEMA(data, period=n),
            "tema": bt.ind.TEMA(data, period=n),
            "trix": bt.ind.Trix(data, period=k),
            "tsi": bt.ind.TSI(data, period1=n, period2=k),
            "hma": bt.ind.HMA(data, period=n),
            "zlema": bt.ind.ZLEMA(data, period=n),
            "dpo": bt.ind.DPO(data, period=n),
            "percentrank": bt.ind.PercentRank(data, period=m),
        }
        bands = bt.ind.BollingerBands(data, period=n, devfactor=1.7).lines
        first = {one: getattr(made[one], "lines", [made[one]])[0] for one in made}
        return first | {"upper": bands.top, "middle": bands.mid, "lower": bands.bot}

    given = {"ao": (n, m), "apo": (n, m), "ppo": (n, m), "trix": (k,), "tsi": (n, k), "percentrank": (m,)}
    of_bars = {
        "adx": (high, low, close),
        "adxr": (high, low, close),
        "cci": (high, low, close),
        "ao": (high, low),
    }
    found = dict(zip(("upper", "middle", "lower"), INDICATORS["bbands"].kernel(close, n, 1.7), strict=True))
    for one, values in lines_by_backtrader(make, bars).items():
        if one not in found:
            found[one] = INDICATORS[one].kernel(*of_bars.get(one, (close,)), *given.get(one, (n,)))
        assert found[one].tobytes() == values.tobytes(), one
