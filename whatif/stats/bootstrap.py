"""Stationary bootstrap: the length of its blocks, and confidence intervals of an objective."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whatif.errors import StatisticsError
from whatif.stats.measures import measure, usable_objective
from whatif.typing import FloatArray, IntArray

_MIN_PERIODS = 20
"""Periods under which autocorrelations say nothing about a block's length."""

_AT_ONCE = 4_000_000
"""Resampled returns held at a time (32 MB)."""


def block_length(series: FloatArray, given: int | None = None) -> int:
    """Return the mean length of a bootstrap's blocks, in periods.

    Parameters
    ----------
    series : float64 array (periods,)
        What is resampled.
    given : int, optional
        Taken as it is.

    Returns
    -------
    int
        `given`; else the length that is optimal for the stationary bootstrap of the series' mean,
        rounded up; else, under 20 periods or where that is undefined, the root of the number of
        periods.

    Raises
    ------
    StatisticsError
        If `given` is not from 1 to the number of periods, or there are fewer than two periods.

    References
    ----------
    Politis and White (2004), "Automatic Block-Length Selection for the Dependent Bootstrap",
    Econometric Reviews 23(1); Patton, Politis and White (2009), correction, 28(4).
    """
    periods = len(series)
    if periods < 2:
        raise StatisticsError(f"{periods} period(s): a bootstrap needs at least 2; give a longer window")
    if given is not None:
        if not 1 <= given <= periods:
            raise StatisticsError(f"block={given}: from 1 to the number of periods, {periods}")
        return int(given)
    optimal = _optimal(series) if periods >= _MIN_PERIODS else math.nan
    if not math.isfinite(optimal):
        optimal = math.sqrt(periods)
    return min(max(math.ceil(optimal), 1), periods)


def check_reps(reps: int) -> None:
    """Refuse fewer than one replication.

    Raises
    ------
    StatisticsError
        If there are none.
    """
    if reps < 1:
        raise StatisticsError(f"reps={reps}: at least 1 replication; 1000 is usual")


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0, 1).

    Raises
    ------
    StatisticsError
        If it is outside.
    """
    if not 0.0 < confidence < 1.0:
        raise StatisticsError(f"confidence={confidence}: inside (0, 1); 0.95 is usual")


def _optimal(series: FloatArray) -> float:
    if (series == series[0]).all():
        return math.nan
    from whatif.stats.resampling import optimal_block_length

    with np.errstate(divide="ignore", invalid="ignore"):
        return float(optimal_block_length(series)["stationary"].iloc[0])


@dataclass(frozen=True)
class Interval:
    """An estimate between two bounds.

    Attributes
    ----------
    objective : str
        What is measured; ratios are annualised, `return_pct` is in percent over all periods.
    estimate : float
        On the returns as they are.
    low, high : float
        Percentiles of the replications, (1 - confidence) / 2 at each end.
    confidence : float
        Probability to cover the true value.
    block, reps : int
        Mean length of a block in periods, and replications.
    undefined : int
        Replications left out because the objective is undefined there.
    """

    objective: str
    estimate: float
    low: float
    high: float
    confidence: float
    block: int
    reps: int
    undefined: int


def objective_interval(
    returns: npt.ArrayLike,
    objective: str,
    periods_per_year: float,
    confidence: float = 0.95,
    reps: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return a confidence interval of an objective.

    Parameters
    ----------
    returns : float64 array (periods,)
        Simple returns per period, in time order.
    objective : str
        A metric's key; see `usable_objective` for what stands in for those that returns do not tell.
    periods_per_year : float
        Annualises ratios.
    confidence : float
        Inside (0, 1).
    reps : int
        Bootstrap replications.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Interval
        All NaN where a return is NaN or the objective is undefined on the returns themselves.

    Raises
    ------
    StatisticsError
        If there are fewer than two periods, or an argument is out of range.

    Notes
    -----
    Percentile interval; blocks by `block_length` of the returns. It says nothing of how the
    configuration was chosen: see `deflated_sharpe_ratio` for that.

    References
    ----------
    Politis and Romano (1994), "The Stationary Bootstrap", Journal of the American Statistical
    Association 89(428).
    """
    series = _series(returns, "returns")
    used = usable_objective(objective)
    estimate = _one(series, used, periods_per_year)
    length, values = _replicate([series], series, used, periods_per_year, reps, seed)
    return _interval(used, estimate, values, confidence, length)


