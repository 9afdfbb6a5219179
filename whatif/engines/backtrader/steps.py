"""Step functions on Backtrader's broker.

A step function is called by a loop of our own around `BackBroker`, which stays as it is; observers,
analyzers, indicators and lines that nobody reads are not there. A subclass of `backtrader.Strategy` is run
by `ordinary`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from whatif.domain import EngineRun
from whatif.engines.arrays import overlay_minutes, step_arrays, step_params, volatility_array
from whatif.engines.backtrader.broker import make_broker
from whatif.engines.backtrader.ledger import Ledger
from whatif.engines.backtrader.stepping import (
    FLAT,
    Notes,
    OrderPlacer,
    Traded,
    is_exit,
    place,
    place_orders,
    settle,
    step_line,
    where_of,
)
from whatif.engines.closing import check_flat, volatility_of
from whatif.engines.language.order_answers import WIDTH, order_at, write_orders
from whatif.engines.language.plain import NOT_WRITTEN, Cursor, Floats, Series, in_python, numpys_warnings_off
from whatif.engines.orders import (
    DESK_ROOM,
    EXITS_WAITING,
    MARKET_WAITING,
    is_code,
    is_market,
    overlay_orders,
    refused_delayed,
    refused_intent,
)
from whatif.engines.timeline import Timeline, merge
from whatif.errors import EngineError, InputWriteError, LookAheadError
from whatif.indicators import ArrayCache, session_minutes
from whatif.strategies import (
    BUY,
    BY_KELLY,
    BY_VOLATILITY,
    CLOSE,
    HOLD,
    MAX_ANSWERED,
    SELL,
    TARGET,
    TARGET_PERCENT,
    Intent,
    Order,
    State,
    StrategySpec,
    apply_overlays,
    delay,
    flattened,
    hold,
    kelly_share,
    overlay_memory,
    overlay_rules,
    several,
)

if TYPE_CHECKING:
    from whatif.engines.task import BacktestTask


_CODES = (TARGET, BUY, SELL, CLOSE, TARGET_PERCENT)


class _SymbolState(Traded):
    """One symbol of a step run: its feed, the step's arrays and its state."""

    def __init__(
        self,
        task: BacktestTask,
        spec: StrategySpec,
        index: int,
        cache: ArrayCache | None,
        placer: OrderPlacer,
    ) -> None:
        super().__init__(task, spec, index)
        bars, stop = self.bars, self.stop
        check_flat(bars, *task.rows(bars), task.overlays)
        # a step reads them, and the present row of them, by way of the cursor
        self.cursor = cursor = Cursor()
        arrays = step_arrays(spec, task.params, bars, stop, cache)
        self.arrays = type(arrays)(*(Series(values, cursor) for values in arrays))
        self.notes = Notes(self.own, placer, self.tried)
        self.state = State(float(task.execution.cash), spec.scratch, self._note)
        self.state.scratch = self.state.scratch.view(Floats)
        minute, to_close = session_minutes(bars.slice(0, stop))
        left = overlay_minutes(bars, to_close, task.overlays.latency)
        self.minute = memoryview(minute)  # type: ignore[arg-type]
        self.to_close = memoryview(to_close)  # type: ignore[arg-type]
        self.left = memoryview(left)  # type: ignore[arg-type]
        self.overlaid = task.overlays.is_on or bars.member is not None
        self.rules = overlay_rules(task.overlays, task.execution)
        self.latency = task.overlays.latency
        exits = task.overlays.exit_orders
        self.has_desk = self.overlaid and not self.latency and (spec.answers_orders or exits)
        self.memory = overlay_memory(task.overlays)
        self.volatility = memoryview(volatility_array(volatility_of(task.overlays), bars, stop, cache))  # type: ignore[arg-type]

    def at_close(self, row: int, placer: OrderPlacer) -> State:
        """Write the position and account at the close of bar `row` into the state."""
        state, broker = self.state, placer.broker
        feed = self.feed
        # looking must not enter a position in the broker's book: its order decides how value is summed
        position = broker.positions.get(feed, FLAT)
        # floats, as in machine code: Backtrader counts some of them in whole numbers
        state.size = size = float(position.size)
        state.entry_price = float(position.price)
        state.bars_held = row - self.opened_row if size else 0
        state.cash = float(broker.cash)
        state.value = float(broker._value)
        self.cursor.row = row
        state.pending = placer.waiting(feed) if broker.pending or broker.submitted else 0
        state.minute = self.minute[row]
        state.minutes_to_close = self.to_close[row]
        return state

    def _note(self, name: str) -> Any:
        """Return one of `whatif.strategies.NOTES` at the close of the present bar."""
        return self.notes.value(name, self.state.size, self.opened_row)

    def _measured(self) -> float:
        """Return what a sizing rule goes by at the close of the present bar."""
        if self.rules.sizing == BY_VOLATILITY:
            return float(self.volatility[self.own.cursor.row])
        return kelly_share(self.notes.trades, self.rules) if self.rules.sizing == BY_KELLY else math.nan

    def overlay_orders(self, orders: list[Order], placer: OrderPlacer) -> list[Order]:
        """Return what the overlays leave of the orders of the present bar."""
        if not all(is_code(order.code) for order in orders):
            return orders  # which is refused
        s, desk = self.state, np.zeros(DESK_ROOM * WIDTH)
        if len(self.memory):
            held = placer.held(self.feed)
            self.memory[EXITS_WAITING] = sum(map(is_exit, held))
            self.memory[MARKET_WAITING] = sum(order.exectype == order.Market for order in held)
        count = write_orders(desk, 0, tuple(orders))
        account = s.cash, s.size, s.entry_price, self.opened_row
        rest = s.bars_held, s.value, s.pending, self.left[self.own.cursor.row], self._measured()
        left = overlay_orders(desk, count, self.feed.close[0], account, *rest, self.rules, self.memory)
        if count > MAX_ANSWERED:
            return [Order(*hold())] * (DESK_ROOM + 1)  # which is refused
        return [order_at(desk, k) for k in range(left)]

    def overlay(self, row: int, code: int, amount: float) -> Intent:
        """Return what the overlays leave of an intent that was decided at the close of bar `row`."""
        s = self.state
        account = s.size, s.entry_price, s.bars_held, s.cash, s.value
        rest = self.left[row], self._measured(), self.rules
        intent = apply_overlays(code, amount, self.feed.close[0], *account, *rest)
        return delay(*intent, row, self.latency, self.memory)


