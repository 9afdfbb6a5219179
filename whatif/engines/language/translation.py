"""The translation of a user's function: each operation becomes one whose bytes are known, or is refused.

It works on numba's own representation of the function, before types are inferred, so that whatever
is written (operators, names, attributes of modules, methods) passes through it, and then looks at
the types. What is on no list is refused by name and line.
"""

from __future__ import annotations

import operator
import types as python_types
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numba.core import compiler, ir, types
from numba.core.compiler_machinery import AnalysisPass, FunctionPass, register_pass
from numba.core.dispatcher import Dispatcher
from numba.core.ir_utils import build_definitions, get_definition, guard, mk_unique_var
from numba.core.typed_passes import NopythonTypeInference
from numba.core.untyped_passes import InlineClosureLikes

from whatif.engines.language.across import ANSWER, AcrossType, write_answer, write_any
from whatif.engines.language.functions import BUILTINS, MATH, OF_MANY, OF_TWO
from whatif.engines.language.kinds import is_floats, is_number, is_text, is_whole
from whatif.engines.language.numbers import BINARY, LARGEST_WHOLE, UNARY
from whatif.engines.language.numpy_functions import NUMPY, REDUCTIONS
from whatif.engines.language.order_answers import (
    DESK,
    MAKERS,
    as_order,
    buy_pair,
    is_order,
    oco_orders,
    orders_of_each,
    sell_pair,
    write_orders,
)
from whatif.engines.language.series import SeriesType
from whatif.strategies import buy, close, hold, sell, target, target_percent

REFUSED = "not the same in machine code: "
"""How a refusal begins, which `whatif.engines.compiled.refusal` shows."""

_AS_IT_IS = (range, print, zip, enumerate, slice, len)
_STATEMENTS = (
    ir.Jump, ir.Branch, ir.Return, ir.Del, ir.SetItem, ir.StaticSetItem, ir.SetAttr, ir.Print, ir.Raise,
    ir.StaticRaise, ir.DynamicRaise,
)  # fmt: skip
_KEPT = {
    "call", "getattr", "getitem", "static_getitem", "build_tuple", "build_list", "build_map", "getiter",
    "iternext", "pair_first", "pair_second", "exhaust_iter", "cast", "phi", "undef", "null",
}  # fmt: skip


class NotTheSameError(Exception):
    """A step uses what is not the same in machine code."""


def refuse(reason: str, place: Any) -> None:
    """Refuse what stands at a place of the user's text."""
    raise NotTheSameError(f'{REFUSED}{reason}\nFile "{place.filename}", line {place.line}')


@register_pass(mutates_CFG=False, analysis_only=False)
class _Translate(FunctionPass):  # type: ignore[misc]  # numba has no types
    """Put the known operations in the place of numba's."""

    _name = "whatif_translate"
    _orders = False

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        code = state.func_ir
        if state.func_id.code.co_exceptiontable:
            refuse("try, which machine code handles otherwise; test before what would raise", code.loc)
        for block in code.blocks.values():
            block.body = [
                new for old in block.body for new in _Statement(code, block, old, self._orders).translated()
            ]
        code._definitions = build_definitions(code.blocks)
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _TranslateToOrders(_Translate):
    """The same, and make orders of the intents that are asked for: a type is the same on every path."""

    _name = "whatif_translate_to_orders"
    _orders = True


@register_pass(mutates_CFG=False, analysis_only=False)
class _WriteOrders(FunctionPass):  # type: ignore[misc]  # numba has no types
    """Write down what a step returns, and return how many orders there are in its place."""

    _name = "whatif_write_orders"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        code = state.func_ir
        for block in code.blocks.values():
            end = block.terminator
            if isinstance(end, ir.Return):
                block.body[-1:] = self._written(block, end, code.arg_names[-1], code.arg_count - 1)
        code._definitions = build_definitions(code.blocks)
        return True

    def _written(self, block: Any, end: Any, seen: str, place: int) -> list[Any]:
        return _written_orders(block, end, seen, place)


