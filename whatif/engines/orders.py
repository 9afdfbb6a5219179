"""Orders: what every broker refuses of an intent, and of the order that it makes."""

from __future__ import annotations

from whatif.errors import EngineError
from whatif.strategies import BUY, CLOSE, ORDER_FIELDS, SELL, TARGET, TARGET_PERCENT

LARGEST_SIZE = 2.0**53
"""Sizes beyond it are refused: Backtrader counts whole units exactly, a double no longer does."""


def refused_intent(where: str, code: object, amount: object) -> EngineError:
    """Return the error for an answer that is no intent; `where` names strategy, symbol and bar."""
    rule = "a size must be a finite number, and not negative for buy and sell"
    if code not in (TARGET, BUY, SELL, CLOSE, TARGET_PERCENT):
        rule = "use hold, target, buy, sell, close or target_percent"
    return EngineError(f"{where}: the step returned the intent ({code!r}, {amount!r}); {rule}")


def refused_order(where: str, filled: int) -> EngineError:
    """Return the error for an order whose fields say more than the engine acts on.

    Parameters
    ----------
    where : str
        Strategy, symbol and bar.
    filled : int
        Which fields the order fills, see `fields_filled`.
    """
    named = ", ".join(name for bit, name in enumerate(ORDER_FIELDS) if filled >> bit & 1)
    return EngineError(
        f"{where}: the step returned an order with {named}; market orders only: leave "
        f"{', '.join(ORDER_FIELDS)} empty (a price NaN, a number 0)"
    )


def refused_size(where: str, size: float) -> EngineError:
    """Return the error for an order that no broker could count; `where` names strategy, symbol and bar."""
    return EngineError(
        f"{where}: an order of {size} units; use sizes up to {LARGEST_SIZE:.0f}, beyond which whole units "
        "cannot be told apart"
    )
