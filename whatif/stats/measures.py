"""Measures of per-period returns, for many series at once: objectives, and exposure to the market."""

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
    """Return ln(1 + r); minus infinity where everything, or more, is lost.

    Parameters
    ----------
    returns : float64 array of any shape
        Simple returns per period.

    Returns
    -------
    float64 array of the same shape
        NaN where a return is.
    """
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

    Parameters
    ----------
    matrix : float64 array (periods, configurations)
        Returns.

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


def net_exposure(returns: FloatArray, market: FloatArray) -> FloatArray:
    """Return the share of the market that each configuration held on average, long less short.

    Parameters
    ----------
    returns : float64 array (periods,) or (periods, configurations)
        Simple returns per period.
    market : float64 array (periods,)
        Simple returns per period of holding the market with all of the account.

    Returns
    -------
    float64 array () or (configurations,)
        Slope of the returns on the market's (beta): near 1 for one that always holds, 0.5 for half
        of the time or with half of the account, negative for one that is short, near 0 for one that
        trades both ways. 0 where the market does not move but for rounding. NaN where a return is.

    Raises
    ------
    StatisticsError
        If the two do not cover the same periods.

    References
    ----------
    Jensen (1968), "The Performance of Mutual Funds in the Period 1945-1964", Journal of Finance 23(2).
    """
    if market.ndim != 1 or len(market) != len(returns):
        raise StatisticsError(
            f"returns of shape {returns.shape} and market of shape {market.shape}: both over the same periods"
        )
    moved = market - market.mean() if len(market) else market
    spread = float(moved @ moved)
    if not spread > len(market) * noise_of_returns(0.0) ** 2:
        return np.zeros(returns.shape[1:])
    return np.asarray(moved @ returns / spread, dtype=np.float64)


def over_market(returns: FloatArray, market: FloatArray) -> FloatArray:
    """Return what is left of returns without the market at `net_exposure`.

    Parameters
    ----------
    returns : float64 array (periods,) or (periods, configurations)
        As in `net_exposure`.
    market : float64 array (periods,)
        As in `net_exposure`.

    Returns
    -------
    float64 array like returns
        Its mean is Jensen's alpha per period: 0 in expectation for any exposure that knows nothing
        of the period it is held in, whichever way the market drifts.
    """
    slope = net_exposure(returns, market)
    left = returns - (market[:, None] * slope if returns.ndim > 1 else market * slope)
    if len(left):
        # the market itself leaves rounding, which must not be ranked
        still = np.abs(left).max(axis=0) <= noise_of_returns(np.abs(returns).max(axis=0))
        left = np.where(still, 0.0, left)
    return np.asarray(left, dtype=np.float64)


def partly_over_market(returns: FloatArray, market: FloatArray) -> FloatArray:
    """Return `over_market` of columns that lack periods: each over the periods that it has.

    Parameters
    ----------
    returns : float64 array (periods, configurations)
        Simple returns per period, NaN where there is none.
    market : float64 array (periods,)
        As in `net_exposure`.

    Returns
    -------
    float64 array like returns
        NaN where they are.
    """
    there = np.isfinite(returns)
    filled = np.where(there, returns, 0.0)
    count = np.maximum(there.sum(axis=0), 1)
    # from its overall mean, so that squares of small numbers are not lost in those of large ones
    moved = market - market.mean() if len(market) else market
    level = moved @ there / count
    spread = np.square(moved) @ there - count * level * level
    slope = moved @ filled - level * filled.sum(axis=0)
    still = spread <= count * noise_of_returns(0.0) ** 2
    slope = np.where(still, 0.0, slope / np.where(still, 1.0, spread))
    left = returns - market[:, None] * slope
    most = np.abs(filled).max(axis=0, initial=0.0)
    nothing = np.abs(np.where(there, left, 0.0)).max(axis=0, initial=0.0) <= noise_of_returns(most)
    return np.asarray(np.where(nothing & there, 0.0, left), dtype=np.float64)
