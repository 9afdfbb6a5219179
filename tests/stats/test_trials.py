"""Effective trials against eigenvalues known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.errors import StatisticsError
from whatif.stats import effective_trials, trial_variance


def orthogonal(periods: int) -> np.ndarray:
    """Return three columns without mean or correlation."""
    pattern = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=np.float64)
    return np.tile(pattern, (periods // 4, 1))


def test_equal_configurations_are_one_trial_whatever_their_size() -> None:
    series = np.random.default_rng(0).normal(0.0, 0.01, (50, 1))
    assert effective_trials(np.tile(series, (1, 30))) == pytest.approx(1.0, abs=1e-6)
    assert effective_trials(series * np.linspace(0.5, 3.0, 200)) == pytest.approx(1.0, abs=1e-6)
    assert effective_trials(np.hstack([series, -series])) == pytest.approx(1.0, abs=1e-6)
    assert effective_trials(series) == 1.0


def test_uncorrelated_configurations_count_each() -> None:
    assert effective_trials(orthogonal(40)) == pytest.approx(3.0)


def test_a_pair_by_hand() -> None:
    # correlation 1/2: eigenvalues 3/2 and 1/2, (sqrt(3/2) + sqrt(1/2))**2 / 2 = 1 + sqrt(3) / 2
    one, other, _ = orthogonal(8).T
    pair = np.column_stack([one, 0.5 * one + math.sqrt(0.75) * other])
    assert effective_trials(pair) == pytest.approx(1.0 + math.sqrt(3.0) / 2.0)


def test_a_common_factor_by_formula() -> None:
    # N = 200 with correlation r = 0.6: eigenvalues 1 + (N - 1) r and N - 1 times 1 - r
    rng = np.random.default_rng(1)
    n, r = 200, 0.6
    returns = math.sqrt(r) * rng.normal(size=(20_000, 1)) + math.sqrt(1 - r) * rng.normal(size=(20_000, n))
    exact = (math.sqrt(1 + (n - 1) * r) + (n - 1) * math.sqrt(1 - r)) ** 2 / n
    assert effective_trials(returns) == pytest.approx(exact, rel=0.02)


def test_noise_and_short_windows_lower_the_number_as_documented() -> None:
    rng = np.random.default_rng(2)
    assert effective_trials(rng.normal(size=(1600, 200))) == pytest.approx(0.97 * 200, rel=0.02)
    # Marchenko-Pastur: the mean root of an eigenvalue is 8 / (3 pi)
    assert effective_trials(rng.normal(size=(300, 300))) == pytest.approx(
        (8 / 3 / math.pi) ** 2 * 300, rel=0.02
    )
    assert 60 < effective_trials(rng.normal(size=(100, 900))) <= 99


def test_either_gram_matrix_gives_the_same() -> None:
    returns = np.random.default_rng(3).normal(size=(30, 30)) @ np.random.default_rng(4).normal(size=(30, 31))
    correlation = np.corrcoef(returns, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvalsh(correlation), 0.0, None))
    # wide by one column: through the periods' matrix; numpy's own through the configurations'
    assert effective_trials(returns) == pytest.approx(roots.sum() ** 2 / 31, rel=1e-5)


def test_without_correlation_left_out() -> None:
    returns = np.hstack([orthogonal(40), np.zeros((40, 2)), np.full((40, 1), np.nan), np.full((40, 1), 0.1)])
    assert effective_trials(returns) == pytest.approx(3.0)
    assert effective_trials(np.zeros((40, 3))) == 1.0
    assert effective_trials(np.zeros((1, 3))) == 1.0


@given(st.integers(2, 12), st.integers(1, 12), st.integers(0, 10))
def test_between_one_and_all(periods: int, n: int, seed: int) -> None:
    returns = np.random.default_rng(seed).integers(-1, 2, (periods, n)) * 0.01
    assert 1.0 <= effective_trials(returns) <= n


def test_returns_are_not_changed() -> None:
    returns = np.random.default_rng(5).normal(size=(20, 3))
    before = returns.copy()
    effective_trials(returns)
    trial_variance(returns)
    np.testing.assert_array_equal(returns, before)


def test_variance_of_ratios_by_hand() -> None:
    # means 0.01 and 0.03, deviations sqrt(2) * 0.01 and sqrt(2) * 0.01: ratios 1 / sqrt(2), 3 / sqrt(2)
    returns = np.array([[0.0, 0.02, 0.0, np.nan], [0.02, 0.04, 0.0, 0.01]])
    assert trial_variance(returns) == pytest.approx(1.0)
    assert trial_variance(returns[:, :1]) == 0.0
    assert math.isnan(trial_variance(returns[:, 2:]))


def test_many_configurations_are_all_counted() -> None:
    returns = np.random.default_rng(6).normal(size=(9, 2500))
    ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    assert trial_variance(returns) == pytest.approx(ratios.var(ddof=1))


def test_one_series_is_no_matrix() -> None:
    with pytest.raises(StatisticsError, match="stack one column"):
        effective_trials(np.ones(5))
