"""What lies between a step's intent and the broker: exits, sizing and latency.

The functions are plain Python on numbers, so that a compiled loop can call the very same ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from whatif.domain import (
    EDGE,
    SIZINGS,
    TRADE_TALLY,
    TRADES,
    Execution,
    Overlays,
    inlinable,
    inlinable_lean,
    view_at,
)
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
NEVER = 2**62
"""Bars, or minutes, that are never reached."""

_WHOLE_FROM = 2.0**53

NOT_SIZED, BY_EQUITY, BY_CASH, BY_RISK, BY_VOLATILITY, BY_KELLY = range(6)
"""What sizes what a step opens: nothing, or one of `SIZINGS`, in that order."""


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
    sizing : int
        What sizes what is opened: `NOT_SIZED`, `BY_EQUITY`, `BY_CASH`, `BY_RISK`, `BY_VOLATILITY` or
        `BY_KELLY`.
    share : float
        Fraction of that; NaN if off.
    max_gross, max_net : float
        Fractions of the account's value; infinite if off.
    max_positions : int
        2**62 if off.
    nearest_stop : float
        The least fraction of the entry price that a rule leaves a position at a loss of; NaN if none does.
    stop_order, target_order, trail_order : float
        Fractions of the entry price (a trail: of the close) at which exits wait at the broker; NaN if off.
    unit : float
        Money that a unit takes, where it is not its price: a future's margin; else 0.
    most : float
        By volatility or Kelly's fraction, the largest fraction of the account's value; NaN if both are off.
    kelly_trades : int
        Closed trades before which `kelly_start` holds; 0 if off.
    kelly_start : float
        The fraction of the account's value until then; NaN if off.
    """

    take_profit: float
    stop_loss: float
    max_bars_held: int
    flat_before_close: int
    sizing: int
    share: float
    max_gross: float
    max_net: float
    max_positions: int
    nearest_stop: float
    stop_order: float
    target_order: float
    trail_order: float
    unit: float
    most: float
    kelly_trades: int
    kelly_start: float


