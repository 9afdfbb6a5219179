"""The identity of a strategy: a digest by value of everything that its code can reach.

Two strategies have the same identity only if each function, value and module attribute that they can
reach is equal, type and bits included. It is computed when it is asked for, for what a name stands
for may change between two calls. What has no value (an open file, a clock, a random generator) is
refused by name.
"""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import hashlib
import struct
import sys
import types
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from whatif.errors import StrategyError
from whatif.strategies.lookup import first_frozen, is_of_library, resolved
from whatif.strategies.origin import is_installed, known_name, unfit, version_of
from whatif.strategies.reads import FREE, PRESENT, Read, body_of, reads_of

_SIMPLE: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"none",
    type(Ellipsis): lambda value: b"ellipsis",
    type(NotImplemented): lambda value: b"not implemented",
    bool: lambda value: b"bool %d" % value,
    int: lambda value: b"int " + hex(value).encode(),
    float: lambda value: b"float " + struct.pack("<d", value),
    complex: lambda value: b"complex " + struct.pack("<dd", value.real, value.imag),
    str: lambda value: b"str " + value.encode("utf-8", "surrogatepass"),
    bytes: lambda value: b"bytes " + value,
    bytearray: lambda value: b"bytearray " + bytes(value),
    range: lambda value: b"range " + repr(value).encode(),
}
_PLAIN: dict[type, Callable[[Any], Any]] = {
    int: int.__index__,
    float: float.__float__,
    complex: complex.__pos__,
    str: str.__str__,
    bytes: lambda value: bytes.__add__(b"", value),
    bytearray: lambda value: bytearray.__add__(bytearray(), value),
}
"""What an object of a derived class is as one of its base, whatever it overrides."""

_UNSAID = "__dict__ __weakref__ __doc__ __module__ __qualname__ __annotations__ __firstlineno__"
_LEFT_OUT = {*_UNSAID.split(), "__static_attributes__", "__orig_bases__", "__parameters__", "_abc_impl"}
"""Names of a class that say nothing of what it does; dataclasses keep what they need elsewhere."""
_OF_SECTIONS = (
    "__pydantic_",
    "__signature__",
    "__class_vars__",
    "__private_attr",
    "__abstract",
    "model_config",
)
"""Beginnings of names that pydantic gives a section of a study, whose keys count by their values."""


def identity_of(name: str, *things: Any, noun: str = "strategy") -> str:
    """Return a digest of some values and of all that they can reach.

    Parameters
    ----------
    name : str
        The strategy's, for what is refused.
    *things : Any
        The step function or class, and what is declared of it.
    noun : str
        What it is, for what is refused.

    Raises
    ------
    StrategyError
        If something that is reached has no value that could tell this strategy's results from
        another's; it is named.
    """
    walk = _Walk(name, strict=not any(isinstance(thing, type) for thing in things), noun=noun)
    try:
        return walk.root(things).hex()
    finally:
        walk.close()


