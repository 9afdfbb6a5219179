"""Whether what is asked for can act on bars: an order before the session is over, an impact by volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from whatif.calendars import Schedule
from whatif.domain import DAY_US, MINUTE_US, PRICE_FIELDS, STOPS, Bars, Execution, Overlays
from whatif.errors import EngineError, IndicatorError
from whatif.indicators import Expression, parse
from whatif.typing import IntArray

if TYPE_CHECKING:
    from whatif.strategies import AnyStrategy

MAX_LATE = 0.1
"""Share of sessions whose bars may end too early for it: data have gaps."""

_SESSIONS = 60


def check_flat(bars: Bars, first: int, stop: int, overlays: Overlays) -> None:
    """Refuse a `flat_before_close` that leaves positions over the nights of a window.

    Parameters
    ----------
    bars : Bars
        One symbol's bars, with the sessions they belong to.
    first, stop : int
        The window as rows.
    overlays : Overlays
        The rule, and the latency by which its order comes later.

    Raises
    ------
    EngineError
        If in more than `MAX_LATE` of the sessions that others follow too few bars begin so late
        that the order fills in the same session; the message says how many minutes would do.
    """
    if overlays.flat_before_close is not None:
        rows = slice(first, stop)
        _check(bars.symbol, bars.ts[rows], bars.session[rows], bars.session_close[rows], overlays)


def check_sizing(strategy: AnyStrategy, overlays: Overlays) -> None:
    """Refuse a `risk_per_trade` over a step that has no way to say a stop, where no rule says one.

    And a `volatility_target` whose volatility cannot be made of the symbol's own bars.

    Parameters
    ----------
    strategy : StrategySpec or BacktraderSpec
        What may answer with brackets.
    overlays : Overlays
        What is on.

    Raises
    ------
    EngineError
        Naming the rules that would.
    """
    volatility_of(overlays)
    if overlays.risk_per_trade is None or overlays.nearest_stop is not None or strategy.answers_orders:
        return
    raise EngineError(
        f"overlays: risk_per_trade = {overlays.risk_per_trade:g} sizes by the distance to a stop, and "
        f"nothing says one for {strategy.name}, which answers with market orders: turn on "
        f"{', '.join(STOPS[:-1])} or {STOPS[-1]} too, or let the step answer with a bracket"
    )


def volatility_of(overlays: Overlays) -> Expression | None:
    """Return the expression of the volatility that overlays size by; None if none does.

    Raises
    ------
    EngineError
        If it is no expression, or not one of the symbol's own bars.
    """
    text = overlays.sized_by_volatility
    if text is None:
        return None
    try:
        expression = parse(text)
    except IndicatorError as error:
        raise EngineError(f"overlays: volatility: {error}") from error
    others = [*sorted(expression.parameters), *sorted(expression.inputs), *map(str, expression.needs.places)]
    if others or expression.needs:
        named = f": {', '.join(others)} is not" if others else ""
        raise EngineError(
            f"overlays: volatility = {text!r} must be made of the bars' own series and numbers{named}; write "
            f"an expression of {', '.join(PRICE_FIELDS)} on the bars that are traded"
        )
    return expression


def check_bounds(strategy: AnyStrategy, overlays: Overlays, shared: bool) -> None:
    """Refuse bounds of an account where it is of one symbol, or where orders wait for a price.

    Parameters
    ----------
    strategy : StrategySpec or BacktraderSpec
        What may answer with orders that wait.
    overlays : Overlays
        What is on.
    shared : bool
        Whether several symbols share the account.

    Raises
    ------
    EngineError
        Naming the rules, and what they are for.
    """
    if not overlays.bounds:
        return
    on = ", ".join(f"{name} = {getattr(overlays, name):g}" for name in overlays.bounds)
    if not shared:
        raise EngineError(
            f"overlays: {on} bounds what an account of several symbols holds, and here each symbol has its "
            "own: write portfolio: shared, give several symbols, or leave it out"
        )
    if strategy.answers_orders or overlays.exit_orders:
        raise EngineError(
            f"overlays: {on} bounds orders at the market, and those of {strategy.name} or of its overlays "
            "wait for a price: leave one or the other out"
        )


def check_flat_by_schedule(schedule: Schedule, bar_us: int, overlays: Overlays) -> None:
    """Do as `check_flat` on the bars that an exchange's sessions would have.

    Raises
    ------
    EngineError
        As `check_flat`; also if the exchange never closes.
    """
    if overlays.flat_before_close is None or len(schedule) < 2:
        return
    if (schedule.close_us - schedule.open_us == DAY_US).all() and (schedule.open_us % DAY_US == 0).all():
        raise EngineError(
            f"overlays: flat_before_close = {overlays.flat_before_close} minutes needs a session that ends, "
            f"and {schedule.exchange} has only UTC days, over which trading goes on: leave it out, or name "
            "the exchange that closes"
        )
    some = schedule.take(slice(0, _SESSIONS))
    starts = [
        np.arange(opened, closed, bar_us) for opened, closed in zip(some.open_us, some.close_us, strict=True)
    ]
    counts = [len(part) for part in starts]
    _check(
        schedule.exchange,
        np.concatenate(starts),
        np.repeat(some.session, counts),
        np.repeat(some.close_us, counts),
        overlays,
    )


def _check(name: str, ts: IntArray, session: IntArray, close_us: IntArray, overlays: Overlays) -> None:
    minutes = overlays.flat_before_close
    assert minutes is not None
    # decided on one bar, filled on the next; what was decided just before it became due may open a
    # position as many bars later as the latency, and leaving that takes as long again
    wanted = 2 + 2 * overlays.latency
    begins = np.flatnonzero(np.append(True, session[1:] != session[:-1]))
    if len(begins) < 2:
        return
    ends = np.append(begins[1:], len(ts))
    to_close = (close_us - ts) // MINUTE_US
    # the last session of a window is followed by nothing that a position could be carried into
    least = np.array(
        [
            to_close[end - wanted] if end - begin >= wanted else np.iinfo(np.int64).max
            for begin, end in zip(begins[:-1], ends[:-1], strict=True)
        ]
    )
    late = least > minutes
    if late.mean() <= MAX_LATE:
        return
    usual = np.sort(least)[int((1.0 - MAX_LATE) * (len(least) - 1))]
    remedy = (
        f"give at least {usual}, or use shorter bars"
        if usual < DAY_US // MINUTE_US
        else f"use shorter bars: its sessions have fewer than {wanted}"
    )
    delayed = f" with a latency of {overlays.latency} bars" if overlays.latency else ""
    raise EngineError(
        f"overlays: flat_before_close = {minutes} minutes{delayed} comes too late on {name}: what it orders "
        f"at a bar's close fills on the next bar, and so after the close of {int(late.sum())} of "
        f"{len(late)} sessions; {remedy}"
    )


def check_fills(bars: Sequence[Bars], execution: Execution) -> None:
    """Refuse an execution that says one thing of the finer bars inside the bars where there is another.

    Raises
    ------
    EngineError
        If orders are to be tried on finer bars and there are none, or there are some and they are not.
    """
    there = any(one.finer is not None for one in bars)
    if execution.fill_timeframe and not there:
        raise EngineError(
            f"execution: fill_timeframe = {execution.fill_timeframe!r} needs bars of that length inside the "
            "others, and there are none: give them to whatif.backtest as fill_bars"
        )
    if there and not execution.fill_timeframe:
        raise EngineError(
            "there are shorter bars inside the bars, and execution has no fill_timeframe: name their length"
        )


def check_volume(bars: Bars, first: int, stop: int, execution: Execution) -> None:
    """Refuse an impact on prices, or a filler, where no bar of a window has a volume to trade by.

    Raises
    ------
    EngineError
        Naming the symbol, and what to leave out.
    """
    costs, filler = execution.costs, execution.filler
    by_volume = filler is not None or (costs is not None and costs.impact)
    if not by_volume or first == stop or (bars.volume[first:stop] > 0.0).any():
        return
    if filler is not None:
        raise EngineError(
            f"{bars.symbol}: execution: filler = {filler.written} fills by volume, and no bar of the window "
            "has one: leave filler out, or give bars with their volume"
        )
    if costs is not None:
        raise EngineError(
            f"{bars.symbol}: costs: impact = {costs.impact!r} is reckoned by volume, and no bar of the "
            "window has one: leave impact out, or give bars with their volume"
        )
