"""Values of all symbols on one timestamp, as a cross-sectional step sees them, and what it answers with.

In Python and in machine code alike there is no way from them to another bar than each symbol's last one.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from whatif.domain import view_at, whole_at
from whatif.engines.language.kinds import is_floats, is_number, is_whole, machine_code_of, raise_if
from whatif.engines.language.order_answers import is_order, write_each
from whatif.strategies import EACH, Order
from whatif.typing import FloatArray

OUTSIDE = "a symbol that is not in the study: use x.name[k] with k from 0 up to len(x.name) - 1"
ANSWER = "answer"
"""Name by which compiled code finds, in a step's state, what its answer is written to."""

OTHER_COUNT = -1
"""What `write_answer` returns of an answer that has not one value for each symbol."""


class Across:
    """One value of each symbol on one timestamp: ``[k]``, a float, NaN before the symbol's first bar.

    Parameters
    ----------
    columns : sequence
        Of each symbol, its values by row.
    rows : sequence of int
        Of each symbol, its present row; -1 before its first. They may change from call to call.
    """

    __slots__ = ("_columns", "_rows")
    __iter__ = None

    def __init__(self, columns: Sequence[Any], rows: Any) -> None:
        self._columns, self._rows = columns, rows

    def __getitem__(self, symbol: int) -> float:
        if symbol.__class__ is not int:
            raise TypeError(f"x.name[{symbol!r}]: an index is a whole number, the place of a symbol")
        if not 0 <= symbol < len(self._columns):
            raise IndexError(OUTSIDE)
        row = self._rows[symbol]
        return float(self._columns[symbol][row]) if row >= 0 else float("nan")

    def __len__(self) -> int:
        return len(self._columns)


class _Column:
    """Values at an address."""

    def __init__(self, address: int) -> None:
        self._address = address

    def __getitem__(self, row: int) -> float:
        return float(view_at(self._address, int(row) + 1)[row])


def across_at(table_at: int, rows_at: int, count: int) -> Any:
    """Return one series of `count` symbols, by where the addresses of its values and the present rows lie."""
    return Across([_Column(int(one)) for one in whole_at(table_at, count)], whole_at(rows_at, count))


class AcrossType(types.Type):  # type: ignore[misc]  # numba has no types
    """The type of one series of all symbols in machine code."""

    def __init__(self) -> None:
        super().__init__(name="Across")


ACROSS = AcrossType()


@register_model(AcrossType)
class _AcrossModel(models.StructModel):  # type: ignore[misc]  # numba has no types
    """Where the addresses of the symbols' values and their rows are, and how many symbols there are."""

    def __init__(self, manager: Any, kind: Any) -> None:
        members = [("table", types.intp), ("rows", types.intp), ("count", types.intp)]
        super().__init__(manager, kind, members)


@intrinsic  # type: ignore[misc]  # numba has no types
def _made(_context: Any, table: Any, rows: Any, count: Any) -> Any:
    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        made = cgutils.create_struct_proxy(ACROSS)(context, builder)
        made.table, made.rows, made.count = args
        return made._getvalue()

    return ACROSS(types.int64, types.int64, types.int64), emit


@machine_code_of(across_at)
def _across_at(table_at: Any, rows_at: Any, count: Any) -> Any:
    return lambda table_at, rows_at, count: _made(table_at, rows_at, count)


@intrinsic  # type: ignore[misc]  # numba has no types
def _at(_context: Any, across: Any, symbol: Any) -> Any:
    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        held = cgutils.create_struct_proxy(ACROSS)(context, builder, args[0])
        # one comparison for both ends: a negative number is a large one without its sign
        outside = builder.icmp_unsigned(">=", args[1], held.count)
        raise_if(context, builder, outside, IndexError, OUTSIDE)
        whole, number = ir.IntType(64), ir.DoubleType()
        row = builder.load(builder.gep(builder.inttoptr(held.rows, whole.as_pointer()), [args[1]]))
        result = cgutils.alloca_once_value(builder, ir.Constant(number, float("nan")))
        with builder.if_then(builder.icmp_signed(">=", row, ir.Constant(whole, 0))):
            table = builder.inttoptr(held.table, whole.as_pointer())
            column = builder.inttoptr(builder.load(builder.gep(table, [args[1]])), number.as_pointer())
            builder.store(builder.load(builder.gep(column, [row])), result)
        return builder.load(result)

    return (types.float64(ACROSS, types.int64), emit) if isinstance(symbol, types.Integer) else None


