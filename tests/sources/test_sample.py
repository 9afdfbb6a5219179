"""The sample market: valid bars, what is promised about it, and the truth it plants."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whatif.errors import CalendarError, SourceError
from whatif.sources import sample as sample_module
from whatif.sources.sample import (
    STEPS,
    Draws,
    Rule,
    SampleMarket,
    SampleSymbol,
    Scale,
    default_symbols,
    draw_session,
    empty_walk,
    expected_returns,
    fill_session,
    generate,
    write_sample,
)

NAMES = ("EDGE", "NOISE", "DRIFT", "FAINT")
SMALL = SampleMarket(sessions=3)
YEAR = SampleMarket(seed=5, sessions=250)


def returns(frame: pd.DataFrame) -> np.ndarray:
    close = frame["close"].to_numpy()
    return close[1:] / close[:-1] - 1.0


def t_value(terms: np.ndarray) -> float:
    """Return a sum over its own size: standard normal in the limit, for martingale differences."""
    return float(terms.sum() / math.sqrt((terms**2).sum()))


def momentum_gains(frame: pd.DataFrame) -> np.ndarray:
    """Return the next bar's return, signed by that of the last 20 bars."""
    close = frame["close"].to_numpy()
    return np.sign(close[20:-1] / close[:-21] - 1.0) * returns(frame)[20:]


def by_session(frame: pd.DataFrame) -> pd.Series:
    return frame["ts"].dt.tz_convert("America/New_York").dt.date


# --- what comes out -------------------------------------------------------------------------


def test_columns_types_and_order() -> None:
    frame = generate(SMALL, "EDGE")
    assert list(frame.columns) == [
        "symbol", "ts", "open", "high", "low", "close", "volume", "vwap", "trade_count"
    ]  # fmt: skip
    assert frame["ts"].dtype == pd.DatetimeTZDtype("us", "UTC")
    assert frame["volume"].dtype == frame["trade_count"].dtype == np.int64
    assert set(frame["symbol"]) == {"EDGE"}
    assert frame["ts"].is_monotonic_increasing
    assert frame["ts"].is_unique
    assert not frame.isna().any().any()


@pytest.mark.parametrize("name", NAMES)
def test_every_bar_is_valid(name: str) -> None:
    bars = generate(SampleMarket(), name)
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
    assert (bars["low"] > 0).all()
    assert (bars["vwap"] >= bars["low"]).all()
    assert (bars["vwap"] <= bars["high"]).all()
    assert (bars["trade_count"] >= 1).all()
    assert (bars["volume"] >= bars["trade_count"]).all()
    for column in ("open", "high", "low", "close"):
        assert (bars[column] == bars[column].round(2)).all()
    # high, low and vwap come from trades within the minute, not from its ends: a walk of 7 moves
    # has its maximum inside with probability 1 - 2 C(14, 7) / 4^7 = 0.58, less ties on the tick
    assert 0.4 < (bars["high"] > bars[["open", "close"]].max(axis=1)).mean() < 0.6
    assert (bars["vwap"] != bars["close"]).mean() > 0.95


def test_sessions_of_late_2024() -> None:
    bars = generate(SampleMarket(), "NOISE")
    sizes = bars.groupby(by_session(bars)).size()
    # NYSE closed early, at 13:00, on the day after Thanksgiving and on Christmas Eve
    assert sizes.pop(date(2024, 11, 29)) == 210
    assert sizes.pop(date(2024, 12, 24)) == 210
    assert len(sizes) == 58
    assert set(sizes) == {390}
    assert date(2024, 11, 28) not in sizes.index
    # 09:30 in New York is 13:30 UTC in summer and 14:30 UTC from 3 November 2024
    assert bars["ts"].iloc[0] == pd.Timestamp("2024-10-01 13:30", tz="UTC")
    opens = bars.groupby(by_session(bars))["ts"].first()
    assert opens[date(2024, 11, 1)] == pd.Timestamp("2024-11-01 13:30", tz="UTC")
    assert opens[date(2024, 11, 4)] == pd.Timestamp("2024-11-04 14:30", tz="UTC")


