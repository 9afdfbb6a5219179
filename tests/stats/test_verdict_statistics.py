"""The statistics of a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.stats import (
    Evidence,
    Thresholds,
    VerdictStatistics,
    over_market,
    superior_predictive_ability,
)
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


def test_what_a_search_that_learns_could_have_come_to_is_allowed_for() -> None:
    """Of 400 columns a search tried 100: p-value and number of independent ones are those of all."""
    rng = np.random.default_rng(3)
    every = rng.normal(0.0, 0.01, (250, 400))
    market = rng.normal(0.0, 0.01, (250, 1))
    tried = every[:, :100]
    best = int(np.argmax(tried.mean(axis=0) / tried.std(axis=0, ddof=1)))

    def found(returns: np.ndarray, chosen: int, reach: int) -> VerdictStatistics:
        evidence = Evidence(returns, chosen, "sharpe", 252.0, market, trials=returns.shape[1], reach=reach)
        return compute_statistics(evidence, Thresholds(reps=500), seed=0)

    alone, searched, whole = found(tried, best, 0), found(tried, best, 400), found(every, best, 0)
    assert alone.effective_trials < 110
    assert searched.effective_trials == pytest.approx(whole.effective_trials, rel=0.2)
    # independent ones: the chance that none of 400 shows more is that of 100 to the power of 4
    assert searched.spa_zero == pytest.approx(1.0 - (1.0 - alone.spa_zero) ** 4, abs=0.08)
    assert (alone.untried, searched.untried, searched.trials) == (0, 300, 100)
