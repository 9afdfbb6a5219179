"""Step functions on Backtrader's broker.

A step function is called by a loop of our own around `BackBroker`, which stays as it is:
what a strategy needs of a data feed is a view of the bars' arrays, its order methods are
`backtrader.Strategy`'s own functions, and observers, analyzers, indicators and lines that
nobody reads are not there. A subclass of `backtrader.Strategy` is run by `ordinary`.
"""

from __future__ import annotations

import datetime as dt
import linecache
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np

from whatif.domain import Bars, EngineRun
from whatif.engines.arrays import session_minutes, step_arrays, step_params
from whatif.engines.backtrader.broker import make_broker
from whatif.engines.backtrader.ledger import Ledger
from whatif.engines.closing import check_flat
from whatif.engines.language.plain import Cursor, Floats, Series, in_python, numpys_warnings_off
from whatif.engines.orders import LARGEST_SIZE, refused_intent, refused_order, refused_size
from whatif.engines.timeline import Timeline, instant, merge
from whatif.errors import EngineError, LookAheadError
from whatif.indicators import ArrayCache
from whatif.strategies import (
    BUY,
    CLOSE,
    HOLD,
    SELL,
    TARGET,
    TARGET_PERCENT,
    Intent,
    Order,
    State,
    StrategySpec,
    apply_overlays,
    delay,
    fields_filled,
    overlay_memory,
    overlay_rules,
)
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.engines.task import BacktestTask

_DAY_US = 86_400_000_000
_EPOCH = dt.datetime(1970, 1, 1)
_EPOCH_ORDINAL = _EPOCH.toordinal()


_FLAT = bt.Position()
_CODES = (TARGET, BUY, SELL, CLOSE, TARGET_PERCENT)


class _Cursor:
    """The row that all lines of one feed stand on."""

    __slots__ = ("row",)

    def __init__(self) -> None:
        self.row = -1


class _Line:
    """One series of a feed, as Backtrader's broker reads it: `line[0]` is the current value."""

    __slots__ = ("cursor", "values")

    def __init__(self, cursor: _Cursor, values: FloatArray | IntArray) -> None:
        self.cursor = cursor
        # a memoryview yields Python floats, without a copy of the array
        self.values = memoryview(np.ascontiguousarray(values))  # type: ignore[arg-type]

    def __getitem__(self, ago: int) -> float:
        value: float = self.values[self.cursor.row + ago]
        return value


class _Clock(_Line):
    """The datetime line: days as floats to compare, and naive UTC datetimes."""

    __slots__ = ("ts",)

    def __init__(self, cursor: _Cursor, ts: IntArray) -> None:
        days, rest = np.divmod(ts, _DAY_US)
        super().__init__(cursor, _EPOCH_ORDINAL + days + rest / _DAY_US)
        self.ts = memoryview(ts)  # type: ignore[arg-type]

    def datetime(self, ago: int = 0) -> dt.datetime:
        return _EPOCH + dt.timedelta(microseconds=self.ts[self.cursor.row + ago])


class _FeedParams:
    sessionend = dt.time(23, 59, 59, 999990)


class _Feed:
    """A view of one symbol's bars with the attributes that `BackBroker` and `Order` read."""

    _compensate = None
    tick_open = tick_high = tick_low = tick_close = None
    p = _FeedParams
    date2num = staticmethod(bt.date2num)

    def __init__(self, bars: Bars, stop: int) -> None:
        self._name = bars.symbol
        self.cursor = cursor = _Cursor()
        self.open = _Line(cursor, bars.open[:stop])
        self.high = _Line(cursor, bars.high[:stop])
        self.low = _Line(cursor, bars.low[:stop])
        self.close = _Line(cursor, bars.close[:stop])
        self.datetime = _Clock(cursor, np.ascontiguousarray(bars.ts[:stop]))

    def __len__(self) -> int:
        return self.cursor.row + 1


