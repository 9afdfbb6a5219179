"""Implementations that others bring: found by entry point, or as `module:Name`."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from inspect import isabstract
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, get_args

from whatif.errors import PluginError, nearest


@dataclass(frozen=True)
class Plugin:
    """One implementation of a seam.

    Attributes
    ----------
    name : str
        By which a study asks for it.
    kind : type
        The class.
    origin : str
        Where it comes from: "whatif", or a distribution and its version.
    """

    name: str
    kind: type[Any]
    origin: str


@dataclass(frozen=True)
class BrokenPlugin:
    """An implementation that is installed and cannot be used.

    Attributes
    ----------
    name, origin : str
        As of `Plugin`.
    error : PluginError
        Why.
    """

    name: str
    origin: str
    error: PluginError


@dataclass(frozen=True)
class Seam:
    """A place at which implementations can be put in.

    Attributes
    ----------
    group : str
        Group of entry points, such as "whatif.splits".
    base : type
        What each implementation derives from.
    noun : str
        What one is called in messages, such as "split".
    built_in : mapping of str to type
        Those that come along.
    """

    group: str
    base: type[Any]
    noun: str
    built_in: Mapping[str, type[Any]]

    def find(self, name: str) -> type[Any]:
        """Return the implementation that a study names: one that comes along, installed, or `module:Name`.

        Raises
        ------
        PluginError
            If there is none, it cannot be imported, or is not what the seam takes.
        """
        family, dot, _ = name.partition(".")
        if name in self.built_in or (dot and getattr(self.built_in.get(family), "family", False)):
            return self.built_in[name if name in self.built_in else family]
        if ":" in name:
            return self._checked(name, _imported(name, self.noun))
        for plugin in self.installed():
            if plugin.name == name:
                return plugin.kind
        raise PluginError(nearest(name, [plugin.name for plugin in self.every()]))

    def every(self) -> list[Plugin]:
        """Return those that come along and those that are installed, by name."""
        own = [Plugin(name, kind, "whatif") for name, kind in self.built_in.items()]
        return sorted([*own, *self.installed()], key=lambda plugin: plugin.name)

    def installed(self) -> list[Plugin]:
        """Return what installed distributions bring.

        Raises
        ------
        PluginError
            If one cannot be imported, or two have one name.
        """
        found = []
        for plugin in self._entries():
            if isinstance(plugin, BrokenPlugin):
                raise plugin.error
            found.append(plugin)
        return found

    def listed(self) -> list[Plugin | BrokenPlugin]:
        """Return all there are by name, those that cannot be used too."""
        own = [Plugin(name, kind, "whatif") for name, kind in self.built_in.items()]
        return sorted([*own, *self._entries()], key=lambda plugin: plugin.name)

    def _entries(self) -> Iterator[Plugin | BrokenPlugin]:
        """Yield what installed distributions bring."""
        origins = dict.fromkeys(self.built_in, "whatif")
        for name, value, origin in _entries(self.group):
            try:
                if name in origins:
                    raise PluginError(
                        f"{self.noun} {name!r} is brought by both {origins[name]} and {origin}: uninstall "
                        "one of them"
                    )
                kind = self._checked(name, _imported(value, self.noun), origin)
            except PluginError as error:
                yield BrokenPlugin(name, origin, error)
            else:
                origins[name] = origin
                yield Plugin(name, kind, origin)

    def _checked(self, name: str, kind: Any, origin: str = "") -> type[Any]:
        if not (isinstance(kind, type) and issubclass(kind, self.base)):
            raise PluginError(
                f"{self.noun} {name!r}{f' of {origin}' if origin else ''} is no class derived from "
                f"{self.base.__module__}.{self.base.__qualname__}"
            )
        if isabstract(kind):
            missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
            raise PluginError(
                f"{self.noun} {name!r}{f' of {origin}' if origin else ''} does not define {missing}"
            )
        return kind


@dataclass(frozen=True)
class SectionSeam(Seam):
    """A seam whose implementations are sections of the study, each known by its key `kind`.

    Attributes
    ----------
    default : str
        What a section is that names no kind, and has no key that does.
    """

    default: str

    def class_of(self, given: Any) -> type[Any] | None:
        """Return the class of a section as it was written; None if there is none of its kind."""
        try:
            return self.find(self._kind(given))
        except PluginError:
            return None

    def section(self, given: Any) -> Any:
        """Return the section that was written, checked.

        Raises
        ------
        ValueError
            If it is none, as pydantic collects it.
        """
        if isinstance(given, self.base):
            return given
        if not isinstance(given, Mapping):
            raise ValueError(f"must be a mapping of keys, such as {{kind: {self.default}}}; got {given!r}")
        try:
            found = self.find(self._kind(given))
        except PluginError as error:
            # imported here: workers look up engines and axes, and need no pydantic
            from pydantic_core import PydanticCustomError, ValidationError

            unknown = PydanticCustomError("unknown_kind", "{why}", {"why": str(error)})
            line = {"type": unknown, "loc": ("kind",), "input": given["kind"]}
            raise ValidationError.from_exception_data(self.noun, [line]) from None  # type: ignore[list-item]
        return found.model_validate(given)

    def _kind(self, given: Any) -> str:
        if not isinstance(given, Mapping):
            return self.default
        # a key that has a kind's name says that kind, as in {registered: forest@3}
        named = next((key for key in given if key in self.built_in), self.default)
        return str(given.get("kind", named))


def classes_in(package: str, base: type[Any], but: Collection[str] = ()) -> dict[str, type[Any]]:
    """Return what comes along in a package, in order of its modules: of each the class that it defines.

    A class is known by its key `kind`, if that says one name, else by its module's name.

    Parameters
    ----------
    package : str
        Name of a package, each of whose modules defines one class derived from `base`.
    base : type
        What they derive from.
    but : collection of str
        Modules that are left out.
    """
    found = {}
    for entry in iter_modules(import_module(package).__path__):
        module = f"{package}.{entry.name}"
        if entry.name not in but:
            (kind,) = (
                thing
                for thing in vars(import_module(module)).values()
                if isinstance(thing, type) and issubclass(thing, base) and thing.__module__ == module
            )
            found[_said_kind(kind) or entry.name] = kind
    return found


def _said_kind(kind: type[Any]) -> str | None:
    """Return the default of a section's key `kind`, or the one value that it takes; None if it takes any."""
    field = getattr(kind, "model_fields", {}).get("kind")
    if field is None:
        return None
    said = (field.default,) if isinstance(field.default, str) else get_args(field.annotation)
    return said[0] if len(said) == 1 else None


@lru_cache(maxsize=16)
def _entries(group: str) -> tuple[tuple[str, str, str], ...]:
    """Return name, value and distribution of each entry point of a group."""
    return tuple(
        (entry.name, entry.value, f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown")
        for entry in entry_points(group=group)
    )


def _imported(value: str, noun: str) -> Any:
    module, _, name = value.partition(":")
    try:
        found: Any = _module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise PluginError(
            f"{noun} {value!r} cannot be imported: {type(error).__name__}: {error}; install it, run where "
            "its file lies, or correct the name (module:Name)"
        ) from error
    return found


def _module(name: str) -> ModuleType:
    """Return a module that is installed, or lies in the working folder, which is looked through last."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        here = os.getcwd()
        if error.name != name.partition(".")[0] or here in sys.path:
            raise
        # a console script's path holds its own folder and not this one
        sys.path.append(here)
        invalidate_caches()
        return import_module(name)
