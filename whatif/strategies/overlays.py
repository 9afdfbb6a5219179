"""What lies between a step's intent and the broker: exits, sizing and latency.

The functions are plain Python on numbers, so that a compiled loop can call the very same ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from whatif.domain import Execution, Overlays, inlinable, inlinable_lean
from whatif.strategies.intents import (
    BRACKET,
    BUY,
    CLOSE,
    HOLD,
    SELL,
    TARGET,
    Intent,
)
from whatif.typing import FloatArray

_OUTRIGHT = Execution()
_NEVER = 2**62
_WHOLE_FROM = 2.0**53


class OverlayRules(NamedTuple):
    """The overlays as numbers of fixed types.

    Attributes
    ----------
    take_profit, stop_loss : float
        Fractions of the entry price; infinite if off.
    max_bars_held : int
        Bars; 2**62 if off.
    flat_before_close : int
        Minutes; -2**62 if off.
    percent_of_equity : float
        Fraction of the account's value; NaN if off.
    stop_order, target_order, trail_order : float
        Fractions of the entry price (a trail: of the close) at which exits wait at the broker; NaN if off.
    unit : float
        Money that a unit takes, where it is not its price: a future's margin; else 0.
    """

    take_profit: float
    stop_loss: float
    max_bars_held: int
    flat_before_close: int
    percent_of_equity: float
    stop_order: float
    target_order: float
    trail_order: float
    unit: float


def overlay_rules(overlays: Overlays, execution: Execution = _OUTRIGHT) -> OverlayRules:
    """Return the overlays as `apply_overlays` takes them, for an account with those settings."""
    profit, loss = overlays.take_profit, overlays.stop_loss
    bars, minutes = overlays.max_bars_held, overlays.flat_before_close
    return OverlayRules(
        take_profit=math.inf if profit is None else float(profit),
        stop_loss=math.inf if loss is None else float(loss),
        max_bars_held=_NEVER if bars is None else bars,
        flat_before_close=-_NEVER if minutes is None else minutes,
        percent_of_equity=_or_nan(overlays.percent_of_equity) * execution.leverage,
        stop_order=_or_nan(overlays.stop_loss_intrabar),
        target_order=_or_nan(overlays.take_profit_intrabar),
        trail_order=_or_nan(overlays.trailing_stop),
        unit=execution.margin,
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


EXIT_MEMORY = 4
"""Numbers that the overlays remember for exits that wait at the broker."""


def overlay_memory(overlays: Overlays) -> FloatArray:
    """Return what overlays remember at the start of a window.

    That is a hold for each bar of latency, or what exits wait at the broker for.

    Returns
    -------
    float64 array (2 * latency,) or (EXIT_MEMORY,)
        Zeros.
    """
    return np.zeros(EXIT_MEMORY if overlays.exit_orders else 2 * overlays.latency)


@inlinable
def units_for_share(share: float, value: float, close: float) -> float:
    """Return how many whole units at `close` are worth `share` of an account: Backtrader's `getsize`.

    Parameters
    ----------
    share : float
        Fraction of the account.
    value, close : float
        Value of the account and price of a unit, in the same money.

    Returns
    -------
    float
        ``int(share * value / close)``; 0.0 if the account's value is not positive or NaN.
    """
    if not value > 0.0:
        return 0.0
    units = share * value / close
    # beyond 2**53 every float is whole, and an integer of 64 bits need not hold it
    return float(int(units)) if units < _WHOLE_FROM else units


@inlinable_lean
def has_to_leave(close: float, size: float, entry_price: float, bars_held: int, rules: OverlayRules) -> bool:
    """Return whether an open position has reached its stop, its target or its age.

    Parameters
    ----------
    close : float
        The bar's close.
    size, entry_price, bars_held : float, float, int
        The position, as `whatif.strategies.State` has it; `size` is not 0.
    rules : OverlayRules
        What is on.
    """
    if bars_held >= rules.max_bars_held:
        return True
    if size > 0.0:
        return close <= entry_price * (1.0 - rules.stop_loss) or close >= entry_price * (
            1.0 + rules.take_profit
        )
    return close >= entry_price * (1.0 + rules.stop_loss) or close <= entry_price * (1.0 - rules.take_profit)


@inlinable_lean
def apply_overlays(
    code: int,
    amount: float,
    close: float,
    size: float,
    entry_price: float,
    bars_held: int,
    value: float,
    minutes_to_close: int,
    rules: OverlayRules,
) -> Intent:
    """Turn a step's intent into the one that the overlays leave of it.

    Exits come before the step's own intent, whatever it is:

    1. `flat_before_close`: on a bar that starts so many minutes or fewer before the session's
       close, an open position is left, and without one nothing is opened.
    2. `stop_loss`: a long position is left at ``close <= entry * (1 - stop_loss)``, a short one at
       ``close >= entry * (1 + stop_loss)``.
    3. `take_profit`: a long position is left at ``close >= entry * (1 + take_profit)``, a short one
       at ``close <= entry * (1 - take_profit)``.
    4. `max_bars_held`: a position is left at ``bars_held >= max_bars_held``.

    Then `percent_of_equity` sizes what the step asked for, ``units = int(share * value / close)``, of a
    future by its margin in place of the close, and of a stock with leverage by so many times the share:
    a target other than 0 becomes `units` on its side, or a hold if the position is on that side
    already; a buy or sell of more than 0 becomes one of `units`; a target of 0, a close and a
    target in percent stay.

    Parameters
    ----------
    code, amount : int, float
        The step's intent.
    close : float
        Close of the bar on which the step decided.
    size, entry_price, bars_held, value, minutes_to_close : float, float, int, float, int
        Position, account and clock at that close, as `whatif.strategies.State` has them.
    rules : OverlayRules
        What is on.

    Returns
    -------
    tuple of int and float
        The intent for the broker, or for `delay`.

    Notes
    -----
    *Timing*: measured on the close of the deciding bar; the order fills where any order of that bar
    does. A price within a bar triggers nothing.
    """
    held = size != 0.0
    if minutes_to_close <= rules.flat_before_close:
        return (CLOSE if held else HOLD, 0.0)
    if held and has_to_leave(close, size, entry_price, bars_held, rules):
        return (CLOSE, 0.0)
    return sized(code, amount, close, size, value, rules)


@inlinable_lean
def sized(code: int, amount: float, close: float, size: float, value: float, rules: OverlayRules) -> Intent:
    """Return an intent with the size that `percent_of_equity` gives it.

    Parameters
    ----------
    code, amount : int, float
        Of an intent or an order.
    close, size, value : float
        As `apply_overlays` takes them.
    rules : OverlayRules
        What is on.

    Returns
    -------
    tuple of int and float
        As they are if it is off; else as `apply_overlays` says, a bracket like a buy or sell of its side.
    """
    share, unit = rules.percent_of_equity, rules.unit if rules.unit != 0.0 else close
    if share != share or amount == 0.0 or code not in (TARGET, BUY, SELL, BRACKET):
        return (code, amount)
    if code == BRACKET and amount < 0.0:
        return (code, 0.0 - units_for_share(share, value, unit))
    if code != TARGET:
        return (code, units_for_share(share, value, unit))
    if amount > 0.0:
        return (HOLD, 0.0) if size > 0.0 else (TARGET, units_for_share(share, value, unit))
    return (HOLD, 0.0) if size < 0.0 else (TARGET, 0.0 - units_for_share(share, value, unit))


@inlinable_lean
def delay(code: int, amount: float, row: int, latency: int, memory: FloatArray) -> Intent:
    """Keep an intent for `latency` bars and return the one that is due.

    To be called once on every bar of a window. What the last `latency` bars of a window decide
    never reaches the broker; a target is compared with the position when it does.

    Parameters
    ----------
    code, amount : int, float
        The intent decided on bar `row`.
    row : int
        The bar's row; one more on each call.
    latency : int
        Bars between decision and broker.
    memory : float64 array (2 * latency,)
        Codes and amounts under way, zeros at the start (a hold is a zero); written to.

    Returns
    -------
    tuple of int and float
        The intent decided on bar ``row - latency``; a hold if there was none.
    """
    if latency == 0:
        return (code, amount)
    at = 2 * (row % latency)
    due = (int(memory[at]), float(memory[at + 1]))
    memory[at] = code
    memory[at + 1] = amount
    return due