@register_pass(mutates_CFG=False, analysis_only=False)
class _WriteAnswer(_WriteOrders):
    """Write down what a cross-sectional step returns, and return its code in its place."""

    _name = "whatif_write_answer"

    def _written(self, block: Any, end: Any, seen: str, place: int) -> list[Any]:
        loc = end.loc
        write, state, room, code = (ir.Var(block.scope, mk_unique_var("$answer"), loc) for _ in range(4))
        return [
            ir.Assign(ir.Global(write_answer.__name__, write_answer, loc), write, loc),
            ir.Assign(ir.Arg(seen, place, loc), state, loc),
            ir.Assign(ir.Expr.getattr(state, ANSWER, loc), room, loc),
            ir.Assign(ir.Expr.call(write, [room, end.value], (), loc), code, loc),
            ir.Return(code, loc),
        ]


@register_pass(mutates_CFG=False, analysis_only=False)
class _WriteAny(_WriteOrders):
    """The same of one that may answer with orders of each symbol."""

    _name = "whatif_write_any"

    def _written(self, block: Any, end: Any, seen: str, place: int) -> list[Any]:
        loc = end.loc
        write, state, room, desk, code = (ir.Var(block.scope, mk_unique_var("$each"), loc) for _ in range(5))
        return [
            ir.Assign(ir.Global(write_any.__name__, write_any, loc), write, loc),
            ir.Assign(ir.Arg(seen, place, loc), state, loc),
            ir.Assign(ir.Expr.getattr(state, ANSWER, loc), room, loc),
            ir.Assign(ir.Expr.getattr(state, DESK, loc), desk, loc),
            ir.Assign(ir.Expr.call(write, [room, desk, end.value], (), loc), code, loc),
            ir.Return(code, loc),
        ]


def _written_orders(block: Any, end: Any, seen: str, place: int) -> list[Any]:
    """Return the statements that write a returned answer to the desk of the step's last argument."""
    loc = end.loc
    write, state, desk, none, count = (ir.Var(block.scope, mk_unique_var("$order"), loc) for _ in range(5))
    return [
        ir.Assign(ir.Global(write_orders.__name__, write_orders, loc), write, loc),
        ir.Assign(ir.Arg(seen, place, loc), state, loc),
        ir.Assign(ir.Expr.getattr(state, DESK, loc), desk, loc),
        ir.Assign(ir.Const(0, loc), none, loc),
        ir.Assign(ir.Expr.call(write, [desk, none, end.value], (), loc), count, loc),
        ir.Return(count, loc),
    ]


