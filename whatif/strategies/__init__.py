"""Strategies: step functions, what they declare, and how they are found."""

from __future__ import annotations

from whatif.strategies.builtin import BUILTIN
from whatif.strategies.classic import BacktraderSpec
from whatif.strategies.intents import Intent, buy, close, hold, sell, target, target_percent
from whatif.strategies.loading import AnyStrategy, resolve
from whatif.strategies.params import Param
from whatif.strategies.portable import PortableStrategy, forget_loaded, from_portable, to_portable
from whatif.strategies.spec import StrategySpec, strategy
from whatif.strategies.state import State

__all__ = [
    "BUILTIN",
    "AnyStrategy",
    "BacktraderSpec",
    "Intent",
    "Param",
    "PortableStrategy",
    "State",
    "StrategySpec",
    "buy",
    "close",
    "forget_loaded",
    "from_portable",
    "hold",
    "resolve",
    "sell",
    "strategy",
    "target",
    "target_percent",
    "to_portable",
]


def validate_params(spec: AnyStrategy, given: dict[str, object]) -> dict[str, object]:
    """Return all parameters of a strategy, typed, defaults filled in.

    Raises
    ------
    StrategyError
        Naming key, value, rule and the nearest spelling.
    """
    return dict(spec.validate(given))
