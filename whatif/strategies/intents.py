"""What a step function may ask the broker for.

An intent is a pair (code, amount), so that the same step function runs in Python and in a
compiled loop. Nothing is remembered between bars.
"""

from __future__ import annotations

from typing import TypeAlias

from whatif.domain import usable_in_both

Intent: TypeAlias = tuple[int, float]
"""Code and amount."""

HOLD, TARGET, BUY, SELL, CLOSE, TARGET_PERCENT = range(6)


@usable_in_both
def hold() -> Intent:
    """Leave everything as it is."""
    return (HOLD, 0.0)


@usable_in_both
def target(size: float) -> Intent:
    """Ask for the position to become `size` (signed): Backtrader's `order_target_size`."""
    return (TARGET, float(size))


@usable_in_both
def buy(size: float) -> Intent:
    """Buy `size` units (not negative) at the market."""
    return (BUY, float(size))


@usable_in_both
def sell(size: float) -> Intent:
    """Sell `size` units (not negative) at the market."""
    return (SELL, float(size))


@usable_in_both
def close() -> Intent:
    """Leave the position: Backtrader's `close`."""
    return (CLOSE, 0.0)


@usable_in_both
def target_percent(fraction: float) -> Intent:
    """Ask for a position worth `fraction` of the account: Backtrader's `order_target_percent`."""
    return (TARGET_PERCENT, float(fraction))
