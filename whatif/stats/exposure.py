"""What of a configuration's returns the market gave, at the exposure that it had net."""

from __future__ import annotations

import numpy as np

from whatif.domain import noise_of_returns
from whatif.errors import StatisticsError
from whatif.typing import FloatArray


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
    returns, market
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