def run_steps(task: BacktestTask, spec: StrategySpec, cache: ArrayCache | None) -> EngineRun:
    """Run a step function on Backtrader's broker, on one symbol or several that share an account.

    Raises
    ------
    EngineError
        If an input is missing, or the step raises (its exception is the cause) or asks for a size that is
        no finite number.
    LookAheadError
        If it reads what it cannot know on its bar.
    """
    bars = list(task.bars)
    timeline = merge(bars, [task.rows(one) for one in bars], task.bar_us)
    broker = make_broker(task.execution)
    placer = OrderPlacer(broker)
    symbols = [_SymbolState(task, spec, k, cache, placer) for k in range(len(bars))]
    placer.bound([symbol.feed for symbol in symbols], task.overlays)
    ledger = Ledger()
    try:
        with numpys_warnings_off():
            _loop(spec, step_params(task.params), timeline, symbols, placer, ledger)
        return ledger.to_run(bars, timeline)
    finally:
        # orders know the placer, the placer the broker, the broker its orders
        del placer.broker


def _loop(
    spec: StrategySpec,
    params: Any,
    timeline: Timeline,
    symbols: list[_SymbolState],
    placer: OrderPlacer,
    ledger: Ledger,
) -> None:
    broker = placer.broker
    step, lookback = in_python(spec.step), spec.lookback
    symbol_of = {symbol.feed: symbol for symbol in symbols}
    equity, cash = ledger.equity, ledger.cash
    in_market, tried = False, symbols[0].tried
    for at, arrivals in enumerate(timeline.arrivals()):
        for k, row in arrivals:
            symbols[k].own.cursor.row = row
        if len(symbols) > 1:
            broker.arrived = [symbols[k].feed for k, _ in arrivals]
        for inner in tried.inside(arrivals[0][1]) if tried.is_finer else (None,):
            if inner is not None:
                tried.feed.cursor.row = inner
            # a flat account without orders is worth its cash: the broker would change nothing
            if in_market or broker.submitted or broker.pending or broker.notifs:
                broker.next()
                if broker.notifs:
                    settle(broker, symbol_of, ledger, at)
                    in_market = any(position.size for position in broker.positions.values())
        equity.append(broker._value)
        cash.append(broker.cash)
        if placer.bounds is not None:
            placer.bounds.look()
        for k, row in arrivals:
            if row < lookback:
                continue
            symbol = symbols[k]
            state = symbol.at_close(row, placer)
            try:
                answer = step(row, symbol.arrays, params, state)
                orders = several(answer)
                if symbol.has_desk:
                    orders = symbol.overlay_orders(flattened(answer), placer)
                code, amount = answer if orders is None else orders[0][:2] if orders else hold()
            except (Exception, SystemExit) as error:
                raise _step_failed(spec, symbol, row, error) from error
            if symbol.cursor.refused:
                raise _step_failed(spec, symbol, row, IndexError(symbol.cursor.refused))
            if orders and not (len(orders) == 1 and is_market(orders[0])):
                if symbol.latency:
                    raise refused_delayed(where_of(spec, symbol, row))
                place_orders(spec, symbol, row, orders, placer)
                continue
            # anything but the number 0 is looked at: None is no intent
            if code != HOLD:
                _check_intent(spec, symbol, row, code, amount)
            if symbol.overlaid and not symbol.has_desk:
                code, amount = symbol.overlay(row, code, float(amount) if code else 0.0)
            if code:
                place(spec, symbol, row, code, float(amount), placer)


def _step_failed(spec: StrategySpec, symbol: _SymbolState, row: int, error: BaseException) -> EngineError:
    where = where_of(spec, symbol, row)
    refused = symbol.cursor.refused
    if refused:
        return LookAheadError(f"{where}: the step reads {refused}{step_line(spec, error)}")
    if isinstance(error, TypeError) and str(error) == NOT_WRITTEN:
        return InputWriteError(f"{where}: {error}{step_line(spec, error)}")
    if isinstance(error, (TypeError, ValueError)) and error.__traceback__ and not error.__traceback__.tb_next:
        return EngineError(
            f"{where}: the step must return an intent such as hold() or target(size) ({error})"
        )
    return EngineError(f"{where}: the step raised {type(error).__name__}: {error}{step_line(spec, error)}")


def _check_intent(spec: StrategySpec, symbol: _SymbolState, row: int, code: int, amount: float) -> None:
    try:
        if code in _CODES and math.isfinite(amount) and not (code in (BUY, SELL) and amount < 0):
            return
    except (TypeError, ValueError):  # no numbers
        pass
    raise refused_intent(where_of(spec, symbol, row), code, amount)
