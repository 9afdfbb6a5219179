"""Length of a bootstrap's blocks, and intervals by it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length

from whatif.errors import StatisticsError
from whatif.stats import bootstrap, difference_interval, objective_interval
from whatif.stats.bootstrap import block_length

RETURNS = np.random.default_rng(0).normal(0.0005, 0.01, 1000)


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


def annual_sharpe(returns: np.ndarray) -> float:
    return float(returns.mean() / returns.std(ddof=1) * math.sqrt(252.0))


def test_the_same_replications_as_archs_own() -> None:
    found = objective_interval(RETURNS, "sharpe", 252.0, confidence=0.9, reps=300, seed=4)

    drawn = StationaryBootstrap(found.block, RETURNS, seed=4)
    low, high = drawn.conf_int(annual_sharpe, reps=300, method="percentile", size=0.9).ravel()
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.estimate == pytest.approx(annual_sharpe(RETURNS))
    assert (found.reps, found.undefined, found.confidence) == (300, 0, 0.9)


def test_width_as_the_standard_error_says() -> None:
    # of independent normal returns: sqrt((1 + sharpe**2 / 2) / n) per period (Lo 2002)
    found = objective_interval(RETURNS, "sharpe", 1.0, reps=4000)
    error = math.sqrt((1.0 + found.estimate**2 / 2.0) / len(RETURNS))
    assert found.high - found.low == pytest.approx(2.0 * 1.96 * error, rel=0.08)
    assert found.low < found.estimate < found.high


def test_slabs_of_replications_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = objective_interval(RETURNS, "sortino", 252.0, reps=100)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 7 * len(RETURNS))
    assert objective_interval(RETURNS, "sortino", 252.0, reps=100) == one


def test_a_seed_gives_the_same_again() -> None:
    one = objective_interval(RETURNS, "return_pct", 252.0, reps=50, seed=1)
    assert one == objective_interval(RETURNS, "return_pct", 252.0, reps=50, seed=1)
    assert one != objective_interval(RETURNS, "return_pct", 252.0, reps=50, seed=2)
    assert one.estimate == pytest.approx(100.0 * (np.prod(1.0 + RETURNS) - 1.0))


def test_other_objectives_are_told_as_sharpe() -> None:
    assert objective_interval(RETURNS, "max_drawdown_pct", 252.0, reps=50) == objective_interval(
        RETURNS, "sharpe", 252.0, reps=50
    )


def test_a_difference_is_resampled_in_pairs() -> None:
    other = np.random.default_rng(1).normal(0.0, 0.01, 1000)
    # both move with the market: alone each is uncertain, their difference is not
    market = np.random.default_rng(2).normal(0.0, 0.05, 1000)
    near = difference_interval(market + 0.002, market, "sharpe", 252.0, reps=300)
    assert near.low == pytest.approx(0.002 / market.std(ddof=1) * math.sqrt(252.0), rel=0.1)
    assert near.high - near.low < 0.1
    same = difference_interval(RETURNS, RETURNS, "sharpe", 252.0, reps=50)
    assert (same.low, same.estimate, same.high) == (0.0, 0.0, 0.0)
    apart = difference_interval(RETURNS, other, "return_pct", 252.0, reps=300)
    assert apart.estimate == pytest.approx(100.0 * (np.prod(1.0 + RETURNS) - np.prod(1.0 + other)))
    assert apart.low < apart.estimate < apart.high


@pytest.mark.parametrize("returns", [np.zeros(30), np.append(RETURNS, np.nan)])
def test_undefined_stays_undefined(returns: np.ndarray) -> None:
    found = objective_interval(returns, "sharpe", 252.0, reps=20)
    assert math.isnan(found.estimate)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.undefined == 20
    assert math.isnan(difference_interval(RETURNS[:30], returns[-30:], "sharpe", 252.0, reps=20).low)


def test_replications_without_a_trade_are_counted_out() -> None:
    rare = np.zeros(60)
    rare[30:32] = [0.01, -0.005]
    found = objective_interval(rare, "sharpe", 252.0, reps=200)
    assert 0 < found.undefined < 200
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize(
    ("returns", "arguments", "message"),
    [
        (np.ones(1), {}, r"1 period\(s\)"),
        (np.ones((3, 2)), {}, "one return for each period"),
        (RETURNS, {"confidence": 1.5}, r"confidence=1\.5"),
        (RETURNS, {"reps": 0}, "reps=0"),
        (RETURNS, {"objective": "sharp"}, "did you mean"),
    ],
)
def test_what_makes_no_sense_is_refused(
    returns: np.ndarray, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(StatisticsError, match=message):
        objective_interval(
            returns, **{"objective": "sharpe", "periods_per_year": 252.0, "reps": 5, **arguments}
        )


def test_benchmark_of_other_periods_is_refused() -> None:
    with pytest.raises(StatisticsError, match="both over the same periods"):
        difference_interval(RETURNS, RETURNS[1:], "sharpe", 252.0)
