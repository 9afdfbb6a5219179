"""Sums that equal `math.fsum` to the last bit."""

from __future__ import annotations

import numpy as np

from whatif.domain.compile import inlinable, jit, jit_lean
from whatif.typing import FloatArray

_UNIT = 2.0**-52
"""Twice the unit roundoff: bounds one rounding with room to spare."""

PARTIALS = 64
"""Room for the non-overlapping partials of any doubles: (1074 + 1024) / 53 < 64."""


def room_for_partials() -> FloatArray:
    """Return the room in which a sum keeps what it could not add yet, float64 array (PARTIALS,)."""
    return np.empty(PARTIALS)


def exact_sum_in_python(
    values: FloatArray, start: int, stop: int, partials: FloatArray
) -> tuple[float, float]:
    """Sum `values[start:stop]` exactly and round once; makes no array of its own.

    Parameters
    ----------
    values : float64 array (n,)
        Finite values.
    start, stop : int
        The window.
    partials : float64 array (PARTIALS,)
        Room; overwritten.

    Returns
    -------
    (float, float)
        The correctly rounded sum, equal to `math.fsum` as bytes, and what rounding left over.

    References
    ----------
    Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
    Predicates", 1997; the rounding of halves follows CPython's `math.fsum`.
    """
    count = 0
    for k in range(start, stop):
        x = values[k]
        kept = 0
        for j in range(count):
            y = partials[j]
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                partials[kept] = low
                kept += 1
            x = high
        partials[kept] = x
        count = kept + 1
    total = 0.0
    left = 0.0
    n = count
    if n > 0:
        n -= 1
        total = partials[n]
        while n > 0:
            x = total
            n -= 1
            y = partials[n]
            total = x + y
            left = y - (total - x)
            if left != 0.0:
                break
        if n > 0 and ((left < 0.0 and partials[n - 1] < 0.0) or (left > 0.0 and partials[n - 1] > 0.0)):
            y = left * 2.0
            x = total + y
            if y == x - total:
                total = x
                left = -left
        for j in range(n - 1, -1, -1):
            left += partials[j]
    return total + 0.0, left


# compiled once, and not again for each kind of caller
exact_sum_in = jit_lean(exact_sum_in_python)


def exact_sum_python(values: FloatArray, start: int, stop: int) -> tuple[float, float]:
    """Sum `values` (n,) from `start` to `stop` as `exact_sum_in`, in room of its own."""
    return exact_sum_in(values, start, stop, np.empty(PARTIALS))


exact_sum = jit(exact_sum_python)


@inlinable
def exact_total(values: FloatArray, count: int, partials: FloatArray) -> float:
    """Sum the first `count` values exactly and round once; equal to `math.fsum` as bytes.

    A double-double runs along with a bound on its error. Rounding is monotone: if both ends of
    that interval round to the same double, so does the exact sum; else it is summed exactly.

    Parameters
    ----------
    values : float64 array (n,)
        Finite values.
    count : int
        How many of them, at most n.
    partials : float64 array (PARTIALS,)
        Room as `exact_sum_in` takes it; overwritten.
    """
    high = 0.0
    low = 0.0
    error = 0.0
    for k in range(count):
        x = values[k]
        total = high + x
        back = total - high
        low = low + ((high - (total - back)) + (x - back))
        error += _UNIT * abs(low)
        high = total
    total = high + low
    back = total - high
    low = (high - (total - back)) + (low - back)
    error += _UNIT * abs(low)
    if total + (low - 2.0 * error) == total and total + (low + 2.0 * error) == total:
        return total + 0.0
    total, low = exact_sum_in(values, count - count, count, partials)
    return total
