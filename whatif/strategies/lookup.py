"""From the name that a function reads to what it stands for at the moment."""

from __future__ import annotations

import builtins
import dis
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from whatif.strategies.origin import is_installed, known_name
from whatif.strategies.reads import FREE, GLOBAL, PRESENT, Read, reads_of


def resolved(function: types.FunctionType, read: Read) -> tuple[bool, Any, tuple[str, ...]]:
    """Return whether what a read is about is there, it, and the attributes of it that were not followed.

    Attributes are followed through modules; of any other object all is taken.
    """
    there, value = _first(function, read)
    rest = read.attributes
    while there and rest and rest != (PRESENT,) and isinstance(value, types.ModuleType):
        there, value = hasattr(value, rest[0]), getattr(value, rest[0], None)
        rest = rest[1:]
    return there, value, rest


def _first(function: types.FunctionType, read: Read) -> tuple[bool, Any]:
    if read.place == GLOBAL:
        if read.name in function.__globals__:
            return True, function.__globals__[read.name]
        known = _builtins_of(function)
        return read.name in known, known.get(read.name)
    if read.place == FREE:
        names = function.__code__.co_freevars
        cells = dict(zip(names, function.__closure__ or (), strict=False))
        cell = cells.get(read.name)
        if cell is None or cell == types.CellType():
            return False, None
        return True, cell.cell_contents
    return _import(function, read.name)


def _import(function: types.FunctionType, name: str) -> tuple[bool, Any]:
    """Import what a function would import when it is called."""
    load = _builtins_of(function).get("__import__", builtins.__import__)
    plain = name.lstrip(".")
    try:
        return True, load(plain, function.__globals__, None, ("__name__",), len(name) - len(plain))
    except Exception:  # whatever it is, the call will say it
        return False, None


def reaches(function: types.FunctionType, is_wanted: Callable[[types.FunctionType, Any], bool]) -> bool:
    """Return whether a function, or one that it reads and that is no installed module's, reads a thing.

    Parameters
    ----------
    function : function
        Where to begin.
    is_wanted : callable
        Whether a function's reading of a value is what is looked for.
    """
    for one in followed(function):
        for read in reads_of(one.__code__):
            there, value, _ = resolved(one, read)
            if there and is_wanted(one, value):
                return True
    return False


def followed(
    function: types.FunctionType, known: set[types.FunctionType] | None = None
) -> Iterator[types.FunctionType]:
    """Yield a function, and all that it reads and that are no installed module's, each of them once.

    Parameters
    ----------
    function : function
        Where to begin.
    known : set of function, optional
        Functions that are yielded already; written to.
    """
    known = set() if known is None else known
    known.add(function)
    yield function
    for read in reads_of(function.__code__):
        there, value, _ = resolved(function, read)
        inner = getattr(value, "py_func", value)
        is_new = there and isinstance(inner, types.FunctionType) and inner not in known
        if is_new and not is_of_library(inner):
            yield from followed(inner, known)


def names_in(code: types.CodeType) -> frozenset[str]:
    """Return the names that a function's code uses, as attributes or as text, and those inside it."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_in(constant)
        elif isinstance(constant, str):
            found.add(constant)
    return frozenset(found)


def keywords_of(code: types.CodeType) -> frozenset[str]:
    """Return the names that a function's calls may give arguments by, and those of functions inside it."""
    found: set[str] = set()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= keywords_of(constant)
        elif isinstance(constant, tuple):
            found.update(one for one in constant if isinstance(one, str))
    return frozenset(found)


def joins_calls(code: types.CodeType) -> bool:
    """Return whether a function makes a tuple that ends in a call, or a function inside it does."""
    steps = [one.opname for one in dis.get_instructions(code) if one.opname not in ("CACHE", "NOP")]
    if ("CALL", "BUILD_TUPLE") in pairwise(steps):
        return True
    return any(joins_calls(one) for one in code.co_consts if isinstance(one, types.CodeType))


def _builtins_of(function: types.FunctionType) -> Mapping[str, Any]:
    known: Any = vars(types.FunctionType)["__builtins__"].__get__(function)
    return known if isinstance(known, Mapping) else vars(known)


def is_of_library(function: types.FunctionType) -> bool:
    """Return whether a function's code is of an installed module, and is no strategy."""
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    if module is None or vars(module) is not function.__globals__:
        return False
    return is_installed(module) and not module.__name__.startswith("whatif.strategies.builtin.")


def first_frozen(function: types.FunctionType, seen: set[types.FunctionType]) -> str:
    """Return the first value or function of the user's own that a function reads, by name; "" if none."""
    for read in reads_of(function.__code__):
        there, value, _ = resolved(function, read)
        inner = getattr(value, "py_func", value)
        if not there or inner in seen:
            continue
        if isinstance(value, types.ModuleType) and is_installed(value):
            continue
        owner = getattr(value, "__self__", None)
        of_python = isinstance(value, types.BuiltinFunctionType) and isinstance(owner, types.ModuleType)
        if not (known_name(value) or of_python or _is_library_value(function, read)):
            return str(read)
    return ""


def _is_library_value(function: types.FunctionType, read: Read) -> bool:
    """Return whether a read ends in an attribute of an installed module, such as ``math.pi``."""
    there, value, _ = resolved(function, Read(read.place, read.name))
    return there and isinstance(value, types.ModuleType) and is_installed(value)
