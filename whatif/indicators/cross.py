"""Crossings of two series."""

from __future__ import annotations

import math

from whatif.indicators.compile import filling, jit_lean
from whatif.typing import FloatArray


def _cross(first: FloatArray, second: FloatArray, result: FloatArray) -> None:
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
    # side of the last difference that was not zero; 0 after a first one that was, 2 before any
    side = 2
    for t in range(len(first)):
        difference = first[t] - second[t]
        if difference > 0.0:
            result[t] = math.nan if side == 2 else (1.0 if side == -1 else 0.0)
            side = 1
        elif difference < 0.0:
            result[t] = math.nan if side == 2 else (-1.0 if side == 1 else 0.0)
            side = -1
        elif difference == 0.0:
            result[t] = math.nan if side == 2 else 0.0
            side = 0 if side == 2 else side
        else:
            result[t] = math.nan
            side = 2


crossover_python = filling(_cross)
crossover = filling(jit_lean(_cross))
