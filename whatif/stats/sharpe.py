"""Inference on a Sharpe ratio, given the length and shape of its returns and the number of trials.

Sharpe ratios are per observation (not annualised), kurtosis is 3 for a normal distribution.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from whatif.errors import StatisticsError

_NORMAL = NormalDist()
EULER_MASCHERONI = 0.5772156649015329


def probabilistic_sharpe_ratio(
    sharpe: float, n: float, benchmark: float = 0.0, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability that the true Sharpe ratio exceeds `benchmark`.

    Parameters
    ----------
    sharpe, benchmark : float
        Estimated ratio and the one to beat, per observation.
    n : float
        Number of observations, at least 2.
    skew, kurtosis : float
        Of the returns; kurtosis 3 for a normal distribution.

    Returns
    -------
    float
        Between 0 and 1. NaN if an argument is NaN, and where the squared standard error
        1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2 is not positive: no distribution has a
        kurtosis under 1 + skew**2, so such moments contradict one another and say nothing.

    Raises
    ------
    StatisticsError
        If n is under 2.

    References
    ----------
    Bailey and López de Prado (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2).
    """
    if n < 2:
        raise StatisticsError(f"n={n}: a Sharpe ratio needs at least 2 observations; give a longer window")
    variance = _error_variance(sharpe, skew, kurtosis)
    score = (sharpe - benchmark) * math.sqrt(n - 1.0) / math.sqrt(variance)
    return _cdf(score)


def deflated_sharpe_ratio(
    sharpe: float,
    n: float,
    trials: float,
    trial_variance: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    """Return the probability that the true Sharpe ratio exceeds what the best of all trials shows by luck.

    Parameters
    ----------
    sharpe : float
        Estimated ratio of the best trial, per observation.
    n : float
        Number of observations, at least 2.
    trials : float
        Number of independent trials, at least 1; `effective_trials` estimates it.
    trial_variance : float
        Variance of the trials' ratios per observation; see `trial_variance`.
    skew, kurtosis : float
        Of the best trial's returns; kurtosis 3 for a normal distribution.

    Returns
    -------
    float
        `probabilistic_sharpe_ratio` against `expected_maximum_sharpe`; NaN as these.

    Raises
    ------
    StatisticsError
        If n is under 2, trials under 1, or the variance negative.

    References
    ----------
    Bailey and López de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5).
    """
    luck = expected_maximum_sharpe(trials, trial_variance)
    return probabilistic_sharpe_ratio(sharpe, n, luck, skew, kurtosis)


def expected_maximum_sharpe(trials: float, trial_variance: float) -> float:
    """Return the highest ratio to expect among trials that are all worth nothing.

    Parameters
    ----------
    trials : float
        Number of independent trials, at least 1; need not be whole.
    trial_variance : float
        Variance of their ratios per observation.

    Returns
    -------
    float
        Per observation. 0 for one trial and, since the approximation is meant for many, wherever
        it would be negative (under about 1.3 trials). NaN if an argument is NaN.

    Raises
    ------
    StatisticsError
        If trials is under 1 or the variance negative.

    References
    ----------
    Bailey and López de Prado (2014), as in `deflated_sharpe_ratio`, equation 1.
    """
    if trials < 1:
        raise StatisticsError(f"trials={trials}: at least 1, what was chosen is a trial too")
    if trial_variance < 0:
        raise StatisticsError(f"trial_variance={trial_variance}: a variance is not negative; give its square")
    if math.isnan(trials) or math.isnan(trial_variance):
        return math.nan
    if trials == 1 or trial_variance == 0:
        return 0.0
    if math.isinf(trials):
        return math.inf
    mean = (1.0 - EULER_MASCHERONI) * _upper(1.0 / trials) + EULER_MASCHERONI * _upper(1.0 / trials / math.e)
    return math.sqrt(trial_variance) * max(mean, 0.0)


def minimum_track_record_length(
    sharpe: float,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    confidence: float = 0.95,
) -> float:
    """Return how many observations it takes to say that the true Sharpe ratio exceeds `benchmark`.

    Parameters
    ----------
    sharpe, benchmark : float
        Estimated ratio and the one to beat, per observation.
    skew, kurtosis : float
        Of the returns; kurtosis 3 for a normal distribution.
    confidence : float
        Probability to reach, inside (0, 1).

    Returns
    -------
    float
        In observations, not rounded up. Infinite if `sharpe` does not exceed `benchmark`. NaN if
        an argument is NaN or the moments contradict one another (see `probabilistic_sharpe_ratio`).

    Raises
    ------
    StatisticsError
        If confidence is outside (0, 1).

    References
    ----------
    Bailey and López de Prado (2012), as in `probabilistic_sharpe_ratio`.
    """
    if confidence <= 0 or confidence >= 1:
        raise StatisticsError(f"confidence={confidence}: inside (0, 1); 0.95 is usual")
    variance = _error_variance(sharpe, skew, kurtosis)
    if any(math.isnan(value) for value in (variance, benchmark, confidence)):
        return math.nan
    if sharpe <= benchmark:
        return math.inf
    score: float = _NORMAL.inv_cdf(confidence) / (sharpe - benchmark)
    return 1.0 + variance * score * score


def _error_variance(sharpe: float, skew: float, kurtosis: float) -> float:
    """Return the squared standard error of a ratio, times the observations but one; NaN unless positive."""
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    return variance if variance > 0.0 else math.nan


def _upper(tail: float) -> float:
    """Return the score that a normal variable exceeds with probability `tail`."""
    return -_NORMAL.inv_cdf(tail)


def _cdf(score: float) -> float:
    return 0.5 * math.erfc(-score / math.sqrt(2.0))
