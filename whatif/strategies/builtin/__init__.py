"""Strategies that come with the library, one a file."""

from __future__ import annotations

BY_SYMBOL = (
    "bollinger_reversion",
    "breakout",
    "ema_crossover",
    "forecast_threshold",
    "macd_crossover",
    "opening_range_breakout",
    "probability_threshold",
    "sma_crossover",
)
"""Names of those that are asked for each symbol; each is the module and the strategy in it."""

CROSS_SECTIONAL = ("cross_sectional_momentum", "pairs_spread")
"""Names of those that are asked for all symbols of an account."""

BUILTIN = (*BY_SYMBOL, *CROSS_SECTIONAL)
"""Their names."""
