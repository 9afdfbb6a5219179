"""Crossings of two series."""

from __future__ import annotations

import numpy as np

from whatif.indicators.compile import jit
from whatif.typing import FloatArray


def crossover_python(first: FloatArray, second: FloatArray) -> FloatArray:
    """Mark the rows where `first` crosses `second`: 1.0 upwards, -1.0 downwards, else 0.0.

    Parameters
    ----------
    first, second : float64 array (n,)
        Any two series on the same rows.

    Returns
    -------
    float64 array (n,)
        Equal as bytes to Backtrader's `CrossOver`: a cross is a change of sign since the last
        difference that was not zero, so touching and turning back is none.

    Notes
    -----
    *Timing*: row t uses rows up to t. NaN where either series is NaN and on the first row after
    that, which only seeds the remembered difference.
    """
    n = len(first)
    result = np.full(n, np.nan)
    remembered = np.nan
    for t in range(n):
        difference = first[t] - second[t]
        if np.isnan(difference):
            remembered = np.nan
            continue
        if not np.isnan(remembered):
            result[t] = 0.0
            if remembered < 0.0 and first[t] > second[t]:
                result[t] = 1.0
            elif remembered > 0.0 and first[t] < second[t]:
                result[t] = -1.0
            if difference != 0.0:
                remembered = difference
        else:
            remembered = difference
    return result


crossover = jit(crossover_python)
