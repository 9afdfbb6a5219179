"""Against the numbers printed in the papers of Bailey and López de Prado (2012, 2014)."""

from __future__ import annotations

import math

import pytest

from whatif.errors import StatisticsError, WhatIfError
from whatif.stats import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)

BEST = 2.5 / math.sqrt(250)
SPREAD = 0.5 / 250


@pytest.mark.parametrize(("trials", "luck", "deflated"), [(100, 0.11317, 0.90040), (46, None, 0.95050)])
def test_deflated_as_in_the_paper(trials: int, luck: float | None, deflated: float) -> None:
    given = deflated_sharpe_ratio(BEST, 1250, trials, SPREAD, skew=-3.0, kurtosis=10.0)

    assert given == pytest.approx(deflated, abs=5e-5)
    if luck is not None:
        assert expected_maximum_sharpe(trials, SPREAD) == pytest.approx(luck, abs=5e-6)


def test_probabilistic_as_in_the_paper() -> None:
    # 24 months, annual ratio of 1.59 (0.458 a month), skew -2.448, kurtosis 10.164
    assert probabilistic_sharpe_ratio(0.458, 24) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe_ratio(0.458, 24, 0.0, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(("periods", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
def test_track_record_as_in_the_paper(periods: int, years: float) -> None:
    # an annual ratio of 2 to be above 1, normal returns, 95 %
    root = math.sqrt(periods)
    length = minimum_track_record_length(2.0 / root, 1.0 / root)
    assert length / periods == pytest.approx(years, abs=5e-3)


def test_the_track_record_is_what_reaches_the_confidence() -> None:
    length = minimum_track_record_length(0.1, 0.02, -1.0, 6.0, confidence=0.9)
    assert probabilistic_sharpe_ratio(0.1, length, 0.02, -1.0, 6.0) == pytest.approx(0.9)


def test_no_record_is_long_enough_for_what_is_not_better() -> None:
    assert minimum_track_record_length(0.1, 0.1) == math.inf
    assert minimum_track_record_length(-0.1) == math.inf


def test_one_trial_needs_no_luck() -> None:
    assert expected_maximum_sharpe(1, 0.5) == 0.0
    assert deflated_sharpe_ratio(0.1, 100, 1, 0.5) == probabilistic_sharpe_ratio(0.1, 100)


def test_trials_need_not_be_whole_and_more_of_them_mean_more_luck() -> None:
    numbers = [1.0, 1.01, 1.2, 1.5, 2.0, 2.5, 10.0, 1e3, 1e6, 1e18]
    luck = [expected_maximum_sharpe(n, 1.0) for n in numbers]
    assert luck == sorted(luck)
    assert min(luck) == 0.0
    # of a thousand standard normal variables 3.24 is expected (Harter 1961)
    assert expected_maximum_sharpe(1000, 1.0) == pytest.approx(3.241, abs=0.02)


def test_nothing_is_said_where_moments_contradict_one_another() -> None:
    # 1 - 4 + (2 - 1) / 4: no distribution with a skew of 4 has a kurtosis under 17
    assert math.isnan(probabilistic_sharpe_ratio(1.0, 100, skew=4.0, kurtosis=2.0))
    assert math.isnan(minimum_track_record_length(1.0, skew=4.0, kurtosis=2.0))


@pytest.mark.parametrize("place", range(5))
def test_nan_in_nan_out(place: int) -> None:
    arguments = [0.1, 100.0, 0.0, 0.0, 3.0]
    arguments[place] = math.nan
    assert math.isnan(probabilistic_sharpe_ratio(*arguments))
    assert math.isnan(deflated_sharpe_ratio(*arguments[:2], 10.0, 0.1, *arguments[3:])) or place == 2
    if place != 1:
        assert math.isnan(minimum_track_record_length(arguments[0], *arguments[2:]))


def test_unknown_trials_or_variance_give_nan() -> None:
    assert math.isnan(deflated_sharpe_ratio(0.1, 100, math.nan, 0.1))
    assert math.isnan(deflated_sharpe_ratio(0.1, 100, 10, math.nan))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"n=1: .* at least 2"):
        probabilistic_sharpe_ratio(0.1, 1)
    with pytest.raises(StatisticsError, match=r"trials=0\.5: at least 1"):
        deflated_sharpe_ratio(0.1, 100, 0.5, 0.1)
    with pytest.raises(StatisticsError, match="not negative"):
        expected_maximum_sharpe(10, -0.1)
    with pytest.raises(StatisticsError, match=r"confidence=1\.0"):
        minimum_track_record_length(0.1, confidence=1.0)
    assert issubclass(StatisticsError, ValueError)
    assert issubclass(StatisticsError, WhatIfError)
