"""What a sweep measures once the loop is done, in one call of machine code."""

from __future__ import annotations

from whatif.domain import jit_lean, write_returns, write_trips
from whatif.typing import FloatArray, IntArray


def finish_python(
    row: IntArray,
    executions: FloatArray,
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
    row, executions : int64 array (f,) and float64 array (6, f)
        Executions of one symbol, as `write_trips` takes them; the first `count` are read.
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
        fees[k] = executions[3, k] + executions[4, k]
        values[k] = abs((executions[0, k] + executions[1, k]) * executions[2, k])
    write_returns(levels, returns)
    return write_trips(row, executions, count, trips)


finish = jit_lean(finish_python)
