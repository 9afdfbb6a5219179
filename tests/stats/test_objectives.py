"""Objectives of many series against the metrics of one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from whatif.domain.metrics import sharpe, sortino
from whatif.errors import StatisticsError
from whatif.stats import measure, usable_objective
from whatif.stats.objectives import RETURN_OBJECTIVES, constant_columns


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


def test_constant_columns_are_found_exactly() -> None:
    matrix = np.full((700, 4), 0.1)
    matrix[699, 1] = np.nextafter(0.1, 1.0)
    matrix[:, 2] = 0.0
    matrix[0, 3] = np.nan
    assert constant_columns(matrix).tolist() == [True, False, True, False]