class _OrderPlacer:
    """Places orders by Backtrader's own methods, without its strategy's clock and lines."""

    buy = bt.Strategy.buy
    sell = bt.Strategy.sell
    close = bt.Strategy.close
    getposition = bt.Strategy.getposition
    order_target_size = bt.Strategy.order_target_size
    order_target_value = bt.Strategy.order_target_value
    order_target_percent = bt.Strategy.order_target_percent

    def __init__(self, broker: bt.brokers.BackBroker) -> None:
        self.broker = broker

    def place(self, feed: _Feed, code: int, amount: float) -> float:
        """Turn an intent into the order that a Backtrader strategy would place; return its size."""
        if code == TARGET:
            order = self.order_target_size(feed, amount)
        elif code == BUY:
            order = self.buy(feed, amount)
        elif code == SELL:
            order = self.sell(feed, amount)
        elif code == CLOSE:
            order = self.close(feed)
        else:
            order = self.order_target_percent(feed, amount)
        return 0.0 if order is None else float(order.size)


class _SymbolState:
    """One symbol of a step run: its feed, the step's arrays and its state."""

    def __init__(self, task: BacktestTask, spec: StrategySpec, index: int, cache: ArrayCache | None) -> None:
        bars = task.bars[index]
        first, stop = task.rows(bars)
        check_flat(bars, first, stop, task.overlays)
        self.index = index
        self.ts = bars.ts
        self.feed = _Feed(bars, stop)
        # a step reads them, and the present row of them, by way of the cursor
        self.cursor = cursor = Cursor()
        arrays = step_arrays(spec, task.params, bars, stop, cache)
        self.arrays = type(arrays)(*(Series(values, cursor) for values in arrays))
        self.state = State(float(task.execution.cash), spec.scratch)
        self.state.scratch = self.state.scratch.view(Floats)
        self.opened_row = 0
        minute, to_close = session_minutes(bars.slice(first, stop))
        self.first = first
        self.minute = memoryview(minute)  # type: ignore[arg-type]
        self.to_close = memoryview(to_close)  # type: ignore[arg-type]
        self.overlaid = task.overlays.is_on
        self.rules = overlay_rules(task.overlays)
        self.latency = task.overlays.latency
        self.memory = overlay_memory(task.overlays)

    def at_close(self, row: int, broker: bt.brokers.BackBroker) -> State:
        """Write the position and account at the close of bar `row` into the state."""
        state = self.state
        feed = self.feed
        # looking must not enter a position in the broker's book: its order decides how value is summed
        position = broker.positions.get(feed, _FLAT)
        # floats, as in machine code: Backtrader counts some of them in whole numbers
        state.size = size = float(position.size)
        state.entry_price = float(position.price)
        state.bars_held = row - self.opened_row if size else 0
        state.cash = float(broker.cash)
        state.value = float(broker._value)
        self.cursor.row = row
        state.pending = 0
        if broker.pending or broker.submitted:
            state.pending = sum(
                order.data is feed for queue in (broker.pending, broker.submitted) for order in queue
            )
        state.minute = self.minute[row - self.first]
        state.minutes_to_close = self.to_close[row - self.first]
        return state

    def overlay(self, row: int, code: int, amount: float) -> Intent:
        """Return what the overlays leave of an intent that was decided at the close of bar `row`."""
        s = self.state
        close, left = self.feed.close[0], s.minutes_to_close
        intent = apply_overlays(
            code, amount, close, s.size, s.entry_price, s.bars_held, s.value, left, self.rules
        )
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
    placer = _OrderPlacer(broker)
    symbols = [_SymbolState(task, spec, k, cache) for k in range(len(bars))]
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
    placer: _OrderPlacer,
    ledger: Ledger,
) -> None:
    broker = placer.broker
    step, lookback = in_python(spec.step), spec.lookback
    symbol_of = {symbol.feed: symbol for symbol in symbols}
    equity, cash = ledger.equity, ledger.cash
    in_market = False
    overlaid = symbols[0].overlaid
    for at, arrivals in enumerate(timeline.arrivals()):
        for k, row in arrivals:
            symbols[k].feed.cursor.row = row
        # a flat account without orders is worth its cash: the broker would change nothing
        if in_market or broker.submitted or broker.pending:
            broker.next()
            if broker.notifs:
                _settle(broker, symbol_of, ledger, at)
                in_market = any(position.size for position in broker.positions.values())
        equity.append(broker._value)
        cash.append(broker.cash)
        for k, row in arrivals:
            if row < lookback:
                continue
            symbol = symbols[k]
            state = symbol.at_close(row, broker)
            try:
                answer = step(row, symbol.arrays, params, state)
                is_order = answer.__class__ is Order
                code, amount = answer[:2] if is_order else answer
            except (Exception, SystemExit) as error:
                raise _step_failed(spec, symbol, row, error) from error
            if symbol.cursor.refused:
                raise _step_failed(spec, symbol, row, IndexError(symbol.cursor.refused))
            if is_order and fields_filled(answer):
                raise refused_order(_where(spec, symbol, row), fields_filled(answer))
            # anything but the number 0 is looked at: None is no intent
            if code != HOLD:
                _check_intent(spec, symbol, row, code, amount)
            if overlaid:
                code, amount = symbol.overlay(row, code, float(amount) if code else 0.0)
            if code:
                size = placer.place(symbol.feed, code, float(amount))
                if not abs(size) <= LARGEST_SIZE:
                    raise refused_size(_where(spec, symbol, row), size)


