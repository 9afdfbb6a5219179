"""Strategies that come with the library, one a file."""

from __future__ import annotations

BUILTIN = (
    "bollinger_reversion",
    "breakout",
    "ema_crossover",
    "forecast_threshold",
    "macd_crossover",
    "opening_range_breakout",
    "probability_threshold",
    "sma_crossover",
)
"""Their names; each is the module and the strategy in it."""
