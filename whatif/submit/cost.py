"""What a run has cost so far, by the user's own prices."""

from __future__ import annotations

from collections.abc import Mapping

from whatif.submit.settings import Prices

_WORDS = {
    "vcpu_hour": "vCPU-hours",
    "memory_gb_hour": "GB-hours of memory",
    "storage_gb_hour": "GB-hours of storage",
    "dpu_hour": "DPU-hours",
}


def cost(hours: Mapping[str, float], prices: Prices) -> float | None:
    """Return the sum of hours times price; None if there are no hours, or one of them has no price.

    Parameters
    ----------
    hours : mapping of str to float
        By key of the price table.
    prices : Prices
        For one hour each, in the table's currency.
    """
    found = {key: getattr(prices, key) for key, amount in hours.items() if amount}
    if not found or None in found.values():
        return None
    return float(sum(hours[key] * price for key, price in found.items()))


def cost_text(hours: Mapping[str, float], prices: Prices) -> str:
    """Return hours, and what they cost where the user has said so; "" without hours."""
    used = ", ".join(f"{amount:.3f} {_WORDS[key]}" for key, amount in hours.items() if amount)
    total = cost(hours, prices)
    if total is None:
        return used
    return f"{used} = {total:.2f} {prices.currency or '(currency not set)'}"
