"""From a strategy to machine code that the next process finds on disk.

Numba keeps what it compiled beside the file that holds the function, and not at all if the
function was made inside another one and calls what was given to that. So each strategy gets a
file of its own: the text of `asking` with the strategy's step, arrays and parameters put in, named
by a digest of everything that the machine code depends on. It is never rewritten.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import importlib.util
import inspect
import json
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from whatif.domain import PRICE_FIELDS, Overlays, jit_step, sources_digest
from whatif.engines.compiled import asking, asking_across, step_placeholder
from whatif.engines.compiled.attempt import CompileWithFallback
from whatif.engines.compiled.book import shows_orders
from whatif.engines.compiled.calling import ACROSS_TYPES, TYPES, address_of
from whatif.engines.compiled.columns import cell_text, kinds_of
from whatif.engines.compiled.folder import keep_beside, keep_private, path_of, written
from whatif.engines.language.across import ANSWER, write_answer, write_any
from whatif.engines.language.order_answers import DESK, write_orders
from whatif.engines.language.plain import in_python
from whatif.engines.language.translation import (
    AcrossOrderTranslator,
    AcrossTranslator,
    OrderHelperTranslator,
    OrderTranslator,
    Translator,
)
from whatif.errors import EngineError
from whatif.strategies import GLOBAL, IMPORT, NOTES, STATE_FIELDS, Read, is_installed, reads_of, resolved

if TYPE_CHECKING:
    from whatif.strategies import StrategySpec

_IMPORT = """from whatif.engines.compiled.step_placeholder import (
    AHEAD,
    ORDERS,
    OVERLAID,
    SHARED,
    arrays_of,
    params_of,
    seen_of,
    series_of,
    state_of,
    step,
)
"""

_ACROSS_IMPORT = (
    "from whatif.engines.compiled.step_placeholder import AcrossSeen, across_of, desk_of, params_of, step\n"
)

keep_beside()

STEPS: dict[str, Callable[..., Any]] = {}
"""Compiled steps by the digest of their kernel, for the kernel's module to take."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """What is compiled for a strategy.

    Attributes
    ----------
    asking : CompileWithFallback
        `whatif.engines.compiled.asking.ask_step` with this strategy's step.
    series : tuple of str
        Names of the series it takes, in order.
    numbers : tuple of str
        Names of the parameters it takes, in order; the others are part of its text.
    orders : bool
        Whether it writes orders to the desk: those of the step, or of the overlays.
    across : bool
        Whether it is `asking_across.ask_step`.
    """

    asking: CompileWithFallback
    series: tuple[str, ...]
    numbers: tuple[str, ...]
    orders: bool
    across: bool = False

    @functools.cached_property
    def address(self) -> Any:
        """Where the machine code lies, compiled now if it is not on disk, see `calling.address_of`.

        Raises
        ------
        RefusedByNumbaError
            If the step cannot be compiled.
        """
        return address_of(self.asking.compile(ACROSS_TYPES if self.across else TYPES), self.across)


@dataclass(frozen=True)
class Identified:
    """A strategy with its identity at the time: by that alone one is told from another.

    Attributes
    ----------
    identity : str
        `StrategySpec.digest`, which looks at all that the step can reach.
    spec : StrategySpec
        The strategy.
    """

    identity: str
    spec: StrategySpec = field(compare=False)


def kernel_of(
    strategy: Identified,
    params: Mapping[str, object],
    overlays: Overlays,
    shared: bool = False,
    members: bool = False,
) -> Kernel:
    """Return the kernel of a strategy; of parameters that are text there is one for each value.

    All overlays, and bars that say where a symbol may be traded, make one kernel, but for those whose exits
    wait at the broker, which make another one.

    Parameters
    ----------
    strategy, params, overlays
        What it is made for.
    shared : bool
        Whether the account is one of several symbols.
    members : bool
        Whether bars say where a symbol may be traded.

    Raises
    ------
    EngineError
        If no folder can be written to.
    """
    notes = strategy.spec.notes
    orders = strategy.spec.answers_orders or overlays.exit_orders or (shows_orders(notes) and not shared)
    overlaid = overlays.is_on or members
    return _kernel(strategy, kinds_of(params), overlaid, orders, shared, bool(notes))


@functools.lru_cache(maxsize=256)
def _kernel(
    strategy: Identified,
    kinds: tuple[tuple[str, Any], ...],
    overlaid: bool,
    orders: bool,
    shared: bool,
    noted: bool,
) -> Kernel:
    series = (*PRICE_FIELDS, *(name for name in strategy.spec.inputs if name not in PRICE_FIELDS))
    numbers = tuple(name for name, kind in kinds if not isinstance(kind, str))
    across = strategy.spec.cross_sectional
    if across:
        text = across_text(series, dict(kinds), orders)
    else:
        ahead = not (strategy.spec.scratch or strategy.spec.prints or orders or shared or noted)
        text = kernel_text(series, dict(kinds), overlaid, orders, shared, noted, ahead)
    makers = [functools.partial(_asking, strategy, text, lean, orders) for lean in (True, False)]
    if path_of(_digest(_text_of(text, lean=False), strategy.identity)).exists():  # so it was needed before
        makers = makers[1:]
    return Kernel(CompileWithFallback(makers), series, numbers, orders, across)


def _asking(strategy: Identified, text: str, lean: bool, orders: bool) -> Callable[..., Any]:
    """Return a strategy's `ask_step`; a `lean` one makes no array, list or text while it runs."""
    text = _text_of(text, lean)
    digest = _digest(text, strategy.identity)
    if digest not in STEPS:
        spec = strategy.spec
        STEPS[digest] = compiled_step(spec.step, lean, orders, spec.cross_sectional)
    asking: Callable[..., Any] = _module(text, digest).ask_step
    return asking


