"""A series as a step sees it: its past and the present bar, by index or as a slice, and nothing else.

In Python and in machine code alike there is no way from it to a later bar: an index is refused
that lies after the bar whose turn it is, or before the first one, from where Python would count
on from the end.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model
from numba.np.arrayobj import make_array, populate_array

from whatif.engines.language.kinds import machine_code_of, raise_if
from whatif.engines.language.plain import EARLY, LATE, Cursor, Series
from whatif.typing import FloatArray


class SeriesType(types.Type):  # type: ignore[misc]  # numba has no types
    """The type of a series in machine code."""

    def __init__(self) -> None:
        super().__init__(name="Series")


SERIES = SeriesType()
_PAST = types.Array(types.float64, 1, "C", readonly=True)


@register_model(SeriesType)
class _SeriesModel(models.StructModel):  # type: ignore[misc]  # numba has no types
    """Where a series' values are, and which row is the present one."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [("data", types.CPointer(types.float64)), ("row", types.intp)])


@intrinsic  # type: ignore[misc]  # numba has no types
def _made(_context: Any, values: Any, row: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, args[0])
        series = cgutils.create_struct_proxy(SERIES)(context, builder)
        series.data, series.row = array.data, args[1]
        return series._getvalue()

    return SERIES(values, types.intp), emit


def upto(values: FloatArray, row: int) -> Any:
    """Return a series, float64 array (n,), as the step sees it on bar `row`."""
    cursor = Cursor()
    cursor.row = row
    return Series(values, cursor)


@machine_code_of(upto)
def _upto(values: Any, row: Any) -> Any:
    return lambda values, row: _made(values, row)


@intrinsic  # type: ignore[misc]  # numba has no types
def _at(_context: Any, series: Any, index: Any) -> Any:
    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        held = cgutils.create_struct_proxy(SERIES)(context, builder, args[0])
        # one comparison for both ends: a negative number is a large one without its sign
        outside = builder.icmp_unsigned(">", args[1], held.row)
        with builder.if_then(outside, likely=False):
            early = builder.icmp_signed("<", args[1], ir.Constant(args[1].type, 0))
            raise_if(context, builder, early, IndexError, EARLY)
            context.call_conv.return_user_exc(builder, IndexError, (LATE,))
        return builder.load(builder.gep(held.data, [args[1]]))

    whole = isinstance(index, (types.Integer, types.Boolean))
    return (types.float64(SERIES, types.int64), emit) if whole else None


@intrinsic  # type: ignore[misc]  # numba has no types
def _between(_context: Any, series: Any, start: Any, stop: Any) -> Any:
    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        held = cgutils.create_struct_proxy(SERIES)(context, builder, args[0])
        start, stop = args[1:]
        zero, one = (ir.Constant(start.type, k) for k in (0, 1))
        negative = builder.or_(builder.icmp_signed("<", start, zero), builder.icmp_signed("<", stop, zero))
        raise_if(context, builder, negative, IndexError, EARLY)
        end = builder.add(held.row, one)
        late = builder.or_(builder.icmp_signed(">", start, end), builder.icmp_signed(">", stop, end))
        raise_if(context, builder, late, IndexError, LATE)
        size = builder.sub(stop, start)
        size = builder.select(builder.icmp_signed("<", size, zero), zero, size)
        array = make_array(_PAST)(context, builder)
        width = ir.Constant(start.type, 8)
        # no owner: the run holds the values, and no step outlives it
        populate_array(
            array,
            data=builder.gep(held.data, [start]),
            shape=cgutils.pack_array(builder, [size]),
            strides=cgutils.pack_array(builder, [width]),
            itemsize=width,
            meminfo=None,
        )
        return array._getvalue()

    return _PAST(SERIES, types.int64, types.int64), emit


@intrinsic  # type: ignore[misc]  # numba has no types
def _ends(_context: Any, chosen: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        held = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        return context.make_tuple(builder, signature.return_type, [held.start, held.stop])

    return types.UniTuple(types.intp, 2)(chosen), emit


@machine_code_of(operator.getitem)
def _item(series: Any, index: Any) -> Any:
    if not isinstance(series, SeriesType):
        return None
    if isinstance(index, types.SliceType) and not index.has_step:

        def past(series: Any, index: Any) -> Any:
            start, stop = _ends(index)
            return _between(series, start, stop)

        return past
    return (lambda series, index: _at(series, index)) if isinstance(index, types.Integer) else None
