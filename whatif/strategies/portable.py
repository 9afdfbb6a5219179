"""Strategies as plain values that travel to another process."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from whatif.errors import StrategyError
from whatif.strategies.loading import AnyStrategy, load_source, pick
from whatif.strategies.source import helpers_with, is_from_source, name_of, root_of, take_out
from whatif.strategies.spec import StrategySpec


@dataclass(frozen=True)
class PortableStrategy:
    """How to get a strategy in a process that may not have its file.

    Attributes
    ----------
    module : str
        What to import; "" if `source` is to be executed instead.
    name : str
        Name of the strategy in the module.
    source : str
        Text of a strategy file; "" for an importable module.
    filename : str
        Where the text came from, for tracebacks.
    digest : str
        Digest of all that it can reach, to notice another version.
    helpers : tuple of (str, str)
        Paths and texts of the helper modules that a strategy file imports from its folder.
    """

    module: str
    name: str
    source: str
    filename: str
    digest: str
    helpers: tuple[tuple[str, str], ...] = ()


def to_portable(strategy: AnyStrategy) -> PortableStrategy:
    """Return what another process needs to rebuild `strategy`.

    Raises
    ------
    StrategyError
        If it was defined in a notebook, a script or inside a function, where no other process
        can find it.
    """
    home = strategy.step if isinstance(strategy, StrategySpec) else strategy.cls
    name = getattr(home, "__qualname__", strategy.name)
    if home.__module__ == "__main__" or not name.isidentifier():
        raise StrategyError(
            f"strategy {strategy.name} is defined in {home.__module__} as {name}, where no worker finds it; "
            "move it to the top level of a file or module and name that"
        )
    if is_from_source(home):
        root = root_of(home)
        text, filename = root.__dict__["__whatif_source__"], str(root.__file__)
        # one that a helper defines goes by its name in the file that was named
        held = [key for key, value in vars(root).items() if value is strategy or value is home]
        name = name if name in held or not held else held[0]
        return PortableStrategy("", name, text, filename, strategy.digest, helpers_with(home))
    return PortableStrategy(home.__module__, name, "", "", strategy.digest)


def forget_loaded(portable: PortableStrategy) -> None:
    """Let the next `from_portable` of a strategy file execute its text again."""
    take_out(name_of(portable.source, portable.filename, portable.helpers))


def from_portable(portable: PortableStrategy) -> AnyStrategy:
    """Rebuild a strategy from its portable form.

    Raises
    ------
    StrategyError
        If it cannot be loaded here, or is another version than the one sent.
    """
    if portable.source:
        module = load_source(portable.source, portable.filename, portable.name, portable.helpers)
    else:
        try:
            module = importlib.import_module(portable.module)
        except ImportError as error:
            raise StrategyError(
                f"strategy {portable.name}: module {portable.module} cannot be imported here: {error}; "
                "install it on the workers, or name the file path/file.py, whose text travels along"
            ) from error
    strategy = pick(module, portable.name, portable.name)
    if strategy.digest != portable.digest:
        raise StrategyError(
            f"strategy {portable.name}: the source here, or a value it reads, differs from the one sent; "
            "install the same version of its modules on every worker, and let no value depend on the machine "
            "or the hour"
        )
    return strategy