def _text_of(text: str, lean: bool) -> str:
    """Return a kernel's text; one that makes arrays does so on each row once, and is not asked ahead."""
    if lean:
        return text
    for old, new in (
        ("jit_addressed_lean", "jit_addressed"),
        ("inlinable_lean", "inlinable"),
        ("AHEAD = True", "AHEAD = False"),
    ):
        text = text.replace(old, new)
    return text


def kernel_text(
    series: tuple[str, ...],
    kinds: Mapping[str, Any],
    overlaid: bool,
    orders: bool,
    shared: bool = False,
    noted: bool = False,
    ahead: bool = False,
) -> str:
    """Return the source of a kernel's module, all but its step, which may answer with `orders`.

    Parameters
    ----------
    series : tuple of str
        What the step reads as ``x.name``.
    kinds : mapping of str to type or str
        Type of each parameter; of one that is text, its value.
    overlaid, orders, shared, noted, ahead : bool
        Whether there are overlays, whether the step may answer with an `Order`, whether several symbols
        share the account, whether the step reads any of `whatif.strategies.NOTES`, and whether it may be
        asked ahead of its turn.
    """
    arrays = ", ".join(f"series[{k}]" for k in range(len(series)))
    seen = ", ".join(f"upto(series[{k}], row)" for k in range(len(series)))
    own_state = ", ".join(f"own[{k}]" for k in range(len(STATE_FIELDS)))
    if noted:
        own_state += ", *notes_seen(x.high, x.low, row, opened_row, own[0], own[5], at)"
    opened = _tuple(f"view_at(addresses[{k}], count)" for k in range(len(series)))
    own = f"""from collections import namedtuple

from numba.extending import register_jitable

from whatif.domain import inlinable_lean, view_at
from whatif.engines.compiled.calling import NOTED, SHOWN, SHOWN_ROOM
from whatif.engines.compiled.kernel import STEPS
from whatif.engines.compiled.notes import notes_seen
from whatif.engines.language.series import upto

AHEAD = {ahead}
ORDERS = {orders}
OVERLAID = {overlaid}
SHARED = {shared}
State = namedtuple("State", {(*STATE_FIELDS, *(NOTES if noted else ()), DESK)!r})
Arrays = namedtuple("Arrays", {series!r})
step = STEPS[__name__.rpartition("_")[2]]


@inlinable_lean
def state_of(own, desk, x, row, opened_row, places):
    at = places[NOTED], places[SHOWN], places[SHOWN_ROOM]
    return State({own_state}, desk)


@register_jitable
def arrays_of(series):
    return Arrays({arrays})


@register_jitable
def seen_of(series, row):
    return Arrays({seen})


@register_jitable
def series_of(series_at, count):
    addresses = whole_at(series_at, {len(series)})
    return {opened}


{_params_text(kinds)}"""
    return _with_own(asking, _IMPORT, own)


