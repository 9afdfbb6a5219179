"""Cross-validation against a plain loop over all splits."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whatif.errors import StatisticsError
from whatif.stats import overfitting, probability_of_backtest_overfitting


def value_of(series: np.ndarray, objective: str) -> tuple[float, float]:
    """Return an objective per period, NaN where undefined, and its limit."""
    if objective == "return_pct":
        growth = float(np.log(1.0 + series).sum())
        return growth, growth
    if objective == "sharpe":
        deviation = 0.0 if len(set(series.tolist())) == 1 else float(np.std(series, ddof=1))
    else:
        deviation = math.sqrt(np.mean(np.minimum(series, 0.0) ** 2))
    # a constant's mean, without the rounding of a sum
    mean = series[0] if len(set(series.tolist())) == 1 else float(np.mean(series))
    if deviation > 0.0:
        return mean / deviation, mean / deviation
    return math.nan, 0.0 if mean == 0.0 else math.copysign(math.inf, mean)


def near(one: float, other: float) -> bool:
    return one == other or (math.isfinite(other) and abs(one - other) <= 1e-9 * abs(other) + 1e-12)


def brute_force(returns: np.ndarray, blocks: int, objective: str = "sharpe") -> list[float]:
    """Return the logits of all splits, NaN where nothing can be chosen."""
    returns = returns[len(returns) % blocks :]
    returns = returns[:, [not math.isnan(value_of(r, objective)[0]) for r in returns.T]]
    parts, n = np.split(returns, blocks), returns.shape[1]
    logits = []
    for half in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[b] for b in half])
        outside = np.concatenate([parts[b] for b in range(blocks) if b not in half])
        chosen = [value_of(inside[:, k], objective)[0] for k in range(n)]
        known = [value for value in chosen if not math.isnan(value)]
        if not known:
            logits.append(math.nan)
            continue
        winner = next(k for k in range(n) if near(chosen[k], max(known)))
        then = [value_of(outside[:, k], objective)[1] for k in range(n)]
        equal = sum(near(value, then[winner]) for value in then)
        below = sum(value < then[winner] and not near(value, then[winner]) for value in then)
        share = (below + (equal + 1) / 2) / (n + 1)
        logits.append(math.log(share / (1 - share)))
    return logits


def assert_same(returns: np.ndarray, blocks: int, objective: str = "sharpe") -> None:
    result = probability_of_backtest_overfitting(returns, blocks, objective)
    expected = np.array(brute_force(returns, blocks, objective))
    np.testing.assert_allclose(result.logits, expected, atol=1e-12)
    known = expected[~np.isnan(expected)]
    if len(known):
        assert float(result) == result.pbo == np.mean(known <= 1e-12)
    assert result.splits == len(expected) == math.comb(blocks, blocks // 2)
    assert result.splits_without_winner == len(expected) - len(known)


@pytest.mark.parametrize("objective", ["sharpe", "sortino", "return_pct"])
@pytest.mark.parametrize("blocks", [2, 4, 6, 8])
def test_random_returns_as_by_brute_force(blocks: int, objective: str) -> None:
    assert_same(np.random.default_rng(blocks).normal(0.0, 0.01, (67, 9)), blocks, objective)


@pytest.mark.parametrize("objective", ["sharpe", "sortino", "return_pct"])
def test_tied_constant_and_rarely_trading_columns_as_by_brute_force(objective: str) -> None:
    rng = np.random.default_rng(5)
    returns = rng.normal(0.0, 0.01, (48, 12))
    returns[:, 3] = returns[:, 1]  # the same twice
    returns[:, 4] = returns[:, 1] * 3.0  # three times the size: the same ratio
    returns[:, 5] = 0.0  # never trades
    returns[:, 6] = 0.001  # never varies
    returns[8:, 7] = 0.0  # trades in one block
    returns[:40, 8] = 0.0
    returns[:24, 9] = np.abs(returns[:24, 9])  # no loss in one half
    returns[24:, 10] = 0.002
    assert_same(returns, 6, objective)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(8, 14), st.integers(2, 5)),
        elements=st.sampled_from([-0.02, -0.01, 0.0, 0.0, 0.01, 0.03]),
    ),
    st.sampled_from([2, 4]),
    st.sampled_from(["sharpe", "sortino", "return_pct"]),
)
def test_many_ties_as_by_brute_force(returns: np.ndarray, blocks: int, objective: str) -> None:
    used = returns[len(returns) % blocks :]
    if sum(not math.isnan(value_of(r, objective)[0]) for r in used.T) < 2:
        with pytest.raises(StatisticsError, match="a choice needs at least 2"):
            probability_of_backtest_overfitting(returns, blocks, objective)
    else:
        assert_same(returns, blocks, objective)


def test_a_far_mean_does_not_drown_the_variance() -> None:
    rng = np.random.default_rng(3)
    returns = 1000.0 + rng.integers(-8, 9, (40, 6)) * 2.0**-20
    returns[:, 2] = np.where(np.arange(40) < 20, 5.0, returns[:, 2])  # constant, then far away
    assert_same(returns, 4)


@pytest.mark.parametrize("objective", ["sharpe", "sortino", "return_pct"])
def test_how_many_splits_are_measured_at_once_changes_no_bit(
    objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    returns = np.random.default_rng(6).normal(0.0, 0.01, (48, 7))
    returns[8:, 2] = 0.0
    returns[:, 3] = returns[:, 1]
    found = []
    for at_once in (1, 7 * 11, 10**6):
        monkeypatch.setattr(overfitting, "_AT_ONCE", at_once)
        one = probability_of_backtest_overfitting(returns, 8, objective)
        found.append(b"".join(part.tobytes() for part in (one.logits, one.in_sample, one.out_of_sample)))
    assert found[0] == found[1] == found[2]


def test_four_blocks_by_hand() -> None:
    # two periods a block; the first configuration wins in blocks 1 and 2, the second in 3 and 4
    good, bad = [0.03, 0.01], [0.01, -0.03]
    returns = np.array([good + good + bad + bad, bad + bad + good + good, [0.01, -0.01] * 4]).T

    result = probability_of_backtest_overfitting(returns, blocks=4)

    # splits 12 | 34 and 34 | 12 choose what is last of three: rank 1, 1/4. The other four have one good
    # and one bad block on either side: two equal ratios above the third's 0, rank (2 + 3) / 2, 5/8
    last, tied = math.log(1 / 3), math.log(5 / 3)
    np.testing.assert_allclose(result.logits, [last, tied, tied, tied, tied, last], atol=1e-12)
    assert result.pbo == pytest.approx(2 / 6)
    assert result.loss_share == pytest.approx(2 / 6)
    # mean 0.02, four deviations of 0.01; then mean -0.01, four of 0.02
    assert result.in_sample[0] == pytest.approx(0.02 / math.sqrt(0.0004 / 3))
    assert result.out_of_sample[0] == pytest.approx(-0.01 / math.sqrt(0.0016 / 3))
    assert result.slope < 0.0


def test_skill_is_not_called_overfitting_and_noise_is() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 0.01, (400, 40))
    skilled = noise.copy()
    skilled[:, 7] += 0.005

    assert probability_of_backtest_overfitting(skilled, 8).pbo == 0.0
    assert probability_of_backtest_overfitting(skilled, 8).loss_share == 0.0
    assert 0.2 < probability_of_backtest_overfitting(noise, 8).pbo < 0.8


def test_what_was_left_out_is_counted() -> None:
    returns = np.random.default_rng(2).normal(0.0, 0.01, (35, 5))
    returns[:, 1] = 0.0

    result = probability_of_backtest_overfitting(returns, 8)

    assert (result.rows_dropped, result.configurations, result.configurations_dropped) == (3, 4, 1)
    assert result.splits == 70
    # the leading rows are the ones
    np.testing.assert_array_equal(result.logits, probability_of_backtest_overfitting(returns[3:], 8).logits)


def test_never_trading_flatters_nobody() -> None:
    returns = np.random.default_rng(4).normal(-0.001, 0.01, (64, 6))
    idle = np.hstack([returns, np.zeros((64, 500))])
    np.testing.assert_array_equal(
        probability_of_backtest_overfitting(idle, 8).logits,
        probability_of_backtest_overfitting(returns, 8).logits,
    )


def test_losing_everything_ranks_last_by_return() -> None:
    returns = np.random.default_rng(6).normal(0.0, 0.01, (16, 4))
    returns[3, 2] = -1.0
    returns[12, 2] = -1.5
    result = probability_of_backtest_overfitting(returns, 4, "return_pct")
    assert not np.isinf(result.in_sample).any()
    assert math.isfinite(result.slope)


@pytest.mark.parametrize(
    ("given_objective", "used"),
    [("sharpe", "sharpe"), ("pnl_net", "return_pct"), ("max_drawdown_pct", "sharpe"), ("sqn", "sharpe")],
)
def test_the_result_says_what_it_ranked_by(given_objective: str, used: str) -> None:
    returns = np.random.default_rng(7).normal(0.0, 0.01, (32, 4))
    result = probability_of_backtest_overfitting(returns, 4, given_objective)
    assert result.objective == used
    np.testing.assert_array_equal(result.logits, probability_of_backtest_overfitting(returns, 4, used).logits)


@pytest.mark.parametrize(
    ("returns", "blocks", "message"),
    [
        (np.ones((8, 2)), 16, "8 periods in 16 blocks"),
        (np.ones((2, 2)), 2, "2 periods in 2 blocks"),
        (np.ones((80, 2)), 5, "blocks=5: an even number"),
        (np.ones((80, 2)), 0, "blocks=0"),
        (np.ones((80, 2)), 22, "from 2 to 20"),
        (np.ones((80, 1)), 4, r"1 configuration\(s\): at least 2"),
        (np.ones(80), 4, r"shape \(80,\)"),
        (np.ones((80, 2)), 4, "sharpe is defined for 0"),
        (np.where(np.arange(160).reshape(80, 2) == 7, np.nan, 0.1), 4, "configuration 1: 1 of 80"),
        (np.where(np.arange(160).reshape(80, 2) == 6, np.inf, 0.1), 4, "configuration 0: 1 of 80"),
    ],
)
def test_what_cannot_be_split_is_refused(returns: np.ndarray, blocks: int, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        probability_of_backtest_overfitting(returns, blocks)


def test_an_unknown_objective_is_refused_with_the_nearest() -> None:
    with pytest.raises(StatisticsError, match="did you mean 'sharpe'"):
        probability_of_backtest_overfitting(np.ones((80, 2)), 4, "sharp")
