"""How long the blocks of a stationary bootstrap are."""

from __future__ import annotations

import math

import numpy as np

from whatif.errors import StatisticsError
from whatif.typing import FloatArray

_FEWEST = 20
"""Periods under which autocorrelations say nothing about a block's length."""


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
    optimal = _optimal(series) if periods >= _FEWEST else math.nan
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
    from arch.bootstrap import optimal_block_length

    with np.errstate(divide="ignore", invalid="ignore"):
        return float(optimal_block_length(series)["stationary"].iloc[0])