@intrinsic  # type: ignore[misc]  # numba has no types
def _count(_context: Any, across: Any) -> Any:
    def emit(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return cgutils.create_struct_proxy(ACROSS)(context, builder, args[0]).count

    return types.int64(ACROSS), emit


@machine_code_of(operator.getitem)
def _item(series: Any, index: Any) -> Any:
    fits = isinstance(series, AcrossType) and isinstance(index, types.Integer)
    return (lambda series, index: _at(series, index)) if fits else None


@machine_code_of(len)
def _len(series: Any) -> Any:
    return (lambda series: _count(series)) if isinstance(series, AcrossType) else None


def write_answer(room: FloatArray, answer: Any) -> int:
    """Write what a cross-sectional step answers with; return its code, or `OTHER_COUNT`.

    Parameters
    ----------
    room : float64 array (k,)
        Written to.
    answer : tuple
        A pair of a code and one value for each symbol, or the pair that `hold` makes.
    """
    code, values = answer
    if isinstance(values, (int, float)):
        return int(code)
    if len(values) != len(room):
        return OTHER_COUNT
    # an array of the caller's own may be the room itself
    room[:] = np.asarray(values, dtype=np.float64)
    return int(code)


@machine_code_of(write_answer)
def _write_answer(room: Any, answer: Any) -> Any:
    if not isinstance(answer, (types.Tuple, types.UniTuple)) or len(answer) != 2 or not is_whole(answer[0]):
        return None
    values = answer[1]
    if is_number(values):
        return lambda room, answer: int(answer[0])
    listed = isinstance(values, types.List) and is_number(values.dtype)
    listed = listed or (isinstance(values, types.UniTuple) and is_number(values.dtype))
    if not (is_floats(values) or listed):
        return None

    def several(room: Any, answer: Any) -> Any:
        code, values = answer
        if len(values) != len(room):
            return OTHER_COUNT
        for k in range(len(room)):
            room[k] = float(values[k])
        return int(code)

    return several


def write_any(room: FloatArray, desk: FloatArray, answer: Any) -> int:
    """Do as `write_answer` for a step that may answer with orders of each symbol, which go to a desk.

    Parameters
    ----------
    room : float64 array (k,)
        Written to.
    desk : float64 array (k * EACH_WIDTH,)
        Written to as well.
    answer : tuple
        As `write_answer` takes it, or a pair of `EACH` and one answer for each symbol.
    """
    if isinstance(answer, Order):
        return int(answer.code)
    code, values = answer
    if code != EACH:
        return write_answer(room, answer)
    if len(values) != len(room):
        return OTHER_COUNT
    write_each(desk, 0, values)
    return EACH


@machine_code_of(write_any)
def _write_any(room: Any, desk: Any, answer: Any) -> Any:
    if is_order(answer):
        return lambda room, desk, answer: int(answer[0])
    if not isinstance(answer, (types.Tuple, types.UniTuple)) or len(answer) != 2 or not is_whole(answer[0]):
        return None
    values = answer[1]
    is_list = isinstance(values, types.List) and is_order(values.dtype)
    is_tuple = isinstance(values, types.BaseTuple) and not all(map(is_number, values))
    if not (is_list or is_tuple):

        def values_alone(room: Any, desk: Any, answer: Any) -> Any:
            code = write_answer(room, answer)
            # numbers are no orders, and nothing has been written to the desk
            return OTHER_COUNT if code == EACH else code

        return values_alone

    def each(room: Any, desk: Any, answer: Any) -> Any:
        code, values = answer
        if len(values) != len(room):
            return OTHER_COUNT
        write_each(desk, 0, values)
        return int(code)

    return each