def _settle(
    broker: bt.brokers.BackBroker, symbol_of: Mapping[_Feed, _SymbolState], ledger: Ledger, at: int
) -> None:
    """Record the broker's notifications and note which positions are new."""
    while broker.notifs:
        order = broker.notifs.popleft()
        symbol = symbol_of[order.data]
        for bit in order.executed.iterpending():
            if bit.opened and bit.psize == bit.opened:
                symbol.opened_row = symbol.feed.cursor.row
        ledger.note(order, at, symbol.index)


def _where(spec: StrategySpec, symbol: _SymbolState, row: int) -> str:
    return f"strategy {spec.name}: {symbol.feed._name}, bar {row} at {instant(symbol.ts[row])}"


def _step_failed(spec: StrategySpec, symbol: _SymbolState, row: int, error: BaseException) -> EngineError:
    where = _where(spec, symbol, row)
    refused = symbol.cursor.refused
    if refused:
        return LookAheadError(f"{where}: the step reads {refused}{_line(spec, error)}")
    if isinstance(error, (TypeError, ValueError)) and error.__traceback__ and not error.__traceback__.tb_next:
        return EngineError(
            f"{where}: the step must return an intent such as hold() or target(size) ({error})"
        )
    return EngineError(f"{where}: the step raised {type(error).__name__}: {error}{_line(spec, error)}")


def _line(spec: StrategySpec, error: BaseException) -> str:
    """Return the user's own line that raised, in words that end a message; "" if there is none."""
    code, found = spec.step.__code__, 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == code.co_filename:
            found = trace.tb_lineno
        trace = trace.tb_next
    if not found:
        return ""
    lines = spec.source.splitlines()
    text = (
        lines[found - 1].strip()
        if found <= len(lines)
        else linecache.getline(code.co_filename, found).strip()
    )
    return f" (line {found} of {code.co_filename}: {text})"


def _check_intent(spec: StrategySpec, symbol: _SymbolState, row: int, code: int, amount: float) -> None:
    try:
        if code in _CODES and math.isfinite(amount) and not (code in (BUY, SELL) and amount < 0):
            return
    except (TypeError, ValueError):  # no numbers
        pass
    raise refused_intent(_where(spec, symbol, row), code, amount)
