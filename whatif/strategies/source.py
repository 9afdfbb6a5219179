"""A strategy's source text: what identifies it and rebuilds it elsewhere."""

from __future__ import annotations

import hashlib
import inspect
import sys
from types import ModuleType
from typing import Any

from whatif.errors import StrategyError

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


def module_from_source(text: str, filename: str) -> ModuleType:
    """Return the module that `text` defines; the same text gives the same module.

    Raises
    ------
    Exception
        Whatever the text raises when it is executed.
    """
    name = _LOADED_PREFIX + digest_of(text, filename)[:16]
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = filename
    module.__dict__["__whatif_source__"] = text
    # classes look their module up while they are made
    sys.modules[name] = module
    try:
        exec(compile(text, filename, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def is_from_source(thing: Any) -> bool:
    """Return whether `thing` was defined by text that no import can find again."""
    return str(getattr(thing, "__module__", "")).startswith(_LOADED_PREFIX)
