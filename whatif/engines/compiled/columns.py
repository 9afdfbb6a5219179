"""What many configurations of one kernel differ in, as columns of numbers and as addresses of series."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, overload, type_callable
from numba.np.arrayobj import make_array, populate_array

from whatif.domain import Execution, Overlays
from whatif.engines.base import RunInputs
from whatif.strategies import overlay_rules
from whatif.typing import FloatArray

_TYPES: dict[type, Any] = {bool: np.bool_, int: np.int64, float: np.float64}
_KIND = types.Array(types.float64, 1, "C", readonly=True)


def view_at(address: int, count: int) -> FloatArray:
    """Return the `count` values at an address as a read-only float64 array, which does not own them."""
    values = (ctypes.c_double * count).from_address(int(address))
    view = np.frombuffer(memoryview(values).cast("B"), dtype=np.float64)
    view.flags.writeable = False
    return view


@type_callable(view_at)  # type: ignore[untyped-decorator]  # numba has no types
def _type(_context: Any) -> Any:
    # numba tells the arguments by their names
    def typed(address: Any, count: Any) -> Any:
        whole = isinstance(address, types.Integer) and isinstance(count, types.Integer)
        return _KIND if whole else None

    return typed


@lower_builtin(view_at, types.int64, types.int64)  # type: ignore[untyped-decorator]
def _emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    array = make_array(_KIND)(context, builder)
    width = ir.Constant(args[1].type, 8)
    populate_array(
        array,
        data=builder.inttoptr(args[0], context.get_data_type(types.float64).as_pointer()),
        shape=cgutils.pack_array(builder, [args[1]]),
        strides=cgutils.pack_array(builder, [width]),
        itemsize=width,
        meminfo=None,
    )
    return array._getvalue()


def cell(column: Any, run: int) -> Any:
    """Return an element of a column, (c,), as Python's own number: no step sees one of numpy's."""
    return column[run].item()


@overload(cell)
def _cell(column, run):  # type: ignore[no-untyped-def]  # numba compares the two signatures
    return lambda column, run: column[run]


def kind_of(given: RunInputs) -> tuple[Any, ...]:
    """Return what configurations must have in common to be run by one call: kernel and types of numbers."""
    params = tuple((name, v if isinstance(v, str) else type(v)) for name, v in given.params.items())
    return given.overlays.is_on, params


def column(values: Sequence[Any]) -> Any:
    """Return values of one type, bool, int or float, as an array (c,)."""
    return np.array(values, dtype=_TYPES.get(type(values[0]))) if values else np.empty(0)


def settings(many: Sequence[RunInputs]) -> FloatArray:
    """Return broker and overlays of each configuration, (c, SETTINGS), as `loop.settings_of` reads them."""
    return np.array([_settings(given.execution, given.overlays) for given in many], dtype=np.float64)


@lru_cache(maxsize=256)
def _settings(execution: Execution, overlays: Overlays) -> tuple[float, ...]:
    return (
        float(execution.cash),
        float(execution.commission),
        float(execution.commtype == "fixed"),
        float(execution.shortcash),
        float(execution.slippage),
        float(execution.slippage_fixed),
        float(execution.slip_open),
        float(execution.slip_match),
        float(execution.slip_out),
        float(execution.checksubmit),
        float(execution.coc),
        *overlay_rules(overlays),
        float(overlays.latency),
    )
