"""Trying of a step ahead of its turn: what it would answer, and an error only if its turn comes."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

_ANSWER = numba.typeof((0, 0, 0.0))


def tried(step: Any, row: int, x: Any, p: Any, s: Any) -> tuple[int, int, float]:
    """Return what a step would answer on a row; of one that keeps nothing, it changes nothing.

    Returns
    -------
    int, int, float
        0, and its code and amount; else 1: it raises, or answers with something else.
    """
    try:
        code, amount = step(row, x, p, s)
    except Exception:  # its turn may never come
        return 1, 0, 0.0
    return 0, code, float(amount)


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def _tried(typing: Any, step: Any, row: Any, x: Any, p: Any, s: Any) -> Any:
    given = row, x, p, s
    try:
        called = step.get_call_type(typing, given, {})
    except Exception:  # said where the step is asked in its turn
        called = None
    kinds = () if called is None else tuple(getattr(called.return_type, "types", ()))
    known = len(kinds) == 2 and all(isinstance(kind, (types.Integer, types.Float)) for kind in kinds)

    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        whole, real = (context.get_value_type(kind) for kind in (types.int64, types.float64))
        failed, code, amount = ir.Constant(whole, 1), ir.Constant(whole, 0), ir.Constant(real, 0.0)
        if known:
            compiled = step.dispatcher.get_compile_result(called)
            context.active_code_library.add_linking_library(compiled.library)
            own = [
                context.cast(builder, value, kind, wanted)
                for value, kind, wanted in zip(args[1:], given, called.args, strict=True)
            ]
            status, found = context.call_internal_no_propagate(builder, compiled.fndesc, called, own)
            failed = builder.zext(status.is_error, whole)
            code, amount = (
                context.cast(builder, builder.extract_value(found, k), kind, wanted)
                for k, (kind, wanted) in enumerate(zip(kinds, (types.int64, types.float64), strict=True))
            )
        return context.make_tuple(builder, _ANSWER, [failed, code, amount])

    return _ANSWER(step, *given), emit


@overload(tried)
def _try(step, row, x, p, s):  # type: ignore[no-untyped-def]  # numba compares the two signatures
    return lambda step, row, x, p, s: _tried(step, row, x, p, s)