class _Walk:
    """One walk over all that is reached; what is met twice is digested once.

    Parameters
    ----------
    name : str
        The strategy's.
    strict : bool
        Whether it is a step, which is called for each bar.
    noun : str
        What it is.
    """

    def __init__(self, name: str, strict: bool, noun: str) -> None:
        self._name = name
        self._noun = noun
        self._strict = strict
        self._known: dict[int, bytes] = {}
        self._open: dict[int, int] = {}
        # an id is an object's own only as long as the object is there
        self._kept: list[Any] = []
        self._kinds = self._table()

    def close(self) -> None:
        """Let go of what refers back to the walk, which only the garbage collector would free."""
        self._kinds = ()

    def root(self, things: Iterable[Any]) -> bytes:
        parts = []
        for thing in things:
            # what is asked for itself counts by value, installed or not
            if isinstance(thing, types.FunctionType):
                parts.append(self._once(thing, thing.__name__, self._function))
            elif isinstance(thing, type):
                parts.append(self._once(thing, thing.__name__, self._class))
            else:
                parts.append(self.value(thing, self._name))
        return _joined("root", parts)

    def value(self, value: Any, where: str) -> bytes:
        """Return bytes that are another's only if that one has the same type and value."""
        simple = _SIMPLE.get(type(value))
        if simple is not None:
            return simple(value)
        return self._once(value, where, self._compound)

    def _once(self, value: Any, where: str, digest: Callable[[Any, str], bytes]) -> bytes:
        key = id(value)
        if key in self._known:
            return self._known[key]
        if key in self._open:
            return b"again %d" % self._open[key]
        self._kept.append(value)
        self._open[key] = len(self._open)
        try:
            found = digest(value, where)
        except RecursionError:
            raise self._refused(where, "a value that is nested too deep") from None
        finally:
            del self._open[key]
        self._known[key] = found
        return found

    def _compound(self, value: Any, where: str) -> bytes:
        why = unfit(value, (), self._strict)
        if why:
            raise self._refused(where, why)
        for kinds, digest in self._kinds:
            if isinstance(value, kinds):
                return digest(value, where)
        return self._numpy(value, where) or self._numba(value, where) or self._object(value, where)

    def _table(self) -> tuple[tuple[Any, Callable[[Any, str], bytes]], ...]:
        return (
            (types.FunctionType, self._own_function),
            (types.ModuleType, self._module),
            (type, self._own_class),
            (types.MethodType, lambda v, w: self._many("method", [v.__func__, v.__self__], w)),
            (types.BuiltinFunctionType, self._builtin),
            (types.CodeType, lambda v, w: body_of(v)),
            (types.CellType, self._cell),
            (functools.partial, lambda v, w: self._many("partial", [v.func, v.args, v.keywords, vars(v)], w)),
            ((staticmethod, classmethod), lambda v, w: self._many(type(v).__name__, [v.__func__], w)),
            (property, lambda v, w: self._many("property", [v.fget, v.fset, v.fdel], w)),
            (types.MappingProxyType, lambda v, w: self._items("mappingproxy", v, w)),
            (functools.cached_property, lambda v, w: self._many("cached", [v.func, v.attrname], w)),
            (Enum, lambda v, w: self._many("enum", [type(v), v.name, v.value], w)),
        )

    def _many(self, kind: str, values: Iterable[Any], where: str) -> bytes:
        return _joined(kind, [self.value(value, where) for value in values])

    def _items(self, kind: str, mapping: Mapping[Any, Any], where: str) -> bytes:
        parts = []
        for key, value in mapping.items():
            parts += [self.value(key, where), self.value(value, f"{where}[{key!r:.40}]")]
        return _joined(kind, parts)

    # code

    def _own_function(self, function: types.FunctionType, where: str) -> bytes:
        named = known_name(function)
        return f"function {named}".encode() if named else self._function(function, where)

    def _function(self, function: types.FunctionType, where: str) -> bytes:
        parts = [body_of(function.__code__)]
        parts.append(self._many("defaults", [function.__defaults__, function.__kwdefaults__], where))
        extra = {key: value for key, value in vars(function).items() if key != "__wrapped__"}
        parts.append(self._items("attributes", extra, where))
        # what an installed library's code takes from its module is that library's own matter
        its_own = is_of_library(function)
        for read in reads_of(function.__code__):
            if not its_own or read.place == FREE:
                parts.append(_joined(str(read), [self._read(function, read)]))
        return _joined("function", parts)

    def _read(self, function: types.FunctionType, read: Read) -> bytes:
        there, value, rest = resolved(function, read)
        if not there:
            return b"missing"
        where = f"{read}, which {function.__name__} reads,"
        why = unfit(value, rest, self._strict)
        if why:
            raise self._refused(where, why)
        if isinstance(value, types.ModuleType) and rest == (PRESENT,):
            return f"module {value.__name__}".encode()
        return self.value(value, where)

    def _cell(self, cell: types.CellType, where: str) -> bytes:
        if cell == types.CellType():
            return b"empty cell"
        return self.value(cell.cell_contents, where)

    def _builtin(self, function: types.BuiltinFunctionType, where: str) -> bytes:
        owner = function.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            module = function.__module__ or getattr(owner, "__name__", "")
            return f"builtin {module}.{function.__qualname__} {version_of(module)}".encode()
        return _joined("bound builtin", [function.__name__.encode(), self.value(owner, where)])

    def _module(self, module: types.ModuleType, where: str) -> bytes:
        """Return a digest of a module that is handed about as a whole, so that any of it may be read."""
        if is_installed(module):
            return f"module {module.__name__} {version_of(module.__name__)}".encode()
        found = {key: value for key, value in vars(module).items() if not _is_dunder(key)}
        parts = []
        for key in sorted(found):
            value = found[key]
            parts += [key.encode(), self.value(value, f"{module.__name__}.{key}, all of which {where} reads")]
        return _joined("module", parts)

    def _own_class(self, cls: type, where: str) -> bytes:
        for listed in ("_getpairs", "_getlines"):
            # Backtrader makes a class of what another one declares, and names it by what was made before
            if cls.__module__.startswith("backtrader.") and hasattr(cls, listed):
                return self._many(listed, [getattr(cls, listed)()], where)
        named = known_name(cls)
        return f"class {named}".encode() if named else self._class(cls, where)

    def _class(self, cls: type, where: str) -> bytes:
        section = _is_section(cls)
        parts = [cls.__name__.encode(), *([] if section else [self.value(type(cls), where)])]
        parts += [self.value(base, where) for base in cls.__bases__]
        for key in sorted(vars(cls)):
            if key not in _LEFT_OUT and not (section and key.startswith(_OF_SECTIONS)):
                value = vars(cls)[key]
                parts += [key.encode(), self._member(cls, value, f"{cls.__name__}.{key}")]
        return _joined("class", parts)

    def _member(self, cls: type, value: Any, where: str) -> bytes:
        # descriptors in C: a slot, an attribute of the class's layout
        if isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)):
            return b"slot"
        return self.value(value, where)

    # values

    def _numpy(self, value: Any, where: str) -> bytes:
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return b""
        if isinstance(value, numpy.dtype):
            return f"dtype {value.descr if value.names else value.str}".encode()
        if isinstance(value, numpy.generic) and type(value).__module__ == "numpy":
            return _joined("numpy scalar", [*_dtype(value.dtype), self._bits(numpy.asarray(value), where)])
        if type(value) is numpy.ndarray:
            flags = value.flags
            layout = f"{value.shape} {flags.c_contiguous} {flags.f_contiguous} {flags.writeable}"
            return _joined("array", [*_dtype(value.dtype), layout.encode(), self._bits(value, where)])
        return b""

    def _bits(self, values: Any, where: str) -> bytes:
        kind, size = values.dtype.kind, values.dtype.itemsize
        if values.dtype.hasobject:
            return self._many("objects", values.ravel().tolist(), where)
        if (kind == "f" and size > 8) or (kind == "c" and size > 16):  # their bytes hold some of no value
            return repr([repr(value) for value in values.ravel()]).encode()
        return hashlib.sha256(values.tobytes()).digest()

    def _numba(self, value: Any, where: str) -> bytes:
        """Return a digest of a function that the user compiled; numba froze what it read when it did."""
        inner = getattr(value, "py_func", None)
        if not isinstance(inner, types.FunctionType) or not type(value).__module__.startswith("numba."):
            return b""
        if known_name(value):
            return f"compiled {known_name(value)}".encode()
        frozen = first_frozen(inner, {inner})
        if frozen:
            raise self._refused(
                where, f"compiled by numba already, with the value that {frozen} had then: leave out njit"
            )
        options = self._items("options", value.targetoptions, where)
        return _joined("compiled", [self.value(inner, where), options])

    def _object(self, value: Any, where: str) -> bytes:
        named = known_name(value)
        if named:
            return f"object {named}".encode()
        return _joined("object", [self.value(type(value), where), *self._state(value, where)])

    def _state(self, value: Any, where: str) -> Iterator[bytes]:
        """Yield all that an object holds: as a container, in its attributes, and in its type's own memory."""
        kind = type(value)
        content = self._content(value, where)
        if content is not None:
            yield content
            if kind.__module__ == "builtins":
                return
        if _is_described(value):
            names = [field.name for field in dataclasses.fields(value)]
            yield self._items("fields", {key: getattr(value, key, None) for key in names}, where)
        elif known_name(kind):
            yield self._reduced(value, where)
        else:
            held = getattr(value, "__dict__", {})
            yield self._items("attributes", {key: held[key] for key in sorted(held, key=str)}, where)
            slots = {key: getattr(value, key) for key in _slots(kind) if hasattr(value, key)}
            yield self._items("slots", slots, where)
            if _has_foreign_memory(kind):
                yield self._reduced(value, where)

    def _content(self, value: Any, where: str) -> bytes | None:
        if isinstance(value, (list, tuple)):
            return _alike(value) or self._many("sequence", list.__iter__(list(value)), where)
        if isinstance(value, dict):
            return self._items("dict", dict(dict.items(value)), where)
        if isinstance(value, (set, frozenset)):
            return _joined("set", sorted(self.value(item, where) for item in value))
        for kind, plain in _PLAIN.items():
            if isinstance(value, kind):
                return _SIMPLE[kind](plain(value))
        return None

    def _reduced(self, value: Any, where: str) -> bytes:
        """Return a digest of what an object of a type in C would be copied from."""
        try:
            if type(value) in copyreg.dispatch_table:
                reduced = copyreg.dispatch_table[type(value)](value)
            else:
                reduced = value.__reduce_ex__(4)
        except Exception:
            raise self._refused(where, f"a {_type_name(value)}, which has no value") from None
        if isinstance(reduced, str):
            return self._global(value, reduced, where)
        parts = [tuple(part) if isinstance(part, Iterator) else part for part in reduced]
        # what makes the copy is a function of the type's, known with it
        return self._many("reduced", parts[1:], where)

    def _global(self, value: Any, name: str, where: str) -> bytes:
        """Return what an object that is copied by name is: it must be found by that name elsewhere."""
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None:
            return self._many("wrapped", [wrapped], where)
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ufunc):
            for module in ("numpy", "scipy.special"):
                if getattr(sys.modules.get(module), name, None) is value:
                    return f"ufunc {module}.{name} {version_of(module)}".encode()
        raise self._refused(where, f"{name}, a {_type_name(value)}, which has no value")

    def _refused(self, where: str, what: str) -> StrategyError:
        return StrategyError(
            f"{self._noun} {self._name}: {where} is {what}; a {self._noun}'s results must follow from its "
            "code and values alone: give it as a parameter, as a column of the bars, or as numbers and "
            "arrays that are worked out when the file is loaded"
        )


