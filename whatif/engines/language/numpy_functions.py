"""Functions of numpy as machine code of the same bytes; what is not here cannot be compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import make_array

from whatif.engines.language import numbers
from whatif.engines.language.kinds import is_float, is_floats, is_truths, machine_code_of, named
from whatif.engines.language.libm import KNOWN_LOOPS, emit_loop

_FLOAT = types.float64


def _elementwise(name: str, native: Any, result: types.Type) -> Any:
    """Return a function of numpy's that is exact: of floats, or of arrays of floats."""

    def choose(context: Any, value: Any) -> Any:
        if is_float(value) or is_floats(value):
            kind = _FLOAT if is_float(value) else value
            signature = context.resolve_function_type(native, (kind,), {})
            return signature, lambda c, b, s, a: c.get_function(native, s)(b, a)
        return None

    return named(choose, name)


def _of_two(name: str, native: Any) -> Any:
    def choose(context: Any, one: Any, other: Any) -> Any:
        kinds = [kind if is_floats(kind) else _FLOAT for kind in (one, other)]
        numbers_ = [is_floats(kind) or is_float(kind) for kind in (one, other)]
        wholes = [isinstance(kind, types.Integer) for kind in (one, other)]
        if not all(a or b for a, b in zip(numbers_, wholes, strict=True)) or not any(numbers_):
            return None
        signature = context.resolve_function_type(native, tuple(kinds), {})
        return signature, lambda c, b, s, a: c.get_function(native, s)(b, a)

    return named(choose, name)


def _loop(name: str) -> Any:
    """Return a function of numpy's by its own compiled loop, of one or two floats."""
    count = getattr(np, name).nin

    def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        places = [cgutils.alloca_once_value(builder, value) for value in args]
        result = cgutils.alloca_once(builder, ir.DoubleType())
        one, step = ir.Constant(ir.IntType(64), 1), ir.Constant(ir.IntType(64), 8)
        emit_loop(builder, name, places, one, result, [step] * (count + 1))
        return builder.load(result)

    def known(kind: Any) -> bool:
        return is_float(kind) or isinstance(kind, types.Integer)

    def choose_one(_context: Any, value: Any) -> Any:
        return (_FLOAT(_FLOAT), emit) if known(value) else None

    def choose_two(_context: Any, one: Any, other: Any) -> Any:
        fits = known(one) and known(other) and (is_float(one) or is_float(other))
        return (_FLOAT(_FLOAT, _FLOAT), emit) if fits else None

    return named(choose_one if count == 1 else choose_two, f"np_{name}")


def _fill(name: str) -> Any:
    """Return what fills an array with a function of another, by numpy's own loop."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, out = (
            make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, args, strict=True)
        )
        steps = [builder.extract_value(array.strides, 0) for array in (source, out)]
        emit_loop(builder, name, [source.data], builder.extract_value(out.shape, 0), out.data, steps)
        return context.get_dummy_value()

    return named(lambda _context, source, out: (types.none(source, out), emit), f"fill_{name}")


def _loop_or_array(name: str) -> Any:
    scalar, fill = _loop(name), _fill(name)

    def stub(value: Any) -> Any:
        raise NotImplementedError

    stub.__name__ = stub.__qualname__ = f"np_{name}"

    def choose(value: Any) -> Any:
        if is_floats(value):

            def impl(value: Any) -> Any:
                out = np.empty(len(value))
                fill(value, out)
                return out

            return impl
        return lambda value: scalar(value)

    machine_code_of(stub)(choose)
    return stub


def _choose_reduce(context: Any, a: Any, begin: Any) -> Any:
    """Add the elements of an array to a number by numpy's own loop, and so in its order."""
    if not is_floats(a):
        return None

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, args[0])
        total = cgutils.alloca_once_value(builder, args[1])
        still = ir.Constant(ir.IntType(64), 0)
        step = builder.extract_value(array.strides, 0)
        count = builder.extract_value(array.shape, 0)
        emit_loop(builder, "add", [total, array.data], count, total, [still, step, still])
        return builder.load(total)

    return _FLOAT(a, _FLOAT), emit


_total = named(_choose_reduce, "total")


def _stub(name: str, keywords: str = "") -> Any:
    made: dict[str, Any] = {}
    exec(f"def np_{name}(a{keywords}):\n    raise NotImplementedError", made)
    return made[f"np_{name}"]


np_sum, np_mean, np_median = _stub("sum"), _stub("mean"), _stub("median")
np_var, np_std = _stub("var", ", ddof=0"), _stub("std", ", ddof=0")
np_max, np_min = _stub("max"), _stub("min")
np_argmax, np_argmin = _stub("argmax"), _stub("argmin")
np_any, np_all = _stub("any"), _stub("all")
np_cumsum, np_diff = _stub("cumsum"), _stub("diff")


@machine_code_of(np_sum)
def _np_sum(a: Any) -> Any:
    if is_floats(a):
        return lambda a: _total(a, 0.0)
    return _count if is_truths(a) else None


def _count(a: Any) -> int:
    found = 0
    for one in a:
        if one:
            found += 1
    return found


@machine_code_of(np_mean)
def _np_mean(a: Any) -> Any:
    def impl(a: Any) -> float:
        return np.nan if len(a) == 0 else np_sum(a) / len(a)

    return impl if is_floats(a) or is_truths(a) else None


