"""Arrays of memory that others own, by its address, in Python and in machine code alike."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from whatif.domain.compile import before_compiling
from whatif.typing import FloatArray, IntArray


def view_at(address: int, count: int) -> FloatArray:
    """Return the `count` values at an address as a read-only float64 array, which does not own them."""
    view = room_at(address, count)
    view.flags.writeable = False
    return view


def room_at(address: int, count: int) -> FloatArray:
    """Return the `count` values at an address as a float64 array, which does not own them."""
    values = (ctypes.c_double * count).from_address(int(address))
    return np.frombuffer(memoryview(values).cast("B"), dtype=np.float64)


def whole_at(address: int, count: int) -> IntArray:
    """Return the `count` values at an address as a read-only int64 array, which does not own them."""
    values = (ctypes.c_int64 * count).from_address(int(address))
    view = np.frombuffer(memoryview(values).cast("B"), dtype=np.int64)
    view.flags.writeable = False
    return view


def _compile(view: Callable[[int, int], Any], kind: Any) -> None:
    """Give a view of memory that returns this kind of numba's arrays its machine code."""
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import lower_builtin, type_callable
    from numba.np.arrayobj import make_array, populate_array

    def typed(_context: Any) -> Any:
        # numba tells the arguments by their names
        def of(address: Any, count: Any) -> Any:
            whole = isinstance(address, types.Integer) and isinstance(count, types.Integer)
            return kind if whole else None

        return of

    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        array = make_array(kind)(context, builder)
        width = ir.Constant(args[1].type, 8)
        populate_array(
            array,
            data=builder.inttoptr(args[0], context.get_data_type(kind.dtype).as_pointer()),
            shape=cgutils.pack_array(builder, [args[1]]),
            strides=cgutils.pack_array(builder, [width]),
            itemsize=width,
            meminfo=None,
        )
        return array._getvalue()

    type_callable(view)(typed)
    lower_builtin(view, types.int64, types.int64)(emit)


def _compile_views() -> None:
    from numba.core import types

    _compile(view_at, types.Array(types.float64, 1, "C", readonly=True))
    _compile(room_at, types.Array(types.float64, 1, "C"))
    _compile(whole_at, types.Array(types.int64, 1, "C", readonly=True))


before_compiling(_compile_views)
