"""Arithmetic of Python's numbers as machine code: whole numbers never wrap, truth values count as 0 and 1."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import register_jitable

from whatif.engines.language.kinds import (
    is_float,
    is_floats,
    is_number,
    is_text,
    is_truths,
    is_whole,
    named,
    raise_if,
)
from whatif.engines.language.libm import c_fmod, c_pow

LARGEST_WHOLE = 2**53
"""Whole numbers of a compiled step stay within this, where each one is a float too; beyond, it raises."""

_FLOAT, _WHOLE, _TRUTH = types.float64, types.int64, types.boolean
_MAX_FACTORS = 64


def kept_whole(context: Any, builder: Any, value: Any) -> Any:
    """Return a whole number, or let machine code raise if it has outgrown floats."""
    moved = builder.add(value, ir.Constant(value.type, LARGEST_WHOLE))
    beyond = builder.icmp_unsigned(">", moved, ir.Constant(value.type, 2 * LARGEST_WHOLE))
    raise_if(context, builder, beyond, OverflowError, TOO_LARGE)
    return value


TOO_LARGE = (
    "a whole number beyond 2**53 in a compiled step: count in floats, or use engine: backtrader, "
    "whose whole numbers grow without end"
)


def _native(operation: Any) -> Callable[..., Any]:
    """Return how numba itself emits an operation."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_function(operation, signature)(builder, args)

    return emit


def _as_native(context: Any, operation: Any, kinds: tuple[types.Type, ...]) -> Any:
    kind = context.resolve_value_type(operation)
    signature = kind.get_call_type(context, kinds, {})
    if signature is None:
        return None

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        call = context.get_function(kind, signature)
        context.add_linking_libs(getattr(call, "libs", ()))
        return call(builder, args)

    return signature, emit


