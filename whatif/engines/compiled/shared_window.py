"""Bars of several symbols in one window, made ready for any number of configurations of one account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from whatif.domain import Bars, EngineRun, Overlays, Periods, period_rows, positions, session_ends
from whatif.engines.arrays import (
    addresses_of,
    calendar_numbers,
    leaving_rows,
    overlay_minutes,
    price_arrays,
    read_only,
    step_arrays,
    volatility_array,
)
from whatif.engines.base import Measured, MeasuredRuns, RunInputs
from whatif.engines.closing import check_bounds, check_flat, check_sizing, check_volume, volatility_of
from whatif.engines.compiled.book import (
    FILLS,
    MOST_FILLS_A_BAR,
    NO_CROSSINGS,
    REJECTED,
    SYMBOL_AT,
    Asking,
    Outcomes,
    Runs,
)
from whatif.engines.compiled.columns import (
    across_places_of,
    charges,
    column,
    has_tiers,
    is_special,
    kind_of,
    noted,
    places_of,
    settings,
)
from whatif.engines.compiled.kernel import Identified, Kernel, kernel_of
from whatif.engines.compiled.measure import (
    AccountsMeasure,
    fills_of,
    measure_account,
    measure_call,
    told_orders,
)
from whatif.engines.compiled.refusal import refuse_answer, refuse_failed, uncompiled
from whatif.engines.compiled.shared import SharedCall
from whatif.engines.compiled.shared_book import (
    Across,
    Beyond,
    Market,
    SharedBook,
    empty_book,
    with_room_beyond,
)
from whatif.engines.timeline import account_rows, rows_of, session_rows
from whatif.errors import WhatIfError
from whatif.indicators import ArrayCache, session_minutes
from whatif.strategies import StrategySpec, overlay_memory
from whatif.typing import FloatArray, IntArray

ROOM = 65_536
"""Executions, and orders that wait, that there is room for at first; more is made when it is full."""

_WORD = 8
_NO_LIMIT = 2**62

FILLS_A_BAR = 2
"""Executions a bar, on average, that a run may have: an order fills in two parts at most."""


class SharedWindow:
    """A strategy on several symbols' bars in one window, with the room that its runs write to.

    Parameters
    ----------
    spec : StrategySpec
        The strategy.
    bars : sequence of Bars
        Each symbol's history from its beginning, checked already.
    ranges : sequence of (int, int)
        The window as half-open ranges of rows.
    bar_us : int, optional
        Length of the bars, microseconds; told from their spacing if absent.
    periods : Periods, optional
        Over which returns are measured.
    cache : mutable mapping, optional
        Where arrays are kept that runs share.
    """

    def __init__(
        self,
        spec: StrategySpec,
        bars: Sequence[Bars],
        ranges: Sequence[tuple[int, int]],
        bar_us: int | None = None,
        periods: Periods | None = None,
        cache: ArrayCache | None = None,
    ) -> None:
        self.spec, self.bars, self.ranges, self._bar_us = spec, list(bars), list(ranges), bar_us
        self._notes = frozenset() if spec.cross_sectional else spec.notes
        # once for all runs: it looks at all that the step can reach
        self.identified = Identified(spec.digest, spec)
        self._cache = cache
        self._prices = [price_arrays(one, stop) for one, (_, stop) in zip(bars, ranges, strict=True)]
        ts, stamps = rows_of(self.bars, self.ranges, bar_us)
        self._stamps = [read_only(one) for one in stamps]
        self.ts = read_only(ts)
        self._members = any(one.member is not None for one in bars)
        # as overlays leave the symbols of a step that is asked of each
        across = spec.cross_sectional and self._members
        self._leaving = [_leaving(one, stop) for one, (_, stop) in zip(bars, ranges, strict=True) if across]
        firsts, stops = (np.array(column, dtype=np.int64) for column in zip(*ranges, strict=True))
        self._market = Market(
            ts=self.ts,
            stamps_at=np.array(addresses_of(self._stamps), dtype=np.int64),
            prices_at=np.array([self._addresses(name) for name in ("open", "high", "low", "close")]),
            firsts=firsts,
            stops=stops,
            together=bool((stops - firsts == len(ts)).all()),
            leaving_at=np.array(addresses_of(self._leaving), dtype=np.int64),
        )
        # a cross-sectional step reads no clock, and those of many symbols take room
        clocked = [] if spec.cross_sectional else zip(bars, stops, strict=True)
        clocks = [session_minutes(one.slice(0, stop)) for one, stop in clocked]
        self._clocks = [(read_only(minute), read_only(to_close)) for minute, to_close in clocks]
        self.ends = read_only(
            np.empty(0, dtype=np.int64) if periods is None else period_rows(self.ts, periods)
        )
        self._most = FILLS_A_BAR * int((stops - firsts).sum()) + len(bars)
        longest = int((stops - firsts).max())
        self._book = empty_book(spec, len(bars), len(ts), longest, self._notes, min(ROOM, self._most))
        self._measure = AccountsMeasure(
            len(bars), len(self.ends), 1.0 if periods is None else periods.per_year
        )
        none = np.empty(0, dtype=np.int64)
        sessions = session_rows(self.bars, self.ranges, stamps, ts) if spec.cross_sectional else (none, none)
        self._across = Across(spec.cross_sectional, spec.max_gross, *map(read_only, sessions))
        self._flat: set[tuple[int | None, int]] = set()

    def _addresses(self, name: str) -> list[int]:
        return addresses_of(prices[name] for prices in self._prices)

    def run(self, given: RunInputs, series: bool = False) -> tuple[Outcomes, SharedBook]:
        """Run one configuration; return its outcome, and the book, which the next run overwrites.

        Parameters
        ----------
        given : RunInputs
            The configuration.
        series : bool
            Whether the book holds cash at each row, and equity that the next run leaves alone.

        Raises
        ------
        EngineError
            If the step cannot be compiled, raises, or returns what is no intent; an input is missing,
            or `flat_before_close` comes too late on these bars.
        """
        self._check(given)
        kernel = self._kernel(given)
        call = self.call(kernel, [given], self._arrays(given.params), series)
        with uncompiled(self.spec):
            call.run_one()
        self._book = call.book._replace(equity=self._book.equity) if series else call.book
        if self.spec.cross_sectional:
            refuse_answer(self.spec, [one.symbol for one in self.bars], self.ts, call.outcomes)
        at = int(call.outcomes.counts[0, SYMBOL_AT])
        refuse_failed(self.spec, self.bars[at], call.outcomes, call.book.desk)
        return call.outcomes, call.book

    def engine_run(self, given: RunInputs) -> EngineRun:
        """Run one configuration, and return its run with its series.

        Raises
        ------
        EngineError
            As `run`.
        """
        outcomes, book = self.run(given, series=True)
        fills = fills_of(book.row, book.symbol, book.executions, int(outcomes.counts[0, FILLS]))
        ts, closes = account_rows(self.bars, self.ranges, self._bar_us)
        return EngineRun(
            symbols=tuple(one.symbol for one in self.bars),
            ts=ts,
            fills=fills,
            equity=book.equity,
            position=positions(fills, len(self.bars), len(self.ts)),
            close=np.stack(list(closes)),
            margin_rejected=int(outcomes.counts[0, REJECTED]),
            engine="compiled",
            cash=book.cash,
            orders=told_orders(book, len(fills), len(self.ts)) if len(book.told) else None,
        )

    def _check(self, given: RunInputs) -> None:
        """Refuse what could not act on these bars."""
        self._check_overlays(given.overlays)
        for one, (first, stop) in self._windows:
            check_volume(one, first, stop, given.execution)

    @property
    def _windows(self) -> list[tuple[Bars, tuple[int, int]]]:
        """Bars of each symbol, and the window as rows of them."""
        return list(zip(self.bars, self.ranges, strict=True))

    def _check_overlays(self, overlays: Overlays) -> None:
        """Refuse overlays that could not act on these bars; what was found to act is not looked at again."""
        check_sizing(self.spec, overlays)
        check_bounds(self.spec, overlays, shared=True)
        key = (overlays.flat_before_close, overlays.latency)
        if overlays.is_on and key not in self._flat:
            for one, (first, stop) in zip(self.bars, self.ranges, strict=True):
                check_flat(one, first, stop, overlays)
            self._flat.add(key)

    def _kernel(self, given: RunInputs) -> Kernel:
        return kernel_of(self.identified, given.params, given.overlays, shared=True, members=self._members)

    def _arrays(self, params: Mapping[str, object]) -> list[tuple[FloatArray, ...]]:
        """Return the series that the step reads of each symbol, in the kernel's order."""
        return [
            tuple(step_arrays(self.spec, params, one, stop, self._cache, prices))
            for one, (_, stop), prices in zip(self.bars, self.ranges, self._prices, strict=True)
        ]

    def call(
        self,
        kernel: Kernel,
        many: Sequence[RunInputs],
        arrays: list[tuple[FloatArray, ...]],
        series: bool = False,
    ) -> SharedCall:
        """Return the call of the loop for configurations of one kernel that read the same series.

        Parameters
        ----------
        kernel : Kernel
            What is compiled for the strategy.
        many : sequence of RunInputs
            c configurations of that kernel.
        arrays : list of tuple of float64 arrays
            Of each symbol, the series that the step reads as ``x.name``.
        series : bool
            As `run` takes it.

        Raises
        ------
        StepNotCompiledError
            If the step cannot be compiled.
        """
        rows, count, symbols = len(self.ts), len(many), len(self.bars)
        remembered = max((len(overlay_memory(given.overlays)) for given in many), default=0)
        goes_beyond = any(_goes_beyond(kernel, given) for given in many)
        book = self._book._replace(
            memory=np.empty(symbols * remembered),
            equity=np.empty(rows) if series else self._book.equity,
            cash=np.empty(rows if series else 0),
            notes=noted(self._book.notes, many, symbols),
        )
        beyond, series_beyond = self._beyond(kernel, many) if goes_beyond else (None, ())
        if goes_beyond:
            book = with_room_beyond(book, kernel.orders and series)
        measured = [
            volatility_array(volatility_of(many[0].overlays), one, stop, self._cache)
            for one, (_, stop) in zip(self.bars, self.ranges, strict=True)
        ]
        own = np.array([addresses_of(one) for one in arrays], dtype=np.int64)
        # of a cross-sectional step, one series after the other, each of all symbols
        own = own.T.reshape(1, -1) if self.spec.cross_sectional else own
        special = (1,) if goes_beyond else ()
        runs = Runs(np.repeat(own, count, axis=0), settings(many), charges(many), special, *NO_CROSSINGS)
        outcomes = Outcomes(
            money=np.empty((count, 5)),
            counts=np.zeros((count, 8), dtype=np.int64),
            levels=np.empty((count, len(self.ends) + 1)),
        )
        left: list[IntArray] = []
        columns = [column([given.params[name] for given in many]) for name in kernel.numbers]
        at = np.array(addresses_of(columns), dtype=np.int64)
        if self.spec.cross_sectional:
            seen = book.cursor, book.has_bar, book.size, book.price, book.held, book.pending
            shared = addresses_of([*seen, book.scratch, book.desk, at, book.each])
            places = across_places_of(shared, len(book.scratch), symbols)
        else:
            left = [
                overlay_minutes(one, to_close, many[0].overlays.latency)
                for one, (_, to_close) in zip(self.bars, self._clocks, strict=True)
            ]
            places = self._places(book, at, remembered, [*addresses_of(measured), *addresses_of(left)])
        series_at, places_at = addresses_of([runs.addresses, places])
        with uncompiled(self.spec):
            address = kernel.address
        asking = Asking(address, self.spec.lookback, series_at, places_at, 0, 0, 0, 0, 0, 0, 0, 0)
        alive = (arrays, columns, at, places, measured, left, series_beyond)
        bars_given = self._market, beyond
        given = asking, self._across, runs, self.ends
        most = self._most * (MOST_FILLS_A_BAR if goes_beyond else 1)
        return SharedCall(bars_given, given, book, outcomes, most, alive)

    def _beyond(self, kernel: Kernel, many: Sequence[RunInputs]) -> tuple[Beyond, tuple[Any, ...]]:
        """Return what orders that wait, costs and contracts need of the bars, with what it lies in."""
        none = np.zeros(len(self.bars), dtype=np.int64)
        held: list[list[Any]] = [[prices["volume"] for prices in self._prices]]
        asked = (
            any(map(has_tiers, many)),
            any(given.execution.interest for given in many),
            kernel.orders,
        )
        made: tuple[Callable[[Bars], Any], ...] = (
            lambda one: calendar_numbers(one.ts, "M"),
            lambda one: calendar_numbers(one.ts, "D"),
            lambda one: read_only(session_ends(one)),
        )
        for is_asked, make in zip(asked, made, strict=True):
            held.append([make(one.slice(0, stop)) for one, (_, stop) in self._windows] if is_asked else [])
        volumes, months, days, ends = (
            np.array(addresses_of(one), dtype=np.int64) if one else none for one in held
        )
        max_orders = (self.spec.max_orders if self.spec.answers_orders else _NO_LIMIT) if kernel.orders else 0
        return Beyond(volumes, months, days, ends, max_orders), tuple(held)

    def _places(self, book: SharedBook, columns: IntArray, memory: int, measured: Sequence[int]) -> IntArray:
        """Return what the calls for each symbol share, (k, PLACES), see `columns.places_of`."""
        scratch = self.spec.scratch
        kept, remembered, at, desk = addresses_of([book.scratch, book.memory, columns, book.desk])
        notes, shown = addresses_of([book.notes, book.shown])
        per_symbol = _WORD * (len(book.notes) // len(self.bars))
        return np.array(
            [
                places_of(
                    [
                        *addresses_of(clock),
                        kept + _WORD * scratch * k,
                        remembered + _WORD * memory * k,
                        at,
                        desk,
                        notes + per_symbol * k,
                        shown,
                        *measured[k :: len(self.bars)],
                    ],
                    scratch,
                    memory,
                    stop,
                    len(book.shown),
                )
                for k, (clock, (_, stop)) in enumerate(zip(self._clocks, self.ranges, strict=True))
            ]
        )

    def measure(self, given: RunInputs) -> Measured:
        """Run one configuration and return what its metrics need, without its series.

        Raises
        ------
        EngineError
            As `run`.
        """
        outcomes, book = self.run(given)
        return measure_account(outcomes, book, len(self.bars), len(self.ts))

    def measure_runs(self, many: Sequence[RunInputs]) -> MeasuredRuns:
        """Run configurations by as few calls as their kinds and their inputs allow.

        Returns
        -------
        MeasuredRuns
            Without those that fail, of which `run` says why.

        Raises
        ------
        EngineError
            If the step cannot be compiled.
        """
        found = MeasuredRuns.none_of(len(many), len(self.ends), len(self.ts))
        names = sorted({name for one in self.spec.inputs.values() for name in one.parameters})
        kinds: dict[Any, list[int]] = {}
        for place, given in enumerate(many):
            with suppress(WhatIfError):
                self._check(given)
                # those that read the same series one after the other, so that no others are in memory
                read = tuple((type(given.params[name]), given.params[name]) for name in names)
                kind = kind_of(given, self._members), given.execution.costs is not None
                kinds.setdefault((read, kind), []).append(place)
        for places in kinds.values():
            one = many[places[0]]
            try:
                arrays = self._arrays(one.params)
            except WhatIfError:  # each of them for itself says what is wrong
                continue
            kernel = self._kernel(one)
            self._run_many(kernel, [many[place] for place in places], arrays, places, found)
            # before the next ones are made: those of many symbols are as large as the bars' own
            del arrays
        return found

    def _run_many(
        self,
        kernel: Kernel,
        many: Sequence[RunInputs],
        arrays: list[tuple[FloatArray, ...]],
        places: Sequence[int],
        found: MeasuredRuns,
    ) -> None:
        """Run configurations by one call, and write what comes of them to their places."""
        call = self.call(kernel, many, arrays)
        found.put(np.array(places), measure_call(self.spec, call, self._measure, many, len(self.ts)))
        self._book = call.book


def _goes_beyond(kernel: Kernel, given: RunInputs) -> bool:
    """Return whether a configuration has more than market orders of stocks without `whatif.domain.Costs`."""
    return kernel.orders or given.execution.costs is not None or is_special(given)


def _leaving(bars: Bars, stop: int) -> IntArray:
    """Return on which rows a symbol is not to be held any more, int64 array (stop,)."""
    leaving = leaving_rows(bars, stop)
    return np.zeros(stop, dtype=np.int64) if leaving is None else leaving.astype(np.int64)


def compile_shared_ahead(
    spec: StrategySpec, params: Mapping[str, Any], overlays: Overlays, members: bool = False
) -> None:
    """Compile a strategy's kernel for an account of several symbols, or find it on disk.

    Raises
    ------
    StepNotCompiledError
        If numba cannot compile the step; the line is named.
    EngineError
        If no folder for kernels can be written to.
    """
    kernel = kernel_of(Identified(spec.digest, spec), params, overlays, shared=True, members=members)
    with uncompiled(spec):
        kernel.address  # noqa: B018  # compiled on the way to it
