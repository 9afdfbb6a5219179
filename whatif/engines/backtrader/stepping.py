"""What loops around Backtrader's broker share: bars as feeds, orders on them, and what is told of both.

What a strategy needs of a data feed is a view of the bars' arrays; its order methods are
`backtrader.Strategy`'s own functions, without that class's clock and lines.
"""

from __future__ import annotations

import datetime as dt
import linecache
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np

from whatif.domain import TRADE_TALLY, Bars, Overlays, note_trade, session_ends
from whatif.engines.backtrader.ledger import Ledger
from whatif.engines.language.plain import Floats
from whatif.engines.orders import (
    BAD_VALID,
    DESK_ROOM,
    EXITS,
    EXITS_ONLY,
    FINE,
    LARGEST_SIZE,
    PRICED,
    UNKNOWN_CODE,
    bounded,
    is_code,
    order_fault,
    refused_count,
    refused_order,
    refused_size,
    refused_waiting,
    tie_fault,
)
from whatif.engines.timeline import instant
from whatif.errors import EngineError
from whatif.strategies import (
    BRACKET,
    BUY,
    CANCEL,
    CLOSE,
    HOLD,
    MAX_ANSWERED,
    OCO,
    ORDER_NOTES,
    SELL,
    SESSION,
    TARGET,
    Order,
    OverlayRules,
    overlay_rules,
)
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.engines.task import BacktestTask
    from whatif.strategies import StrategySpec

_DAY_US = 86_400_000_000
_EPOCH = dt.datetime(1970, 1, 1)
_EPOCH_ORDINAL = _EPOCH.toordinal()

FLAT = bt.Position()
"""Of a symbol that the broker does not know."""


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


class Feed:
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


class Tried:
    """The bars of a symbol that its orders are tried on: its own, or finer ones inside them.

    Parameters
    ----------
    own : Feed
        The symbol's bars.
    bars : Bars
        The same as arrays.
    stop : int
        The window's end as a row of them.
    """

    def __init__(self, own: Feed, bars: Bars, stop: int) -> None:
        self.feed, self._begins = own, None
        if bars.finer is not None:
            self._begins = bars.finer.begins[: stop + 1].tolist()
            self.feed = Feed(bars.finer.bars, self._begins[-1])

    @property
    def is_finer(self) -> bool:
        """Whether they are finer ones."""
        return self._begins is not None

    def inside(self, row: int) -> range:
        """Return which of them lie inside a row."""
        return range(row, row + 1) if self._begins is None else range(*self._begins[row : row + 2])

    def row_of(self, date: float) -> int:
        """Return the row that the one of a date of Backtrader's is, or lies inside."""
        at = bisect_left(self.feed.datetime.values, date)
        return at if self._begins is None else bisect_right(self._begins, at) - 1

    @property
    def stamp(self) -> int | None:
        """Start of the finer one that is there, microseconds UTC."""
        return self.feed.datetime.ts[self.feed.cursor.row] if self.is_finer else None


class OrderPlacer:
    """Places orders by Backtrader's own methods, without its strategy's clock and lines."""

    close = bt.Strategy.close
    buy_bracket = bt.Strategy.buy_bracket
    sell_bracket = bt.Strategy.sell_bracket
    getposition = bt.Strategy.getposition
    order_target_size = bt.Strategy.order_target_size
    order_target_value = bt.Strategy.order_target_value
    order_target_percent = bt.Strategy.order_target_percent

    def __init__(self, broker: bt.brokers.BackBroker) -> None:
        self.broker = broker
        self.bounds: Bounds | None = None

    def bound(self, feeds: list[Feed], overlays: Overlays) -> None:
        """Hold orders within the bounds of an account of these symbols, if any is on."""
        if overlays.bounds:
            self.bounds = Bounds(self, feeds, overlay_rules(overlays))

    def buy(self, data: Feed, size: float, **given: Any) -> Any:
        """Place an order to buy, of the size that the account's bounds leave of it."""
        return self._sized(data, abs(size), given)

    def sell(self, data: Feed, size: float, **given: Any) -> Any:
        """Place an order to sell, of the size that the account's bounds leave of it."""
        return self._sized(data, -abs(size), given)

    def _sized(self, data: Feed, size: float, given: dict[str, Any]) -> Any:
        if self.bounds is not None:
            size = self.bounds.left_of(data, size)
        method = bt.Strategy.buy if size > 0 else bt.Strategy.sell
        return method(self, data, abs(size), **given)

    def place(self, feed: Feed, code: int, amount: float) -> float:
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

    def place_order(self, feed: Feed, order: Order, oco: Any, until: float | None) -> Any:
        """Place what a `buy`, a `sell` or a `bracket` with its fields asks for; return Backtrader's order.

        Parameters
        ----------
        feed : Feed
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

    def _bracket(self, feed: Feed, order: Order, given: dict[str, Any], oco: Any) -> Any:
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

    def cancel(self, feed: Feed, is_meant: Callable[[bt.Order], bool]) -> None:
        """Cancel the accepted orders in a symbol that are meant; if it is corrected, also those before."""
        submitted = self.broker.submitted if getattr(self.broker, "reaches_submitted", False) else ()
        for order in [*self.broker.pending, *submitted]:
            if order.data is feed and is_meant(order):
                self.broker.cancel(order)

    def held(self, feed: Feed) -> list[bt.Order]:
        """Return the orders in a symbol that the broker holds."""
        queues = self.broker.pending, self.broker.submitted
        return [order for queue in queues for order in queue if order.data is feed]

    def waiting(self, feed: Feed) -> int:
        """Return how many of a step's orders in a symbol the broker holds."""
        return sum(not is_exit(order) for order in self.held(feed))


