"""Kinds of values that machine code knows, and how a function of them is given its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import intrinsic, overload


def is_whole(kind: types.Type) -> bool:
    """Return whether a type holds whole numbers or truth values."""
    return isinstance(kind, (types.Integer, types.Boolean)) and kind is not types.uint64


def is_float(kind: types.Type) -> bool:
    """Return whether a type holds Python's floats."""
    return bool(kind == types.float64)


def is_number(kind: types.Type) -> bool:
    """Return whether a type holds numbers."""
    return is_whole(kind) or is_float(kind)


def is_floats(kind: types.Type) -> bool:
    """Return whether a type is an array of floats in one dimension."""
    return isinstance(kind, types.Array) and kind.ndim == 1 and kind.dtype == types.float64


def is_truths(kind: types.Type) -> bool:
    """Return whether a type is an array of truth values in one dimension."""
    return isinstance(kind, types.Array) and kind.ndim == 1 and kind.dtype == types.boolean


def is_text(kind: types.Type) -> bool:
    """Return whether a type holds text."""
    return isinstance(kind, (types.UnicodeType, types.StringLiteral))


def machine_code_of(stub: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a stub its machine code, as `numba.extending.overload` does, of functions with annotations."""

    def decorate(choose: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(choose)
        def bare(*args: Any, **keywords: Any) -> Any:
            chosen = choose(*args, **keywords)
            if chosen is not None:
                chosen.__annotations__.clear()
            return chosen

        choose.__annotations__.clear()
        bare.__annotations__.clear()
        overload(stub)(bare)
        return choose

    return decorate


def raise_if(context: Any, builder: Any, wrong: Any, kind: type, message: str) -> None:
    """Let machine code raise where `wrong` is true."""
    with builder.if_then(wrong, likely=False):
        context.call_conv.return_user_exc(builder, kind, (message,))


def named(choose: Callable[..., Any], name: str, literal: bool = False) -> Any:
    """Return the intrinsic that `choose` gives signatures and machine code, under a name for messages."""
    choose.__name__ = choose.__qualname__ = name
    return intrinsic(prefer_literal=True)(choose) if literal else intrinsic(choose)
