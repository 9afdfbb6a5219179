"""The best of a study against the maximum over everything tried, by theory, simulation and `arch`."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from whatif.errors import StatisticsError
from whatif.stats import effective_trials, expected_maximum_sharpe, superior_predictive_ability
from whatif.stats.snooping import MAX_REPS, snooping
from whatif.typing import FloatArray

PERIODS = 163


def noise(columns: int, seed: int = 0, common: float = 0.0, periods: int = PERIODS) -> FloatArray:
    """Return gains of a family whose members have a correlation of `common`."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(periods, 1))
    return math.sqrt(common) * shared + math.sqrt(1.0 - common) * rng.normal(size=(periods, columns))


def skilled(t: float, seed: int = 1) -> FloatArray:
    """Return gains of one configuration whose t statistic is `t`."""
    one = noise(1, seed)
    return (one - one.mean()) / one.std(ddof=1) + t / math.sqrt(PERIODS)


@pytest.mark.parametrize(
    ("periods", "columns", "skill", "memory"),
    [(163, 40, 0.0, 0.0), (163, 40, 0.1, 0.2), (250, 200, 0.05, 0.4), (60, 3, 0.2, 0.0), (163, 1, 0.1, 0.1)],
)
def test_alone_it_is_the_consistent_p_value_of_arch(periods, columns, skill, memory) -> None:
    gains = noise(columns, periods, 0.3, periods)
    gains += skill * np.random.default_rng(7).normal(size=columns)
    gains[1:] += memory * gains[:-1]
    there = superior_predictive_ability(gains, reps=400, seed=3)
    assert snooping(gains, reps=400, seed=3).p_value == there.consistent


@pytest.mark.parametrize("t", [2.5, 3.0, 4.0])
@pytest.mark.parametrize("others", [1, 10, 100, 1000])
def test_independent_trials_raise_the_p_value_as_theory_says(t: float, others: int) -> None:
    # with the seed, blocks and with them tails differ a little
    found = [
        snooping(skilled(t, seed), noise(others, 50 + seed), reps=600, seed=seed).p_value for seed in range(8)
    ]
    # the highest of others + 1 normal variables
    theory = 1.0 - NormalDist().cdf(t) ** (others + 1)
    assert np.mean(found) == pytest.approx(theory, rel=0.2, abs=0.01)


@pytest.mark.parametrize("others", [10, 100, 1000])
def test_the_effective_number_of_independent_trials_is_about_theirs(others: int) -> None:
    assert snooping(skilled(3.0), noise(others - 1, 3)).effective == pytest.approx(others, rel=0.25)


def test_a_thousand_independent_ones_are_not_bounded_by_the_periods() -> None:
    """As the eigenvalues of a correlation matrix are, of which there are no more than periods."""
    many = noise(1000, 4)
    assert effective_trials(many) < PERIODS
    assert snooping(skilled(3.0), many).effective > 600


def test_copies_change_nothing() -> None:
    own = np.hstack([skilled(2.5), noise(9, 5, 0.5)])
    alone = snooping(own, seed=1)
    for copies in (own, np.repeat(own, 50, axis=1), 0.001 * own):
        crowd = snooping(own, copies, seed=1)
        assert crowd.p_value == alone.p_value
        assert crowd.effective == pytest.approx(alone.effective, rel=0.15)


def test_copies_of_one_are_one_trial() -> None:
    found = snooping(skilled(2.0), np.repeat(skilled(2.0), 500, axis=1))
    assert found.effective == 1.0
    assert found.p_value == pytest.approx(1.0 - NormalDist().cdf(2.0), abs=0.02)


def test_a_correlated_sweep_counts_as_little_as_its_maximum_does() -> None:
    family = noise(4800, 6, 0.97)
    found = snooping(skilled(3.5), family, reps=2000)
    # by simulation: the maximum of as many, with one that has nothing to do with them
    rng = np.random.default_rng(0)
    draws = math.sqrt(0.97) * rng.normal(size=(4000, 1)) + math.sqrt(0.03) * _maxima(rng, 4000, 4800)
    highest = np.maximum(draws[:, 0], rng.normal(size=4000))
    assert found.p_value == pytest.approx(float((highest > 3.5).mean()), abs=0.004)
    assert found.effective < 10
    expected = expected_maximum_sharpe(found.effective, found.variance) * math.sqrt(PERIODS)
    assert expected == pytest.approx(float(highest.mean()), rel=0.15)


def _maxima(rng: np.random.Generator, count: int, of: int) -> FloatArray:
    """Return maxima of `of` normal variables, by inverting their distribution."""
    uniform = rng.random((count, 1)) ** (1.0 / of)
    return np.vectorize(NormalDist().inv_cdf)(uniform)


def test_the_p_value_of_noise_is_right_whatever_else_was_tried() -> None:
    """Of 20 out of 420 that are worth nothing, the best beats 5 % no more often than that."""
    found = [
        snooping(noise(20, 100 + seed, 0.5), noise(400, 900 + seed, 0.9), reps=300).p_value
        for seed in range(60)
    ]
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 60)


