"""Net exposure and what is left over the market, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.errors import StatisticsError
from whatif.stats import net_exposure, over_market
from whatif.stats.exposure import partly_over_market

MARKET = np.array([0.01, -0.02, 0.03, 0.00])


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