class _Statement:
    """One statement, and what it becomes; intents become `orders`."""

    def __init__(self, code: Any, block: Any, statement: Any, orders: bool) -> None:
        self.code, self.block, self.statement, self.orders = code, block, statement, orders
        self.before: list[Any] = []

    def translated(self) -> Iterator[Any]:
        old = self.statement
        if isinstance(old, ir.Assign):
            old.value = self._value(old.value)
        elif not isinstance(old, _STATEMENTS):
            refuse(f"{type(old).__name__}", old.loc)
        yield from self.before
        yield old

    def _value(self, value: Any) -> Any:
        if isinstance(value, (ir.Global, ir.FreeVar)):
            return self._named(value)
        if isinstance(value, ir.Const):
            return value if _is_constant(value.value) else refuse(f"the constant {value.value!r}", value.loc)
        return self._expression(value) if isinstance(value, ir.Expr) else value

    def _stands_for(self, value: Any) -> Any:
        if self.orders and _is_in(value, MAKERS):
            return MAKERS[value]
        return _stands_for(value)

    def _named(self, value: Any) -> Any:
        found = self._stands_for(value.value)
        if found is None and isinstance(value.value, type) and value.value.__module__ != "builtins":
            return value  # numba says that it does not know it
        if found is None:
            refuse(f"{_called(value.value, value.name)}", value.loc)
        if found is not value.value:
            return ir.Global(value.name, found, value.loc)
        return value

    def _expression(self, value: Any) -> Any:
        if value.op in ("binop", "inplace_binop"):
            function = value.fn if value.op == "binop" else value.immutable_fn
            if function in BINARY:
                return self._call(BINARY[function], [value.lhs, value.rhs], value.loc)
            if function in (operator.is_, operator.is_not):
                return value
            refuse(f"the operation {getattr(function, '__name__', function)}", value.loc)
        if value.op == "unary":
            function = value.fn
            if function not in UNARY:
                refuse(f"the operation {getattr(function, '__name__', function)}", value.loc)
            return self._call(UNARY[function], [value.value], value.loc)
        if value.op == "getattr":
            return self._attribute(value)
        if value.op == "call":
            return self._called(value)
        if value.op not in _KEPT:
            refuse(_WORDS.get(value.op, value.op), value.loc)
        return value

    def _call(self, function: Any, args: list[Any], loc: Any) -> Any:
        return ir.Expr.call(self._var(ir.Global(function.__name__, function, loc), loc), args, (), loc)

    def _var(self, value: Any, loc: Any) -> Any:
        var = ir.Var(self.block.scope, mk_unique_var("$whatif"), loc)
        self.before.append(ir.Assign(value, var, loc))
        return var

    def _origin(self, var: Any) -> Any:
        """Return what a variable was set to in the user's text, where that is one thing."""
        return guard(get_definition, self.code, var)

    def _known(self, var: Any) -> Any:
        """Return the object of the user's module that a variable stands for, or a mark that there is none."""
        origin = self._origin(var)
        if isinstance(origin, (ir.Global, ir.FreeVar)):
            return origin.value
        if isinstance(origin, ir.Expr) and origin.op == "getattr":
            module = self._known(origin.value)
            if isinstance(module, python_types.ModuleType):
                return getattr(module, origin.attr, _NOTHING)
        return _NOTHING

    def _attribute(self, value: Any) -> Any:
        module = self._known(value.value)
        if not isinstance(module, python_types.ModuleType) or not hasattr(module, value.attr):
            return value
        held = getattr(module, value.attr)
        found = self._stands_for(held)
        if found is None and module.__name__.partition(".")[0] not in ("math", "numpy"):
            return value  # numba says that it does not know it
        if isinstance(held, python_types.ModuleType) or found is None:
            refuse(f"{module.__name__}.{value.attr}", value.loc)
        return ir.Global(value.attr, found, value.loc) if found is not held else value

    def _called(self, value: Any) -> Any:
        held = self._known(value.func)
        if held is _NOTHING:
            origin = self._origin(value.func)
            is_method = isinstance(origin, ir.Expr) and origin.op == "getattr"
            return self._method(value, origin) if is_method else value
        if any(held is one for one in _SEVERAL):
            return self._several(value, held)
        if held is round and len(value.args) + len(value.kws) > 1:
            refuse("round to digits; write round(a * 100.0) / 100.0", value.loc)
        found = self._stands_for(held)
        if self.orders and (_is_in(held, MAKERS) or any(held is one for one in _INTENTS)):
            if found is oco_orders or found is orders_of_each:
                return value
            return self._call(as_order, [self._var(value, value.loc)], value.loc)
        if any(found is one for one in _REDUCING):
            if len(value.args) != 1 or {name for name, _ in value.kws} - {"ddof"}:
                refuse(f"{_called(held, '')} with further arguments", value.loc)
        elif found is not held and value.kws:
            refuse(f"{_called(held, '')} with keywords", value.loc)
        return value

    def _several(self, value: Any, held: Any) -> Any:
        if value.kws or value.vararg or not value.args:
            refuse(f"{held.__name__} with keywords", value.loc)
        if len(value.args) == 1:
            return self._call(OF_MANY[held], list(value.args), value.loc)
        so_far = value.args[0]
        for other in value.args[1:-1]:
            so_far = self._var(self._call(OF_TWO[held], [so_far, other], value.loc), value.loc)
        return self._call(OF_TWO[held], [so_far, value.args[-1]], value.loc)

    def _method(self, value: Any, function: Any) -> Any:
        if function.attr in REDUCTIONS:
            if value.args or {name for name, _ in value.kws} - {"ddof"}:
                refuse(f".{function.attr}() with further arguments", value.loc)
            call = self._call(REDUCTIONS[function.attr], [function.value], value.loc)
            call.kws = tuple(value.kws)
            return call
        return value


