"""Bars of one window, made ready for any number of configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from whatif.domain import (
    MINUTE_US,
    PRICE_FIELDS,
    TALLY,
    Bars,
    Execution,
    Finer,
    Overlays,
    Periods,
    period_rows,
    session_ends,
)
from whatif.engines.arrays import (
    GridInputs,
    addresses_of,
    calendar_numbers,
    overlay_minutes,
    price_arrays,
    read_only,
    step_arrays,
    volatility_array,
)
from whatif.engines.base import Measured, MeasuredRuns, RunInputs
from whatif.engines.closing import (
    check_bounds,
    check_fills,
    check_flat,
    check_sizing,
    check_volume,
    volatility_of,
)
from whatif.engines.compiled.book import (
    FAILED,
    FULL_BOOK,
    MOST_FILLS_A_BAR,
    NO_CROSSINGS,
    ORDERS_MADE,
    TOLD,
    Asking,
    Book,
    Outcomes,
    Runs,
    note_room,
)
from whatif.engines.compiled.columns import (
    charges,
    column,
    has_tiers,
    is_special,
    kind_of_account,
    kinds_of,
    noted,
    one_of_each,
    places_of,
    settings,
)
from whatif.engines.compiled.kernel import Identified, Kernel, kernel_of
from whatif.engines.compiled.loop import run_many
from whatif.engines.compiled.measure import RunsMeasure, measure_call, measure_one
from whatif.engines.compiled.refusal import refuse_failed, uncompiled
from whatif.engines.compiled.working import order_room
from whatif.errors import WhatIfError
from whatif.indicators import ArrayCache, session_minutes
from whatif.strategies import StrategySpec, overlay_memory
from whatif.typing import FloatArray, IntArray

SHARED_ROOM = 16_384
"""Executions that configurations of one call share room for, beside what one of them may need at most."""

TOLD_A_BAR = 4
"""Orders a bar, on average, that there is room to tell of at first; more is made if a run needs it."""

FILLS_A_BAR, ORDER_FILLS_A_BAR = 2, 8
"""Executions a bar, on average, that a run may have: of a step that answers with pairs (an order fills in two
parts at most), and of one that answers with orders or whose orders a filler fills in parts."""


@dataclass(frozen=True)
class Call:
    """A call of the loop, with what it writes to.

    Attributes
    ----------
    first, stop, asking, runs, ends, book, outcomes
        As `whatif.engines.compiled.loop.run_many` takes them.
    alive : tuple
        What lies at the addresses in `asking`, which nothing else keeps.
    """

    first: int
    stop: int
    asking: Asking
    runs: Runs
    ends: IntArray
    book: Book
    outcomes: Outcomes
    alive: tuple[Any, ...]

    def run(self, begin: int = 0) -> int:
        """Run configurations from place `begin` on; return the place to go on with."""
        following: int = run_many(
            self.first, self.stop, begin, self.asking, self.runs, self.ends, self.book, self.outcomes
        )
        return following

    def grow(self) -> bool:
        """Return False: the book has room for all that one run may do."""
        return False


@dataclass(frozen=True)
class Workspace:
    """Room that one run after the other writes to.

    Attributes
    ----------
    book : Book
        For runs without series.
    session_ends : int64 array (stop,) or (0,)
        Of each row, the first one of the session after its own.
    max_orders, room : int
        As `Asking` has them.
    periods, per_year : int, float
        As `RunsMeasure` has them.
    """

    book: Book
    session_ends: IntArray
    max_orders: int
    room: int
    periods: int
    per_year: float

    @cached_property
    def measure(self) -> RunsMeasure:
        """What measures runs without series; it has a room of its own."""
        return RunsMeasure(self.room, self.periods, self.per_year)


class PreparedWindow:
    """A strategy on one symbol's bars in one window, with the room that one run after the other writes to.

    Parameters
    ----------
    spec : StrategySpec
        The strategy.
    bars : Bars
        History from its beginning, checked already.
    first, stop : int
        The window as rows of `bars`.
    periods : Periods, optional
        Over which returns are measured.
    cache : mutable mapping, optional
        Where arrays are kept that runs share.
    grid : sequence of mapping
        Parameters of all configurations that will be run.
    """

    def __init__(
        self,
        spec: StrategySpec,
        bars: Bars,
        first: int,
        stop: int,
        periods: Periods | None = None,
        cache: ArrayCache | None = None,
        grid: Sequence[Mapping[str, object]] = (),
    ) -> None:
        self.spec, self.bars, self.first, self.stop = spec, bars, first, stop
        # once for all runs: it looks at all that the step can reach
        self.identified = Identified(spec.digest, spec)
        self._cache = cache
        self._inputs = GridInputs(spec, bars, stop, cache, grid)
        self.ts = bars.ts[first:stop]
        minute, to_close = session_minutes(bars.slice(0, stop))
        self._prices = price_arrays(bars, stop)
        self._clock = (read_only(minute), read_only(to_close))
        self._tried = bars.slice(0, stop) if bars.finer is None else _finer_until(bars.finer, stop)
        ends = np.empty(0, dtype=np.int64) if periods is None else period_rows(self.ts, periods)
        self.ends = read_only(ends)
        self._per_year = 1.0 if periods is None else periods.per_year
        self._workspaces: dict[tuple[bool, bool], Workspace] = {}
        self._flat: set[tuple[int | None, int]] = set()
        self._members = bars.member is not None

    def _workspace(self, kernel: Kernel, many: Sequence[RunInputs]) -> Workspace:
        """Return the room for runs whose step or overlays write orders to the desk, or for others.

        A filler fills an order on many bars.
        """
        orders, in_parts = kernel.orders, any(given.execution.filler for given in one_of_each(many))
        if (orders, in_parts) not in self._workspaces:
            count = self.stop - self.first
            max_orders = (self.spec.max_orders if self.spec.answers_orders else count + 1) if orders else 0
            parts = order_room(max_orders)
            parts |= note_room(self.spec.notes, 1, len(parts["working"]) if orders else 0)
            tried = count if self.bars.finer is None else len(self._tried)
            room = tried * (ORDER_FILLS_A_BAR if orders or in_parts else FILLS_A_BAR)
            book = Book(
                row=np.empty(room + SHARED_ROOM, dtype=np.int64),
                executions=np.empty((6, room + SHARED_ROOM)),
                order_size=np.empty(0 if orders else count + 1),
                order_rest=np.empty(0 if orders else count + 1),
                order_close=np.empty(0 if orders else count + 1),
                scratch=np.empty(self.spec.scratch),
                memory=np.empty(0),
                equity=np.empty(count),
                cash=np.empty(0),
                at_work=np.zeros(1, dtype=np.int64),
                tally=np.zeros(TALLY),
                told=np.empty((0, TOLD)),
                of_fill=np.empty(0, dtype=np.int64),
                finer=np.empty(0, dtype=np.int64),
                **parts,
            )
            self._workspaces[orders, in_parts] = Workspace(
                book,
                read_only(session_ends(self.bars.slice(0, self.stop if orders else 0))),
                max_orders,
                room,
                len(self.ends),
                self._per_year,
            )
        return self._workspaces[orders, in_parts]

    def _grow(self, kernel: Kernel, given: RunInputs) -> bool:
        """Make more room for the executions of a run; return whether there could be more."""
        old = self._workspace(kernel, [given])
        room = 4 * old.room
        if room > MOST_FILLS_A_BAR * len(self._tried):
            return False
        book = old.book._replace(
            row=np.empty(room + SHARED_ROOM, dtype=np.int64), executions=np.empty((6, room + SHARED_ROOM))
        )
        key = kernel.orders, bool(given.execution.filler)
        self._workspaces[key] = replace(old, book=book, room=room)
        return True

    def run(self, given: RunInputs, series: bool = False) -> tuple[Outcomes, Book]:
        """Run one configuration; return its outcome, and the book, which the next run overwrites.

        Parameters
        ----------
        given : RunInputs
            The configuration.
        series : bool
            Whether the book holds cash at each bar's close, and equity that the next run leaves alone.

        Raises
        ------
        EngineError
            If the step cannot be compiled, raises, or returns what is no intent; an input is missing,
            or `flat_before_close` comes too late on these bars.
        """
        self._check_overlays(given.overlays)
        self._check_execution(given.execution)
        kernel = self._kernel(given)
        arrays = step_arrays(self.spec, given.params, self.bars, self.stop, self._cache, self._prices)
        addresses = np.array([addresses_of(arrays)])
        with uncompiled(self.spec):
            call = self.call(kernel, [given], addresses, series)
            call.run()
            while call.outcomes.counts[0, FAILED] == FULL_BOOK and self._grow(kernel, given):
                call = self.call(kernel, [given], addresses, series)
                call.run()
            if series and kernel.orders:
                call = self._told_all(call)
        outcomes, book = call.outcomes, call.book
        refuse_failed(self.spec, self.bars, outcomes, book.desk)
        return outcomes, book

    def _kernel(self, given: RunInputs) -> Kernel:
        return kernel_of(self.identified, given.params, given.overlays, members=self._members)

    def _measured(self, overlays: Overlays) -> tuple[FloatArray, IntArray]:
        """Return the volatility that overlays size by, and the minutes to the close that they see."""
        volatility = volatility_array(volatility_of(overlays), self.bars, self.stop, self._cache)
        return volatility, overlay_minutes(self.bars, self._clock[1], overlays.latency)

    def _telling(self, book: Book, orders: bool, fills: int) -> Book:
        """Return a book with room to tell what the fills of one run were of: orders, and finer bars."""
        if orders:
            told = np.empty((TOLD_A_BAR * (self.stop - self.first), TOLD))
            book = book._replace(told=told, of_fill=np.empty(fills, dtype=np.int64))
        return book if self.bars.finer is None else book._replace(finer=np.empty(fills, dtype=np.int64))

    @cached_property
    def _finer(self) -> tuple[IntArray, IntArray, tuple[FloatArray, ...]]:
        """First finer bar of each row, and where the finer bars' series lie, with these; or no length."""
        none = np.empty(0, dtype=np.int64)
        if self.bars.finer is None:
            return none, none, ()
        series = tuple(price_arrays(self._tried, len(self._tried)).values())
        begins = read_only(self.bars.finer.begins[: self.stop + 1])
        return begins, np.array(addresses_of(series), dtype=np.int64), series

    def _told_all(self, call: Call) -> Call:
        """Return a call that has run with all of its orders told: it runs again if there was no room."""
        made = int(call.book.serial[ORDERS_MADE])
        if made > len(call.book.told):
            call = replace(call, book=call.book._replace(told=np.empty((made, TOLD))))
            call.run()
        return call

    @cached_property
    def _months(self) -> FloatArray:
        """Calendar month of each bar that orders are tried on, counted from 1970-01."""
        return calendar_numbers(self._tried.ts, "M")

    @cached_property
    def _days(self) -> FloatArray:
        """Calendar day (UTC) of each bar that orders are tried on, counted from 1970-01-01."""
        return calendar_numbers(self._tried.ts, "D")

    def _check_execution(self, execution: Execution) -> None:
        check_fills([self.bars], execution)
        check_volume(self.bars, self.first, self.stop, execution)

    def _check_overlays(self, overlays: Overlays) -> None:
        """Refuse overlays that could not act on these bars; what was found to act is not looked at again."""
        check_sizing(self.spec, overlays)
        check_bounds(self.spec, overlays, shared=False)
        key = (overlays.flat_before_close, overlays.latency)
        if overlays.is_on and key not in self._flat:
            check_flat(self.bars, self.first, self.stop, overlays)
            self._flat.add(key)

    def call(
        self,
        kernel: Kernel,
        many: Sequence[RunInputs],
        addresses: IntArray,
        series: bool = False,
        crossed: tuple[IntArray, IntArray] = NO_CROSSINGS,
    ) -> Call:
        """Return the call of the loop for configurations of one kernel.

        Parameters
        ----------
        kernel : Kernel
            What is compiled for the strategy.
        many : sequence of RunInputs
            c configurations of that kernel, of one `columns.kind_of`.
        addresses : int64 array (c, s)
            Of each of them, where the series lie that the step reads as ``x.name``, in the order of
            `kernel.series`; `stop` values each.
        series : bool
            Whether the book has room for cash at each bar's close, and for equity that the next run
            leaves alone; of a step that answers with orders, also for telling them.
        crossed : tuple of int64 arrays (c, x, 2) and (x,)
            `Runs.crossed` and `crossed_at`.

        Raises
        ------
        RefusedByNumbaError
            If the step cannot be compiled.
        """
        bars, count, each = self.stop - self.first, len(many), one_of_each(many)
        space = self._workspace(kernel, many)
        runs = Runs(
            addresses=np.ascontiguousarray(addresses, dtype=np.int64),
            settings=settings(many),
            charges=charges(many),
            special=(1,) if any(map(is_special, each)) else (),
            crossed=crossed[0],
            crossed_at=crossed[1],
        )
        book = space.book._replace(
            memory=np.empty(max((len(overlay_memory(given.overlays)) for given in each), default=0)),
            equity=np.empty(bars) if series else space.book.equity,
            cash=np.empty(bars if series else 0),
            notes=noted(space.book.notes, each, 1),
        )
        if series:
            book = self._telling(book, kernel.orders, space.room)
        measured = self._measured(many[0].overlays)
        outcomes = Outcomes(
            money=np.empty((count, 5)),
            counts=np.zeros((count, 7), dtype=np.int64),
            levels=np.empty((count, len(self.ends) + 1)),
        )
        columns = [column([given.params[name] for given in many]) for name in kernel.numbers]
        at = np.array(addresses_of(columns), dtype=np.int64)
        shared = addresses_of(
            [*self._clock, book.scratch, book.memory, at, book.desk, book.notes, book.shown, *measured]
        )
        places = places_of(shared, len(book.scratch), len(book.memory), self.stop, len(book.shown))
        months = self._months if any(map(has_tiers, each)) else np.empty(0)
        days = self._days if any(given.execution.interest for given in each) else np.empty(0)
        begins, finer, finer_series = self._finer
        held: list[FloatArray | IntArray] = [runs.addresses, places, space.session_ends]
        held += [months, days, begins, finer]
        series_at, places_at, ends_at, months_at, days_at, begins_at, finer_at = addresses_of(held)
        asking = Asking(
            kernel.address,
            self.spec.lookback,
            series_at,
            places_at,
            ends_at,
            space.max_orders,
            space.room,
            months_at,
            days_at,
            begins_at if len(begins) else 0,
            finer_at,
            len(self._tried),
        )
        alive = (*columns, at, self._clock, finer_series, measured, *held)
        return Call(self.first, self.stop, asking, runs, self.ends, book, outcomes, alive)

    def measure(self, given: RunInputs) -> Measured:
        """Run one configuration and return what its metrics need, without its series.

        Raises
        ------
        EngineError
            As `run`.
        """
        outcomes, book = self.run(given)
        return measure_one(outcomes, book, self.stop - self.first)

    def measure_runs(self, many: Sequence[RunInputs]) -> MeasuredRuns:
        """Run configurations by as few calls as their kinds and the room for their arrays allow.

        Returns
        -------
        MeasuredRuns
            Without those that fail, of which `run` says why.

        Raises
        ------
        EngineError
            If the step cannot be compiled.
        """
        found = MeasuredRuns.none_of(len(many), len(self.ends), self.stop - self.first)
        for places in self._kinds(many):
            self._measure_kind(many, places, found)
        return found

    def _kinds(self, many: Sequence[RunInputs]) -> Iterable[list[int]]:
        """Return the places of the configurations of each kind; those whose settings do not fit have none."""
        kinds: dict[Any, list[int]] = {}
        # found by objects and types first, which is what takes least where thousands are alike
        alike: dict[tuple[Any, ...], list[int]] = {}
        accounts: dict[tuple[int, int], tuple[Any, ...] | None] = {}
        for place, given in enumerate(many):
            params, key = given.params, (id(given.execution), id(given.overlays))
            types = tuple(map(type, params.values()))
            shape = key, tuple(params), types
            if shape in alike:
                alike[shape].append(place)
                continue
            if key not in accounts:
                accounts[key] = kind_of_account(given, self._members) if self._fits(given) else None
            account = accounts[key]
            if account is None:
                continue
            places = kinds.setdefault((account, kinds_of(params)), [])
            places.append(place)
            if str not in types:
                alike[shape] = places
        return kinds.values()

    def _fits(self, given: RunInputs) -> bool:
        """Return whether the settings of a configuration are such that can act on these bars."""
        with suppress(WhatIfError):
            self._check_overlays(given.overlays)
            self._check_execution(given.execution)
            return True
        return False

    def _measure_kind(self, many: Sequence[RunInputs], places: Sequence[int], found: MeasuredRuns) -> None:
        """Run configurations of one kernel, and write what comes of them to their places."""
        one = many[places[0]]
        kernel = self._kernel(one)
        prices = addresses_of(self._prices[name] for name in PRICE_FIELDS)
        names = kernel.series[len(PRICE_FIELDS) :]
        count = self._inputs.at_once(names) if names else len(places)
        for begin in range(0, len(places), count):
            some, crossed = places[begin : begin + count], dict[int, IntArray]()
            own, good = self._inputs.addresses([many[place].params for place in some], names, crossed)
            marks = [np.empty(self.stop) for _ in crossed]
            own[:, list(crossed)] = addresses_of(marks)
            waiting = np.array(some)[good]
            if len(waiting):
                addresses = np.hstack([np.tile(prices, (len(waiting), 1)), own[good]])
                made = NO_CROSSINGS
                if crossed:
                    pairs = np.stack([pair[good] for pair in crossed.values()], axis=1)
                    made = np.ascontiguousarray(pairs), np.array(addresses_of(marks), dtype=np.int64)
                self._run_many(kernel, [many[place] for place in waiting], addresses, made, waiting, found)

    def _run_many(
        self,
        kernel: Kernel,
        many: Sequence[RunInputs],
        addresses: IntArray,
        crossed: tuple[IntArray, IntArray],
        places: IntArray,
        found: MeasuredRuns,
    ) -> None:
        """Run configurations by one call, and write what comes of them to their places."""
        with uncompiled(self.spec):
            call = self.call(kernel, many, addresses, crossed=crossed)
        measure = self._workspace(kernel, many).measure
        found.put(places, measure_call(self.spec, call, measure, many, self.stop - self.first))


