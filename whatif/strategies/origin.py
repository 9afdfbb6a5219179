"""Origin of code (Python, an installed package, the user), and what of it a strategy may not reach."""

from __future__ import annotations

import builtins
import importlib
import io
import os
import random
import sys
import sysconfig
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGES = {"site-packages", "dist-packages"}
_OURS = "whatif"


def is_installed(module: ModuleType) -> bool:
    """Return whether a module belongs to Python, to an installed package or to this one.

    What lies in no folder of packages is the user's own, and so is a module without a file.
    """
    name = module.__name__
    if _is_ours(name):
        return True
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None) or getattr(module, "__file__", None)
    if origin in ("built-in", "frozen"):
        return True
    if origin is None:
        paths = list(getattr(module, "__path__", ()))
        return bool(paths) and all(is_installed_at(str(path)) for path in paths)
    return is_installed_at(str(origin))


@lru_cache(maxsize=4096)
def is_installed_at(place: str) -> bool:
    """Return whether a path lies among Python's own modules or installed packages."""
    path = Path(place)
    if _PACKAGES & set(path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in _standard())


@lru_cache(maxsize=1)
def _standard() -> tuple[str, ...]:
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    return tuple(sorted(place for place in found if place))


def _is_ours(name: str) -> bool:
    return name == _OURS or name.startswith(f"{_OURS}.")


def known_name(thing: Any) -> str:
    """Return the name by which an installed function or class is found, with its version; else "".

    A function of the user's own that calls itself by an installed one's name has none, nor has one
    that a library made for the user.
    """
    module_name = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not isinstance(module_name, str) or not isinstance(name, str):
        return ""
    module = sys.modules.get(module_name)
    if module is None or not is_installed(module):
        return ""
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module_name}.{name} {version_of(module_name)}" if found is thing else ""


def version_of(module_name: str) -> str:
    """Return the version of an installed module's package, of Python's own, Python's."""
    top = module_name.partition(".")[0]
    if top == _OURS:
        # what a strategy calls of it is part of the kernel, and of the version of results
        return ""
    if top in sys.stdlib_module_names:
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    return str(getattr(sys.modules.get(top), "__version__", ""))


_CLOCK = "the clock"
_MODULES = {
    "socket": "the network",
    "urllib.request": "the network",
    "http.client": "the network",
    "requests": "the network",
    "subprocess": "other programs",
    "sqlite3": "a database",
    "secrets": "chance",
}
_NOW = {"now", "utcnow", "today"}
_READERS = ("load", "loadtxt", "genfromtxt", "fromfile", "memmap")


def unfit(value: Any, attributes: tuple[str, ...] = (), strict: bool = True) -> str:
    """Return why a value cannot be part of a strategy, in words that follow "is"; "" if it can.

    Parameters
    ----------
    value : Any
        What is reached.
    attributes : tuple of str
        What the code takes from it, in turn.
    strict : bool
        Whether random generators may not be made either: a step is called for each bar.
    """
    name = _reader(value, strict)
    if name:
        return name
    if attributes and attributes[0] in _NOW and _is_of_time(value):
        return f"{value.__module__}.{value.__name__}.{attributes[0]}, which reads {_CLOCK}"
    if isinstance(value, io.IOBase):
        return "an open file, which has no value"
    if isinstance(value, type(os.environ)):
        return "os.environ, the environment of one machine"
    if _is_generator(value) or _is_generator(getattr(value, "__self__", None)):
        return "a random generator, whose next number depends on what ran before"
    if isinstance(value, Iterator):
        return "an iterator, whose next value depends on what ran before"
    return ""


def _reader(value: Any, strict: bool) -> str:
    """Return what a function or class reads, if it is known to read what is no value."""
    if not callable(value):
        return ""
    known = _readers()
    try:
        if value in known:
            return known[value]
    except TypeError:  # not hashable
        return ""
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", "")
    if not isinstance(module, str) or not isinstance(name, str):
        return ""
    for inner, what in _MODULES.items():
        if module == inner or module.startswith(f"{inner}."):
            return f"{module}.{name}, which reads {what}"
    top = module.partition(".")[0]
    if (top == "numpy" and name in _READERS) or (top == "pandas" and name.startswith("read_")):
        return f"{top}.{name}, which reads a file"
    if strict and module.startswith("numpy.random"):
        return f"numpy.random.{name}, which draws by chance"
    return ""


@lru_cache(maxsize=1)
def _readers() -> dict[Any, str]:
    import uuid

    found: dict[Any, str] = {}
    for name in ("open", "input", "eval", "exec", "compile", "globals", "breakpoint", "__import__"):
        what = {"open": "a file", "input": "the keyboard"}.get(name, "what no digest can see")
        found[getattr(builtins, name)] = f"{name}, which reads {what}"
    for name in ("import_module", "reload"):
        found[getattr(importlib, name)] = f"importlib.{name}, which reads what no digest can see"
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        for function in (name, f"{name}_ns"):
            if hasattr(time, function):
                found[getattr(time, function)] = f"time.{function}, which reads {_CLOCK}"
    for name in ("getenv", "getenvb", "urandom", "popen", "system", "listdir", "scandir", "stat", "getcwd"):
        if hasattr(os, name):
            found[getattr(os, name)] = f"os.{name}, which reads this machine"
    found[random.SystemRandom] = "random.SystemRandom, which draws by chance"
    found |= {getattr(uuid, name): f"uuid.{name}, which draws by chance" for name in ("uuid1", "uuid4")}
    return found


def _is_of_time(value: Any) -> bool:
    return isinstance(value, type) and value.__module__.startswith(("datetime", "pandas"))


def _is_generator(value: Any) -> bool:
    if isinstance(value, random.Random):
        return True
    drawn = sys.modules.get("numpy.random")
    kinds = ("Generator", "RandomState", "BitGenerator")
    return drawn is not None and isinstance(value, tuple(getattr(drawn, kind) for kind in kinds))
