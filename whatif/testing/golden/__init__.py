"""Golden cases worked by hand: small bars, a script of intents, and every number that must come out.

They follow what Backtrader 1.9.78.123 does, quirks included. This of them cannot be met and has no case:

- a price that is given with a market order and only counts in the check: the only price given is
  that of `order_target_percent`, which is the close that counts anyway.
"""

from __future__ import annotations

from whatif.testing.golden import (
    cash,
    charged,
    contracts,
    corrected,
    last_bit,
    orders,
    parts,
    sized,
    slippage,
    waiting,
)
from whatif.testing.golden.case import Fill, Golden, check_golden, golden_differences

GOLDEN: tuple[Golden, ...] = (
    *cash.AT_SUBMISSION,
    *cash.AT_THE_OPEN,
    *cash.AT_EXECUTION,
    *cash.SHORTS,
    *cash.COMMISSION,
    *cash.TWO_SYMBOLS,
    *slippage.SWITCHES,
    *slippage.WAITING,
    *slippage.CHEAT_ON_CLOSE,
    *orders.SIZES,
    *orders.POSITIONS,
    *orders.THE_END,
    *last_bit.ROUNDING,
    *last_bit.REST,
    *waiting.LIMITS,
    *waiting.STOPS,
    *waiting.TIED,
    *waiting.QUEUE,
    *waiting.AT_CLOSE,
    *contracts.FUTURES,
    *contracts.LEVERAGE,
    *contracts.INTEREST,
    *parts.SIZES,
    *parts.WAITING,
    *corrected.LIMITS,
    *corrected.BRACKETS,
    *corrected.SYMBOLS,
    *corrected.CHECKS,
    *sized.SIZED,
    *sized.BOUNDED,
    *charged.COMMISSION,
    *charged.PRICES,
    *charged.FINER,
)
"""All of them."""

__all__ = ["GOLDEN", "Fill", "Golden", "check_golden", "golden_differences"]