def _add(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    return kept_whole(context, builder, builder.add(*args))


def _sub(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    return kept_whole(context, builder, builder.sub(*args))


def product(context: Any, builder: Any, one: Any, other: Any) -> Any:
    """Emit the product of two whole numbers, which raises where it outgrows floats."""
    both = builder.smul_with_overflow(one, other)
    raise_if(context, builder, builder.extract_value(both, 1), OverflowError, TOO_LARGE)
    return kept_whole(context, builder, builder.extract_value(both, 0))


def _mul(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    return product(context, builder, *args)


def _arithmetic(name: str, operation: Any, whole: Callable[..., Any]) -> Any:
    """Return an operation of two numbers, or of arrays of floats element by element."""

    def choose(context: Any, one: Any, other: Any) -> Any:
        if is_whole(one) and is_whole(other):
            return _WHOLE(_WHOLE, _WHOLE), whole
        if is_number(one) and is_number(other):
            return _FLOAT(_FLOAT, _FLOAT), _native(operation)
        if _are_floats(one, other):
            return _as_native(context, operation, (one, other))
        return None

    return named(choose, name)


def _are_floats(one: types.Type, other: types.Type) -> bool:
    """Return whether two arrays of floats, or one and a number, meet."""
    kinds = [is_floats(kind) or is_number(kind) for kind in (one, other)]
    return all(kinds) and (is_floats(one) or is_floats(other))


add = _arithmetic("add", operator.add, _add)
subtract = _arithmetic("subtract", operator.sub, _sub)
multiply = _arithmetic("multiply", operator.mul, _mul)


def _divide(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    zero = builder.fcmp_ordered("==", args[1], ir.Constant(args[1].type, 0.0))
    raise_if(context, builder, zero, ZeroDivisionError, "division by zero")
    return builder.fdiv(*args)


def _choose_divide(context: Any, one: Any, other: Any) -> Any:
    if is_number(one) and is_number(other):
        return _FLOAT(_FLOAT, _FLOAT), _divide
    return _as_native(context, operator.truediv, (one, other)) if _are_floats(one, other) else None


divide = named(_choose_divide, "divide")


def _modulo(a: float, b: float) -> float:
    if b == 0.0:
        raise ZeroDivisionError("float modulo")
    rest = c_fmod(a, b)
    if rest == 0.0:
        return math.copysign(0.0, b)
    return rest + b if (b < 0.0) != (rest < 0.0) else rest


def _floored(a: float, b: float) -> float:
    if b == 0.0:
        raise ZeroDivisionError("float floor division by zero")
    rest = c_fmod(a, b)
    quotient = (a - rest) / b
    if rest != 0.0 and (b < 0.0) != (rest < 0.0):
        quotient -= 1.0
    if quotient == 0.0:
        return math.copysign(0.0, a / b)
    whole = float(np.floor(quotient))
    return whole + 1.0 if quotient - whole > 0.5 else whole


def _in_python(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return how machine code is emitted of a function that is written in Python."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.compile_internal(builder, function, signature, args)

    return emit


def _divided(name: str, operation: Any, function: Callable[..., Any]) -> Any:
    def choose(context: Any, one: Any, other: Any) -> Any:
        if is_whole(one) and is_whole(other):
            return _WHOLE(_WHOLE, _WHOLE), _native(operation)
        if is_number(one) and is_number(other):
            return _FLOAT(_FLOAT, _FLOAT), _in_python(function)
        return None

    return named(choose, name)


modulo = _divided("modulo", operator.mod, _modulo)
floor_divide = _divided("floor_divide", operator.floordiv, _floored)


def _is_odd(value: float) -> bool:
    return bool(c_fmod(abs(value), 2.0) == 1.0)


def _power(a: float, b: float) -> float:
    """Raise as CPython's floats do: the same special cases around the same function of C."""
    if b == 0.0 or a == 1.0:
        return 1.0
    if math.isnan(a) or math.isnan(b):
        return a + b
    if math.isinf(b):
        if abs(a) == 1.0:
            return 1.0
        return abs(b) if (b > 0.0) == (abs(a) > 1.0) else 0.0
    odd = _is_odd(b)
    if math.isinf(a):
        if b > 0.0:
            return a if odd else abs(a)
        return math.copysign(0.0, a) if odd else 0.0
    if a == 0.0:
        if b < 0.0:
            raise ZeroDivisionError("0.0 cannot be raised to a negative power")
        return a if odd else 0.0
    if a < 0.0 and b != float(np.floor(b)):
        raise ValueError("a negative number to a fractional power is a complex number, which no step can use")
    result = c_pow(abs(a), b)
    if math.isinf(result):
        raise OverflowError("(34, 'Numerical result out of range')")
    return -result if a < 0.0 and odd else result


_is_odd = register_jitable(_is_odd)


def _product_of(factors: int) -> Callable[..., Any]:
    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        value = ir.Constant(args[0].type, 1)
        for _ in range(factors):
            value = product(context, builder, value, args[0])
        return value

    return emit


def _choose_power(context: Any, one: Any, other: Any) -> Any:
    if is_whole(one) and is_whole(other):
        # an integer or a fraction, by the exponent's sign: known where that stands in the text
        factors = getattr(other, "literal_value", -1)
        if isinstance(factors, int) and 0 <= factors <= _MAX_FACTORS:
            # by the signature numba tells one from another, so the exponent stays in it
            return _WHOLE(_WHOLE, other), _product_of(factors)
        return None
    if is_number(one) and is_number(other):
        return _FLOAT(_FLOAT, _FLOAT), _in_python(_power)
    return None


power = named(_choose_power, "power", literal=True)


def _compared(name: str, operation: Any) -> Any:
    def choose(context: Any, one: Any, other: Any) -> Any:
        if is_whole(one) and is_whole(other):
            return _TRUTH(_WHOLE, _WHOLE), _native(operation)
        if is_number(one) and is_number(other):
            return _TRUTH(_FLOAT, _FLOAT), _native(operation)
        if _are_floats(one, other) or (is_text(one) and is_text(other)):
            return _as_native(context, operation, (one, other))
        return None

    return named(choose, name)


def _joined(name: str, operation: Any) -> Any:
    """Return an operation on truth values, or on the bits of whole numbers."""

    def whole(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return kept_whole(context, builder, _native(operation)(context, builder, signature, args))

    def choose(context: Any, one: Any, other: Any) -> Any:
        if isinstance(one, types.Boolean) and isinstance(other, types.Boolean):
            return _TRUTH(_TRUTH, _TRUTH), _native(operation)
        if is_whole(one) and is_whole(other):
            return _WHOLE(_WHOLE, _WHOLE), whole
        if is_truths(one) and is_truths(other):
            return _as_native(context, operation, (one, other))
        return None

    return named(choose, name)


def _negated(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    return builder.neg(args[0])


def _same(_context: Any, _builder: Any, _signature: Any, args: Any) -> Any:
    return args[0]


def _unary(name: str, operation: Any, whole: Callable[..., Any]) -> Any:
    def choose(context: Any, value: Any) -> Any:
        if is_whole(value):
            return _WHOLE(_WHOLE), whole
        if is_float(value):
            return _FLOAT(_FLOAT), _native(operation)
        return _as_native(context, operation, (value,)) if is_floats(value) else None

    return named(choose, name)


def _choose_not(context: Any, value: Any) -> Any:
    if is_number(value):
        kind = _FLOAT if is_float(value) else _WHOLE
        zero = (
            (lambda b, v: b.fcmp_ordered("==", v, ir.Constant(v.type, 0.0)))
            if is_float(value)
            else (lambda b, v: b.icmp_signed("==", v, ir.Constant(v.type, 0)))
        )
        return _TRUTH(kind), lambda context, builder, signature, args: zero(builder, args[0])
    return _as_native(context, operator.not_, (value,)) if is_text(value) else None


def _choose_contains(context: Any, many: Any, one: Any) -> Any:
    """Look for text, whole numbers and truth values; Python finds a NaN by its identity."""
    if isinstance(many, types.BaseTuple):
        alike = is_text if is_text(one) else is_whole
        if all(alike(kind) for kind in (one, *many)):
            return _as_native(context, operator.contains, (many, one))
    return _as_native(context, operator.contains, (many, one)) if is_text(many) and is_text(one) else None


def _smaller_or_larger(name: str, sign: str) -> Any:
    """Return Python's min or max of two: the second only if it compares so, which NaN never does."""

    def choose(_context: Any, one: Any, other: Any) -> Any:
        if not (is_number(one) and is_number(other)):
            return None
        kind = _WHOLE if is_whole(one) and is_whole(other) else _FLOAT

        def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            compare = builder.fcmp_ordered if kind == _FLOAT else builder.icmp_signed
            return builder.select(compare(sign, args[1], args[0]), args[1], args[0])

        return kind(kind, kind), emit

    return named(choose, name)


def _choose_absolute(_context: Any, value: Any) -> Any:
    if is_whole(value):

        def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            negative = builder.icmp_signed("<", args[0], ir.Constant(args[0].type, 0))
            return builder.select(negative, builder.neg(args[0]), args[0])

        return _WHOLE(_WHOLE), emit
    return (_FLOAT(_FLOAT), _native(math.fabs)) if is_float(value) else None


def _to_whole(name: str, rounded: str) -> Any:
    """Return a conversion to whole numbers, which refuses NaN and infinity as Python does."""

    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        value = args[0]
        raise_if(
            context,
            builder,
            builder.fcmp_unordered("!=", value, value),
            ValueError,
            "cannot convert float NaN to integer",
        )
        kind = ir.FunctionType(value.type, [value.type])
        size = builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fabs.f64"), [value])
        infinite = builder.fcmp_ordered("==", size, ir.Constant(value.type, math.inf))
        raise_if(context, builder, infinite, OverflowError, "cannot convert float infinity to integer")
        beyond = builder.fcmp_ordered(">", size, ir.Constant(value.type, float(LARGEST_WHOLE)))
        raise_if(context, builder, beyond, OverflowError, TOO_LARGE)
        if rounded:
            function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{rounded}.f64")
            value = builder.call(function, [value])
        return builder.fptosi(value, ir.IntType(64))

    def choose(_context: Any, value: Any) -> Any:
        if is_whole(value):
            return _WHOLE(_WHOLE), _same
        return (_WHOLE(_FLOAT), emit) if is_float(value) else None

    return named(choose, name)


def _choose_truth(context: Any, value: Any) -> Any:
    return _as_native(context, bool, (value,)) if is_number(value) or is_text(value) else None


def _choose_float(context: Any, value: Any) -> Any:
    return (_FLOAT(_FLOAT), _same) if is_number(value) else None


minimum = _smaller_or_larger("minimum", "<")
maximum = _smaller_or_larger("maximum", ">")
absolute = named(_choose_absolute, "absolute")
to_int = _to_whole("to_int", "")
nearest_int = _to_whole("nearest_int", "rint")
floor_int = _to_whole("floor_int", "floor")
ceil_int = _to_whole("ceil_int", "ceil")
to_bool = named(_choose_truth, "to_bool")
to_float = named(_choose_float, "to_float")

BINARY = {
    operator.add: add,
    operator.sub: subtract,
    operator.mul: multiply,
    operator.truediv: divide,
    operator.floordiv: floor_divide,
    operator.mod: modulo,
    operator.pow: power,
    operator.lt: _compared("less", operator.lt),
    operator.le: _compared("less_or_equal", operator.le),
    operator.gt: _compared("greater", operator.gt),
    operator.ge: _compared("greater_or_equal", operator.ge),
    operator.eq: _compared("equal", operator.eq),
    operator.ne: _compared("unequal", operator.ne),
    operator.and_: _joined("bits_and", operator.and_),
    operator.or_: _joined("bits_or", operator.or_),
    operator.xor: _joined("bits_xor", operator.xor),
    operator.contains: named(_choose_contains, "contains"),
}
"""What stands for each operation of two values."""

UNARY = {
    operator.neg: _unary("negative", operator.neg, _negated),
    operator.pos: _unary("positive", operator.pos, _same),
    operator.not_: named(_choose_not, "no"),
}
"""What stands for each operation of one value."""
