"""Ordinary Backtrader strategies, in a Cerebro of Backtrader's own that is written down."""

from __future__ import annotations

import array
import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np

from whatif.domain import MINUTE_US, Bars, Contract, EngineRun, Execution
from whatif.engines.backtrader.broker import SealedBroker, make_broker
from whatif.engines.backtrader.ledger import Ledger
from whatif.engines.timeline import Timeline, bar_lengths, bar_rows, instant, known_at, merge
from whatif.errors import EngineError
from whatif.strategies import BacktraderSpec
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.engines.task import BacktestTask

_EPOCH = dt.datetime(1970, 1, 1)


def run_ordinary(task: BacktestTask, spec: BacktraderSpec) -> EngineRun:
    """Run a subclass of `backtrader.Strategy` as Backtrader does.

    It gets Backtrader's feeds, broker, timers and analyzers; its observers too where its code reads
    them. With `execution: {coo: true}` it is the Cerebro that cheats on open, and calls `next_open`.

    Raises
    ------
    EngineError
        If overlays are given, the strategy raises (its exception is the cause), skips itself, orders
        before the window, or changes the account or what the execution says.
    """
    if task.overlays.is_on:
        raise EngineError(
            f"strategy {spec.name}: overlays {task.overlays.active} cannot be laid over an ordinary "
            "Backtrader strategy, which handles its own orders; leave them out, or write a step function"
        )
    observed = _reads_observers(spec.cls)
    try:
        return _Stage(task).run(spec, observed)
    except EngineError as error:
        # what no code names may still be asked for, by a name made at run time
        if observed or not isinstance(error.__cause__, AttributeError):
            raise
        return _Stage(task).run(spec, True)


class _ArrayFeed(bt.feed.DataBase):
    """A Backtrader feed whose lines are taken over from arrays at once."""

    columns: Mapping[str, FloatArray]

    def preload(self) -> None:
        for name, values in self.columns.items():
            getattr(self.lines, name).array = array.array("d", values.tobytes())
        self.home()


_FEED_CLASSES: dict[tuple[str, ...], type] = {}


def _feed_class(extra: tuple[str, ...]) -> type:
    """Return the feed with these further lines; one class for each set, for classes are never freed."""
    if extra not in _FEED_CLASSES:
        _FEED_CLASSES[extra] = type(f"_ArrayFeed{len(_FEED_CLASSES)}", (_ArrayFeed,), {"lines": extra})
    return _FEED_CLASSES[extra]


def _feed(bars: Bars, first: int, stop: int, stamps: IntArray) -> bt.feed.DataBase:
    """Return some of a symbol's bars as a feed, each stamped by the row on which it is there."""
    part = bars.slice(first, stop)
    extra = {"vwap": part.vwap, **part.inputs}
    minutes = int(np.median(np.diff(part.ts))) // MINUTE_US if len(part) > 1 else 1
    daily = minutes >= 12 * 60
    feed = _feed_class(tuple(extra))(
        name=bars.symbol,
        timeframe=bt.TimeFrame.Days if daily else bt.TimeFrame.Minutes,
        compression=1 if daily else max(1, minutes),
    )
    days = [bt.date2num(_EPOCH + dt.timedelta(microseconds=ts)) for ts in stamps[first:stop].tolist()]
    prices = {name: getattr(part, name) for name in ("open", "high", "low", "close", "volume")}
    series = {"datetime": days, **prices, "openinterest": np.zeros(len(part)), **extra}
    feed.columns = {name: np.ascontiguousarray(values, dtype=np.float64) for name, values in series.items()}
    return feed


class _Clock:
    """When each row begins, and when what is decided on it is decided; which bars come with it.

    Only an account of several symbols needs it: a single one always has a new bar.
    """

    def __init__(self, feeds: list[Any], bars: list[Bars], firsts: list[int], timeline: Timeline) -> None:
        self._feeds, self._timeline = feeds, timeline
        self._starts = [one.ts[first:].tolist() for one, first in zip(bars, firsts, strict=True)]
        self._seen = [0] * len(feeds)
        self.begins = timeline.ts.tolist()

    def fresh(self) -> dict[Any, int]:
        """Return the start of each bar that has come since the last call, by its feed."""
        found = {}
        for k, feed in enumerate(self._feeds):
            count = len(feed)
            if count != self._seen[k]:
                self._seen[k] = count
                found[feed] = self._starts[k][count - 1]
        return found


