"""Ordinary Backtrader strategies, known by their class alone."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whatif.errors import StrategyError
from whatif.indicators import Needs
from whatif.strategies.identity import identity_of
from whatif.strategies.params import check_names
from whatif.strategies.source import digest_of, helpers_with, source_of


@dataclass(frozen=True, eq=False)
class BacktraderSpec:
    """A subclass of `backtrader.Strategy`, to be run by Backtrader as it is.

    Attributes
    ----------
    name : str
        The class's name.
    cls : type
        The class.
    source : str
        The text that defines it.
    """

    name: str
    cls: type
    source: str = ""

    @property
    def digest(self) -> str:
        """Digest of its source and, by value, of all that the class can reach now.

        Raises
        ------
        StrategyError
            If the class reaches what has no value, such as an open file or a clock; it is named.
        """
        return identity_of(self.name, self.cls, digest_of(self.source, self.name), helpers_with(self.cls))

    @property
    def answers_orders(self) -> bool:
        """Whether a step may answer with an `Order`: a class places its own."""
        return False

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters' defaults."""
        return dict(self.cls.params._getpairs())  # type: ignore[attr-defined]

    def validate(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Return all parameters, defaults filled in; their values are the class's own matter.

        Defaults that are no plain value (an indicator's class, a list) are left for the class to
        fill in, as they can neither travel as text nor name a configuration.

        Raises
        ------
        StrategyError
            If one is unknown.
        """
        check_names(given, self.defaults, self.name)
        plain = {name: value for name, value in self.defaults.items() if _is_plain(value)}
        return {**plain, **given}

    def warmup(self, params: Mapping[str, object]) -> int:
        """Return how many bars before the window it is fed: what the class declares as `warmup`, else 0.

        Parameters
        ----------
        params : mapping
            Its parameters, on which that may depend: `warmup` is a number, or a method or property of
            a class that is not made yet, which finds them as ``self.p.slow``; a class or static method
            finds them as ``params.slow`` or ``params["slow"]``.

        Raises
        ------
        StrategyError
            If that is no whole number of bars, or cannot be told.
        """
        try:
            declared = _declared(self.cls, {**self.defaults, **params})
        except Exception as error:
            raise StrategyError(
                f"strategy {self.name}: warmup cannot be told from its parameters: "
                f"{type(error).__name__}: {error}; it may use self.p (or params) and nothing else"
            ) from error
        if not isinstance(declared, int) or isinstance(declared, bool) or declared < 0:
            raise StrategyError(
                f"strategy {self.name}: warmup = {declared!r} must be a whole number of bars, 0 or more"
            )
        return declared

    def external_inputs(self) -> frozenset[str]:
        """Return the series it must have from outside: none is declared."""
        return frozenset()

    @property
    def needs(self) -> Needs:
        """What its inputs are made of beside the bars' own series: none is declared."""
        return Needs()


class _Unmade(dict[str, object]):
    """Parameters of a strategy that is not made yet, as items and as attributes, also of `p` and `params`."""

    def __getattr__(self, name: str) -> object:
        if name in ("p", "params"):
            return self
        if name not in self:
            raise AttributeError(f"no parameter is called {name!r}; there are {', '.join(self) or 'none'}")
        return self[name]


def _declared(cls: Any, params: Mapping[str, object]) -> object:
    """Return what a class declares as `warmup`, asked with its parameters where it depends on them."""
    found = inspect.getattr_static(cls, "warmup", 0)
    if isinstance(found, property) and found.fget is not None:
        return found.fget(_Unmade(params))
    if isinstance(found, (classmethod, staticmethod)) or callable(found):
        return cls.warmup(_Unmade(params))
    return found


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (bool, int, str))


def is_backtrader_strategy(thing: object) -> bool:
    """Return whether `thing` is a class derived from `backtrader.Strategy`, importing nothing."""
    return isinstance(thing, type) and any(
        base.__name__ == "Strategy" and base.__module__ == "backtrader.strategy" for base in thing.__mro__[1:]
    )


def classic(cls: type) -> BacktraderSpec:
    """Return the strategy that a class derived from `backtrader.Strategy` is."""
    return BacktraderSpec(name=cls.__name__, cls=cls, source=source_of(cls))
