"""A strategy's source text: what identifies it and rebuilds it elsewhere."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from whatif.errors import StrategyError
from whatif.strategies.helpers import announce, bindings

_LOADED_PREFIX = "whatif_strategy_"


def digest_of(text: str, name: str) -> str:
    """Return a digest of a strategy's source text, the same whatever its line endings.

    Raises
    ------
    StrategyError
        If there is no text, for then two strategies could not be told apart.
    """
    if not text:
        raise StrategyError(
            f"strategy {name}: its source cannot be read, so its results could not be told from another's; "
            "put it into a file and name that"
        )
    return hashlib.sha256(text.replace("\r\n", "\n").encode("utf-8")).hexdigest()


def source_of(thing: Any) -> str:
    """Return the source of the module that defines `thing`, or of `thing` alone, or "".

    The whole module counts, for a step function may call others beside it.
    """
    module = sys.modules.get(getattr(thing, "__module__", ""))
    text = getattr(module, "__whatif_source__", None)
    if isinstance(text, str):
        return text
    for candidate in (module, thing):
        try:
            return inspect.getsource(candidate)  # type: ignore[arg-type]
        except (OSError, TypeError):
            continue
    return ""


def module_from_source(
    text: str, filename: str, helpers: tuple[tuple[str, str], ...] = (), anew: bool = False
) -> ModuleType:
    """Return the module that `text` defines; the same text, file and helpers give the same module.

    Parameters
    ----------
    text, filename : str
        The strategy's file.
    helpers : tuple of (str, str)
        Paths below its folder, and texts, of the modules that it imports from there.
    anew : bool
        Whether to execute it again if it is there already: what it reads while it is loaded, and what
        was changed in it since, may make it another.

    Raises
    ------
    Exception
        Whatever the text raises when it is executed.
    """
    name = name_of(text, filename, helpers)
    if name in sys.modules and not anew:
        return sys.modules[name]
    before = take_out(name)
    announce(name, Path(filename).parent, dict(helpers))
    module = ModuleType(name)
    module.__path__ = []
    vars(module).update(bindings(name), __file__=filename, __whatif_source__=text, __whatif_helpers__=helpers)
    # classes look their module up while they are made
    sys.modules[name] = module
    try:
        exec(compile(text, filename, "exec"), module.__dict__)
    except BaseException:
        take_out(name)
        sys.modules.update(before)
        raise
    return module


def name_of(text: str, filename: str, helpers: tuple[tuple[str, str], ...]) -> str:
    """Return the name of the module that a strategy's file is loaded as."""
    key = json.dumps([filename, digest_of(text, filename), helpers])
    return _LOADED_PREFIX + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def root_of(thing: Any) -> ModuleType:
    """Return the module of the strategy's file that `thing`, or a helper that defines it, belongs to."""
    return sys.modules[str(thing.__module__).partition(".")[0]]


def put_back(module: ModuleType, parts: Mapping[str, ModuleType]) -> None:
    """Let a module that was executed anew be the one that was there before again, with its helpers."""
    take_out(module.__name__)
    sys.modules.update(parts)


def parts_of(name: str) -> dict[str, ModuleType]:
    """Return a strategy's module and its helpers by name."""
    return {key: one for key, one in sys.modules.items() if key == name or key.startswith(f"{name}.")}


def take_out(name: str) -> dict[str, ModuleType]:
    """Forget a strategy's module and its helpers; return them by name."""
    found = parts_of(name)
    for key in found:
        del sys.modules[key]
    return found


def helpers_with(thing: Any) -> tuple[tuple[str, str], ...]:
    """Return paths and texts of the helper modules that came with what defines `thing`."""
    module = sys.modules.get(str(getattr(thing, "__module__", "")).partition(".")[0])
    found: tuple[tuple[str, str], ...] = getattr(module, "__whatif_helpers__", ())
    return found


def is_from_source(thing: Any) -> bool:
    """Return whether `thing` was defined by text that no import can find again."""
    return str(getattr(thing, "__module__", "")).startswith(_LOADED_PREFIX)