@machine_code_of(np_var)
def _np_var(a: Any, ddof: Any = 0) -> Any:
    def impl(a: Any, ddof: Any = 0) -> float:
        n = len(a)
        if n == 0:
            return np.nan
        mean = _total(a, 0.0) / n
        squares = np.empty(n)
        for k in range(n):
            part = a[k] - mean
            squares[k] = part * part
        total = _total(squares, 0.0)
        left = float(max(n - ddof, 0))
        if left == 0.0:
            return np.nan if total == 0.0 or total != total else np.inf
        return total / left

    whole = isinstance(ddof, (int, types.Integer, types.Omitted))
    return impl if is_floats(a) and whole else None


@machine_code_of(np_std)
def _np_std(a: Any, ddof: Any = 0) -> Any:
    whole = isinstance(ddof, (int, types.Integer, types.Omitted))
    return (lambda a, ddof=0: np.sqrt(np_var(a, ddof))) if is_floats(a) and whole else None


def _extreme(stub: Any, larger: bool, place: bool) -> None:
    """Give a stub its machine code: the first NaN if there is one, as numpy does, else the extreme value."""

    def impl(a: Any) -> Any:
        if len(a) == 0:
            raise ValueError("zero-size array to reduction operation which has no identity")
        best = 0
        for k in range(len(a)):
            if np.isnan(a[k]):
                best = k
                break
            if (a[k] > a[best]) if larger else (a[k] < a[best]):
                best = k
        return best if place else a[best]

    machine_code_of(stub)(lambda a: impl if is_floats(a) else None)


_extreme(np_max, True, False)
_extreme(np_min, False, False)
_extreme(np_argmax, True, True)
_extreme(np_argmin, False, True)


@machine_code_of(np_any)
def _np_any(a: Any) -> Any:
    return (lambda a: _count(a) > 0) if is_truths(a) else None


@machine_code_of(np_all)
def _np_all(a: Any) -> Any:
    return (lambda a: _count(a) == len(a)) if is_truths(a) else None


@machine_code_of(np_median)
def _np_median(a: Any) -> Any:
    def impl(a: Any) -> float:
        n = len(a)
        if n == 0:
            return np.nan
        for k in range(n):
            if np.isnan(a[k]):
                return np.nan
        ordered = np.sort(a)
        middle = n // 2
        if n % 2:
            return ordered[middle]
        return (ordered[middle - 1] + ordered[middle]) / 2.0

    return impl if is_floats(a) else None


@machine_code_of(np_cumsum)
def _np_cumsum(a: Any) -> Any:
    def impl(a: Any) -> Any:
        out = np.empty(len(a))
        so_far = 0.0
        for k in range(len(a)):
            so_far = a[k] if k == 0 else so_far + a[k]
            out[k] = so_far
        return out

    return impl if is_floats(a) else None


@machine_code_of(np_diff)
def _np_diff(a: Any) -> Any:
    def impl(a: Any) -> Any:
        out = np.empty(max(len(a) - 1, 0))
        for k in range(len(out)):
            out[k] = a[k + 1] - a[k]
        return out

    return impl if is_floats(a) else None


def np_clip(a: Any, a_min: Any, a_max: Any) -> Any:
    """Stand for `numpy.clip`."""
    raise NotImplementedError


_MAXIMUM, _MINIMUM = _of_two("np_maximum", np.maximum), _of_two("np_minimum", np.minimum)


@machine_code_of(np_clip)
def _np_clip(a: Any, a_min: Any, a_max: Any) -> Any:
    floats = all(is_float(kind) for kind in (a, a_min, a_max))
    return (lambda a, a_min, a_max: _MINIMUM(_MAXIMUM(a, a_min), a_max)) if floats else None


def np_zeros(a: Any) -> Any:
    """Stand for `numpy.zeros` of one dimension."""
    raise NotImplementedError


def np_ones(a: Any) -> Any:
    """Stand for `numpy.ones` of one dimension."""
    raise NotImplementedError


def np_array(a: Any) -> Any:
    """Stand for `numpy.array` of a list of floats."""
    raise NotImplementedError


machine_code_of(np_zeros)(lambda a: (lambda a: np.zeros(a)) if isinstance(a, types.Integer) else None)
machine_code_of(np_ones)(lambda a: (lambda a: np.ones(a)) if isinstance(a, types.Integer) else None)


@machine_code_of(np_array)
def _np_array(a: Any) -> Any:
    return (lambda a: np.array(a)) if isinstance(a, types.List) and is_float(a.dtype) else None


REDUCTIONS = {
    stub.__name__.removeprefix("np_"): stub
    for stub in (
        np_sum, np_mean, np_median, np_var, np_std, np_max, np_min, np_argmax, np_argmin, np_any, np_all,
        np_cumsum, np_diff,
    )
}  # fmt: skip
"""What stands for numpy's functions of one array, which are its methods too, by name."""

NUMPY = {
    **{getattr(np, name): function for name, function in REDUCTIONS.items()},
    **{
        getattr(np, name): _loop_or_array(name) if getattr(np, name).nin == 1 else _loop(name)
        for name in sorted(KNOWN_LOOPS - {"add"})
    },
    **{
        getattr(np, name): _elementwise(f"np_{name}", getattr(np, name), kind)
        for name, kind in (
            *(
                (name, _FLOAT)
                for name in ["sqrt", "floor", "ceil", "trunc", "rint", "fabs", "abs", "sign", "square"]
            ),
            *((name, types.boolean) for name in ["isnan", "isinf", "isfinite"]),
        )
    },
    np.maximum: _MAXIMUM,
    np.minimum: _MINIMUM,
    np.clip: np_clip,
    np.zeros: np_zeros,
    np.ones: np_ones,
    np.array: np_array,
    np.float64: numbers.to_float,
}
"""What stands for each function of numpy."""