_SEVERAL = (min, max)
_INTENTS = (hold, target, close, target_percent)
_PAIRS = {buy: buy_pair, sell: sell_pair}
_REDUCING = tuple(REDUCTIONS.values())
_NOTHING = object()
_WORDS = {
    "make_function": "a function inside the step that is not simply called; put it beside the step",
    "yield": "yield",
    "build_set": "a set",
}


def _stands_for(value: Any) -> Any:
    """Return what stands for a value of the user's module in machine code, or None if nothing does."""
    if type(value) is tuple:
        return _tuple(value)
    if isinstance(value, np.generic):  # as on Backtrader's side, where `scalar` says the same
        value = value.item()
    if isinstance(value, (float, bool, str, int, type(None), tuple)) and not isinstance(value, type):
        return value if _is_constant(value) else None
    if isinstance(value, python_types.ModuleType):
        return value
    if isinstance(value, np.ndarray):
        return value if value.dtype in (np.float64, np.int64, np.bool_) and value.ndim == 1 else None
    for table in (BUILTINS, MATH, NUMPY, _PAIRS):
        if _is_in(value, table):
            return table[value]
    if any(value is kept for kept in (*_AS_IT_IS, *_SEVERAL)):
        return value
    if isinstance(value, type) and issubclass(value, BaseException):
        return value
    ours = str(getattr(value, "__module__", "")).startswith(("whatif.", "numba."))
    return value if ours or isinstance(value, Dispatcher) else None


def _tuple(value: tuple[Any, ...]) -> Any:
    """Return what stands for a tuple: the same one, if each part stands for itself; None if one does not."""
    parts = tuple(map(_stands_for, value))
    if any(part is None and held is not None for part, held in zip(parts, value, strict=True)):
        return None
    same = all(part is held for part, held in zip(parts, value, strict=True))
    return value if same else parts


def _is_in(value: Any, table: dict[Any, Any]) -> bool:
    try:
        return value in table
    except TypeError:
        return False


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= LARGEST_WHOLE
    return value is None or type(value) in (float, bool, str, slice)


def _called(value: Any, name: str) -> str:
    module = str(getattr(value, "__module__", "") or "").removeprefix("builtins")
    return f"{module}.{getattr(value, '__name__', name)}" if module else str(getattr(value, "__name__", name))


@register_pass(mutates_CFG=False, analysis_only=True)
class _CheckTypes(AnalysisPass):  # type: ignore[misc]  # numba has no types
    """Refuse what holds values that Python has otherwise."""

    _name = "whatif_check_types"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        for block in state.func_ir.blocks.values():
            for statement in block.find_insts(ir.Assign):
                kind = state.typemap[statement.target.name]
                if isinstance(kind, types.Optional):
                    refuse("a value that is None on some bars; return an intent on every path", statement.loc)
                if not _is_known(kind):
                    refuse(f"a value of type {kind}", statement.loc)
                _check_expression(state, statement)
            for statement in block.find_insts((ir.SetItem, ir.StaticSetItem)):
                if not _may_write(state.typemap[statement.target.name]):
                    refuse("writing to what is no array of floats or list", statement.loc)
        return False