class _RecordingCerebro(bt.Cerebro):
    """Backtrader's own engine that writes down each fill and each bar's value."""

    def record(self, ledger: Ledger, timeline: Timeline, before: int) -> None:
        """Record into `ledger`, beginning after `before` rows of the timeline."""
        self._ledger = ledger
        self._timeline = timeline
        self._before = before
        self._row = -1
        self._index = {data: k for k, data in enumerate(self.datas)}
        self._own = self._broker
        self._clock: _Clock | None = None
        self._ends: list[int] = []

    def keep_time(self, clock: _Clock, ends: IntArray) -> None:
        """Let orders wait for bars that begin after they were decided."""
        self._clock, self._ends = clock, ends.tolist()

    def _check_timers(self, runstrats: Any, dt0: float, cheat: bool = False) -> None:
        if cheat:  # what comes first on each row
            self._begin_row()
        super()._check_timers(runstrats, dt0, cheat)

    def _begin_row(self) -> None:
        self._row += 1
        if self._row <= self._before and self._own._pchildren:
            raise EngineError(
                f"an order was placed on bar {self._row - 1} at {instant(self._timeline.ts[self._row - 1])}, "
                f"before the window begins at {instant(self._timeline.ts[self._before])}; wait for the "
                "indicators (Backtrader's minimum period does) and give a warm-up no longer than they need"
            )
        if self._clock is not None:
            self._own.begin(self._clock.begins[self._row], self._clock.fresh())

    def _brokernotify(self) -> None:
        broker = self._own
        if self._broker is not broker or any(one.broker is not broker for one in self.runningstrats):
            raise EngineError("the strategy replaces the broker: give its settings as execution instead")
        at = self._row - self._before
        broker.next()
        if self._clock is not None:
            broker.end(self._ends[self._row])
        while (order := broker.get_notification()) is not None:
            self._ledger.note(order, at, self._index[order.data])
            (order.owner or self.runningstrats[0])._addnotification(order, quicknotify=self.p.quicknotify)
        if at >= 0:
            self._ledger.equity.append(broker._value)
            self._ledger.cash.append(broker.cash)


class _Stage:
    """A task's bars and window as an ordinary strategy is run on them."""

    def __init__(self, task: BacktestTask) -> None:
        self.task = task
        self.bars = list(task.bars)
        several = len(self.bars) > 1
        lengths = bar_lengths(self.bars, task.bar_us) if several else [1]
        self.stamps = bar_rows(self.bars, lengths)
        self.windows = [
            (first if task.start is None else int(np.searchsorted(stamps, task.start)), stop)
            for (first, stop), stamps in zip(map(task.rows, self.bars), self.stamps, strict=True)
        ]
        self.fed = [(max(0, first - task.warmup), stop) for first, stop in self.windows]
        self.timeline = merge(self.bars, self.fed, task.bar_us)
        self.window = merge(self.bars, self.windows, task.bar_us)
        self.ends = known_at(self.bars, lengths, self.timeline) if several else None

    def run(self, spec: BacktraderSpec, observed: bool) -> EngineRun:
        """Run the strategy and return what was written down."""
        execution = self.task.execution
        broker = make_broker(execution, sealed=True)
        # the broker cheats already, as it was made to
        cerebro = _RecordingCerebro(stdstats=observed, cheat_on_open=execution.coo, broker_coo=False)
        cerebro.setbroker(broker)
        for one, fed, stamps in zip(self.bars, self.fed, self.stamps, strict=True):
            cerebro.adddata(_feed(one, *fed, stamps))
        cerebro.addstrategy(spec.cls, **self.task.params)
        ledger = Ledger()
        cerebro.record(ledger, self.timeline, int(np.searchsorted(self.timeline.ts, self.window.ts[0])))
        if self.ends is not None:
            firsts = [first for first, _ in self.fed]
            cerebro.keep_time(_Clock(list(cerebro.datas), self.bars, firsts, self.timeline), self.ends)
        given = bool(execution.costs is not None or execution.commission or execution.commtype != "perc")
        given = given or bool(execution.later)
        broker.seal(costs_given=given)
        try:
            done = cerebro.run()
            if not done:
                raise EngineError(
                    "it raised StrategySkipError, which asks not to be run with these parameters, so there "
                    "is no result: leave them out, by a constraint for example"
                )
            broker.check_settings()
            broker.check_cash()
            return self._written(ledger, cerebro, done[0])
        except EngineError as error:
            raise EngineError(f"strategy {spec.name}: {_where(cerebro)}{error}") from error.__cause__
        except (Exception, SystemExit) as error:
            where = _where(cerebro) or "before the first bar: "
            raise EngineError(
                f"strategy {spec.name}: {where}it raised {type(error).__name__}: {error}"
            ) from error
        finally:
            _dismantle(cerebro)

    def _written(self, ledger: Ledger, cerebro: _RecordingCerebro, strategy: Any) -> EngineRun:
        """Return the run that the ledger holds, to the window's end where the strategy ended it earlier."""
        broker, execution = cerebro._own, self.task.execution
        schemes = broker.own_schemes()
        if schemes:
            ledger.notes.append(f"the strategy sets the commission: {'; '.join(schemes)}")
            ledger.contracts = tuple(_contract(broker, feed, execution) for feed in cerebro.datas)
        if cerebro._event_stop and len(ledger.equity) < len(self.window.ts):
            ledger.stop(execution.cash, self.window)
        ledger.analyses = {name: _plain(one.get_analysis()) for name, one in strategy.analyzers.getitems()}
        return ledger.to_run(self.bars, self.window)


