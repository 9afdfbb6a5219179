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