def _may_write(kind: Any) -> bool:
    return is_floats(kind) or isinstance(kind, types.List)


def _check_expression(state: Any, statement: Any) -> None:
    value = statement.value
    if not isinstance(value, ir.Expr):
        return
    kinds = state.typemap
    index = {"getitem": "index", "static_getitem": "index_var"}.get(value.op)
    index = getattr(value, index) if index else None
    if isinstance(index, ir.Var):
        fits = isinstance(kinds[index.name], (types.Integer, types.SliceType))
        if isinstance(kinds[value.value.name], types.Array) and not fits:
            refuse(f"an index of type {kinds[index.name]}", statement.loc)
    # all other operations are translated
    if value.op == "binop" and types.none not in (kinds[value.lhs.name], kinds[value.rhs.name]):
        refuse("is, but for None", statement.loc)
    if value.op == "call":
        called = state.typemap[value.func.name]
        if isinstance(called, types.BoundFunction) and not _is_known_method(called):
            refuse(f"the method {called.typing_key}", statement.loc)


def _is_known_method(called: Any) -> bool:
    owner, name = (
        called.this,
        called.typing_key.rpartition(".")[2] if isinstance(called.typing_key, str) else "",
    )
    if isinstance(owner, types.List):
        return name in ("append",)
    if is_floats(owner):
        return name in ("copy",)
    return is_text(owner)


_HARMLESS = (
    types.Callable, types.Module, types.NoneType, types.UnicodeType, types.StringLiteral, types.SliceType,
    types.RangeType, SeriesType, AcrossType, types.ExceptionClass, types.ExceptionInstance, types.Dummy,
    types.Undefined,
)  # fmt: skip


def _is_known(kind: Any) -> bool:
    kind = types.unliteral(kind)
    if isinstance(kind, types.BaseTuple):
        return all(map(_is_known, kind))
    if isinstance(kind, types.Array):
        return kind.ndim == 1 and kind.dtype in (types.float64, types.boolean, types.int64)
    if isinstance(kind, types.List):
        return is_number(kind.dtype) or is_order(kind.dtype)
    if isinstance(kind, (types.Integer, types.Boolean)):
        return is_whole(kind)
    if isinstance(kind, types.DictType):
        return is_text(kind.key_type) and is_number(kind.value_type)
    if isinstance(kind, types.Pair):
        return _is_known(kind.first_type) and _is_known(kind.second_type)
    if isinstance(kind, types.IterableType) and not isinstance(kind, types.Array):
        return True
    return kind == types.float64 or isinstance(kind, _HARMLESS)


class Translator(compiler.CompilerBase):  # type: ignore[misc]  # numba has no types
    """Numba's compiler with the translation in it."""

    _translation: tuple[Any, ...] = (_Translate,)

    def define_pipelines(self) -> list[Any]:
        """Return numba's own passes, the translation after closures, the look at types after inference."""
        passes = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        for before, one in pairwise((InlineClosureLikes, *self._translation)):
            passes.add_pass_after(one, before)
        passes.add_pass_after(_CheckTypes, NopythonTypeInference)
        passes.finalize()
        return [passes]


class OrderHelperTranslator(Translator):
    """The compiler of a function that helps a step to answer with an `Order`."""

    _translation = (_TranslateToOrders,)


class OrderTranslator(Translator):
    """The compiler of a step that may answer with orders: it writes them down, and returns how many."""

    _translation = (_TranslateToOrders, _WriteOrders)


class AcrossTranslator(Translator):
    """The compiler of a cross-sectional step: it writes its answer down, and returns the code of that."""

    _translation = (_Translate, _WriteAnswer)


class AcrossOrderTranslator(Translator):
    """The compiler of a cross-sectional step that may answer with orders of each symbol."""

    _translation = (_TranslateToOrders, _WriteAny)
