"""What a sweep measures once the loop is done, in one call of machine code."""

from __future__ import annotations

from whatif.domain.compile import jit_lean
from whatif.domain.fills import write_trips
from whatif.domain.statistics import write_returns
from whatif.typing import FloatArray, IntArray


def finish_python(
    row: IntArray,
    closed: FloatArray,
    opened: FloatArray,
    price: FloatArray,
    closed_fee: FloatArray,
    opened_fee: FloatArray,
    multiplier: FloatArray,
    count: int,
    levels: FloatArray,
    returns: FloatArray,
    trips: FloatArray,
    fees: FloatArray,
    values: FloatArray,
) -> int:
    """Return how many round trips were closed.

    Parameters
    ----------
    row, closed, opened, price, closed_fee, opened_fee, multiplier : arrays (f,)
        Executions of one symbol, as in `whatif.domain.fills.Fills`; the first `count` are read.
    levels : float64 array (k + 1,)
        Cash, and equity at each period's end.
    returns : float64 array (k,)
        Written to, see `write_returns`.
    trips : float64 array (8, count)
        Written to, see `write_trips`.
    fees, values : float64 arrays (count,)
        Written to: commission and value of each execution.
    """
    for k in range(count):
        fees[k] = closed_fee[k] + opened_fee[k]
        values[k] = abs((closed[k] + opened[k]) * price[k])
    write_returns(levels, returns)
    return write_trips(row, closed, opened, price, closed_fee, opened_fee, multiplier, count, trips)


finish = jit_lean(finish_python)
