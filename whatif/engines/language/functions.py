"""Functions of `math` and of Python itself as machine code; what is not here cannot be compiled."""

from __future__ import annotations

import builtins
import math
import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from whatif.engines.language import numbers
from whatif.engines.language.kinds import (
    is_float,
    is_floats,
    is_number,
    is_truths,
    is_whole,
    machine_code_of,
    named,
    raise_if,
)
from whatif.engines.language.libm import ONE, c_fmod, emit_libm

_FLOAT = types.float64
_OVERFLOWING = {"exp", "exp2", "expm1", "cosh", "sinh"}
_UNCHECKED = {"erf", "erfc"}


def _math(name: str) -> Any:
    """Return a function of `math` of one float: C's, with the errors that CPython makes of its results."""

    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        value = args[0]
        result = emit_libm(builder, name, args)
        if name not in _UNCHECKED:
            invalid = builder.and_(
                builder.fcmp_unordered("uno", result, result), builder.fcmp_ordered("ord", value, value)
            )
            raise_if(context, builder, invalid, ValueError, "math domain error")
            infinite = builder.and_(_is_infinite(builder, result), _is_finite(builder, value))
            if name in _OVERFLOWING:
                raise_if(context, builder, infinite, OverflowError, "math range error")
            else:
                raise_if(context, builder, infinite, ValueError, "math domain error")
        return result

    return named(lambda _context, value: (_FLOAT(_FLOAT), emit) if is_number(value) else None, f"math_{name}")


def _is_infinite(builder: Any, value: Any) -> Any:
    both = [builder.fcmp_ordered("==", value, ir.Constant(value.type, at)) for at in (math.inf, -math.inf)]
    return builder.or_(*both)


def _is_finite(builder: Any, value: Any) -> Any:
    # infinity less itself is NaN
    rest = builder.fsub(value, value)
    return builder.fcmp_ordered("ord", rest, rest)


def math_log(value: float, base: float = math.e) -> float:
    """Stand for `math.log`."""
    raise NotImplementedError


@machine_code_of(math_log)
def _math_log(value: Any, base: Any = None) -> Any:
    if not is_number(value):
        return None
    if base is None or isinstance(base, types.Omitted):
        return lambda value, base=None: _LOG(value)

    def impl(value: float, base: float) -> float:
        above, below = _LOG(value), _LOG(base)
        if below == 0.0:
            raise ZeroDivisionError("float division by zero")
        return above / below

    return impl if is_number(base) else None


def math_fmod(a: float, b: float) -> float:
    """Stand for `math.fmod`."""
    raise NotImplementedError


@machine_code_of(math_fmod)
def _math_fmod(a: Any, b: Any) -> Any:
    def impl(a: float, b: float) -> float:
        result = c_fmod(float(a), float(b))
        if math.isnan(result) and not (math.isnan(float(a)) or math.isnan(float(b))):
            raise ValueError("math domain error")
        return result

    return impl if is_number(a) and is_number(b) else None


def _of_float(name: str, native: Any, result: types.Type, whole: bool = True) -> Any:
    """Return a function of one number that numba's own has the bytes of, elementwise for arrays of floats."""

    def choose(context: Any, value: Any) -> Any:
        if is_float(value) or (whole and is_number(value)):
            emit = lambda c, b, _s, a: c.get_function(native, result(_FLOAT))(b, a)  # noqa: E731
            context.resolve_function_type(native, (_FLOAT,), {})
            return result(_FLOAT), emit
        return None

    return named(choose, name)


def _scaled(factor: float, name: str) -> Any:
    def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.fmul(args[0], ir.Constant(args[0].type, factor))

    return named(lambda _context, value: (_FLOAT(_FLOAT), emit) if is_number(value) else None, name)


_MATH = {name: _math(name) for name in ONE}
_LOG = _MATH["log"]

MATH = {
    **{getattr(math, name): function for name, function in _MATH.items() if hasattr(math, name)},
    math.log: math_log,
    math.fmod: math_fmod,
    math.floor: numbers.floor_int,
    math.ceil: numbers.ceil_int,
    math.trunc: numbers.to_int,
    math.fabs: _of_float("math_fabs", math.fabs, _FLOAT),
    math.isnan: _of_float("math_isnan", math.isnan, types.boolean),
    math.isinf: _of_float("math_isinf", math.isinf, types.boolean),
    math.isfinite: _of_float("math_isfinite", math.isfinite, types.boolean),
    math.degrees: _scaled(180.0 / math.pi, "math_degrees"),
    math.radians: _scaled(math.pi / 180.0, "math_radians"),
}
"""What stands for each function of `math`."""


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
