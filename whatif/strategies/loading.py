"""From what a study or a caller names to a strategy."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import TypeAlias

from whatif.errors import StrategyError, nearest
from whatif.paths import bounded_text
from whatif.strategies.builtin import BUILTIN
from whatif.strategies.classic import BacktraderSpec, classic, is_backtrader_strategy
from whatif.strategies.helpers import MAX_SOURCE_BYTES, helpers_of
from whatif.strategies.source import module_from_source, name_of, parts_of, put_back
from whatif.strategies.spec import StrategySpec

AnyStrategy: TypeAlias = StrategySpec | BacktraderSpec
"""A step function or an ordinary Backtrader strategy."""


def resolve(given: object, base_dir: Path | None = None) -> AnyStrategy:
    """Return the strategy that `given` names or is.

    Parameters
    ----------
    given : str, Path, StrategySpec, BacktraderSpec or class
        A built-in name; ``package.module:Name`` or ``package.module.Name``; ``path/file.py``
        (if it defines one strategy) or ``path/file.py:Name``; a strategy itself, or a class
        derived from `backtrader.Strategy`.
    base_dir : Path, optional
        Where relative paths start; the working folder if absent.

    Raises
    ------
    StrategyError
        If there is no such strategy, or its file or module cannot be loaded.
    """
    if isinstance(given, (StrategySpec, BacktraderSpec)):
        return given
    if is_backtrader_strategy(given):
        return classic(given)  # type: ignore[arg-type]
    if isinstance(given, Path):
        given = str(given)
    if not isinstance(given, str) or not given:
        raise StrategyError(
            f"strategy {given!r}: give a name, package.module:Name, path/file.py, a step function made by "
            "@strategy, or a subclass of backtrader.Strategy"
        )
    return _named(given, base_dir or Path())


def _named(text: str, base_dir: Path) -> AnyStrategy:
    place, name = _split(text)
    if place.endswith(".py"):
        return pick(_file_module(base_dir / place, text), name, text)
    if not name and text in BUILTIN:
        return pick(importlib.import_module(f"whatif.strategies.builtin.{text}"), text, text)
    if not name:
        place, _, name = text.rpartition(".")
    if not place:
        raise StrategyError(
            f"strategy {text!r} is unknown: {nearest(text, BUILTIN)}; "
            "one of your own is written path/file.py or package.module:Name"
        )
    return pick(_imported(place, text), name, text)


def strategy_file(text: str) -> str | None:
    """Return the path of the Python file that a strategy's name begins with; None if it names no file."""
    place, _ = _split(text)
    return place if place.endswith(".py") else None


def _split(text: str) -> tuple[str, str]:
    """Return file or module, and the name in it; the colon behind a drive's letter divides nothing."""
    place, _, name = text.rpartition(":")
    return (text, "") if not place or (place.isalpha() and len(place) == 1) else (place, name)


def pick(module: ModuleType, name: str, text: str) -> AnyStrategy:
    """Return the strategy called `name` in a module, or its only one if `name` is empty.

    Raises
    ------
    StrategyError
        If there is none, or several and no name.
    """
    named = _as_strategy(getattr(module, name, None)) if name else None
    if named is not None:
        return named
    found = _defined_in(module)
    if name:
        remedy = (
            nearest(name, found)
            if found
            else "it defines no strategy; decorate a step function with @strategy"
        )
        raise StrategyError(f"strategy {text!r}: there is no strategy {name!r} in it; {remedy}")
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise StrategyError(
            f"strategy {text!r}: it defines no strategy; decorate a step function with @strategy"
        )
    raise StrategyError(
        f"strategy {text!r} defines several: {', '.join(sorted(found))}; write {text}:{min(found)}"
    )


def _as_strategy(thing: object) -> AnyStrategy | None:
    if isinstance(thing, (StrategySpec, BacktraderSpec)):
        return thing
    return classic(thing) if is_backtrader_strategy(thing) else None  # type: ignore[arg-type]


def _defined_in(module: ModuleType) -> dict[str, AnyStrategy]:
    found: dict[str, AnyStrategy] = {}
    for name, thing in vars(module).items():
        home = thing.step if isinstance(thing, StrategySpec) else thing
        spec = _as_strategy(thing)
        if spec is not None and getattr(home, "__module__", "") == module.__name__:
            found[name] = spec
    return found


def _imported(place: str, text: str) -> ModuleType:
    try:
        with _errors_of(f"strategy {text!r}: importing {place} failed"):
            return importlib.import_module(place)
    except StrategyError as error:
        missing = error.__cause__
        if not isinstance(missing, ModuleNotFoundError) or not place.startswith(missing.name or "\0"):
            raise
        raise StrategyError(
            f"strategy {text!r}: there is no module {missing.name!r}; "
            f"{nearest(text, BUILTIN)}; a file of your own is written path/file.py"
        ) from missing


def _file_module(path: Path, text: str) -> ModuleType:
    try:
        source = bounded_text(path, f"strategy {text!r}: file", MAX_SOURCE_BYTES, StrategyError)
    except FileNotFoundError:
        raise StrategyError(
            f"strategy {text!r}: cannot read {path}: there is no such file; give the path of a Python file"
        ) from None
    helpers = helpers_of(source, path.parent).files
    name = name_of(source, str(path), helpers)
    before = parts_of(name)
    if not before:
        return load_source(source, str(path), text, helpers)
    # what it reads while it is loaded, or what was changed in it since, may have made it another
    module = load_source(source, str(path), text, helpers, anew=True)
    if _identities(before[name]) == _identities(module):
        put_back(module, before)
    return sys.modules[name]


def _identities(module: ModuleType) -> list[tuple[str, str]]:
    found = []
    for name, one in vars(module).items():
        spec = None if name.startswith("__") else _as_strategy(one)
        if spec is not None:
            try:
                found.append((name, spec.digest))
            except StrategyError as error:  # said when it is used
                found.append((name, str(error)))
    return found


def load_source(
    source: str, filename: str, text: str, helpers: tuple[tuple[str, str], ...] = (), anew: bool = False
) -> ModuleType:
    """Return the module that a strategy file's text defines, with the helper modules beside it.

    Raises
    ------
    StrategyError
        If executing the text fails.
    """
    with _errors_of(f"strategy {text!r}: loading it failed"):
        return module_from_source(source, filename, helpers, anew)


@contextmanager
def _errors_of(failed: str) -> Iterator[None]:
    """Make whatever a file raises its own error, also `sys.exit` and an interrupt that nobody asked for.

    Raises
    ------
    StrategyError
        Beginning with `failed`.
    KeyboardInterrupt
        If it was Ctrl-C.
    """
    pressed = False
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        if callable(before):
            before(number, frame)

    watched = callable(before) and threading.current_thread() is threading.main_thread()
    if watched:
        signal.signal(signal.SIGINT, note)
    try:
        yield
    except (Exception, SystemExit, GeneratorExit, KeyboardInterrupt) as error:
        if pressed:
            raise
        raise StrategyError(f"{failed}: {type(error).__name__}: {error}") from error
    finally:
        if watched:
            signal.signal(signal.SIGINT, before)