def overlay_rules(overlays: Overlays, execution: Execution = _OUTRIGHT) -> OverlayRules:
    """Return the overlays as `apply_overlays` takes them, for an account with those settings."""
    profit, loss = overlays.take_profit, overlays.stop_loss
    bars, minutes = overlays.max_bars_held, overlays.flat_before_close
    on = next((name for name in SIZINGS if getattr(overlays, name) is not None), None)
    sizing = NOT_SIZED if on is None else 1 + SIZINGS.index(on)
    most = {BY_VOLATILITY: overlays.volatility_max, BY_KELLY: overlays.kelly_max}.get(sizing)
    kelly = sizing == BY_KELLY
    return OverlayRules(
        take_profit=math.inf if profit is None else float(profit),
        stop_loss=math.inf if loss is None else float(loss),
        max_bars_held=NEVER if bars is None else bars,
        flat_before_close=-NEVER if minutes is None else minutes,
        sizing=sizing,
        share=math.nan if on is None else _share(sizing, float(getattr(overlays, on)), execution),
        max_gross=math.inf if overlays.max_gross is None else float(overlays.max_gross),
        max_net=math.inf if overlays.max_net is None else float(overlays.max_net),
        max_positions=NEVER if overlays.max_positions is None else overlays.max_positions,
        nearest_stop=_or_nan(overlays.nearest_stop),
        stop_order=_or_nan(overlays.stop_loss_intrabar),
        target_order=_or_nan(overlays.take_profit_intrabar),
        trail_order=_or_nan(overlays.trailing_stop),
        unit=execution.margin,
        most=_or_nan(most) * execution.leverage,
        kelly_trades=overlays.kelly_trades if kelly and overlays.kelly_trades is not None else 0,
        kelly_start=_or_nan(overlays.kelly_start if kelly else None) * execution.leverage,
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


def _share(sizing: int, share: float, execution: Execution) -> float:
    """Return the share that a rule of `SIZINGS` sizes by, for an account with those settings."""
    return share / execution.mult if sizing in (BY_RISK, BY_VOLATILITY) else share * execution.leverage


@inlinable_lean
def kelly_share(tally: FloatArray, rules: OverlayRules) -> float:
    """Return the fraction of the account's value that a position is worth, by a symbol's trades so far."""
    if tally[TRADES] < rules.kelly_trades:
        return rules.kelly_start
    share = rules.share * tally[EDGE]
    if not share > 0.0:
        return 0.0
    return share if share < rules.most else rules.most


@inlinable_lean
def sizing_measure(row: int, volatility_at: int, tally_at: int, rules: OverlayRules) -> float:
    """Return what a sizing rule goes by at the close of a row, see `units_to_open`; NaN if nothing.

    Parameters
    ----------
    row : int
        Of the symbol's bars.
    volatility_at, tally_at : int
        Where its volatility lies, up to that row, and the tally of its trades; not looked at unless a rule
        asks.
    rules : OverlayRules
        What is on.
    """
    if rules.sizing == BY_VOLATILITY:
        return float(view_at(volatility_at, row + 1)[row])
    return kelly_share(view_at(tally_at, TRADE_TALLY), rules) if rules.sizing == BY_KELLY else math.nan


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
def exit_prices(size: float, entry_price: float, rules: OverlayRules) -> tuple[float, float]:
    """Return the closes down to which and up to which a position is kept: its stop and its target."""
    if size > 0.0:
        return entry_price * (1.0 - rules.stop_loss), entry_price * (1.0 + rules.take_profit)
    return entry_price * (1.0 - rules.take_profit), entry_price * (1.0 + rules.stop_loss)


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
    low, high = exit_prices(size, entry_price, rules)
    return bars_held >= rules.max_bars_held or close <= low or close >= high


@inlinable_lean
def apply_overlays(
    code: int,
    amount: float,
    close: float,
    size: float,
    entry_price: float,
    bars_held: int,
    cash: float,
    value: float,
    minutes_to_close: int,
    measured: float,
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

    Then what sizes what the step asked for, see `units_to_open`:
    a target other than 0 becomes `units` on its side, or a hold if the position is on that side
    already; a buy or sell of more than 0 becomes one of `units`; a target of 0, a close and a
    target in percent stay.

    Parameters
    ----------
    code, amount : int, float
        The step's intent.
    close : float
        Close of the bar on which the step decided.
    size, entry_price, bars_held, cash, value, minutes_to_close : float, float, int, float, float, int
        Position, account and clock at that close, as `whatif.strategies.State` has them.
    measured : float
        What a sizing rule goes by, see `units_to_open`.
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
    return sized(code, amount, close, size, cash, value, close, math.nan, measured, rules)


@inlinable_lean
def stop_distance(entry: float, stop: float, rules: OverlayRules) -> float:
    """Return the money a unit that a position loses at the nearest of its stops; NaN if it has none.

    Parameters
    ----------
    entry, stop : float
        Price that it is opened at, and that of a stop of its own, NaN if there is none.
    rules : OverlayRules
        What is on.
    """
    own, rule = abs(entry - stop), entry * rules.nearest_stop
    return rule if own != own or rule < own else own


@inlinable_lean
def units_to_open(
    close: float, cash: float, value: float, entry: float, stop: float, measured: float, rules: OverlayRules
) -> float:
    """Return how many whole units a sizing rule opens.

    `percent_of_equity`: ``int(share * value / close)``; `percent_of_cash`: ``int(share * cash / close)``;
    `risk_per_trade`: ``int(share * value / distance)``, the distance that of `stop_distance`;
    `volatility_target`: the same by the distance ``volatility * close``, and ``int(most * value / close)`` at
    most; `kelly_fraction`: ``int(kelly_share * value / close)``. Of a future its margin stands in place of
    the close, and a distance counts by its multiplier; of a stock with leverage the shares of equity and cash
    count by so many times.

    Parameters
    ----------
    close, cash, value : float
        Of the bar on which the step decided.
    entry, stop, rules
        As `stop_distance` takes them; one of the rules is on.
    measured : float
        The volatility, or what `kelly_share` returns; not looked at otherwise.
    """
    if rules.sizing == BY_RISK:
        return units_for_share(rules.share, value, stop_distance(entry, stop, rules))
    unit = rules.unit if rules.unit != 0.0 else close
    if rules.sizing == BY_VOLATILITY:
        distance = measured * close
        if not distance > 0.0:
            return 0.0
        units, most = units_for_share(rules.share, value, distance), units_for_share(rules.most, value, unit)
        return units if units < most else most
    if rules.sizing == BY_KELLY:
        return units_for_share(measured, value, unit)
    return units_for_share(rules.share, cash if rules.sizing == BY_CASH else value, unit)


@inlinable_lean
def sized(
    code: int,
    amount: float,
    close: float,
    size: float,
    cash: float,
    value: float,
    entry: float,
    stop: float,
    measured: float,
    rules: OverlayRules,
) -> Intent:
    """Return an intent with the size that a sizing rule gives it.

    Parameters
    ----------
    code, amount : int, float
        Of an intent or an order.
    close, size, cash, value : float
        As `apply_overlays` takes them.
    entry, stop, rules
        As `stop_distance` takes them.
    measured : float
        As `units_to_open` takes it.

    Returns
    -------
    tuple of int and float
        As they are if none is on; else as `apply_overlays` says, a bracket like a buy or sell of its side.
    """
    if rules.sizing == NOT_SIZED or amount == 0.0 or code not in (TARGET, BUY, SELL, BRACKET):
        return (code, amount)
    if code == TARGET and ((amount > 0.0 and size > 0.0) or (amount < 0.0 and size < 0.0)):
        return (HOLD, 0.0)
    units = units_to_open(close, cash, value, entry, stop, measured, rules)
    return (code, 0.0 - units if amount < 0.0 else units)


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
