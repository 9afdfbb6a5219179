"""The statistics of a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.stats import Evidence, Thresholds, over_market, superior_predictive_ability
from whatif.stats.verdict_statistics import compute_statistics, joined


def test_few_periods_stay_as_they_are() -> None:
    gains = np.arange(12.0).reshape(6, 2)
    assert joined(gains, 6) is gains


def test_many_are_joined_from_the_end() -> None:
    gains = np.arange(14.0).reshape(7, 2)
    # the first is left out: 1 and 2, 3 and 4, 5 and 6
    assert joined(gains, 4).tolist() == [[2 + 4, 3 + 5], [6 + 8, 7 + 9], [10 + 12, 11 + 13]]


@pytest.mark.parametrize(("mean", "superior"), [(0.0, False), (0.05, True)])
def test_joining_says_what_all_periods_say(mean: float, superior: bool) -> None:
    gains = np.random.default_rng(5).normal(0.0, 1.0, (6_000, 5))
    gains -= gains.mean(axis=0)
    gains[:, 0] += mean
    alone = superior_predictive_ability(gains, 0.0, 200, 0).consistent
    together = superior_predictive_ability(joined(gains, 600), 0.0, 200, 0).consistent
    assert (alone < 0.05) is superior
    assert together == pytest.approx(alone, abs=0.15)


@pytest.mark.parametrize("ruined", [False, True])
def test_a_study_alone_has_the_p_values_of_arch(ruined: bool) -> None:
    """What verdicts on a lone study rested on before other studies' returns joined the test."""
    rng = np.random.default_rng(11)
    market = rng.normal(0.0005, 0.01, 163)
    tried = 0.4 * market[:, None] + rng.normal(0.0001, 0.004, (163, 30))
    tried[:, 7] = 0.0
    given = tried.copy()
    if ruined:
        given[90:, 9] = np.nan
        tried = np.delete(tried, 9, axis=1)
    evidence = Evidence(given, 3, "sharpe", 252.0, market[:, None], trials=30)
    found = compute_statistics(evidence, Thresholds(reps=400), seed=2)
    assert found.spa_zero == superior_predictive_ability(tried, 0.0, 400, 2).consistent
    assert found.spa_market == superior_predictive_ability(over_market(tried, market), 0.0, 400, 2).consistent
    assert 0.0 < found.spa_market < 1.0
    assert (found.trials, found.unseen, found.others, found.worst) == (30, 0, 0, {})
