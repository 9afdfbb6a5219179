"""What is weighed for a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.stats import superior_predictive_ability
from whatif.stats.weighing import joined


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