def difference_interval(
    returns: npt.ArrayLike,
    benchmark_returns: npt.ArrayLike,
    objective: str,
    periods_per_year: float,
    confidence: float = 0.95,
    reps: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return a confidence interval of how much higher an objective is than the benchmark's.

    Parameters
    ----------
    returns, benchmark_returns : float64 array (periods,)
        Simple returns over the same periods; both are resampled together.
    objective, periods_per_year, confidence, reps, seed
        As in `objective_interval`.

    Returns
    -------
    Interval
        Of the objective's difference; NaN as in `objective_interval`, for either series.

    Raises
    ------
    StatisticsError
        As in `objective_interval`, and if the two are not equally long.

    Notes
    -----
    Blocks by `block_length` of the difference of returns (of the returns, where that is constant).
    """
    series, other = _series(returns, "returns"), _series(benchmark_returns, "benchmark_returns")
    if len(series) != len(other):
        raise StatisticsError(
            f"{len(series)} returns and {len(other)} of the benchmark: both over the same periods"
        )
    used = usable_objective(objective)
    estimate = _one(series, used, periods_per_year) - _one(other, used, periods_per_year)
    difference = series - other
    blocked = series if (difference == difference[:1]).all() else difference
    length, values = _replicate([series, other], blocked, used, periods_per_year, reps, seed)
    return _interval(used, estimate, values, confidence, length)


def _series(returns: npt.ArrayLike, name: str) -> FloatArray:
    series = np.asarray(returns, dtype=np.float64)
    if series.ndim != 1:
        raise StatisticsError(f"{name} of shape {series.shape}: one return for each period is needed")
    return series


def _one(series: FloatArray, objective: str, per_year: float) -> float:
    return float(measure(series, objective, per_year))


def _replicate(
    series: list[FloatArray], blocked: FloatArray, objective: str, per_year: float, reps: int, seed: int
) -> tuple[int, FloatArray]:
    """Return the length of blocks, and the objective of the first series less the second's, (reps,)."""
    check_reps(reps)
    if not all(np.isfinite(one).all() for one in series):
        return block_length(blocked, 1), np.full(reps, np.nan)
    length = block_length(blocked)
    values = []
    for rows in _indices(len(blocked), length, reps, seed):
        measured = [measure(one[rows], objective, per_year) for one in series]
        values.append(measured[0] - measured[1] if len(measured) > 1 else measured[0])
    return length, np.concatenate(values)


def resampled_rows(periods: int, block: int, reps: int, seed: int) -> IntArray:
    """Return rows of a stationary bootstrap, (reps, periods).

    Parameters
    ----------
    periods, block : int
        What is resampled, and the mean length of a block; see `block_length`.
    reps, seed : int
        Replications, and the seed of the draw.
    """
    check_reps(reps)
    return np.concatenate(list(_indices(periods, block, reps, seed)))


def _indices(periods: int, block: int, reps: int, seed: int) -> Iterator[IntArray]:
    """Yield resampled rows, (some, periods), until there were `reps` of them."""
    from whatif.stats.resampling import StationaryBootstrap

    drawn = StationaryBootstrap(block, np.arange(periods), seed=seed).bootstrap(reps)
    some = max(1, _AT_ONCE // periods)
    for start in range(0, reps, some):
        rows = np.empty((min(some, reps - start), periods), dtype=np.int64)
        for k in range(len(rows)):
            rows[k] = next(drawn)[0][0]
        yield rows


def _interval(objective: str, estimate: float, values: FloatArray, confidence: float, block: int) -> Interval:
    check_confidence(confidence)
    known = values[~np.isnan(values)]
    low = high = math.nan
    if len(known) and not math.isnan(estimate):
        tail = 50.0 * (1.0 - confidence)
        low, high = (float(value) for value in np.percentile(known, [tail, 100.0 - tail]))
    return Interval(
        objective=objective,
        estimate=estimate,
        low=low,
        high=high,
        confidence=confidence,
        block=block,
        reps=len(values),
        undefined=len(values) - len(known),
    )
