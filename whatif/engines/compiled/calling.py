"""Call of a strategy's compiled part by its address, so that the loop around it is compiled once for all."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import callconv, cgutils, types
from numba.extending import intrinsic, overload

from whatif.domain import inlinable_lean, whole_at
from whatif.engines.compiled.attempt import RefusedByNumbaError
from whatif.engines.compiled.book import Account, Asked
from whatif.engines.compiled.broker import Costs
from whatif.strategies import NEVER, OverlayRules, exit_prices, has_to_leave, sizing_measure
from whatif.typing import FloatArray, IntArray

PLACES = 14
(
    MINUTE, TO_CLOSE, SCRATCH, SCRATCH_LENGTH, MEMORY, MEMORY_LENGTH, COLUMNS, STOP, DESK, NOTED, SHOWN,
    SHOWN_ROOM, VOLATILITY, LEFT,
) = range(PLACES)  # fmt: skip
"""Places of what calls share: addresses of clock, of the step's and the overlays' memory, of the parameters'
columns and of what a step's orders are written to, and the number of bars of each series; of a step that
reads `whatif.strategies.NOTES`, addresses of what `notes` keeps, and how many orders there is room for; and
the addresses of the volatility that overlays size by, and of the minutes to the close that they see."""

ACROSS_PLACES = 12
(
    ROWS, HAS_BAR, SIZES, ENTRY_PRICE, BARS_HELD, PENDING, KEPT, KEPT_LENGTH, PARAMETERS, ANSWER, SYMBOLS,
    EACH_DESK,
) = range(ACROSS_PLACES)  # fmt: skip
"""Places of what calls for a cross-sectional step share: addresses of each symbol's present row, whether it
has a bar, its position and its orders that wait; of the step's memory, with its length; of the parameters'
columns; of the room for an answer; how many symbols there are; and the address of the desk for orders of
each."""

_ASKED = numba.typeof(Asked(0, 0, 0, 0.0, 0.0))
TYPES = (
    *(types.int64,) * 6,
    numba.typeof(Account(0.0, 0.0, 0.0, 0)),
    types.float64,
    types.int64,
    numba.typeof(Costs(0.0, False, False, True, 0.0, 1.0, 1.0, False)),
    numba.typeof(OverlayRules(0.0, 0.0, 0, 0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0)),
    types.int64,
)
"""Types of what `asking.ask_step` is called with."""

ACROSS_TYPES = (*(types.int64,) * 4, types.float64, types.float64, types.int64, types.int64)
"""Types of what `asking_across.ask_step` is called with."""


@inlinable_lean
def seen_by_overlays(row: int, places: IntArray, rules: OverlayRules) -> tuple[int, float, OverlayRules]:
    """Return what overlays act on at the close of a row, of what calls share.

    Returns
    -------
    int, float, OverlayRules
        Minutes to the session's close, as they see them; what a sizing rule goes by; and the rules.
    """
    left: int = whole_at(places[LEFT], row + 1)[row]
    return left, sizing_measure(row, places[VOLATILITY], places[NOTED], rules), rules


@inlinable_lean
def due(
    row: int, places: IntArray, close: float, account: Account, held: int, rules: OverlayRules, latency: int
) -> bool:
    """Return whether something of the overlays is due on a row on which the step asks for nothing.

    Parameters
    ----------
    row, places, rules
        As `seen_by_overlays` takes them.
    close, account, held : float, Account, int
        At the row's close; bars that a position has been held.
    latency : int
        Bars between decision and broker: what was decided before may be due.
    """
    if latency != 0:
        return True
    return is_due(whole_at(places[LEFT], row + 1)[row], close, account, held, rules)


@inlinable_lean
def is_due(left: int, close: float, account: Account, held: int, rules: OverlayRules) -> bool:
    """Return whether a position is to be left at the close of a row, `left` minutes before the session's."""
    _, size, price, _ = account
    if size == 0.0:
        return False
    return left <= rules.flat_before_close or has_to_leave(close, size, price, held, rules)