def _contract(broker: SealedBroker, feed: Any, execution: Execution) -> Contract:
    info = broker.getcommissioninfo(feed)
    return Contract(
        multiplier=float(info.p.mult),
        commission=float(info.p.commission),
        fixed=info._commtype == bt.CommInfoBase.COMM_FIXED,
    )


def _plain(value: Any) -> Any:
    """Return an analyzer's result with plain dictionaries and lists, which hold on to nothing."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_plain(one) for one in value) if type(value) in (list, tuple, set) else list(value)
    return value


_OBSERVED = frozenset({"stats", "observers", "getobservers"})


@lru_cache(maxsize=64)
def _reads_observers(cls: type) -> bool:
    """Return whether the code of a class, or a function that it calls, names Backtrader's observers.

    They cost a third of a run's time, so they are there for those who look at them.
    """
    own = [
        base for base in cls.__mro__ if not base.__module__.startswith("backtrader") and base is not object
    ]
    waiting: list[Any] = [value for base in own for value in vars(base).values()]
    seen: set[int] = set()
    while waiting:
        thing = waiting.pop()
        thing = getattr(thing, "__func__", getattr(thing, "fget", thing))
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, FunctionType):
            known = thing.__globals__
            names = _names(thing.__code__)
            if names & _OBSERVED:
                return True
            near = (known[name] for name in names if name in known)
            waiting += [one for one in near if getattr(one, "__module__", None) == thing.__module__]
        elif isinstance(thing, type):
            waiting += list(vars(thing).values())
    return False


def _names(code: CodeType) -> set[str]:
    """Return the names and texts in a piece of code, and in those inside it."""
    found = {*code.co_names, *(one for one in code.co_consts if isinstance(one, str))}
    for one in code.co_consts:
        if isinstance(one, CodeType):
            found |= _names(one)
    return found


def _where(cerebro: _RecordingCerebro) -> str:
    row = cerebro._row
    return "" if row < 0 else f"bar {row} at {instant(cerebro._timeline.ts[row])}: "


def _dismantle(cerebro: _RecordingCerebro) -> None:
    """Cut the references between engine, broker, feeds and strategy, so that memory is freed at once."""
    for part in (*getattr(cerebro, "runningstrats", ()), *cerebro.datas):
        _take_apart(part)
    cerebro._own.__dict__.clear()
    cerebro._broker.__dict__.clear()
    cerebro.__dict__.clear()


def _take_apart(part: Any) -> None:
    for children in vars(part).get("_lineiterators", {}).values():
        for child in children:
            _take_apart(child)
    for line in vars(part).get("lines", ()):
        line.__dict__.clear()
    part.__dict__.clear()
