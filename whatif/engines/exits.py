"""Exits of a run, explained: why each trade was left, and the prices of the orders around it."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from whatif.domain import ORDER_KINDS, EngineRun, Orders, TradeNotes, opening_fills
from whatif.engines.arrays import leaving_rows
from whatif.indicators import session_minutes
from whatif.strategies import NEVER, OverlayRules, StrategySpec, has_to_leave, overlay_rules
from whatif.typing import IntArray

if TYPE_CHECKING:
    from whatif.engines.task import BacktestTask

_MARKET, _AT_CLOSE, _LIMIT, _STOP, _STOP_LIMIT, _STOP_TRAIL, _STOP_TRAIL_LIMIT = range(len(ORDER_KINDS))
_BY_KIND = {
    _LIMIT: "target",
    _STOP: "stop",
    _STOP_LIMIT: "stop",
    _STOP_TRAIL: "trailing_stop",
    _STOP_TRAIL_LIMIT: "trailing_stop",
}


def waits_for_prices(task: BacktestTask) -> bool:
    """Return whether orders of a task may wait for a price: fills alone do not say which was filled."""
    return task.strategy.answers_orders or task.overlays.exit_orders


def explained(task: BacktestTask, run: EngineRun) -> EngineRun:
    """Return a run of a task with what explains its exits, once somebody asks."""
    return replace(run, explain=partial(trade_notes, task))


def trade_notes(task: BacktestTask, run: EngineRun) -> TradeNotes:
    """Return what is to say of a run's trades: one definition for every engine.

    An order that waited for a price says itself why it was there. One at the market was the overlays' if they
    asked for it on the bar before it, `latency` bars earlier: the first that did, in the order of
    `whatif.strategies.apply_overlays`. Else it reversed the position, or was the step's own.

    Parameters
    ----------
    task : BacktestTask
        What was run.
    run : EngineRun
        What came of it, with the orders that the broker was given where one may wait for a price.
    """
    trades, fills, orders = run.trades, run.fills, run.orders
    count, entry, stop, target = len(trades), *(np.full(len(trades), np.nan) for _ in range(3))
    if orders is None and (waits_for_prices(task) or not isinstance(task.strategy, StrategySpec)):
        return TradeNotes((None,) * count, entry, stop, target)
    rules = overlay_rules(task.overlays)
    on = rules.flat_before_close != -NEVER or rules.max_bars_held != NEVER
    on = on or min(rules.stop_loss, rules.take_profit) != math.inf
    on = on or any(bars.member is not None for bars in task.bars)
    held = [_Held(task, run, k, rules) for k in range(len(task.bars))] if on else []
    reasons: list[str | None] = []
    for closing, symbol in zip(trades.closing.tolist(), trades.symbol.tolist(), strict=True):
        kind = _MARKET if orders is None else int(orders.kind[orders.of_fill[closing]])
        reason = _BY_KIND.get(kind)
        if reason is None and on and kind != _AT_CLOSE:
            reason = held[symbol].reason(int(fills.row[closing]))
        if reason is None:
            reason = "reversal" if fills.opened[closing] != 0.0 else "step"
        reasons.append(reason)
    side = np.sign(trades.size)
    if rules.stop_loss != math.inf:
        stop = trades.entry_price * (1.0 - side * rules.stop_loss)
    if rules.take_profit != math.inf:
        target = trades.entry_price * (1.0 + side * rules.take_profit)
    if orders is not None:
        _write_prices(run, orders, entry, stop, target)
    return TradeNotes(tuple(reasons), entry, stop, target)


class _Held:
    """Position of one symbol after each of its executions, and what the overlays said of it."""

    def __init__(self, task: BacktestTask, run: EngineRun, symbol: int, rules: OverlayRules) -> None:
        self._bars, self._ts, self._rules = task.bars[symbol], run.ts, rules
        self._latency = task.overlays.latency
        self._leaving = leaving_rows(self._bars, task.rows(self._bars)[1], self._latency)
        self._rows: list[int] = []
        self._after: list[tuple[float, float, int]] = []
        size, price, since = 0.0, 0.0, 0
        fills = run.fills
        for k in np.flatnonzero(fills.symbol == symbol).tolist():
            row, opened = self._own_row(int(fills.row[k])), float(fills.opened[k])
            size += float(fills.closed[k])
            if opened != 0.0 and size == 0.0:
                price, since = float(fills.price[k]), row
            elif opened != 0.0:
                price = (price * size + opened * float(fills.price[k])) / (size + opened)
            size += opened
            self._rows.append(row)
            self._after.append((size, price, since))

    def reason(self, row: int) -> str | None:
        """Return which overlay asked for the order at the market that filled on a row; None if none did."""
        at = self._own_row(row) - 1 - self._latency
        place = bisect_right(self._rows, at) - 1
        if place < 0:
            return None
        size, price, since = self._after[place]
        if size == 0.0:
            return None
        rules, close, age = self._rules, float(self._bars.close[at]), at - since
        if self._leaving is not None and self._leaving[at]:
            return "universe"
        if int(self._to_close[at]) <= rules.flat_before_close:
            return "session"
        stops = rules._replace(take_profit=math.inf, max_bars_held=NEVER)
        if has_to_leave(close, size, price, age, stops):
            return "stop"
        if has_to_leave(close, size, price, age, rules._replace(max_bars_held=NEVER)):
            return "target"
        return "time" if has_to_leave(close, size, price, age, rules) else None

    @cached_property
    def _to_close(self) -> IntArray:
        return session_minutes(self._bars)[1]

    def _own_row(self, row: int) -> int:
        """Return the row of the symbol's bars that came last on a row of the run."""
        return int(np.searchsorted(self._bars.ts, self._ts[row], side="right")) - 1


def _openings(run: EngineRun) -> list[int | None]:
    """Return the execution that opened each trade of a run, where it is known."""
    trades, fills = run.trades, run.fills
    if run.fill_ts is not None:
        # on finer bars, several may be opened on one row
        return [*opening_fills(fills, trades).tolist()]
    last = {(int(fills.symbol[k]), int(fills.row[k])): k for k in np.flatnonzero(fills.opened).tolist()}
    return [last.get(key) for key in zip(trades.symbol.tolist(), trades.opened.tolist(), strict=True)]


def _write_prices(
    run: EngineRun, orders: Orders, entry: np.ndarray, stop: np.ndarray, target: np.ndarray
) -> None:
    """Write the prices of the orders that waited around each trade of a run."""
    trades = run.trades
    opening = _openings(run)
    waiting = np.flatnonzero(np.isin(orders.kind, list(_BY_KIND)))
    for symbol in np.unique(trades.symbol).tolist():
        own = waiting[orders.symbol[waiting] == symbol]
        own = own[np.argsort(orders.made[own], kind="stable")]
        for c in np.flatnonzero(trades.symbol == symbol).tolist():
            first = opening[c]
            if first is not None:
                order = orders.of_fill[first]
                waits_behind = orders.limit[order] == orders.limit[order]
                entry[c] = orders.limit[order] if waits_behind else orders.price[order]
            last = int(np.searchsorted(orders.made[own], trades.closed[c]))
            leaving = own[max(0, last - _MOST) : last]
            leaving = leaving[(orders.ended[leaving] >= trades.closed[c])]
            leaving = leaving[orders.size[leaving] * trades.size[c] < 0.0]
            for k in leaving.tolist():
                prices = target if orders.kind[k] == _LIMIT else stop
                prices[c] = orders.price[k]


_MOST = 256
"""Orders looked at for those that waited when a trade was left: more than may wait at a time, mostly."""
