"""Tests of many configurations at once: whether the best beats a benchmark, which do, which are best.

Thin doors to `arch.bootstrap`, by the stationary bootstrap of Politis and Romano (1994), "The
Stationary Bootstrap", Journal of the American Statistical Association 89(428).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whatif.domain import noise_of_returns
from whatif.errors import StatisticsError
from whatif.stats.bootstrap import block_length, check_confidence, check_reps
from whatif.stats.measures import panel, refuse_missing
from whatif.typing import BoolArray, FloatArray, IntArray

_PAIRS = 25_000_000
"""Replications times pairs of configurations that fit into memory three times (0.6 GB)."""


@dataclass(frozen=True)
class SuperiorAbility:
    """Whether the best configuration beats the benchmark, luck and the number of trials considered.

    Attributes
    ----------
    lower, consistent, upper : float
        P-values of "none is better than the benchmark"; the consistent one is the test's, the
        others bound it. `float()` gives the consistent one.
    best : int
        Column with the highest ratio of mean to standard deviation over the benchmark.
    configurations, constant_dropped : int
        Compared, and left out because they never differ from the benchmark by another amount.
    block, reps : int
        Mean length of a block in periods, and replications.
    """

    lower: float
    consistent: float
    upper: float
    best: int
    configurations: int
    constant_dropped: int
    block: int
    reps: int

    def __float__(self) -> float:
        return self.consistent


@dataclass(frozen=True, eq=False)
class SuperiorSet:
    """Which configurations beat the benchmark, with a bound on the chance of a single false one.

    Attributes
    ----------
    superior : int64 array (s,)
        Columns, rising.
    size : float
        Family-wise error rate.
    configurations, constant_dropped : int
        Compared, and left out as in `SuperiorAbility`.
    block, reps : int
        Mean length of a block in periods, and replications.
    """

    superior: IntArray
    size: float
    configurations: int
    constant_dropped: int
    block: int
    reps: int


@dataclass(frozen=True, eq=False)
class ConfidenceSet:
    """Which configurations cannot be told from the best.

    Attributes
    ----------
    p_values : float64 array (configurations,)
        Of belonging to the best; NaN for a configuration whose returns are all equal.
    included : bool array (configurations,)
        Whether the p-value is above 1 - confidence.
    confidence : float
        Of the set.
    method : str
        Test statistic: "R" (largest difference of a pair) or "max" (from the mean of all).
    configurations, constant_dropped, repeated : int
        Compared; left out because their returns are all equal; and the same as another one.
    block, reps : int
        Mean length of a block in periods, and replications.
    """

    p_values: FloatArray
    included: BoolArray
    confidence: float
    method: str
    configurations: int
    constant_dropped: int
    repeated: int
    block: int
    reps: int


def superior_predictive_ability(
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike = 0.0,
    reps: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> SuperiorAbility:
    """Test whether any configuration beats the benchmark.

    Parameters
    ----------
    returns : float64 array (periods, configurations)
        Simple returns per period of every configuration tried.
    benchmark : float, or float64 array (periods,) or (periods, configurations)
        Returns per period to beat: one for all, or each its own (exposure-matched buy-and-hold).
    reps : int
        Bootstrap replications.
    seed : int
        Of the bootstrap.
    block : int, optional
        Mean length of a block in periods; by `block_length` of the best configuration if not given.

    Returns
    -------
    SuperiorAbility
        P-values.

    Raises
    ------
    StatisticsError
        If a return is not finite, shapes do not match, no configuration differs from the benchmark
        by varying amounts, or reps or block are out of range.

    Notes
    -----
    Differences to the benchmark are scaled to unit standard deviation, which leaves the hypothesis
    as it is (a mean is positive before if it is after) and makes the statistic the highest
    information ratio, without a benchmark the highest Sharpe ratio. This is the studentization that
    Hansen asks for, with the standard deviation taken as known; `arch` itself compares plain means.
    Columns that do not vary (that never trade) are left out. Time and memory are proportional to
    configurations times (periods + 3 reps).

    References
    ----------
    Hansen (2005), "A Test for Superior Predictive Ability", Journal of Business & Economic
    Statistics 23(4).
    """
    from whatif.stats.resampling import SPA

    check_reps(reps)
    scaled, kept, dropped = over_benchmark(returns, benchmark)
    best = int(np.argmax(scaled.mean(axis=0)))
    length = block_length(scaled[:, best], block)
    test = SPA(np.zeros(len(scaled)), -scaled, block_size=length, reps=reps, seed=seed)
    test.compute()
    values = test.pvalues
    return SuperiorAbility(
        lower=float(values["lower"]),
        consistent=float(values["consistent"]),
        upper=float(values["upper"]),
        best=int(kept[best]),
        configurations=len(kept),
        constant_dropped=dropped,
        block=length,
        reps=reps,
    )


def step_m(
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike = 0.0,
    size: float = 0.05,
    reps: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> SuperiorSet:
    """Find the configurations that beat the benchmark, step by step.

    Parameters
    ----------
    returns, benchmark, reps, seed, block
        As in `superior_predictive_ability`, whose scaling it shares.
    size : float
        Chance of one or more false ones, inside (0, 1).

    Returns
    -------
    SuperiorSet
        Columns.

    Raises
    ------
    StatisticsError
        As in `superior_predictive_ability`, and if size is outside (0, 1).

    Notes
    -----
    The test is run again without those found superior until it finds no more or none is left.

    References
    ----------
    Romano and Wolf (2005), "Stepwise Multiple Testing as Formalized Data Snooping",
    Econometrica 73(4).
    """
    from whatif.stats.resampling import SPA

    check_reps(reps)
    if not 0.0 < size < 1.0:
        raise StatisticsError(f"size={size}: a chance inside (0, 1); 0.05 is usual")
    scaled, kept, dropped = over_benchmark(returns, benchmark)
    length = block_length(scaled[:, int(np.argmax(scaled.mean(axis=0)))], block)
    test = SPA(np.zeros(len(scaled)), -scaled, block_size=length, reps=reps, seed=seed)
    # arch's StepM fails where all are superior after more than one step
    left = np.ones(len(kept), dtype=np.bool_)
    while left.any():
        test.subset(left)
        test.compute()
        found = test.better_models(size)
        if not len(found):
            break
        left[found] = False
    return SuperiorSet(
        superior=np.asarray(kept[~left], dtype=np.int64),
        size=size,
        configurations=len(kept),
        constant_dropped=dropped,
        block=length,
        reps=reps,
    )


def model_confidence_set(
    returns: npt.ArrayLike,
    confidence: float = 0.95,
    reps: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> ConfidenceSet:
    """Find the configurations that cannot be told from the best.

    Parameters
    ----------
    returns : float64 array (periods, configurations)
        Simple returns per period.
    confidence : float
        Probability that the set holds the best, inside (0, 1).
    reps, seed, block : int
        As in `superior_predictive_ability`.

    Returns
    -------
    ConfidenceSet
        P-values and the set.

    Raises
    ------
    StatisticsError
        If a return is not finite, none varies, or an argument is out of range.

    Notes
    -----
    Each configuration's returns are scaled to unit standard deviation: the best is the one with the
    highest Sharpe ratio. Those whose returns are all equal are left out. Those that are the same
    after scaling (to nine decimals) enter once and share a p-value. The statistic is "R" while all
    pairs fit into memory (158 configurations with 1,000 replications), else "max": its time grows
    with the square of configurations, and it singles out bad ones but, among many, no good one.
    Give the best hundred rather than all.

    References
    ----------
    Hansen, Lunde and Nason (2011), "The Model Confidence Set", Econometrica 79(2).
    """
    from whatif.stats.resampling import MCS

    check_reps(reps)
    check_confidence(confidence)
    scaled, kept, dropped = over_benchmark(returns, 0.0)
    _, first, group = np.unique(np.round(scaled, 9), axis=1, return_index=True, return_inverse=True)
    distinct = np.ascontiguousarray(scaled[:, first])
    length = block_length(distinct[:, int(np.argmax(distinct.mean(axis=0)))], block)
    method: str = "R" if reps * len(first) ** 2 <= _PAIRS else "max"
    values = np.ones(len(first))
    if len(first) > 1:
        test = MCS(
            -distinct,
            size=1.0 - confidence,
            reps=reps,
            block_size=length,
            method="R" if method == "R" else "max",
            seed=seed,
        )
        test.compute()
        values[test.pvalues.index.to_numpy(dtype=np.int64)] = test.pvalues["Pvalue"].to_numpy()
    p_values = np.full(len(kept) + dropped, np.nan)
    p_values[kept] = values[group.ravel()]
    return ConfidenceSet(
        p_values=p_values,
        included=p_values > 1.0 - confidence,
        confidence=confidence,
        method=method,
        configurations=len(kept),
        constant_dropped=dropped,
        repeated=len(kept) - len(first),
        block=length,
        reps=reps,
    )


def over_benchmark(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> tuple[FloatArray, IntArray, int]:
    """Return scaled differences (periods, kept), the columns kept, and how many are constant."""
    matrix = panel(returns)
    refuse_missing(matrix)
    given = np.asarray(benchmark, dtype=np.float64)
    if given.shape not in ((), (len(matrix),), matrix.shape):
        raise StatisticsError(
            f"benchmark of shape {given.shape} for returns of shape {matrix.shape}: a number, one return "
            "for each period, or a matrix like that of the returns"
        )
    if not np.isfinite(given).all():
        raise StatisticsError("benchmark: a return is not finite; leave such periods out of both")
    if len(matrix) < 2:
        raise StatisticsError(f"{len(matrix)} period(s): a bootstrap needs at least 2; give a longer window")
    column = given[:, None] if given.ndim == 1 else given
    difference = matrix - column
    largest = np.maximum(
        np.abs(matrix).max(axis=0), np.abs(column).max(axis=0) if column.ndim else abs(column)
    )
    spread = difference.std(axis=0, ddof=1)
    kept = np.flatnonzero(spread > noise_of_returns(largest))
    if not len(kept):
        raise StatisticsError(
            f"returns of {matrix.shape[1]} configuration(s): none differs from the benchmark by varying "
            "amounts (none trades); there is nothing to test"
        )
    # by rows, of which the bootstrap takes whole ones
    scaled = np.ascontiguousarray(difference[:, kept]) / spread[kept]
    return scaled, kept, matrix.shape[1] - len(kept)