class Bounds:
    """What an account of several symbols may hold, by `whatif.engines.orders.bounded`.

    Parameters
    ----------
    placer : OrderPlacer
        Knows the broker's orders.
    feeds : list of Feed
        Of the k symbols.
    rules : OverlayRules
        What is on.
    """

    def __init__(self, placer: OrderPlacer, feeds: list[Feed], rules: OverlayRules) -> None:
        self._placer, self._feeds, self._rules = placer, feeds, rules
        self._held, self._closes = np.zeros(len(feeds)), np.zeros(len(feeds))

    def look(self) -> None:
        """Write down what each position will be when its orders that wait are filled, before new ones."""
        for k, feed in enumerate(self._feeds):
            self._held[k] = self._placer.broker.positions.get(feed, FLAT).size
            self._closes[k] = feed.close[0] if feed.cursor.row >= 0 else 0.0
            for order in self._placer.held(feed):
                self._held[k] += order.executed.remsize

    def left_of(self, feed: Feed, size: float) -> float:
        """Return what is left of an order of a signed size, which counts for those after it."""
        if not abs(size) <= LARGEST_SIZE:
            return size  # which is refused
        k = self._feeds.index(feed)
        left = bounded(size, k, self._held, self._closes, float(self._placer.broker._value), self._rules)
        self._held[k] += left
        return float(left)


class Notes:
    """What a step by symbol may ask of its fills, its position and its orders: `whatif.strategies.NOTES`.

    Parameters
    ----------
    feed : Feed
        The symbol's bars.
    placer : OrderPlacer
        Knows the broker's orders.
    tried : Tried
        The bars that those are tried on.
    """

    def __init__(self, feed: Feed, placer: OrderPlacer, tried: Tried) -> None:
        self._feed, self._placer, self._tried = feed, placer, tried
        self._price, self._size, self._row, self._realised = math.nan, 0.0, -math.inf, 0.0
        self.trades, self._held = np.zeros(TRADE_TALLY), 0.0

    def add(self, bit: Any) -> None:
        """Add an execution that the broker tells of on the present row."""
        self._price, self._size = float(bit.price), float(bit.closed + bit.opened)
        self._row = self._feed.cursor.row
        self._realised = self._realised + bit.pnl - bit.closedcomm - bit.openedcomm
        fees = bit.closedcomm, bit.openedcomm
        # not its psize, which counts a part that the cash did not cover
        self._held += self._size
        note_trade(self.trades, bit.closed, bit.opened, self._held, bit.price, bit.pnl, *fees)

    def value(self, name: str, size: float, opened_row: int) -> Any:
        """Return one of the notes at the close of the present bar, by the position's size and first row."""
        if name in ("best_price", "worst_price"):
            return self._extreme((name == "best_price") == (size > 0.0), opened_row) if size else math.nan
        if name in ORDER_NOTES:
            return self._orders(name)
        found = {
            "last_fill_price": self._price,
            "last_fill_size": self._size,
            "bars_since_fill": self._feed.cursor.row - self._row,
            "realised": self._realised,
        }
        return float(found[name])

    def _extreme(self, highest: bool, opened_row: int) -> float:
        rows = slice(opened_row, self._feed.cursor.row + 1)
        return float(max(self._feed.high.values[rows]) if highest else min(self._feed.low.values[rows]))

    def _orders(self, name: str) -> FloatArray:
        held = [order for order in self._placer.held(self._tried.feed) if not is_exit(order)]
        shown: Mapping[str, Callable[[Any], float]] = {
            "order_kind": lambda order: order.exectype,
            "order_size": lambda order: order.executed.remsize,
            "order_price": _acts_at,
            "order_age": lambda order: self._feed.cursor.row - self._tried.row_of(order.created.dt),
        }
        values = np.array([shown[name](order) for order in held], dtype=np.float64).view(Floats)
        values.flags.writeable = False
        return values


def _acts_at(order: bt.Order) -> float:
    """Return the price that an order acts at; NaN at the market and at the close."""
    if order.exectype in (bt.Order.Market, bt.Order.Close):
        return math.nan
    if order.triggered and order.exectype in (bt.Order.Stop, bt.Order.StopTrail):
        return math.nan  # it has become an order at the market
    return float(order.created.pricelimit if order.triggered else order.created.price)


def is_exit(order: bt.Order) -> bool:
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


