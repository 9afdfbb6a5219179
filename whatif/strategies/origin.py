"""Whose code it is: the standard library's, an installed package's, or the user's own."""

from __future__ import annotations

import sys
import sysconfig
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
