"""From a strategy to machine code that the next process finds on disk.

Numba keeps what it compiled beside the file that holds the function, and not at all if the
function was made inside another one and calls what was given to that. So each strategy gets a
file of its own: the text of `loop` with the strategy's step, arrays and parameters put in, named
by a digest of everything that the machine code depends on. It is never rewritten.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import importlib.util
import inspect
import json
import os
import sys
import tempfile
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

from whatif.domain.bars import PRICE_FIELDS
from whatif.domain.compile import jit_step
from whatif.engines.compiled import blank, broker, loop
from whatif.engines.compiled.attempt import FirstThatCompiles
from whatif.errors import EngineError
from whatif.strategies import StrategySpec, intents, overlays

_IMPORT = "from whatif.engines.compiled.blank import OVERLAID, State, arrays_of, params_of, step\n"
_KIND = {bool: "bool", int: "int", float: "float"}

STEPS: dict[str, Callable[..., Any]] = {}
"""Compiled steps by the digest of their kernel, for the kernel's module to take."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A strategy's own loop.

    Attributes
    ----------
    run : callable
        `whatif.engines.compiled.loop.run_bars` with this strategy's step; raises `RefusedByNumbaError`
        where that cannot be compiled.
    series : tuple of str
        Names of the series it takes, in order.
    numbers : tuple of str
        Names of the parameters it takes, in order; the others are part of its text.
    """

    run: FirstThatCompiles
    series: tuple[str, ...]
    numbers: tuple[str, ...]


def kernel_of(spec: StrategySpec, params: Mapping[str, object], overlaid: bool) -> Kernel:
    """Return the kernel of a strategy; of parameters that are text there is one for each value.

    Raises
    ------
    EngineError
        If no folder can be written to.
    """
    texts = tuple((name, value) for name, value in params.items() if isinstance(value, str))
    return _kernel(spec, tuple(params), texts, overlaid)


@functools.lru_cache(maxsize=256)
def _kernel(
    spec: StrategySpec, names: tuple[str, ...], texts: tuple[tuple[str, str], ...], overlaid: bool
) -> Kernel:
    series = (*PRICE_FIELDS, *(name for name in spec.inputs if name not in PRICE_FIELDS))
    numbers = tuple(name for name in names if name not in dict(texts))
    text = kernel_text(series, names, dict(texts), overlaid)
    makers = [functools.partial(_loop, spec, text, lean) for lean in (True, False)]
    if _path(_digest(_text_of(text, lean=False), spec)).exists():  # so it was needed before
        makers = makers[1:]
    return Kernel(FirstThatCompiles(makers), series, numbers)


def _loop(spec: StrategySpec, text: str, lean: bool) -> Callable[..., Any]:
    """Return a strategy's loop; a `lean` one makes no array, list or text while it runs."""
    text = _text_of(text, lean)
    digest = _digest(text, spec)
    if digest not in STEPS:
        STEPS[digest] = compiled_step(spec.step, lean)
    run: Callable[..., Any] = _module(text, digest).run_bars
    return run


def _text_of(text: str, lean: bool) -> str:
    return text if lean else text.replace("jit_lean", "jit")


def kernel_text(
    series: tuple[str, ...], names: tuple[str, ...], texts: Mapping[str, str], overlaid: bool
) -> str:
    """Return the source of a kernel's module, all but its step."""
    numbers = [name for name in names if name not in texts]
    arrays = ", ".join(f"series[{k}]" for k in range(len(series)))
    values = ", ".join(
        repr(texts[name]) if name in texts else f"values[{numbers.index(name)}]" for name in names
    )
    own = f"""from collections import namedtuple

from numba.extending import register_jitable

from whatif.engines.compiled.kernel import STEPS

OVERLAID = {overlaid}
State = namedtuple("State", {tuple(blank.State._fields)!r})
Arrays = namedtuple("Arrays", {series!r})
Params = namedtuple("Params", {names!r})
step = STEPS[__name__.rpartition("_")[2]]


@register_jitable
def arrays_of(series):
    return Arrays({arrays})


@register_jitable
def params_of(values):
    return Params({values})

"""
    source = inspect.getsource(loop)
    if source.count(_IMPORT) != 1:
        raise EngineError(f"whatif.engines.compiled.loop must hold this line once: {_IMPORT!r}")
    return source.replace(_IMPORT, own)


