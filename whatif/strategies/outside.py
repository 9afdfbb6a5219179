"""What a strategy may not reach, since it is another at each call: clocks, files, chance, the environment."""

from __future__ import annotations

import builtins
import io
import os
import random
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

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
    for name in ("open", "input", "eval", "exec", "globals", "breakpoint"):
        what = {"open": "a file", "input": "the keyboard"}.get(name, "what no digest can see")
        found[getattr(builtins, name)] = f"{name}, which reads {what}"
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