def test_a_family_that_loses_is_no_rival() -> None:
    own, family = np.hstack([skilled(2.5), noise(5, 8, 0.5)]), noise(2000, 9)
    losing = family - 2.0
    alone, fair, lost = (snooping(own, others, reps=1000) for others in (None, family, losing))
    assert lost.p_value == alone.p_value
    assert fair.p_value > 0.9
    # what the best of as many shows that are worth nothing does not depend on what these lost
    assert lost.variance == pytest.approx(fair.variance, rel=1e-6)
    assert lost.effective == pytest.approx(fair.effective, rel=1e-6)
    assert lost.variance == pytest.approx(1.0 / PERIODS, rel=0.1)


def test_order_does_not_matter_and_a_seed_gives_the_same_again() -> None:
    own, others = noise(12, 10, 0.3), noise(300, 11, 0.8)
    first = snooping(own, others, reps=500, seed=5)
    assert snooping(own, others, reps=500, seed=5) == first
    turned = snooping(own[:, ::-1], others[:, ::-1], reps=500, seed=5)
    assert turned.p_value == first.p_value
    assert turned.effective == pytest.approx(first.effective, rel=1e-6)
    assert snooping(own, others, reps=500, seed=6).p_value == pytest.approx(first.p_value, abs=0.1)


def test_periods_that_are_not_shared() -> None:
    own, family = skilled(3.0), noise(200, 12)
    part = family.copy()
    part[: PERIODS // 2] = np.nan
    found = snooping(own, part, reps=2000)
    # as good as any 200 others: each has a mean of its own periods
    assert found.p_value == pytest.approx(snooping(own, family, reps=2000).p_value, rel=0.3)
    assert found.effective == pytest.approx(201, rel=0.3)
    # as copies over a part, they hardly differ from those over all
    own = np.hstack([own, noise(9, 13)])
    half = np.repeat(own, 20, axis=1)
    half[: PERIODS // 2] = np.nan
    assert snooping(own, half).effective < 2.5 * snooping(own).effective
    nothing = np.full((PERIODS, 4), np.nan)
    nothing[3] = 0.01
    assert snooping(own, nothing) == snooping(own)


def test_what_loses_over_its_own_periods_only_is_measured_on_them() -> None:
    """By hand: half of the periods at a ratio of 0.4 have a t statistic of 0.4 * sqrt(n / 2)."""
    from whatif.stats.snooping import _partial

    one = noise(1, 14, periods=200)
    one = (one - one[100:].mean()) / one[100:].std(ddof=1) + 0.4
    one[:100] = np.nan
    values, ratios = _partial(one)
    assert ratios * math.sqrt(200) == pytest.approx(0.4 * math.sqrt(100))
    assert (values[:100] == 0.0).all()
    assert values.sum() == pytest.approx(0.0, abs=1e-9)
    # the variance of a mean of n periods of unit variance
    assert np.square(values).sum() == pytest.approx(200 * 99 / 100)


@pytest.mark.parametrize("common", [0.0, 0.9])
def test_a_sample_stands_for_all(common: float) -> None:
    family, own = noise(2000, 15, common), skilled(3.3)
    whole = snooping(own, family, reps=4000)
    sample = snooping(own, family[:, :250], 2001, reps=4000)
    assert sample.p_value == pytest.approx(whole.p_value, rel=0.35)
    assert sample.effective == pytest.approx(whole.effective, rel=0.5)
    assert sample.p_worst == sample.p_value


def test_a_sample_of_copies_stands_for_one() -> None:
    own, copies = skilled(2.5), np.repeat(noise(1, 16), 400, axis=1)
    few, many = (snooping(own, copies, count, reps=1000) for count in (401, 400_000))
    assert many.effective == pytest.approx(few.effective, rel=0.05)
    assert many.p_value == pytest.approx(few.p_value, abs=0.002)


def test_few_columns_do_not_say_how_more_would_differ() -> None:
    own = np.repeat(skilled(2.0, 3), 3, axis=1)
    found = snooping(own, stand_for=300)
    assert found.effective == 100.0
    assert found.p_value == pytest.approx(1.0 - (1.0 - snooping(own, reps=found.reps).p_value) ** 100)


def test_a_sample_of_very_many_has_the_replications_that_it_needs() -> None:
    own = np.hstack([skilled(19.0), noise(15, 17)])
    found = snooping(own, stand_for=16 * 4000)
    assert 1000 < found.reps <= MAX_REPS
    # that none of them reaches it is seen, not assumed from a floor of 1 / 1001
    assert found.p_value <= 0.2


def test_unseen_trials_are_bounded_not_guessed() -> None:
    strong, weak = (snooping(skilled(t), unseen=4800) for t in (5.0, 2.5))
    assert (strong.effective, weak.effective) == (1.0, 1.0)
    assert strong.p_worst == pytest.approx(4800 * (1.0 - NormalDist().cdf(5.0)), rel=0.3, abs=0.002)
    assert strong.p_value <= strong.p_worst < 0.2
    assert weak.p_value < 0.05
    assert weak.p_worst > 0.99


def test_nothing_to_test_is_refused() -> None:
    with pytest.raises(StatisticsError, match="none differs"):
        snooping(np.zeros((PERIODS, 3)), noise(5))
