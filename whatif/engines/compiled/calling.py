"""Call of a strategy's compiled part by its address, with the memory that it reads by addresses.

So the loop around it does not depend on it, and is compiled once for all strategies.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import callconv, cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic, lower_builtin, overload, type_callable
from numba.np.arrayobj import make_array, populate_array

from whatif.engines.compiled.book import Account, Asked
from whatif.engines.compiled.broker import Costs
from whatif.strategies import OverlayRules
from whatif.typing import FloatArray, IntArray

PLACES = 8
MINUTE, TO_CLOSE, SCRATCH, SCRATCH_LENGTH, MEMORY, MEMORY_LENGTH, COLUMNS, STOP = range(PLACES)
"""Places of what calls share: addresses of clock, of the step's and the overlays' memory and of the
parameters' columns, and the number of bars of each series."""


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


def _compile(view: Callable[[int, int], Any], kind: types.Array) -> None:
    """Give a view of memory its machine code."""

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


_compile(view_at, types.Array(types.float64, 1, "C", readonly=True))
_compile(room_at, types.Array(types.float64, 1, "C"))
_compile(whole_at, types.Array(types.int64, 1, "C", readonly=True))


_ASKED = numba.typeof(Asked(0, 0, 0, 0.0, 0.0))
_COSTS = numba.typeof((0.0, False, False))
TYPES = (
    *(types.int64,) * 6,
    numba.typeof(Account(0.0, 0.0, 0.0, 0)),
    types.float64,
    types.int64,
    _COSTS,
    numba.typeof(OverlayRules(0.0, 0.0, 0, 0, 0.0)),
    types.int64,
)
"""Types of what `asking.ask_step` is called with."""


def address_of(asking: Any) -> Any:
    """Return the address of a compiled `ask_step`; where numba is told to compile nothing, the function.

    Raises
    ------
    TypingError
        If what the step answers is no intent.
    """
    if not hasattr(asking, "overloads"):
        return asking
    found = asking.overloads[TYPES]
    if found.signature.return_type != _ASKED:
        raise TypingError(f"Can't unify return type {found.signature.return_type} with {_ASKED}")
    return found.library.get_pointer_to_function(found.fndesc.llvm_func_name)


def ask(
    asking: Any,
    begin: int,
    halt: int,
    lookback: int,
    run: int,
    series_at: int,
    places_at: int,
    account: Account,
    value: float,
    waiting: int,
    costs: Costs,
    rules: OverlayRules,
    latency: int,
) -> Asked:
    """Call `asking.ask_step` of a strategy, which lies at the address `asking`."""
    found: Asked = asking(
        begin, halt, lookback, run, series_at, places_at, account, value, waiting, costs, rules, latency
    )
    return found


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def _called(_context: Any, asking: Any, given: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        convention = context.call_conv
        values = [
            context.cast(builder, builder.extract_value(args[1], k), kind, wanted)
            for k, (kind, wanted) in enumerate(zip(signature.args[1], TYPES, strict=True))
        ]
        shape = convention.get_function_type(_ASKED, TYPES)
        room = cgutils.alloca_once(builder, convention.get_return_type(_ASKED).pointee)
        raised = cgutils.alloca_once(builder, ir.PointerType(callconv.excinfo_t))
        arguments = context.get_arg_packer(TYPES).as_arguments(builder, values)
        code = builder.call(builder.inttoptr(args[0], shape.as_pointer()), [room, raised, *arguments])
        status = convention._get_return_status(builder, code, builder.load(raised))
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return context.get_returned_value(builder, _ASKED, builder.load(room))

    return _ASKED(types.int64, given), emit


@overload(ask)
def _ask(  # type: ignore[no-untyped-def]  # numba compares the two signatures
    asking, begin, halt, lookback, run, series_at, places_at, account, value, waiting, costs, rules, latency
):
    def call(  # type: ignore[no-untyped-def]
        asking,
        begin,
        halt,
        lookback,
        run,
        series_at,
        places_at,
        account,
        value,
        waiting,
        costs,
        rules,
        latency,
    ):
        given = (
            begin,
            halt,
            lookback,
            run,
            series_at,
            places_at,
            account,
            value,
            waiting,
            costs,
            rules,
            latency,
        )
        return _called(asking, given)

    return call
