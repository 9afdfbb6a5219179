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
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import backtrader as bt
import numpy as np

from whatif.domain import Bars, EngineRun
from whatif.engines.arrays import session_ends, step_arrays, step_params
from whatif.engines.backtrader.broker import make_broker
from whatif.engines.backtrader.ledger import Ledger
from whatif.engines.closing import check_flat
from whatif.engines.language.order_answers import WIDTH, order_at, write_orders
from whatif.engines.language.plain import NOT_WRITTEN, Cursor, Floats, Series, in_python, numpys_warnings_off
from whatif.engines.orders import (
    DESK_ROOM,
    EXITS,
    EXITS_ONLY,
    EXITS_WAITING,
    LARGEST_SIZE,
    MARKET_WAITING,
    PRICED,
    UNKNOWN_CODE,
    is_code,
    is_market,
    order_fault,
    overlay_orders,
    refused_count,
    refused_delayed,
    refused_intent,
    refused_order,
    refused_size,
    refused_waiting,
    tie_fault,
)
from whatif.engines.timeline import Timeline, instant, merge
from whatif.errors import EngineError, InputWriteError, LookAheadError
from whatif.indicators import ArrayCache, session_minutes
from whatif.strategies import (
    BRACKET,
    BUY,
    CANCEL,
    CLOSE,
    HOLD,
    MAX_ANSWERED,
    OCO,
    SELL,
    SESSION,
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
    overlay_memory,
    overlay_rules,
    several,
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
        self.volume = _Line(cursor, bars.volume[:stop])
        self.datetime = _Clock(cursor, np.ascontiguousarray(bars.ts[:stop]))

    def __len__(self) -> int:
        return self.cursor.row + 1


class _OrderPlacer:
    """Places orders by Backtrader's own methods, without its strategy's clock and lines."""

    buy = bt.Strategy.buy
    sell = bt.Strategy.sell
    close = bt.Strategy.close
    buy_bracket = bt.Strategy.buy_bracket
    sell_bracket = bt.Strategy.sell_bracket
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

    def place_order(self, feed: _Feed, order: Order, oco: Any, until: float | None) -> Any:
        """Place what a `buy`, a `sell` or a `bracket` with its fields asks for; return Backtrader's order.

        Parameters
        ----------
        feed : _Feed
            The symbol.
        order : Order
            What the step answered, and breaks no rule.
        oco : backtrader.Order, optional
            First order of the group that it belongs to.
        until : float, optional
            Backtrader's date of the last bar that it is tried on.
        """
        given = {name: value for name, value in order._asdict().items() if value == value}
        if order.code == BRACKET:
            placed = self._bracket(feed, order, given, oco)
        else:
            method = self.buy if order.code == BUY else self.sell
            placed = method(feed, order.amount, oco=oco, **_asked_of_backtrader(given, feed.close[0]))
        if placed is not None and until is not None:
            # a date, which Backtrader compares with the bar's own: it counts no bars
            placed.valid = until
        return placed

    def _bracket(self, feed: _Feed, order: Order, given: dict[str, Any], oco: Any) -> Any:
        if not order.amount:
            return None
        method = self.buy_bracket if order.amount > 0 else self.sell_bracket
        orders = method(
            feed,
            abs(order.amount),
            price=given.get("limit"),
            exectype=bt.Order.Limit if "limit" in given else bt.Order.Market,
            oargs={"oco": oco},
            stopprice=given.get("stop"),
            stopexec=bt.Order.Stop if "stop" in given else None,
            limitprice=given.get("target"),
            limitexec=bt.Order.Limit if "target" in given else None,
        )
        return orders[0]

    def cancel_all(self, feed: _Feed, meant: float) -> None:
        """Cancel the accepted orders in a symbol that are meant, see `whatif.engines.orders`."""
        for order in list(self.broker.pending):
            exits = _is_exit(order)
            if order.data is feed and (
                order.exectype != order.Market if meant == PRICED else exits == (meant == EXITS_ONLY)
            ):
                self.broker.cancel(order)

    def held(self, feed: _Feed) -> list[bt.Order]:
        """Return the orders in a symbol that the broker holds."""
        queues = self.broker.pending, self.broker.submitted
        return [order for queue in queues for order in queue if order.data is feed]

    def waiting(self, feed: _Feed) -> int:
        """Return how many of a step's orders in a symbol the broker holds."""
        return sum(not _is_exit(order) for order in self.held(feed))


def _is_exit(order: bt.Order) -> bool:
    """Return whether an order is one of the overlays'."""
    return getattr(order, "is_exit", False)


def _asked_of_backtrader(given: Mapping[str, Any], close: float) -> dict[str, Any]:
    """Return the keywords by which a Backtrader strategy asks for an order with these fields."""
    limit, stop = given.get("limit"), given.get("stop")
    if "trail" in given or "trail_percent" in given:
        return {
            "exectype": bt.Order.StopTrail if limit is None else bt.Order.StopTrailLimit,
            # without a price it would start from the limit
            "price": close if stop is None else stop,
            "plimit": limit,
            "trailamount": given.get("trail"),
            "trailpercent": given.get("trail_percent"),
        }
    if stop is not None:
        kind = bt.Order.Stop if limit is None else bt.Order.StopLimit
        return {"exectype": kind, "price": stop, "plimit": limit}
    if limit is not None:
        return {"exectype": bt.Order.Limit, "price": limit}
    return {"exectype": bt.Order.Close if given.get("at_close") else bt.Order.Market}


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
        self.first, self.stop = first, stop
        self.session_ends: IntArray | None = None
        self.bars = bars
        self.minute = memoryview(minute)  # type: ignore[arg-type]
        self.to_close = memoryview(to_close)  # type: ignore[arg-type]
        self.overlaid = task.overlays.is_on
        self.rules = overlay_rules(task.overlays)
        self.latency = task.overlays.latency
        # what a step can reach is looked at once, not at each order
        self.max_orders = spec.max_orders if spec.answers_orders else None
        exits = task.overlays.exit_orders
        self.has_desk = self.overlaid and not self.latency and (spec.answers_orders or exits)
        self.memory = overlay_memory(task.overlays)

    def at_close(self, row: int, placer: _OrderPlacer) -> State:
        """Write the position and account at the close of bar `row` into the state."""
        state, broker = self.state, placer.broker
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
        state.pending = placer.waiting(feed) if broker.pending or broker.submitted else 0
        state.minute = self.minute[row - self.first]
        state.minutes_to_close = self.to_close[row - self.first]
        return state

    def session_end(self, row: int) -> int:
        """Return the first row of the session after that of bar `row`."""
        if self.session_ends is None:
            self.session_ends = session_ends(self.bars.slice(0, self.stop))
        return int(self.session_ends[row])

    def until(self, row: int, valid: int) -> float | None:
        """Return Backtrader's date of the last bar to try an order of bar `row` on; None for no end."""
        last = self.session_end(row) - 1 if valid == SESSION else row + valid
        dates = self.feed.datetime.values
        return dates[last] if valid and last < len(dates) else None

    def date_of_session_end(self, row: int) -> float:
        """Return a date of Backtrader's between the last bar of the session of bar `row` and the next one."""
        end, dates = self.session_end(row), self.feed.datetime.values
        return (dates[end - 1] + dates[end]) / 2.0 if end < len(dates) else math.inf

    def overlay_orders(self, orders: list[Order], placer: _OrderPlacer) -> list[Order]:
        """Return what the overlays leave of the orders of the present bar."""
        if not all(is_code(order.code) for order in orders):
            return orders  # which is refused
        s, desk = self.state, np.zeros(DESK_ROOM * WIDTH)
        if len(self.memory):
            held = placer.held(self.feed)
            self.memory[EXITS_WAITING] = sum(map(_is_exit, held))
            self.memory[MARKET_WAITING] = sum(order.exectype == order.Market for order in held)
        count = write_orders(desk, 0, tuple(orders))
        account = s.cash, s.size, s.entry_price, self.opened_row
        rest = s.bars_held, s.value, s.pending, s.minutes_to_close
        left = overlay_orders(desk, count, self.feed.close[0], account, *rest, self.rules, self.memory)
        if count > MAX_ANSWERED:
            return [Order(*hold())] * (DESK_ROOM + 1)  # which is refused
        return [order_at(desk, k) for k in range(left)]

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
    overlaid, has_desk = symbols[0].overlaid, symbols[0].has_desk
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
            state = symbol.at_close(row, placer)
            try:
                answer = step(row, symbol.arrays, params, state)
                orders = several(answer)
                if has_desk:
                    orders = symbol.overlay_orders(flattened(answer), placer)
                code, amount = answer if orders is None else orders[0][:2] if orders else hold()
            except (Exception, SystemExit) as error:
                raise _step_failed(spec, symbol, row, error) from error
            if symbol.cursor.refused:
                raise _step_failed(spec, symbol, row, IndexError(symbol.cursor.refused))
            if orders and not (len(orders) == 1 and is_market(orders[0])):
                if symbol.latency:
                    raise refused_delayed(_where(spec, symbol, row))
                _place_orders(spec, symbol, row, orders, placer)
                continue
            # anything but the number 0 is looked at: None is no intent
            if code != HOLD:
                _check_intent(spec, symbol, row, code, amount)
            if overlaid and not has_desk:
                code, amount = symbol.overlay(row, code, float(amount) if code else 0.0)
            if code:
                _place(spec, symbol, row, code, float(amount), placer)


def _place(
    spec: StrategySpec, symbol: _SymbolState, row: int, code: int, amount: float, placer: _OrderPlacer
) -> None:
    """Place an order at the market."""
    size = placer.place(symbol.feed, code, amount)
    if not abs(size) <= LARGEST_SIZE:
        raise refused_size(_where(spec, symbol, row), size)
    _check_waiting(spec, symbol, row, placer)


def _check_waiting(spec: StrategySpec, symbol: _SymbolState, row: int, placer: _OrderPlacer) -> None:
    if symbol.max_orders is not None and placer.waiting(symbol.feed) > symbol.max_orders:
        raise refused_waiting(_where(spec, symbol, row), symbol.max_orders)


def _place_orders(
    spec: StrategySpec, symbol: _SymbolState, row: int, orders: list[Order], placer: _OrderPlacer
) -> None:
    """Place the orders that a step answered with, some of which say more than a pair does.

    Raises
    ------
    EngineError
        If one of them breaks a rule, or there are too many.
    """
    where, feed = _where(spec, symbol, row), symbol.feed
    if len(orders) > (DESK_ROOM if symbol.has_desk else MAX_ANSWERED):
        raise refused_count(where)
    tied, leader, exits = 0, None, False
    for place, order in enumerate(orders):
        if order.code == EXITS:
            exits = True
            continue
        fault = order_fault(order, feed.close[0]) if is_code(order.code) else UNKNOWN_CODE
        fault = fault or tie_fault(order.code, order.amount, tied, len(orders) - place - 1)
        if fault:
            raise refused_order(where, order, fault)
        if order.code == OCO:
            tied, leader = int(order.amount), None
        elif order.code == CANCEL:
            placer.cancel_all(feed, order.amount)
        elif order.code in (BUY, SELL, BRACKET):
            if not abs(order.amount) <= LARGEST_SIZE:
                raise refused_size(where, order.amount)
            placed = placer.place_order(feed, order, leader if tied else None, symbol.until(row, order.valid))
            if placed is not None and exits:
                placed.is_exit = True
            if placed is not None and order.at_close:
                placed.dteos = symbol.date_of_session_end(row)
            leader, tied = (leader or placed, tied - 1) if tied else (None, 0)
        elif order.code != HOLD:
            _place(spec, symbol, row, order.code, order.amount, placer)
    _check_waiting(spec, symbol, row, placer)


def _settle(broker: bt.brokers.BackBroker, symbol_of: Mapping[_Feed, Any], ledger: Ledger, at: int) -> None:
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
    if isinstance(error, TypeError) and str(error) == NOT_WRITTEN:
        return InputWriteError(f"{where}: {error}{_line(spec, error)}")
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


class Tools(NamedTuple):
    """What another loop around the broker takes from this one, see `across`."""

    feed: Callable[[Bars, int], _Feed] = _Feed
    placer: Callable[[bt.brokers.BackBroker], _OrderPlacer] = _OrderPlacer
    flat: bt.Position = _FLAT
    settle: Callable[[bt.brokers.BackBroker, Mapping[_Feed, Any], Ledger, int], None] = _settle
    line: Callable[[StrategySpec, BaseException], str] = _line


TOOLS = Tools()
