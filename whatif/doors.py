"""The door of a room: names that its `__init__` exports, each loaded when it is first taken (PEP 562).

And the way by which a result shows itself: what draws it is taken by name, from whatever room.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any


def door(
    room: str, names: Mapping[str, str], by_name: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package that loads its modules when they are needed.

    Parameters
    ----------
    room : str
        Name of the package.
    names : mapping of str to str
        Modules of the package, and what each exports: names with spaces between them. No name may be
        that of a module in the package, which would stand before it once it is imported.
    by_name : collection of str
        Modules whose names `from room import *` leaves out, as they load what a light use can do without.
    """
    homes = {name: f"{room}.{module}" for module, text in names.items() for name in text.split()}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    starred = sorted(name for module, text in names.items() if module not in by_name for name in text.split())
    return get, lambda: sorted(homes), starred


def shower(room: str, name: str) -> Any:
    """Return what shows a result to a person, by its name in a room, which may be above the caller's.

    It is loaded when somebody looks: no result depends on it, and no worker takes it.
    """
    return getattr(import_module(room), name)