def _finer_until(finer: Finer, stop: int) -> Bars:
    """Return the finer bars up to the last one inside a row before `stop`."""
    return finer.bars.slice(0, int(finer.begins[stop]))


def compile_ahead(
    spec: StrategySpec, params: Mapping[str, Any], overlays: Overlays, members: bool = False
) -> None:
    """Compile a strategy's kernel, or find it on disk, before any bar is there.

    Raises
    ------
    StepNotCompiledError
        If numba cannot compile the step; the line is named.
    EngineError
        If no folder for kernels can be written to.
    """
    kernel = kernel_of(Identified(spec.digest, spec), params, overlays, members=members)
    with uncompiled(spec):
        kernel.address  # noqa: B018  # compiled on the way to it


def load_loop(spec: StrategySpec, given: RunInputs) -> None:
    """Load the machine code around a strategy's step, and of what measures it.

    Children that are forked then have it. The loop runs over two bars on which the step is not asked.

    Parameters
    ----------
    spec : StrategySpec
        A strategy that is asked for each symbol, and whose kernel is there.
    given : RunInputs
        A configuration of the kind that is to be run.
    """
    window = PreparedWindow(spec, *two_bars())
    kernel = kernel_of(window.identified, given.params, given.overlays, members=given.members)
    many = [replace(given, overlays=Overlays())]
    addresses = addresses_of(window._prices.get(name, window._prices["close"]) for name in kernel.series)
    call = window.call(kernel, many, np.array([addresses]))
    call = replace(call, asking=call.asking._replace(lookback=window.stop))
    measure_call(spec, call, window._workspace(kernel, many).measure, many, window.stop)


def two_bars() -> tuple[Bars, int, int, Periods]:
    """Return the least that a window can be made of: bars, its first row, the row after it, and periods."""
    ts, prices = np.arange(2) * MINUTE_US, np.ones(2)
    bars = Bars("", ts, prices, prices, prices, prices, prices, prices, ts, ts, ts)
    return bars, 0, 2, Periods("bar", ts + MINUTE_US, 252.0)