def across_text(series: tuple[str, ...], kinds: Mapping[str, Any], orders: bool = False) -> str:
    """Return the source of a cross-sectional kernel's module, all but its step.

    Parameters
    ----------
    series, kinds, orders
        As `kernel_text` takes them.
    """
    size = np.dtype(np.int64).itemsize
    seen = ", ".join(f"across_at(series_at + {size * k} * count, rows_at, count)" for k in range(len(series)))
    fields = (*step_placeholder.AcrossSeen._fields, *((DESK,) if orders else ()))
    desk = "(room_at(places[EACH_DESK], count * EACH_WIDTH),)" if orders else "()"
    own = f"""from collections import namedtuple

from numba.extending import register_jitable

from whatif.engines.compiled.calling import EACH_DESK
from whatif.engines.compiled.kernel import STEPS
from whatif.engines.language.across import across_at
from whatif.engines.language.order_answers import EACH_WIDTH

AcrossSeen = namedtuple("AcrossState", {fields!r})
Arrays = namedtuple("Arrays", {(*series, "has_bar")!r})
step = STEPS[__name__.rpartition("_")[2]]


@register_jitable
def across_of(series_at, rows_at, has_bar_at, count):
    return Arrays({seen}, whole_at(has_bar_at, count))


@register_jitable
def desk_of(places, count):
    return {desk}


{_params_text(kinds)}"""
    return _with_own(asking_across, _ACROSS_IMPORT, own)


def _params_text(kinds: Mapping[str, Any]) -> str:
    """Return the source by which a kernel reads its parameters."""
    numbers = [name for name, kind in kinds.items() if not isinstance(kind, str)]
    values = ", ".join(
        repr(kind) if isinstance(kind, str) else cell_text(kind, numbers.index(name))
        for name, kind in kinds.items()
    )
    return f"""Params = namedtuple("Params", {tuple(kinds)!r})


@register_jitable
def params_of(columns_at, run):
    columns = whole_at(columns_at, {len(numbers)})
    return Params({values})

"""


def _with_own(module: types.ModuleType, line: str, own: str) -> str:
    """Return a module's source with a strategy's own text in place of one of its lines."""
    source = inspect.getsource(module)
    if source.count(line) != 1:
        raise EngineError(f"{module.__name__} must hold this line once: {line!r}")
    return source.replace(line, own)


def _tuple(items: Iterable[str]) -> str:
    """Return items as the text of a tuple."""
    return f"({' '.join(f'{item},' for item in items)})"


