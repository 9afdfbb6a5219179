"""Python's own functions as machine code of the same results; what is not here cannot be compiled."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import numpy as np
from numba.core import types

from whatif.engines.language import numbers
from whatif.engines.language.kinds import is_float, is_floats, is_number, is_truths, is_whole, machine_code_of


def py_sum(a: Any) -> Any:
    """Stand for Python's sum, which adds one after the other."""
    raise NotImplementedError


@machine_code_of(py_sum)
def _py_sum(a: Any) -> Any:
    # Python 3.12 and later compensate for rounding
    if sys.version_info >= (3, 12):
        return None
    if is_floats(a) or (isinstance(a, (types.List, types.UniTuple)) and is_float(a.dtype)):

        def floats(a: Any) -> float:
            total = 0.0
            for one in a:
                total += one
            return total

        return floats
    if is_truths(a) or (isinstance(a, (types.List, types.UniTuple)) and is_whole(a.dtype)):

        def wholes(a: Any) -> int:
            total = 0
            for one in a:
                total = numbers.add(total, numbers.to_int(one))
            return total

        return wholes
    return None


def py_sorted(a: Any) -> Any:
    """Stand for Python's sorted, of floats without NaN, which has no place in an order."""
    raise NotImplementedError


@machine_code_of(py_sorted)
def _py_sorted(a: Any) -> Any:
    def impl(a: Any) -> Any:
        values = np.empty(len(a))
        for k in range(len(a)):
            if np.isnan(a[k]):
                raise ValueError("sorted of NaN, whose place in Python's order is left to chance")
            values[k] = a[k]
        values.sort()
        return [one for one in values]  # noqa: C416  # numba has no list of an array

    return impl if is_floats(a) or (isinstance(a, types.List) and is_float(a.dtype)) else None


def _first_of(name: str, choice: Any) -> Any:
    def stub(a: Any) -> Any:
        raise NotImplementedError

    stub.__name__ = stub.__qualname__ = name

    def impl(a: Any) -> Any:
        if len(a) == 0:
            raise ValueError("arg is an empty sequence")
        best = a[0]
        for k in range(1, len(a)):
            best = choice(best, a[k])
        return best

    def choose(a: Any) -> Any:
        many = is_floats(a) or (isinstance(a, (types.List, types.UniTuple)) and is_number(a.dtype))
        return impl if many else None

    machine_code_of(stub)(choose)
    return stub


BUILTINS = {
    builtins.int: numbers.to_int,
    builtins.float: numbers.to_float,
    builtins.bool: numbers.to_bool,
    builtins.abs: numbers.absolute,
    builtins.round: numbers.nearest_int,
    builtins.sum: py_sum,
    builtins.sorted: py_sorted,
    builtins.pow: numbers.power,
}
"""What stands for each of Python's own functions."""

OF_TWO = {builtins.min: numbers.minimum, builtins.max: numbers.maximum}
"""What stands for Python's functions of several numbers, taken two by two."""

OF_MANY = {
    builtins.min: _first_of("least_of", numbers.minimum),
    builtins.max: _first_of("most_of", numbers.maximum),
}
"""What stands for the same functions of one sequence."""