def _joined(kind: str, parts: Iterable[bytes]) -> bytes:
    whole = hashlib.sha256(kind.encode("utf-8", "surrogatepass"))
    for part in parts:
        whole.update(b"\0%d\0" % len(part))
        whole.update(part)
    return whole.digest()


def _dtype(dtype: Any) -> list[bytes]:
    return [str(dtype.descr if dtype.names else dtype.str).encode(), repr(dtype).encode()]


def _alike(values: list[Any] | tuple[Any, ...]) -> bytes | None:
    """Return a digest of many numbers of one type at once, or None."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return _joined("floats", [array("d", values).tobytes()])
    return _joined("ints", [repr(list(values)).encode()]) if kinds == {int} else None


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_section(cls: type) -> bool:
    return any((base.__module__, base.__name__) == ("whatif.section", "Section") for base in cls.__mro__)


def _is_described(value: Any) -> bool:
    """Return whether the fields of an object of this package say all of it; the rest it worked out."""
    return dataclasses.is_dataclass(value) and type(value).__module__.startswith("whatif.")


def _slots(cls: type) -> list[str]:
    names: list[str] = []
    for base in cls.__mro__:
        own = vars(base).get("__slots__", ())
        names += [own] if isinstance(own, str) else list(own)
    return sorted({name for name in names if name not in ("__dict__", "__weakref__")})


def _has_foreign_memory(cls: type) -> bool:
    """Return whether a class derives from a type whose objects may hold more than attributes show."""
    return any(
        base not in _HELD
        and base.__module__ not in _WITHOUT_MEMORY
        and (base.__module__ not in sys.modules or is_installed(sys.modules[base.__module__]))
        for base in cls.__mro__
    )


_HELD = (object, list, tuple, dict, set, frozenset, int, float, complex, str, bytes, bytearray, bool)
"""Bases whose content is looked at itself."""

_WITHOUT_MEMORY = ("abc", "typing", "enum", "collections.abc")


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
