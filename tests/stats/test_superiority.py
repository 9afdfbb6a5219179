"""Tests of many configurations, against arch called directly and by what must come out."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import MCS, SPA, StepM

from whatif.errors import StatisticsError
from whatif.stats import model_confidence_set, step_m, superior_predictive_ability

REPS = 200


def noise(configurations: int = 12, periods: int = 250, seed: int = 0) -> np.ndarray:
    """Return returns without a mean."""
    returns = np.random.default_rng(seed).normal(0.0, 0.01, (periods, configurations))
    return returns - returns.mean(axis=0)


def test_p_values_are_those_of_arch_on_returns_of_unit_volatility() -> None:
    returns = noise() + 0.0008

    result = superior_predictive_ability(returns, reps=REPS, seed=3, block=5)

    unit = returns / returns.std(axis=0, ddof=1)
    test = SPA(np.zeros(len(unit)), -unit, block_size=5, reps=REPS, seed=3)
    test.compute()
    assert [result.lower, result.consistent, result.upper] == test.pvalues.tolist()
    assert float(result) == result.consistent
    assert result.lower <= result.consistent <= result.upper
    assert result.best == int(np.argmax(unit.mean(axis=0)))
    assert (result.block, result.reps, result.configurations) == (5, REPS, 12)


def test_skill_is_found_and_luck_is_not() -> None:
    returns = noise()
    assert float(superior_predictive_ability(returns, reps=REPS)) > 0.5
    returns[:, 4] += 0.004
    result = superior_predictive_ability(returns, reps=REPS)
    assert float(result) < 0.01
    assert result.best == 4


def test_size_and_order_of_volatility_do_not_matter() -> None:
    returns = noise() + 0.0008
    sizes = 2.0 ** np.arange(12)
    assert superior_predictive_ability(returns * sizes, reps=REPS) == superior_predictive_ability(
        returns, reps=REPS
    )


def test_the_benchmark_is_taken_off() -> None:
    returns = noise() + 0.004
    market = np.random.default_rng(9).normal(0.004, 0.01, 250)
    assert float(superior_predictive_ability(returns, reps=REPS)) < 0.01
    assert float(superior_predictive_ability(returns, 0.004, reps=REPS)) > 0.5
    assert float(superior_predictive_ability(noise() + market[:, None], market, reps=REPS)) > 0.5
    # each against its own
    weights = np.linspace(0.1, 1.0, 12)
    own = market[:, None] * weights
    assert superior_predictive_ability(noise() + own, own, reps=REPS).consistent > 0.5


def test_what_never_varies_is_counted_out() -> None:
    returns = noise() + 0.0008
    idle = np.insert(returns, [0, 5], 0.0, axis=1)
    one, other = (superior_predictive_ability(r, reps=REPS, seed=1) for r in (returns, idle))
    assert other.constant_dropped == 2
    assert other.configurations == 12
    assert other.consistent == one.consistent
    assert idle[:, other.best].tolist() == returns[:, one.best].tolist()


def test_a_seed_gives_the_same_again() -> None:
    returns = noise() + 0.0008
    one = superior_predictive_ability(returns, reps=REPS, seed=1)
    assert one == superior_predictive_ability(returns, reps=REPS, seed=1)
    assert one != superior_predictive_ability(returns, reps=REPS, seed=2)


def test_stepwise_as_arch_where_it_does_not_fail() -> None:
    returns = noise(20)
    returns[:, 3] += 0.006
    returns[:, 11] += 0.0025
    returns[:, 12] += 0.0015
    unit = returns / returns.std(axis=0, ddof=1)
    reference = StepM(np.zeros(len(unit)), -unit, size=0.1, block_size=4, reps=REPS, seed=5)
    reference.compute()

    result = step_m(returns, size=0.1, reps=REPS, seed=5, block=4)

    assert result.superior.tolist() == list(reference.superior_models)
    assert {3, 11} <= set(result.superior.tolist())


def test_stepwise_finds_all_or_none() -> None:
    assert step_m(noise() + 0.01, reps=REPS).superior.tolist() == list(range(12))
    assert step_m(noise(), reps=REPS).superior.tolist() == []
    # columns keep their numbers where some are left out
    returns = np.insert(noise(3), 0, 0.0, axis=1)
    returns[:, 2] += 0.01
    assert step_m(returns, reps=REPS).superior.tolist() == [2]


def test_stepwise_goes_on_where_a_later_step_finds_the_rest() -> None:
    rng, failed = np.random.default_rng(0), 0
    for _ in range(20):
        returns = rng.normal(size=(100, 3))
        returns += np.array([0.6, 0.19, 0.21]) - returns.mean(axis=0) + 0.02 * rng.normal()
        returns /= returns.std(axis=0, ddof=1)
        reference = StepM(np.zeros(100), -returns, block_size=10, reps=REPS, seed=1)
        superior = step_m(returns, reps=REPS, seed=1, block=10).superior.tolist()
        try:
            reference.compute()
        except ValueError:  # nothing is left to take the maximum of
            failed += 1
            assert superior == [0, 1, 2]
        else:
            assert superior == list(reference.superior_models)
    assert failed


def test_confidence_set_as_arch() -> None:
    returns = noise(6)
    returns[:, 2] += 0.002
    returns[:, 4] -= 0.002
    unit = returns / returns.std(axis=0, ddof=1)
    reference = MCS(-unit, size=0.05, reps=REPS, block_size=4, method="R", seed=5)
    reference.compute()

    result = model_confidence_set(returns, reps=REPS, seed=5, block=4)

    assert result.method == "R"
    np.testing.assert_array_equal(result.p_values, reference.pvalues["Pvalue"].sort_index())
    assert np.flatnonzero(result.included).tolist() == sorted(reference.included)
    assert result.included[2]
    assert not result.included[4]


def test_the_same_twice_shares_a_p_value_and_idle_ones_have_none() -> None:
    returns = noise(5) + 0.0005
    more = np.column_stack([returns, returns[:, 1], 3.0 * returns[:, 2], np.zeros(250)])

    one = model_confidence_set(returns, reps=REPS, block=3)
    result = model_confidence_set(more, reps=REPS, block=3)

    np.testing.assert_allclose(result.p_values[:5], one.p_values, atol=0.1)
    assert result.p_values[5] == result.p_values[1]
    assert result.p_values[6] == result.p_values[2]
    assert np.isnan(result.p_values[7])
    assert not result.included[7]
    assert (result.repeated, result.constant_dropped, result.configurations) == (2, 1, 7)


def test_one_configuration_is_the_best_of_itself() -> None:
    result = model_confidence_set(np.tile(noise(1), 3), reps=REPS)
    assert result.p_values.tolist() == [1.0, 1.0, 1.0]
    assert result.included.all()


def test_too_many_pairs_are_compared_with_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whatif.stats.superiority._PAIRS", 0)
    returns = noise(6)
    returns[:, 2] -= 0.005
    unit = returns / returns.std(axis=0, ddof=1)
    reference = MCS(-unit, size=0.05, reps=REPS, block_size=4, method="max", seed=5)
    reference.compute()

    result = model_confidence_set(returns, reps=REPS, seed=5, block=4)

    assert result.method == "max"
    np.testing.assert_array_equal(result.p_values, reference.pvalues["Pvalue"].sort_index())
    assert result.included.tolist() == [k != 2 for k in range(6)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"benchmark": np.zeros(3)}, r"benchmark of shape \(3,\)"),
        ({"benchmark": np.nan}, "benchmark: a return is not finite"),
        ({"reps": 0}, "reps=0"),
        ({"block": 0}, "block=0"),
        ({"block": 251}, "to the number of periods, 250"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        superior_predictive_ability(noise(), **arguments)  # type: ignore[arg-type]


def test_nothing_to_test_is_refused() -> None:
    with pytest.raises(StatisticsError, match="none differs"):
        superior_predictive_ability(np.zeros((50, 3)))
    with pytest.raises(StatisticsError, match=r"1 period\(s\)"):
        superior_predictive_ability(np.zeros((1, 3)))
    with pytest.raises(StatisticsError, match="configuration 1"):
        superior_predictive_ability(np.column_stack([np.ones(5), np.full(5, np.nan)]))
    with pytest.raises(StatisticsError, match="size=1"):
        step_m(noise(), size=1.0)
    with pytest.raises(StatisticsError, match="confidence=0"):
        model_confidence_set(noise(), confidence=0.0)