def _digest(text: str, spec: StrategySpec) -> str:
    """Digest of all that the machine code is made of, except the processor, which numba looks at itself."""
    parts = [text, spec.digest, spec.step.__qualname__, numba.__version__, sys.version]
    parts += [inspect.getsource(module) for module in _SOURCES]
    parts += [_used(spec.step)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


_SOURCES = (
    broker,
    intents,
    overlays,
    *(sys.modules[f"whatif.domain.{name}"] for name in ("compile", "statistics")),
)


def _used(step: Callable[..., Any], seen: frozenset[str] = frozenset()) -> str:
    """Return what a step does, and what it takes from outside: values, text of functions and modules."""
    found = [_body(step.__code__), repr(step.__defaults__), repr(step.__kwdefaults__)]
    for name, value in sorted(_taken(step).items()):
        function = _plain(value)
        if isinstance(value, np.ndarray):
            found.append(
                f"{name} = {value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
            )
        elif isinstance(value, types.ModuleType):
            found.append(f"{name}: {value.__name__} {_source(value)}")
        elif function is None:
            if isinstance(value, (bool, int, float, str, tuple)):
                found.append(f"{name} = {value!r}")
        elif not function.__module__.startswith("whatif."):
            whose = f"{function.__module__}.{function.__qualname__}"
            found.append(f"{name}: {whose}")
            if whose not in seen:
                found.append(_used(function, seen | {whose}))
    return "\n".join(found)


def _body(code: types.CodeType) -> str:
    """Return what tells one function from another of the same name, such as two lambdas of one line."""
    constants = []
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            constants.append(_body(value))
        else:  # the order of a set of texts changes from process to process
            constants.append(repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value))
    return json.dumps([code.co_code.hex(), *constants, code.co_names, code.co_varnames])


def _source(module: types.ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        return ""


def _taken(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what a function takes from its module and from the functions around it, by name."""
    own = getattr(function, "__globals__", {})
    return {name: own[name] for name in _names(function.__code__) if name in own} | _around(function)


def _around(function: Callable[..., Any]) -> dict[str, Any]:
    cells = getattr(function, "__closure__", None) or ()
    return {
        name: cell.cell_contents
        for name, cell in zip(function.__code__.co_freevars, cells, strict=True)
        if cell != types.CellType()
    }


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _plain(value: Any) -> types.FunctionType | None:
    """Return the Python function that `value` is or was compiled from, or None."""
    value = getattr(value, "py_func", value)
    return value if isinstance(value, types.FunctionType) else None


def compiled_step(step: Callable[..., Any], lean: bool = True) -> Callable[..., Any]:
    """Return a step as a compiled function, with the plain functions it calls compiled too."""
    return jit_step(_prepared(step, {}, lean), lean)


def _prepared(function: Callable[..., Any], done: dict[int, Any], lean: bool) -> types.FunctionType:
    """Return a copy of a function whose globals hold compiled versions of its helpers."""
    plain = _plain(function)
    if plain is None:
        raise EngineError(f"{function!r} is no Python function; a step is written with def")
    own, around = dict(plain.__globals__), _around(plain)
    for name, value in _taken(plain).items():
        if isinstance(value, types.FunctionType) and not value.__module__.startswith("whatif."):
            if id(value) not in done:
                done[id(value)] = None
                done[id(value)] = jit_step(_prepared(value, done, lean), lean)
            if done[id(value)] is not None:
                (around if name in around else own)[name] = done[id(value)]
    own.setdefault("__builtins__", builtins)
    cells = tuple(
        types.CellType(around[name]) if name in around else types.CellType()
        for name in plain.__code__.co_freevars
    )
    copy = types.FunctionType(plain.__code__, own, plain.__name__, plain.__defaults__, cells)
    copy.__kwdefaults__ = plain.__kwdefaults__
    copy.__module__, copy.__qualname__ = plain.__module__, plain.__qualname__
    return copy


def _module(text: str, digest: str) -> types.ModuleType:
    name = f"whatif_kernel_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    path = _written(_path(digest), text)
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
    return module


def _path(digest: str) -> Path:
    return kernel_folder() / f"whatif_kernel_{digest}.py"


def _written(path: Path, text: str) -> Path:
    """Write a file once: its time of change is part of what numba knows its machine code by."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return path
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def kernel_folder() -> Path:
    """Return the folder that keeps kernels.

    `WHATIF_KERNELS`, else `kernels` in the lake's home (`keep_kernels_in`, `WHATIF_HOME`), else one
    of this user's own in the system's temporary folder (the task's own, on a cluster).

    Raises
    ------
    EngineError
        If none of them can be written to by this user alone.
    """
    tried = []
    for folder in _candidates():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            owned = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
            if owned and os.access(folder, os.W_OK):
                return folder
        except OSError:
            pass
        tried.append(str(folder))
    raise EngineError(
        f"no folder for compiled strategies can be written to (tried {', '.join(tried)}): "
        "set WHATIF_KERNELS to one of your own"
    )


def keep_kernels_in(home: str | os.PathLike[str]) -> None:
    """Let this process keep kernels in the folder `kernels` of `home`, unless another one is named."""
    global _home
    _home = Path(home)


_home: Path | None = None


def _candidates() -> list[Path]:
    named = os.environ.get("WHATIF_KERNELS")
    home = os.environ.get("WHATIF_HOME")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folders = [Path(named)] if named else []
    folders += [_home / "kernels"] if _home is not None and _home.is_dir() else []
    folders += [Path(home, "kernels")] if home and Path(home).is_dir() else []
    return [
        *(folder.expanduser().absolute() for folder in folders),
        Path(tempfile.gettempdir(), f"whatif-kernels-{user}"),
    ]