def test_a_market_that_never_closes_has_no_overnight_gap() -> None:
    bars = generate(SampleMarket(exchange="24/7", sessions=2), "NOISE")
    assert len(bars) == 2 * 1440
    assert (bars["ts"].diff().dropna() == pd.Timedelta(minutes=1)).all()


def test_write_sample_gives_one_parquet_per_symbol(tmp_path: Path) -> None:
    paths = write_sample(SMALL, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [f"{name}.parquet" for name in NAMES]
    table = pq.read_table(paths[1])
    assert table.schema.field("ts").type == pa.timestamp("us", tz="UTC")
    assert table.num_rows == 3 * 390
    pd.testing.assert_frame_equal(table.to_pandas(), generate(SMALL, "NOISE"), check_dtype=False)


# --- what stays the same --------------------------------------------------------------------


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    first, again = write_sample(SMALL, tmp_path / "a"), write_sample(SMALL, tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    other = generate(replace(SMALL, seed=2), "EDGE")
    assert (other["close"] != generate(SMALL, "EDGE")["close"]).mean() > 0.9


def test_symbols_do_not_change_each_other() -> None:
    more = (SampleSymbol("AAA", 50.0, 0.3), *reversed(SMALL.symbols))
    for name in NAMES:
        pd.testing.assert_frame_equal(generate(replace(SMALL, symbols=more), name), generate(SMALL, name))
    # not the same random numbers under two names
    twins = replace(SMALL, symbols=(SampleSymbol("A", 50.0, 0.3), SampleSymbol("B", 50.0, 0.3)))
    assert abs(np.corrcoef(returns(generate(twins, "A")), returns(generate(twins, "B")))[0, 1]) < 0.12


def test_more_sessions_append() -> None:
    longer = generate(replace(SMALL, sessions=90), "EDGE")
    assert longer["ts"].iloc[-1] > pd.Timestamp("2025-02-01", tz="UTC")
    pd.testing.assert_frame_equal(longer.iloc[: 3 * 390], generate(SMALL, "EDGE"))


def test_strength_changes_prices_but_not_volume() -> None:
    planted = generate(SMALL, "EDGE")
    bare = generate(replace(SMALL, symbols=default_symbols(edge=0.0)), "EDGE")
    assert (planted["volume"] == bare["volume"]).all()
    assert (planted["close"] != bare["close"]).mean() > 0.9


def test_compiled_and_plain_kernel_agree() -> None:
    symbol, scale = SampleSymbol("X", 100.0, 0.3, edge=0.2), Scale(0.02, 390, 0.2, 0.0)
    draws = draw_session(np.random.default_rng(3), symbol, scale, 0.1, 200)
    compiled, plain = empty_walk(200), empty_walk(200)
    rule = Rule(10_000.0, 1e-6, 0.2, 20)
    fill_session(compiled, 0, draws, rule)
    sample_module._fill_session(plain, 0, draws, rule)
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(compiled, name), getattr(plain, name))
    np.testing.assert_allclose(compiled.expected, plain.expected, rtol=1e-12)
    np.testing.assert_allclose(compiled.vwap, plain.vwap, rtol=1e-12)


# --- the martingale -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_noise_has_no_mean_and_no_memory(seed: int) -> None:
    """|t| < 4 is broken by a true martingale once in 16,000."""
    bars = generate(replace(YEAR, seed=seed), "NOISE")
    r = returns(bars)
    assert abs(t_value(r)) < 4.0
    assert abs(t_value((bars["close"] / bars["open"] - 1.0).to_numpy())) < 4.0
    assert abs(t_value(bars["open"].to_numpy()[1:] / bars["close"].to_numpy()[:-1] - 1.0)) < 4.0
    for lag in (1, 2, 5, 20):
        assert abs(t_value(r[lag:] * r[:-lag])) < 4.0
    assert abs(t_value(momentum_gains(bars))) < 4.0
    assert (expected_returns(replace(YEAR, seed=seed), "NOISE").dropna() == 0.0).all()


def _steady_minutes(factor: float, minutes: int) -> Draws:
    """Return draws where each trade moves the price by `factor` and only rounding is random."""
    shape = (minutes, STEPS)
    return Draws(
        gap=1.0,
        gap_variance=0.0,
        sigma=np.full(minutes, 1e-3),
        gross=np.full(shape, factor),
        coins=np.random.default_rng(0).random(shape),
        weights=np.full(shape, 1 / STEPS),
        volume=np.full(minutes, STEPS),
        trades=np.full(minutes, STEPS),
    )


def test_rounding_leaves_a_price_on_the_tick_alone() -> None:
    walk = empty_walk(50)
    fill_session(walk, 0, _steady_minutes(1.0, 50), Rule(12_345.0, 0.0, 0.0, 20))
    for prices in (walk.open, walk.high, walk.low, walk.close):
        assert set(prices) == {12_345.0}
    np.testing.assert_allclose(walk.vwap, 12_345.0, rtol=1e-12)


def test_rounding_by_chance_keeps_the_expectation() -> None:
    """A fifth of a tick a trade is never dropped: 1000 ticks x 0.0002, 8 x 2,000 times."""
    walk, factor, minutes = empty_walk(2000), 1.0002, 2000
    draws = _steady_minutes(factor, minutes)
    moves = []
    for minute in range(minutes):
        one = draws._replace(
            sigma=draws.sigma[:1], gross=draws.gross[:1], coins=draws.coins[minute : minute + 1],
            weights=draws.weights[:1],
        )  # fmt: skip
        fill_session(walk, 0, one, Rule(1000.0, 0.0, 0.0, 20))
        moves.append(walk.close[0] - 1000.0)
    # expectation 1000 x (1.0002^8 - 1) = 1.60112; each trade's rounding has variance 0.2 x 0.8
    error = math.sqrt(STEPS * 0.16 / minutes)
    assert np.mean(moves) == pytest.approx(1.60112, abs=4 * error)


# --- shapes ---------------------------------------------------------------------------------


def test_a_sessions_variance_is_the_stated_one() -> None:
    """At the long-run level: a fifth overnight, the rest over 390 minutes; 210 of them on a half day."""
    symbol, scale = SampleSymbol("X", 100.0, 0.3), Scale(0.02, 390, 0.2, 0.0)
    level = sample_module.DAY_DISPERSION**2
    full = draw_session(np.random.default_rng(0), symbol, scale, level, 390)
    half = draw_session(np.random.default_rng(0), symbol, scale, level, 210)
    assert full.gap_variance == pytest.approx(0.2 * 0.02**2)
    assert (full.sigma**2).sum() == pytest.approx(0.8 * 0.02**2)
    assert (half.sigma**2).sum() == pytest.approx(0.8 * 0.02**2 * 210 / 390)


def test_trades_have_the_variance_of_their_minute() -> None:
    """Sum over trades of (gross - 1)^2 against sigma^2; a t with 5 degrees has kurtosis 9."""
    symbol, scale = SampleSymbol("X", 100.0, 0.3), Scale(0.02, 390, 0.2, 0.0)
    draws = draw_session(np.random.default_rng(1), symbol, scale, 0.0, 50_000)
    standard = (draws.gross - 1.0).sum(axis=1) / draws.sigma
    assert standard.mean() == pytest.approx(0.0, abs=4 / math.sqrt(50_000))
    assert standard.var() == pytest.approx(1.0, abs=4 * math.sqrt(8 / 50_000))


def test_minute_returns_have_fat_tails() -> None:
    bars = generate(YEAR, "NOISE")
    inside = np.diff(by_session(bars).map(date.toordinal).to_numpy()) == 0
    r = returns(bars)[inside]
    assert np.mean((r - r.mean()) ** 4) / r.var() ** 2 > 4.0
    # not from the U-shape and the changing volatility alone
    minute = bars.groupby(by_session(bars)).cumcount().to_numpy()[1:][inside]
    midday = pd.Series(r[(minute > 100) & (minute < 290)])
    assert midday.kurt() + 3.0 > 4.0


def test_volatility_and_volume_are_u_shaped() -> None:
    bars = generate(YEAR, "NOISE")
    half_hour = bars.groupby(by_session(bars)).cumcount() // 30
    for series in ((bars["close"] / bars["open"] - 1.0).abs(), bars["volume"]):
        level = series.groupby(half_hour).mean()
        assert level[0] > 1.5 * level[6]
        assert level[12] > 1.25 * level[6]
        assert level[0] > level[12]
        assert level.idxmin() in range(3, 10)


def test_volatility_clusters_across_days_and_returns_do_not() -> None:
    """Lags 1 to 5 pooled: noise of n days has standard deviation 1/sqrt(5 n) there."""
    market = SampleMarket(seed=1, first=date(2010, 1, 4), sessions=1500)
    bars = generate(market, "NOISE")
    daily = bars.groupby(by_session(bars))["close"].last().pct_change().dropna()
    noise = 1.0 / math.sqrt(5 * len(daily))
    assert np.mean([(daily**2).autocorr(lag) for lag in range(1, 6)]) > 4 * noise
    assert abs(np.mean([daily.autocorr(lag) for lag in range(1, 6)])) < 4 * noise


# --- the planted edge -----------------------------------------------------------------------


def test_the_edge_is_the_stated_formula() -> None:
    """Steady trend of 1 tick a trade from 10,000: roc(5) by hand, sigma 0.001 a minute."""
    minutes, edge, horizon = 12, 0.1, 5
    walk = empty_walk(minutes)
    fill_session(walk, 0, _steady_minutes(1.0001, minutes), Rule(10_000.0, 0.0, edge, horizon))
    for row in range(minutes):
        if row <= horizon:
            assert walk.expected[row] == 0.0
        else:
            roc = walk.close[row - 1] / walk.close[row - 6] - 1.0
            z = roc / math.sqrt(5 * 0.001**2)
            assert walk.expected[row] == pytest.approx(0.1 * 0.001 * math.tanh(z), rel=1e-12)
    assert walk.expected[6] > 0.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_oracle_is_calibrated_and_as_strong_as_stated(seed: int) -> None:
    """Next return on forecast: slope 1, within 4 standard errors; and correlation sd(forecast)/sd(return)."""
    market = replace(YEAR, seed=seed)
    bars, oracle = generate(market, "EDGE"), expected_returns(market, "EDGE")
    assert np.isnan(oracle.iloc[-1])
    assert (oracle.index == bars["ts"]).all()
    day = by_session(bars).to_numpy()
    inside = day[1:] == day[:-1]
    forecast, actual = oracle.to_numpy()[:-1][inside], returns(bars)[inside]
    slope = (forecast @ actual) / (forecast @ forecast)
    error = math.sqrt(((forecast * (actual - forecast)) ** 2).sum()) / (forecast @ forecast)
    assert abs(slope - 1.0) < 4 * error
    correlation = np.corrcoef(forecast, actual)[0, 1]
    assert correlation == pytest.approx(forecast.std() / actual.std(), abs=0.02)
    # 0.16 x root mean square of tanh(z), which lies between that of a normal z (0.63) and 1
    assert 0.08 < correlation < 0.16
    roc = bars["close"].pct_change(20).to_numpy()[:-1][inside]
    assert np.corrcoef(np.nan_to_num(roc), actual)[0, 1] > 0.06


def test_strength_zero_plants_nothing_and_below_zero_reverts() -> None:
    gains = {}
    for edge in (-0.16, 0.0, 0.16):
        bars = generate(replace(YEAR, symbols=default_symbols(edge=edge)), "EDGE")
        gains[edge] = t_value(momentum_gains(bars))
    assert abs(gains[0.0]) < 4.0
    assert gains[0.16] > 8.0
    assert gains[-0.16] < -8.0
    oracle = expected_returns(replace(YEAR, symbols=default_symbols(edge=0.0)), "EDGE")
    assert (oracle.dropna() == 0.0).all()


def test_forecasts_use_the_past_only() -> None:
    """More sessions change no forecast but the one that had no next bar yet."""
    short = expected_returns(SMALL, "EDGE")
    longer = expected_returns(replace(SMALL, sessions=4), "EDGE").iloc[: len(short)]
    pd.testing.assert_series_equal(short.iloc[:-1], longer.iloc[:-1])
    assert np.isfinite(longer.iloc[-1])


def test_drift_compounds_to_the_stated_year() -> None:
    """252 sessions of 2024 on XNYS, each bar's expectation compounded; the first bar's by hand."""
    market = SampleMarket(first=date(2024, 1, 2), sessions=252)
    oracle = expected_returns(market, "DRIFT")
    first_bar = 1.08 ** (1 / 252 / 390)
    assert float(np.prod(1.0 + oracle.dropna())) * first_bar == pytest.approx(1.08, rel=1e-9)


def test_truth_in_words_and_numbers() -> None:
    market = SampleMarket()
    edge, noise = market.truth("EDGE"), market.truth("NOISE")
    assert (edge.edge, edge.edge_horizon, edge.annual_drift, edge.is_martingale) == (0.16, 20, 0.0, False)
    assert "planted momentum of strength 0.16" in edge.sentence
    assert "last 20 bars" in edge.sentence
    assert (noise.edge, noise.edge_horizon, noise.annual_drift, noise.is_martingale) == (0.0, 0, 0.0, True)
    assert "martingale" in noise.sentence
    assert "+8.0% a year" in market.truth("DRIFT").sentence
    assert not market.truth("DRIFT").is_martingale
    reverting = replace(market, symbols=default_symbols(edge=-0.1))
    assert "mean reversion of strength 0.1" in reverting.truth("EDGE").sentence
    assert replace(market, symbols=default_symbols(edge=0.0)).truth("EDGE").is_martingale


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "a/b"}, "name"),
        ({"start_price": 0.5}, "start_price"),
        ({"annual_volatility": 0.0}, "annual_volatility"),
        ({"annual_volatility": math.nan}, "annual_volatility"),
        ({"annual_drift": -1.0}, "annual_drift"),
        ({"edge_horizon": 0, "edge": 0.0}, "edge_horizon"),
        ({"edge": 0.25}, "edge"),  # 1/sqrt(20) = 0.2236
        ({"daily_volume": 0}, "daily_volume"),
    ],
)
def test_a_symbol_refuses_values_out_of_range(change: dict[str, object], named: str) -> None:
    with pytest.raises(SourceError, match=f"{named} is .*it must be"):
        replace(SampleSymbol("EDGE", 100.0, 0.3), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"sessions": 0}, "sessions is 0"),
        ({"symbols": ()}, "symbols is empty"),
        ({"symbols": default_symbols() * 2}, "appear twice"),
    ],
)
def test_a_market_refuses_values_out_of_range(change: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        replace(SampleMarket(), **change)


def test_unknown_symbol_and_exchange() -> None:
    with pytest.raises(SourceError, match="no symbol 'EDG': did you mean 'EDGE'"):
        generate(SMALL, "EDG")
    with pytest.raises(SourceError, match="midday break"):
        generate(replace(SMALL, exchange="XTKS"), "EDGE")
    with pytest.raises(CalendarError, match="XNYZ"):
        generate(replace(SMALL, exchange="XNYZ"), "EDGE")