@inlinable_lean
def rows_before_leaving(
    begin: int, count: int, closes: FloatArray, places: IntArray, account: Account, rules: OverlayRules
) -> int:
    """Return how many of `count` rows from `begin` on lie before the first on which `is_due`, at most all.

    Parameters
    ----------
    closes : float64 array (n,)
        Of all rows.
    places, account, rules
        As `due` takes them; a position is held.
    """
    _, size, price, opened_row = account
    low, high = exit_prices(size, price, rules)
    count = max(min(count, opened_row - begin + min(rules.max_bars_held, NEVER)), 0)
    own, found = closes[begin : begin + count], count
    for k in range(len(own)):
        found = min(found, k if (own[k] <= low) | (own[k] >= high) else count)
    if rules.flat_before_close > -NEVER or places[LEFT] != places[TO_CLOSE]:
        # the overlays' minutes are others than the clock's where not all rows may be held
        left, until = whole_at(places[LEFT], begin + found)[begin : begin + found], found
        for k in range(len(left)):
            found = min(found, k if left[k] <= rules.flat_before_close else until)
    return found


def address_of(asking: Any, across: bool = False) -> Any:
    """Return the address of a compiled `ask_step`; where numba is told to compile nothing, the function.

    Parameters
    ----------
    asking : callable
        The function, of `asking` or, for all symbols `across`, of `asking_across`.

    Raises
    ------
    RefusedByNumbaError
        If what the step answers is no intent.
    """
    if not hasattr(asking, "overloads"):
        return asking
    found = asking.overloads[ACROSS_TYPES if across else TYPES]
    wanted = types.int64 if across else _ASKED
    if found.signature.return_type != wanted:
        raise RefusedByNumbaError(f"Can't unify return type {found.signature.return_type} with {_ASKED}")
    return found.library.get_pointer_to_function(found.fndesc.llvm_func_name)


def ask(asking: Any, *given: Any) -> Asked:
    """Call `asking.ask_step` of a strategy, which lies at the address `asking`, with what that takes."""
    found: Asked = asking(*given)
    return found


def ask_across(asking: Any, *given: Any) -> int:
    """Call `asking_across.ask_step` of a strategy, which lies at the address `asking`."""
    found: int = asking(*given)
    return found


def _caller(taken: tuple[Any, ...], result: Any) -> Any:
    """Return what calls machine code at an address that takes and returns these types."""

    @intrinsic  # type: ignore[untyped-decorator]  # numba has no types
    def called(_context: Any, asking: Any, given: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            convention = context.call_conv
            values = [
                context.cast(builder, builder.extract_value(args[1], k), kind, wanted)
                for k, (kind, wanted) in enumerate(zip(signature.args[1], taken, strict=True))
            ]
            shape = convention.get_function_type(result, taken)
            room = cgutils.alloca_once(builder, convention.get_return_type(result).pointee)
            raised = cgutils.alloca_once(builder, ir.PointerType(callconv.excinfo_t))
            arguments = context.get_arg_packer(taken).as_arguments(builder, values)
            code = builder.call(builder.inttoptr(args[0], shape.as_pointer()), [room, raised, *arguments])
            status = convention._get_return_status(builder, code, builder.load(raised))
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return context.get_returned_value(builder, result, builder.load(room))

        return result(types.int64, given), emit

    return called


_called = _caller(TYPES, _ASKED)
_called_across = _caller(ACROSS_TYPES, types.int64)


@overload(ask)
def _ask(asking, *given):  # type: ignore[no-untyped-def]  # numba compares the two signatures
    return lambda asking, *given: _called(asking, given)


@overload(ask_across)
def _ask_across(asking, *given):  # type: ignore[no-untyped-def]  # numba compares the two signatures
    return lambda asking, *given: _called_across(asking, given)
