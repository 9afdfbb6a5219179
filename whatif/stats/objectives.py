"""Objectives that follow from per-period returns alone, for many series at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whatif.domain import noise_of_returns
from whatif.errors import StatisticsError, nearest
from whatif.typing import BoolArray, FloatArray

RETURN_OBJECTIVES = ("sharpe", "sortino", "return_pct")
"""Metrics that can be measured again on any choice of periods."""

_RANKS_AS = {"pnl_net": "return_pct"}


def usable_objective(objective: str) -> str:
    """Return the objective that statistics over returns use for a study's objective.

    Parameters
    ----------
    objective : str
        One of the metrics' keys.

    Returns
    -------
    str
        `sharpe`, `sortino` and `return_pct` stand for themselves, `pnl_net` ranks as `return_pct`
        does. All others need trades or single bars, and `sharpe` stands in for them.

    Raises
    ------
    StatisticsError
        If no metric has this name.
    """
    if objective in RETURN_OBJECTIVES:
        return objective
    from whatif.domain import METRIC_KEYS

    if objective not in METRIC_KEYS:
        raise StatisticsError(
            f"objective={objective!r}: no metric has this name; {nearest(objective, METRIC_KEYS)}"
        )
    return _RANKS_AS.get(objective, "sharpe")


def measure(returns: FloatArray, objective: str, per_year: float = 1.0) -> FloatArray:
    """Measure every series of returns.

    Parameters
    ----------
    returns : float64 array (..., periods)
        Simple returns per period, time along the last axis.
    objective : str
        One of `RETURN_OBJECTIVES`.
    per_year : float
        Periods a year; 1 gives ratios per period.

    Returns
    -------
    float64 array (...)
        As the metrics of these names (`return_pct` in percent, compounded). NaN under two periods,
        where a return is NaN, and for a ratio whose deviation is rounding (`noise_of_returns`): a
        Sharpe ratio of returns that do not vary, a Sortino ratio without a loss.
    """
    if objective == "return_pct":
        return np.asarray(100.0 * np.expm1(log_growth(returns).sum(axis=-1)), dtype=np.float64)
    n = returns.shape[-1]
    if n < 2:
        return np.full(returns.shape[:-1], np.nan)
    if objective == "sharpe":
        deviation = np.asarray(returns.std(axis=-1, ddof=1))
    else:
        losses = np.minimum(returns, 0.0)
        deviation = np.sqrt(np.einsum("...t,...t->...", losses, losses) / n)
    mean = returns.mean(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / deviation * np.sqrt(per_year)
        return np.where(deviation > noise_of_returns(mean), ratio, np.nan)


def log_growth(returns: FloatArray) -> FloatArray:
    """Return ln(1 + r); minus infinity where everything, or more, is lost."""
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log1p(returns)
    return np.asarray(np.where(returns <= -1.0, -np.inf, growth), dtype=np.float64)


def panel(returns: npt.ArrayLike, fewest: int = 1) -> FloatArray:
    """Return per-period returns as a matrix (periods, configurations).

    Raises
    ------
    StatisticsError
        If it is no matrix or has fewer than `fewest` columns.
    """
    matrix = np.asarray(returns, dtype=np.float64)
    if matrix.ndim != 2:
        raise StatisticsError(
            f"returns of shape {matrix.shape}: a matrix (periods, configurations) is needed; "
            "stack one column for each configuration"
        )
    if matrix.shape[1] < fewest:
        raise StatisticsError(
            f"returns of {matrix.shape[1]} configuration(s): at least {fewest} are needed; "
            "give those of every configuration that was tried"
        )
    return matrix


def refuse_missing(matrix: FloatArray) -> None:
    """Refuse a matrix that holds NaN or infinity, naming the first column that does.

    Raises
    ------
    StatisticsError
        If a return is not finite.
    """
    broken: BoolArray = ~np.isfinite(matrix.sum(axis=0))
    for column in np.flatnonzero(broken):
        bad = ~np.isfinite(matrix[:, column])
        if bad.any():
            raise StatisticsError(
                f"returns of configuration {column}: {int(bad.sum())} of {len(bad)} are not finite; "
                "an account that lost everything has no returns, leave such configurations out"
            )


def constant_columns(matrix: FloatArray) -> BoolArray:
    """Return which columns (configurations,) hold one value only, but for rounding of equity.

    One that never trades holds 0.
    """
    still = np.ones(matrix.shape[1], dtype=np.bool_)
    if not len(matrix):
        return still
    with np.errstate(invalid="ignore"):
        least = noise_of_returns(matrix[0])
        for start in range(0, len(matrix), 256):
            still &= (np.abs(matrix[start : start + 256] - matrix[0]) <= least).all(axis=0)
            if not still.any():
                break
    return still
