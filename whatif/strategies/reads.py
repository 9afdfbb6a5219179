"""What a function's code reads from outside itself, name by name, found in its bytecode."""

from __future__ import annotations

import dis
import hashlib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

GLOBAL, FREE, IMPORT = "global", "free", "import"
"""Where the first name of a read is looked for: the module, the functions around, an import inside."""

PRESENT = ""
"""In place of an attribute: the module has to be there, whatever is taken of it elsewhere."""

_FIRST = {
    "LOAD_GLOBAL": GLOBAL,
    "LOAD_NAME": GLOBAL,
    "LOAD_DEREF": FREE,
    "LOAD_CLASSDEREF": FREE,
    "LOAD_FROM_DICT_OR_DEREF": FREE,
    "LOAD_FROM_DICT_OR_GLOBALS": GLOBAL,
}
_NEXT = ("LOAD_ATTR", "LOAD_METHOD")
_SKIPPED = ("EXTENDED_ARG", "CACHE", "PRECALL", "NOP")


@dataclass(frozen=True, order=True)
class Read:
    """One way of a function to something outside itself.

    Attributes
    ----------
    place : str
        `GLOBAL`, `FREE` or `IMPORT`.
    name : str
        Its first name; of an import, the module's, with a dot for each level that it is relative by.
    attributes : tuple of str
        What is taken from it in turn: of ``cfg.costs.rate``, ``costs`` and ``rate``.
    """

    place: str
    name: str
    attributes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.attributes))


@lru_cache(maxsize=4096)
def reads_of(code: types.CodeType) -> tuple[Read, ...]:
    """Return what a function's code reads from outside, that of functions and classes inside it included."""
    found = set(_reads(code, frozenset(code.co_freevars)))
    return tuple(sorted(found))


def _reads(code: types.CodeType, free: frozenset[str]) -> Iterator[Read]:
    steps = [step for step in dis.get_instructions(code) if step.opname not in _SKIPPED]
    modules: dict[str, Read] = {}
    for at, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            yield from _imported(steps, at, modules)
        first = _FIRST.get(step.opname)
        if first == GLOBAL:
            yield Read(GLOBAL, str(step.argval), _attributes(steps, at))
        elif first == FREE and step.argval in free:
            yield Read(FREE, str(step.argval), _attributes(steps, at))
        elif step.opname == "LOAD_FAST" and step.argval in modules:
            known = modules[step.argval]
            yield Read(IMPORT, known.name, (*known.attributes, *_attributes(steps, at)))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _reads(constant, free & frozenset(constant.co_freevars))


def _attributes(steps: list[dis.Instruction], at: int) -> tuple[str, ...]:
    names = []
    for step in steps[at + 1 :]:
        if step.opname not in _NEXT:
            break
        names.append(str(step.argval))
    return tuple(names)


def _imported(steps: list[dis.Instruction], at: int, modules: dict[str, Read]) -> Iterator[Read]:
    """Yield what an import inside the function brings; note the local names that stand for it."""
    level = steps[at - 2].argval if at >= 2 else 0
    name = "." * (level if isinstance(level, int) else 0) + str(steps[at].argval)
    rest = steps[at + 1 :]
    if rest and rest[0].opname == "STORE_FAST":
        listed = steps[at - 1].argval
        # ``import a.b`` binds a
        top = name if listed else name.partition(".")[0]
        modules[str(rest[0].argval)] = Read(IMPORT, top or name)
        yield Read(IMPORT, name, (PRESENT,))  # that it is there, whatever is taken of it
        return
    if not rest or rest[0].opname != "IMPORT_FROM":
        yield Read(IMPORT, name)
        return
    for step, then in zip(rest[::2], rest[1::2], strict=False):
        if step.opname != "IMPORT_FROM":
            break
        found = Read(IMPORT, name, (str(step.argval),))
        if then.opname == "STORE_FAST":
            modules[str(then.argval)] = found
        yield found


@lru_cache(maxsize=4096)
def writes_of(code: types.CodeType) -> tuple[str, ...]:
    """Return the names outside itself that a function's code binds anew: its `global` and `nonlocal`."""
    return tuple(sorted(set(_writes(code, frozenset(code.co_freevars)))))


def _writes(code: types.CodeType, free: frozenset[str]) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") or (
            step.opname in ("STORE_DEREF", "DELETE_DEREF") and step.argval in free
        ):
            yield str(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _writes(constant, free & frozenset(constant.co_freevars))


@lru_cache(maxsize=4096)
def body_of(code: types.CodeType) -> bytes:
    """Return a digest of what a function's code does, whatever file and line it stands on."""
    parts: list[Any] = [
        code.co_code.hex(),
        code.co_exceptiontable.hex(),
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags),
        (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
        [_constant(value) for value in code.co_consts],
    ]
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).digest()


def _constant(value: Any) -> str:
    """Return a constant with its type: True is not 1, and 0.0 is not -0.0."""
    if isinstance(value, types.CodeType):
        return body_of(value).hex()
    if isinstance(value, (tuple, frozenset)):
        within = [_constant(item) for item in value]
        # the order of a set of texts changes from process to process
        return f"{type(value).__name__}{within if isinstance(value, tuple) else sorted(within)}"
    return f"{type(value).__name__} {value!r}"
