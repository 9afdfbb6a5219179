"""Objectives of many series against the metrics of one, and their exposure to the market."""

from __future__ import annotations

import math

import numpy as np
import pytest

from whatif.domain.metrics import sharpe, sortino
from whatif.errors import StatisticsError
from whatif.stats import (
    measure,
    net_exposure,
    over_market,
    probability_of_backtest_overfitting,
    usable_objective,
)
from whatif.stats.measures import RETURN_OBJECTIVES, constant_columns, partly_over_market
from whatif.stats.verdict_statistics import moments

MARKET = np.array([0.01, -0.02, 0.03, 0.00])


def test_as_the_metrics_of_these_names() -> None:
    series = np.random.default_rng(0).normal(0.001, 0.01, (3, 4, 50))
    series[1, 1] = 0.0
    series[2, 2] = 0.003
    for objective, metric in (("sharpe", sharpe), ("sortino", sortino)):
        expected = [[metric(one, 252.0) for one in row] for row in series]
        np.testing.assert_allclose(measure(series, objective, 252.0), expected, rtol=1e-12)
    compounded = 100.0 * ((1.0 + series).prod(axis=-1) - 1.0)
    np.testing.assert_allclose(measure(series, "return_pct"), compounded, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("objective", ["sharpe", "sortino"])
def test_no_ratio_under_two_periods_or_with_a_missing_one(objective: str) -> None:
    assert np.isnan(measure(np.ones((2, 1)), objective)).all()
    assert np.isnan(measure(np.array([0.1, math.nan, -0.2]), objective))


def test_all_is_lost_once() -> None:
    assert measure(np.array([0.5, -1.0, 0.5]), "return_pct") == -100.0


def test_what_returns_do_not_tell_is_replaced_and_nonsense_refused() -> None:
    assert [usable_objective(name) for name in RETURN_OBJECTIVES] == list(RETURN_OBJECTIVES)
    assert usable_objective("pnl_net") == "return_pct"
    assert usable_objective("turnover") == "sharpe"
    with pytest.raises(StatisticsError, match=r"'sortin': .* did you mean 'sortino'"):
        usable_objective("sortin")


def test_constant_columns_are_found_but_for_rounding() -> None:
    matrix = np.full((700, 5), 0.1)
    matrix[699, 1] = np.nextafter(0.1, 1.0)
    matrix[:, 2] = 0.0
    matrix[0, 3] = np.nan
    matrix[699, 4] = 0.1 + 1e-11
    assert constant_columns(matrix).tolist() == [True, True, True, False, False]
    assert constant_columns(matrix[:0]).all()


ROUNDING = np.where(np.arange(400) % 130 == 7, -2.2e-16, 0.0)
"""Three returns that are nothing but a rounding of equity."""


@pytest.mark.parametrize("objective", ["sharpe", "sortino"])
@pytest.mark.parametrize("returns", [ROUNDING, ROUNDING * 1000, 0.01 + ROUNDING, 40.0 + 1e3 * ROUNDING])
def test_a_ratio_to_rounding_is_undefined(objective: str, returns: np.ndarray) -> None:
    assert np.isnan(measure(returns, objective, 252.0))


def test_losses_of_rounding_beside_gains_give_no_sortino_ratio() -> None:
    gains = np.where(np.arange(400) % 10 == 3, 0.002, 0.0) + ROUNDING
    assert np.isnan(measure(gains, "sortino", 252.0))
    assert measure(gains, "sharpe") == pytest.approx(gains.mean() / gains.std(ddof=1), rel=1e-12)


@pytest.mark.parametrize("size", [1e-9, 1e-11])
def test_returns_of_one_share_in_a_large_account_are_measured(size: float) -> None:
    returns = size * np.array([3.0, -1.0, 2.0, -2.0])
    assert measure(returns, "sharpe") == pytest.approx(0.5 / (17 / 3) ** 0.5, rel=1e-9)
    assert measure(returns, "sortino") == pytest.approx(0.5 / (5 / 4) ** 0.5, rel=1e-9)


def test_a_moment_an_exposure_and_a_half_of_rounding_are_nothing() -> None:
    assert np.isnan(moments(ROUNDING).sharpe)
    assert net_exposure(np.linspace(-1.0, 1.0, 400), ROUNDING) == 0.0
    r = np.random.default_rng(0).normal(size=(400, 3)) * 0.01
    found = probability_of_backtest_overfitting(np.column_stack([r, ROUNDING]), 8, "sharpe")
    assert (found.configurations, found.configurations_dropped) == (3, 1)
    # the last one trades in the first half of the periods only, and rounds in the second
    half = np.column_stack([r, np.where(np.arange(400) < 200, r[:, 0], ROUNDING)])
    for objective in ("sharpe", "sortino"):
        found = probability_of_backtest_overfitting(half, 2, objective)
        assert np.abs(found.in_sample).max() < 1.0
        assert np.abs(found.out_of_sample[np.isfinite(found.out_of_sample)]).max(initial=0.0) < 1.0


def test_a_constant_share_is_its_exposure_and_leaves_nothing() -> None:
    returns = np.column_stack([MARKET, 0.5 * MARKET, -MARKET, np.zeros(4)])
    assert net_exposure(returns, MARKET) == pytest.approx([1.0, 0.5, -1.0, 0.0])
    assert (over_market(returns, MARKET) == 0.0).all()


def test_the_slope_by_hand() -> None:
    # deviations of the market: 0.005 -0.025 0.025 -0.005; squares add up to 0.0013
    returns = np.array([0.01, 0.0, 0.03, 0.01])
    # 0.00005 + 0 + 0.00075 - 0.00005 = 0.00075
    assert float(net_exposure(returns, MARKET)) == pytest.approx(0.00075 / 0.0013)
    assert over_market(returns, MARKET) == pytest.approx(returns - MARKET * 0.00075 / 0.0013)


def test_a_gain_apart_from_the_market_stays() -> None:
    assert over_market(0.5 * MARKET + 0.002, MARKET) == pytest.approx(0.002)


def test_a_market_that_stands_still_has_no_exposure() -> None:
    returns = np.array([0.01, 0.02, -0.01, 0.0])
    assert float(net_exposure(returns, np.zeros(4))) == 0.0
    assert over_market(returns, np.zeros(4)) == pytest.approx(returns)


def test_other_periods_are_refused() -> None:
    with pytest.raises(StatisticsError, match="same periods"):
        net_exposure(MARKET, MARKET[:3])


def test_columns_that_lack_periods_are_measured_over_those_that_they_have() -> None:
    rng = np.random.default_rng(4)
    market = rng.normal(0.001, 0.01, 60)
    whole = np.column_stack([0.5 * market + rng.normal(0, 0.01, 60), -market, np.zeros(60)])
    part = np.column_stack([whole, whole])
    part[:25, 3:] = np.nan
    part[:, 2] = np.nan
    found = partly_over_market(part, market)
    assert found[:, :2] == pytest.approx(over_market(whole, market)[:, :2], abs=1e-15)
    assert found[25:, 3:] == pytest.approx(over_market(whole[25:], market[25:]), abs=1e-15)
    assert np.array_equal(np.isnan(found), np.isnan(part))
    assert (found[25:, 4] == 0.0).all()
    # a market that does not move takes nothing off
    assert np.array_equal(partly_over_market(part, np.full(60, 0.01)), part, equal_nan=True)