def _digest(text: str, identity: str) -> str:
    """Digest of all that the machine code is made of, except the processor, which numba looks at itself."""
    parts = [text, identity, numba.__version__, sys.version, sources_digest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def compiled_step(
    step: Callable[..., Any], lean: bool = True, orders: bool = False, across: bool = False
) -> Callable[..., Any]:
    """Return a step as a compiled function, with the plain functions it calls compiled too.

    What it takes from outside is copied here: numba freezes it whenever it meets arguments of new types.
    One of `orders` writes its answer to the desk in its state, and returns how many orders that are; one that
    is asked `across` all symbols to the room in it, or orders to its desk, and returns the code.
    """
    if numba.config.DISABLE_JIT:
        plain = in_python(step)
        if across and orders:
            return lambda *given: write_any(
                getattr(given[-1], ANSWER), getattr(given[-1], DESK), plain(*given)
            )
        if across:
            return lambda *given: write_answer(getattr(given[-1], ANSWER), plain(*given))
        return (lambda *given: write_orders(getattr(given[-1], DESK), 0, plain(*given))) if orders else plain
    own, helpers = (OrderTranslator, OrderHelperTranslator) if orders else (Translator, Translator)
    if across:
        own = AcrossOrderTranslator if orders else AcrossTranslator
    return jit_step(_Prepared(lean, helpers).function(step), lean, own)


class _Prepared:
    """Copies of a step and of what it reaches, which nobody else can change.

    Parameters
    ----------
    lean : bool
        Whether its functions make no array.
    translator : type
        What compiles the functions that the step calls.
    """

    def __init__(self, lean: bool, translator: type) -> None:
        self._lean, self._translator = lean, translator
        self._done: dict[int, Any] = {}

    def function(self, function: Callable[..., Any]) -> types.FunctionType:
        """Return a copy of a function whose globals hold compiled versions of its helpers."""
        if not isinstance(function, types.FunctionType):
            raise EngineError(f"{function!r} is no Python function; a step is written with def")
        own: dict[str, Any] = dict(function.__globals__)
        around: dict[str, Any] = {}
        clones: dict[int, types.ModuleType] = {}
        for read in reads_of(function.__code__):
            there, value, _ = resolved(function, Read(read.place, read.name))
            if there and read.place != IMPORT and not (read.place == GLOBAL and read.name not in own):
                place = own if read.place == GLOBAL else around
                place[read.name] = self._value(value, read.attributes, clones)
        own.setdefault("__builtins__", builtins)
        return _copied(function, own, around)

    def _value(self, value: Any, attributes: tuple[str, ...], clones: dict[int, types.ModuleType]) -> Any:
        # one that the user compiled means what its text means, too
        inner = getattr(value, "py_func", value)
        if isinstance(inner, types.FunctionType) and not _is_ours(inner):
            if id(value) not in self._done:
                self._done[id(value)] = inner  # of one that calls itself, numba knows what to do
                self._done[id(value)] = jit_step(self.function(inner), self._lean, self._translator)
            return self._done[id(value)]
        if isinstance(value, types.ModuleType) and not is_installed(value):
            return self._module(value, attributes, clones)
        if type(value) is np.ndarray:
            return value.copy(order="K")
        if isinstance(value, tuple):
            items = [self._value(item, (), clones) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return [self._value(item, (), clones) for item in value] if type(value) is list else value

    def _module(
        self, module: types.ModuleType, attributes: tuple[str, ...], clones: dict[int, types.ModuleType]
    ) -> types.ModuleType:
        """Return a module with those attributes of the user's that the function reads."""
        clone = clones.setdefault(id(module), types.ModuleType(module.__name__))
        if not attributes:
            vars(clone).update(vars(module))
        elif hasattr(module, attributes[0]):
            value = self._value(getattr(module, attributes[0]), attributes[1:], clones)
            setattr(clone, attributes[0], value)
        return clone


def _copied(
    function: types.FunctionType, own: dict[str, Any], around: Mapping[str, Any]
) -> types.FunctionType:
    cells = tuple(
        types.CellType(around[name]) if name in around else types.CellType()
        for name in function.__code__.co_freevars
    )
    copy = types.FunctionType(function.__code__, own, function.__name__, function.__defaults__, cells)
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
    return copy


def _is_ours(function: types.FunctionType) -> bool:
    return str(function.__module__).startswith("whatif.")


def _module(text: str, digest: str) -> types.ModuleType:
    name = f"whatif_kernel_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    path = written(path_of(digest), text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    keep_private(module.ask_step)
    return module
