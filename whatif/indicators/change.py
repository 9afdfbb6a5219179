"""Rates of change."""

from __future__ import annotations

import numpy as np

from whatif.indicators.compile import jit
from whatif.typing import FloatArray


def roc_python(source: FloatArray, period: int) -> FloatArray:
    """Change over `period` bars as a fraction of the earlier value.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Bars between the two values, at least 1.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `ROC`: ``(value - earlier) / earlier``.

    Notes
    -----
    *Timing*: row t uses rows t - period and t. NaN for the first `period` rows, where either
    value is NaN, and where the earlier value is zero (Backtrader raises there).
    """
    n = len(source)
    result = np.full(n, np.nan)
    for t in range(period, n):
        earlier = source[t - period]
        if earlier != 0.0:
            result[t] = (source[t] - earlier) / earlier
    return result


roc = jit(roc_python)


def roc100_python(source: FloatArray, period: int) -> FloatArray:
    """Change over `period` bars in percent: Backtrader's `ROC100`, TA-Lib's `ROC`.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    period : int
        Bars between the two values, at least 1.

    Returns
    -------
    float64 array (n,)
        ``100.0 * roc(source, period)``; timing and NaN as there.
    """
    return 100.0 * roc(source, period)


roc100 = jit(roc100_python)
