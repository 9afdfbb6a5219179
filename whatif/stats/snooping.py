"""Test of a study's best configuration against the maximum over everything tried."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whatif.domain import noise_of_returns
from whatif.stats.bootstrap import block_length, check_reps
from whatif.stats.sharpe import expected_maximum_sharpe
from whatif.stats.superiority import over_benchmark
from whatif.typing import BoolArray, FloatArray

MAX_REPS = 20_000
"""Replications that a p-value is resolved with at most."""

_AT_ONCE = 8_000_000
"""Resampled means held at a time (64 MB)."""

_SLAB = 1024
"""Columns that intermediate results are held of."""

_ROUNDING = 1e-9
"""What copies differ by, in standard deviations."""

_FEWEST_TO_GROW = 16
"""Columns under which no half of them says how the maximum grows with their number."""


@dataclass(frozen=True)
class Snooping:
    """What the search over everything tried leaves of a study's best configuration.

    Attributes
    ----------
    p_value : float
        Chance that, were nothing better than the benchmark, the best of everything tried would show
        a higher ratio than the best of the study does (its family-wise adjusted p-value).
    p_worst : float
        The same if each unseen trial were independent of all others; `p_value` if there is none.
    effective : float
        Independent trials whose best shows by luck what the best of all these does, at least 1.
    variance : float
        Of the ratio per period of a trial that is worth nothing, the mean over the columns; NaN
        where none varies.
    reps : int
        Replications.
    """

    p_value: float
    p_worst: float
    effective: float
    variance: float
    reps: int


def snooping(
    own: FloatArray,
    others: FloatArray | None = None,
    stand_for: float = 0,
    unseen: int = 0,
    reps: int = 1000,
    seed: int = 0,
    limit: float = 0.2,
) -> Snooping:
    """Test the best of a study's configurations against the maximum over everything tried.

    Parameters
    ----------
    own : float64 array (periods, configurations)
        Gains per period over the benchmark, of the study itself; finite.
    others : float64 array (periods, others), optional
        Those of what other studies tried, NaN in periods that they did not trade in.
    stand_for : float
        Trials that all columns together are a sample of; their number, if that is more.
    unseen : int
        Further trials of which nothing is known but that they were made.
    reps : int
        Bootstrap replications; more are drawn, up to `MAX_REPS`, where a sample stands for so many
        that the p-value could not fall below `limit`.
    seed : int
        Of the bootstrap.
    limit : float
        P-value that decides.

    Returns
    -------
    Snooping
        P-values and the number of independent trials.

    Raises
    ------
    StatisticsError
        If none of the study's own configurations varies, or there are fewer than two periods.

    Notes
    -----
    Gains are scaled to unit standard deviation, as in `superior_predictive_ability`: without other
    columns `p_value` is its consistent p-value, equal replication for replication. A column with m of
    n periods enters with its t statistic, that is its ratio times sqrt(m / n). The replications draw
    periods for all columns at once, so that those that move together count as the few that they are,
    and what lost so much that it is no rival is not taken for one (Hansen's recentering).

    *Effective number.* The mean over the replications of the highest ratio, all centred on 0, is what
    the best of as many shows that are worth nothing; `effective` independent ones with the mean
    bootstrap variance would show as much (Bailey and López de Prado, equation 1).

    *A sample* of K columns out of N: from K/2 to K columns the effective number grows by 2**g, and
    from K to N it is taken to grow by (N/K)**g; g is 0 for copies, 1 for independent columns, and
    taken as 1 under 16 columns. The p-value becomes 1 - (1 - p)**((N/K)**g).

    *Unseen trials* may be copies of what is seen (`p_value`) or independent of all of it (`p_worst`,
    by the normal tail of the best one's ratio at its bootstrap error, which a count of replications
    does not resolve).

    References
    ----------
    Hansen (2005), as in `superior_predictive_ability`; Romano and Wolf (2005), as in `step_m`, for
    p-values from the maximum over all that was tried; Bailey and López de Prado (2014), as in
    `deflated_sharpe_ratio`.
    """
    check_reps(reps)
    scores = _scores(own, others)
    columns = own.shape[1] + (0 if others is None else others.shape[1])
    found = _replicate(scores, reps, seed)
    times = max(1.0, stand_for / columns) ** found.growth
    needed = min(MAX_REPS, math.ceil(4.0 * times / limit))
    if needed > reps:
        found = _replicate(scores, needed, seed)
    p, effective = found.p_value, found.effective
    if times > 1.0:
        p, effective = _at_least_one(max(p, 1.0 / (found.reps + 1)), times), effective * times
    worst = p if not unseen else 1.0 - (1.0 - p) * (1.0 - _at_least_one(found.single, unseen))
    return Snooping(p, worst, effective, found.variance, found.reps)


def _at_least_one(chance: float, times: float) -> float:
    """Return the chance that one or more of so many independent ones happen."""
    return 1.0 if chance >= 1.0 else -math.expm1(times * math.log1p(-chance))


@dataclass(frozen=True, eq=False)
class _Scores:
    """Gains as columns of mean 0 and standard deviation 1 over the periods that they have, 0 in others.

    Attributes
    ----------
    values : float64 array (periods, columns)
        The study's own first.
    ratios : float64 array (columns,)
        Mean over standard deviation, times the root of the share of periods that they have.
    own : int
        How many are the study's own.
    block : int
        Mean length of a block in periods.
    """

    values: FloatArray
    ratios: FloatArray
    own: int
    block: int


@dataclass(frozen=True)
class _Replicated:
    """What replications gave: `Snooping` of the columns as they are, and what it takes for more.

    Attributes
    ----------
    p_value, effective, variance, reps
        As in `Snooping`.
    growth : float
        Power of the number of columns that the effective number grows with, from 0 to 1.
    single : float
        P-value of the study's best configuration had it been the only one tried.
    """

    p_value: float
    effective: float
    variance: float
    reps: int
    growth: float
    single: float


def _scores(own: FloatArray, others: FloatArray | None) -> _Scores:
    scaled, _, _ = over_benchmark(own, 0.0)
    ratios = scaled.mean(axis=0)
    block = block_length(scaled[:, int(np.argmax(ratios))])
    scaled -= ratios
    if others is None or not others.shape[1]:
        return _Scores(scaled, ratios, len(ratios), block)
    parts = [_partial(others[:, start : start + _SLAB]) for start in range(0, others.shape[1], _SLAB)]
    return _Scores(
        values=np.hstack([scaled, *(values for values, _ in parts)]),
        ratios=np.concatenate([ratios, *(means for _, means in parts)]),
        own=len(ratios),
        block=block,
    )


def _partial(gains: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return values and ratios of columns that may lack periods, without those that do not vary."""
    there = np.isfinite(gains)
    count = there.sum(axis=0)
    filled = np.where(there, gains, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = filled.sum(axis=0) / count
        moved = np.where(there, gains - means, 0.0)
        spread = np.sqrt(np.einsum("tn,tn->n", moved, moved) / (count - 1))
    varies = (count > 1) & (spread > noise_of_returns(np.abs(filled).max(axis=0, initial=0.0)))
    # a column with m of n periods has the variance of a mean of m: scaled to that of n
    scale = spread[varies] * np.sqrt(count[varies] / len(gains))
    return moved[:, varies] / scale, means[varies] / spread[varies] * np.sqrt(count[varies] / len(gains))


def _replicate(scores: _Scores, reps: int, seed: int) -> _Replicated:
    values, columns = scores.values, scores.values.shape[1]
    best = int(np.argmax(scores.ratios[: scores.own]))
    shift = np.where(_rivals(scores), 0.0, scores.ratios)
    half = np.random.default_rng(seed).permutation(columns)[: columns // 2]
    left = np.zeros(columns, dtype=np.bool_)
    left[half] = True
    squares, alone = np.zeros(columns), 0.0
    beaten, highest = 0, []
    for counts in _drawn(len(values), scores.block, reps, max(1, _AT_ONCE // columns), seed):
        means = counts @ values
        means /= len(values)
        squares += np.einsum("rn,rn->n", means, means)
        alone += float((means[:, best] > scores.ratios[best]).sum())
        highest.append(_highest(means, left))
        means += shift
        beaten += int((means.max(axis=1) > scores.ratios[best]).sum())
    variance = float(squares.mean()) / reps
    whole, *halves = (
        _independent(float(mean), variance, columns) for mean in np.concatenate(highest).mean(axis=0)
    )
    error = math.sqrt(max(float(squares[best]) / reps, 1.0 / len(values)))
    return _Replicated(
        p_value=beaten / reps,
        effective=whole,
        variance=variance,
        reps=reps,
        growth=_growth(whole, halves, columns),
        single=0.5 * math.erfc(float(scores.ratios[best]) / error / math.sqrt(2.0)),
    )


def _highest(means: FloatArray, left: BoolArray) -> FloatArray:
    """Return the highest of all columns, and of either half, (replications, 3).

    Less the mean over the columns, whose expectation is 0, so that copies of one show exactly nothing.
    """
    if len(left) < _FEWEST_TO_GROW:
        return np.asarray((means.max(axis=1) - means.mean(axis=1))[:, None])
    sides = [means[:, side] for side in (left, ~left)]
    parts = [(side.max(axis=1), side.mean(axis=1)) for side in sides]
    top = np.maximum(parts[0][0], parts[1][0]) - means.mean(axis=1)
    return np.column_stack([top, *(most - mean for most, mean in parts)])


def _independent(highest: float, variance: float, most: int) -> float:
    """Return how many independent ratios of a variance have the expected maximum `highest`."""
    if highest <= _ROUNDING * math.sqrt(variance):
        return 1.0
    low, high = 1.0, float(most)
    if expected_maximum_sharpe(high, variance) <= highest:
        return high
    for _ in range(60):
        middle = math.sqrt(low * high)
        if expected_maximum_sharpe(middle, variance) < highest:
            low = middle
        else:
            high = middle
    return low


def _growth(whole: float, halves: list[float], columns: int) -> float:
    if columns < _FEWEST_TO_GROW:
        return 1.0
    # the better half: one that lacks the only column of a kind says nothing about growth
    return min(max(math.log2(whole / max(halves)), 0.0), 1.0)


def _rivals(scores: _Scores) -> BoolArray:
    """Return which columns are not so far below the benchmark that they cannot be better (Hansen's rule)."""
    rivals = np.ones(len(scores.ratios), dtype=np.bool_)
    periods = len(scores.values)
    if periods < 3:
        return rivals
    least = 2.0 * math.log(math.log(periods)) / periods
    below = np.flatnonzero(scores.ratios < 0.0)
    for start in range(0, len(below), _SLAB):
        some = below[start : start + _SLAB]
        variances = _long_run(scores.values[:, some], scores.block)
        rivals[some] = scores.ratios[some] >= -np.sqrt(np.maximum(variances, 0.0) * least)
    return rivals


def _long_run(values: FloatArray, block: int) -> FloatArray:
    """Return the variance of a mean under the stationary bootstrap, times the periods.

    References
    ----------
    Politis and Romano (1994), lemma 1; the sum over lags by a Fourier transform.
    """
    periods = len(values)
    size = 1 << (2 * periods - 1).bit_length()
    power = np.abs(np.fft.rfft(values, size, axis=0)) ** 2
    covariances = np.fft.irfft(power, size, axis=0)[:periods] / periods
    lags, stay = np.arange(periods), 1.0 - 1.0 / block
    kappa = (1.0 - lags / periods) * stay**lags + lags / periods * stay ** (periods - lags)
    kappa[0] = 0.5
    return np.asarray(2.0 * kappa @ covariances)


def _drawn(periods: int, block: int, reps: int, at_once: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often each period was drawn, (some replications, periods), until there were `reps`."""
    from whatif.stats.resampling import StationaryBootstrap

    drawn = StationaryBootstrap(block, np.arange(periods), seed=seed).bootstrap(reps)
    for start in range(0, reps, at_once):
        counts = np.empty((min(at_once, reps - start), periods))
        for row in counts:
            row[:] = np.bincount(next(drawn)[0][0], minlength=periods)
        yield counts