class Traded:
    """One symbol as orders are placed in it: its bars, its feed, and how many orders may wait.

    Parameters
    ----------
    task, spec : BacktestTask, StrategySpec
        What is run.
    index : int
        Place of the symbol.
    """

    has_desk = False

    def __init__(self, task: BacktestTask, spec: StrategySpec, index: int) -> None:
        self.index, self.bars = index, task.bars[index]
        self.ts, self.stop = self.bars.ts, task.rows(self.bars)[1]
        self.own = Feed(self.bars, self.stop)
        self.tried = Tried(self.own, self.bars, self.stop)
        self.feed = self.tried.feed
        self.opened_row = 0
        self.session_ends: IntArray | None = None
        # what a step can reach is looked at once, not at each order
        self.max_orders = spec.max_orders if spec.answers_orders else None

    def session_end(self, row: int) -> int:
        """Return the first row of the session after that of bar `row`."""
        if self.session_ends is None:
            self.session_ends = session_ends(self.bars.slice(0, self.stop))
        return int(self.session_ends[row])

    def until(self, row: int, valid: int) -> float | None:
        """Return Backtrader's date of the last bar to try an order of bar `row` on; None for no end."""
        last = self.session_end(row) - 1 if valid == SESSION else row + int(valid)
        if not valid or last >= self.stop:
            return None
        return self.feed.datetime.values[self.tried.inside(last)[-1]]

    def date_of_session_end(self, row: int) -> float:
        """Return a date of Backtrader's between the last bar of the session of bar `row` and the next one."""
        end, dates = self.session_end(row), self.feed.datetime.values
        if end >= self.stop:
            return math.inf
        begin = self.tried.inside(end)[0]
        return (dates[begin - 1] + dates[begin]) / 2.0


def place(
    spec: StrategySpec, symbol: Traded, row: int, code: int, amount: float, placer: OrderPlacer
) -> None:
    """Place an order at the market."""
    size = placer.place(symbol.feed, code, amount)
    if not abs(size) <= LARGEST_SIZE:
        raise refused_size(where_of(spec, symbol, row), size)
    _check_waiting(spec, symbol, row, placer)


def _is_cancelled(meant: float, order: Any) -> bool:
    """Return whether a cancellation of that amount, see `whatif.engines.orders`, is one of an order."""
    if meant == PRICED:
        return bool(order.exectype != order.Market)
    return is_exit(order) == (meant == EXITS_ONLY)


def _check_waiting(spec: StrategySpec, symbol: Traded, row: int, placer: OrderPlacer) -> None:
    if symbol.max_orders is not None and placer.waiting(symbol.feed) > symbol.max_orders:
        raise refused_waiting(where_of(spec, symbol, row), symbol.max_orders)


def place_orders(
    spec: StrategySpec, symbol: Traded, row: int, orders: list[Order], placer: OrderPlacer
) -> None:
    """Place the orders that a step answered with, some of which say more than a pair does.

    Raises
    ------
    EngineError
        If one of them breaks a rule, or there are too many.
    """
    where, feed = where_of(spec, symbol, row), symbol.feed
    if len(orders) > (DESK_ROOM if symbol.has_desk else MAX_ANSWERED):
        raise refused_count(where)
    tied, leader, exits = 0, None, False
    for at, order in enumerate(orders):
        if order.code == EXITS:
            exits = True
            continue
        fault = _fault_of(order, feed.close[0], where)
        fault = fault or tie_fault(order.code, order.amount, tied, len(orders) - at - 1)
        if fault:
            raise refused_order(where, order, fault)
        if order.code == OCO:
            tied, leader = int(order.amount), None
        elif order.code == CANCEL:
            placer.cancel(feed, partial(_is_cancelled, order.amount))
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
            place(spec, symbol, row, order.code, order.amount, placer)
    _check_waiting(spec, symbol, row, placer)


def _fault_of(order: Order, close: float, where: str) -> int:
    """Return which rule an order breaks that is made at a close, or `FINE`.

    Raises
    ------
    EngineError
        If a field of it is no number.
    """
    if not is_code(order.code):
        return UNKNOWN_CODE
    try:
        return order_fault(order, close) or (FINE if float(order.valid).is_integer() else BAD_VALID)
    except (TypeError, ValueError) as error:
        raise EngineError(
            f"{where}: the step returned {order}, and not all of its fields are numbers ({error}): give "
            "numbers, and leave out what the order has none of"
        ) from error


def where_of(spec: StrategySpec, symbol: Traded, row: int) -> str:
    """Return strategy, symbol and bar, for a message."""
    return f"strategy {spec.name}: {symbol.feed._name}, bar {row} at {instant(symbol.ts[row])}"


def settle(broker: bt.brokers.BackBroker, symbol_of: Mapping[Feed, Any], ledger: Ledger, at: int) -> None:
    """Record the broker's notifications and note which positions are new."""
    while broker.notifs:
        order = broker.notifs.popleft()
        symbol = symbol_of[order.data]
        for bit in order.executed.iterpending():
            if bit.opened and bit.psize == bit.opened:
                symbol.opened_row = symbol.own.cursor.row
            if symbol.notes is not None:
                symbol.notes.add(bit)
        ledger.note(order, at, symbol.index, symbol.tried.stamp)


def step_line(spec: StrategySpec, error: BaseException) -> str:
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
