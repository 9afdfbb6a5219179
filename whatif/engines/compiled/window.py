"""Bars of one window, made ready for any number of configurations."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numba
import numpy as np

from whatif.domain import (
    Account,
    Bars,
    EngineRun,
    Execution,
    Fills,
    Overlays,
    Periods,
    jit_lean,
    period_rows,
    positions,
    write_returns,
    write_trips,
)
from whatif.engines.arrays import price_arrays, read_only, session_minutes, step_arrays
from whatif.engines.base import Measured, RunInputs
from whatif.engines.closing import check_flat
from whatif.engines.compiled.kernel import Identified, Kernel, kernel_of
from whatif.engines.compiled.loop import (
    BAD_INTENT,
    BAD_ORDER,
    BAD_SIZE,
    CLOSED,
    CLOSED_FEE,
    MULTIPLIER,
    OPENED,
    OPENED_FEE,
    PRICE,
    Book,
    Broker,
    Clock,
    Outcome,
)
from whatif.engines.compiled.refusal import uncompiled
from whatif.engines.language.plain import numpys_warnings_off
from whatif.engines.orders import refused_intent, refused_order, refused_size
from whatif.engines.timeline import instant
from whatif.errors import EngineError
from whatif.indicators import ArrayCache
from whatif.strategies import OverlayRules, StrategySpec, overlay_memory, overlay_rules
from whatif.typing import FloatArray, IntArray


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
    once : container of str
        Inputs, by their text, that one run alone uses: they are not kept.
    """

    def __init__(
        self,
        spec: StrategySpec,
        bars: Bars,
        first: int,
        stop: int,
        periods: Periods | None = None,
        cache: ArrayCache | None = None,
        once: Container[str] = (),
    ) -> None:
        self.spec, self.bars, self.first, self.stop = spec, bars, first, stop
        # once for all runs: it looks at all that the step can reach
        self.identified = Identified(spec.digest, spec)
        self._cache, self._once = cache, once
        self.ts = bars.ts[first:stop]
        minute, to_close = session_minutes(bars.slice(0, stop))
        self._prices = price_arrays(bars, stop)
        self.clock = Clock(read_only(minute), read_only(to_close))
        ends = np.empty(0, dtype=np.int64) if periods is None else period_rows(self.ts, periods)
        self.ends = read_only(ends)
        count = stop - first
        self._book = Book(
            row=np.empty(2 * count, dtype=np.int64),
            executions=np.empty((6, 2 * count)),
            order_size=np.empty(count + 1),
            order_rest=np.empty(count + 1),
            order_close=np.empty(count + 1),
            levels=np.empty(len(ends) + 1),
            scratch=np.empty(0),
            memory=np.empty(0),
            equity=np.empty(count),
            cash=np.empty(0),
        )
        self._flat: set[tuple[int | None, int]] = set()
        # stocks
        self._book.executions[MULTIPLIER] = 1.0

    def run(self, given: RunInputs, series: bool = False) -> tuple[Outcome, Book]:
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
        spec, params = self.spec, given.params
        self._check_overlays(given.overlays)
        kernel = kernel_of(self.identified, params, given.overlays.is_on)
        arrays = step_arrays(
            spec, params, self.bars, self.stop, self._cache, self._once, given.bound, self._prices
        )
        arguments = self.arguments(kernel, given, arrays, series)
        # machine code never warns; this is for NUMBA_DISABLE_JIT
        with uncompiled(spec), numpys_warnings_off():
            outcome: Outcome = kernel.run(*arguments)
        book: Book = arguments[-1]
        if outcome.failed:
            at = f"bar {outcome.at} at {instant(self.bars.ts[outcome.at])}"
            where = f"strategy {spec.name}: {self.bars.symbol}, {at}"
            if outcome.failed == BAD_INTENT:
                raise refused_intent(where, outcome.code, outcome.amount)
            if outcome.failed == BAD_ORDER:
                raise refused_order(where, outcome.code)
            if outcome.failed == BAD_SIZE:
                raise refused_size(where, outcome.amount)
            raise EngineError(f"{where}: more than two executions a bar so far; use engine: backtrader")
        return outcome, book

    def _check_overlays(self, overlays: Overlays) -> None:
        """Refuse overlays that could not act on these bars; what was found to act is not looked at again."""
        key = (overlays.flat_before_close, overlays.latency)
        if overlays.is_on and key not in self._flat:
            check_flat(self.bars, self.first, self.stop, overlays)
            self._flat.add(key)

    def arguments(
        self, kernel: Kernel, given: RunInputs, arrays: Iterable[FloatArray], series: bool = False
    ) -> tuple[Any, ...]:
        """Return what a kernel is called with, the book last.

        Parameters
        ----------
        kernel : Kernel
            The strategy's own loop.
        given : RunInputs
            The configuration.
        arrays : iterable of float64 arrays (stop,)
            What the step reads as ``x.name``, in the order of `kernel.series`.
        series : bool
            Whether the book has room for cash at each bar's close, and for equity that the next run
            leaves alone.
        """
        count = self.stop - self.first
        book = self._book._replace(
            scratch=np.zeros(self.spec.scratch),
            memory=overlay_memory(given.overlays),
            equity=np.empty(count) if series else self._book.equity,
            cash=np.empty(count if series else 0),
        )
        return (
            self.first,
            self.stop,
            self.spec.lookback,
            tuple(arrays),
            tuple(given.params[name] for name in kernel.numbers),
            self.clock,
            broker_of(given.execution),
            _rules(given.overlays),
            self.ends,
            book,
        )

    def measure(self, given: RunInputs) -> Measured:
        """Run one configuration and return what its metrics need, without its series.

        Raises
        ------
        EngineError
            As `run`.
        """
        outcome, book = self.run(given)
        trips, returns = np.empty((8, outcome.fills)), np.empty(len(self.ends))
        fees, values = np.empty(outcome.fills), np.empty(outcome.fills)
        closed = _round_trips(
            book.row, book.executions, outcome.fills, book.levels, returns, trips, fees, values
        )
        count = self.stop - self.first
        account = Account(
            final=outcome.final,
            returns=returns,
            deepest=outcome.deepest,
            longest=outcome.longest,
            equity_sum=outcome.equity_sum,
            bars=count,
            bars_held=outcome.bars_held,
            fees=fees,
            values=values,
            net=trips[7, :closed],
            open_at_end=outcome.size != 0.0,
        )
        return Measured(account, outcome.rejected)


def round_trips_python(
    row: IntArray,
    executions: FloatArray,
    count: int,
    levels: FloatArray,
    returns: FloatArray,
    trips: FloatArray,
    fees: FloatArray,
    values: FloatArray,
) -> int:
    """Write what a sweep measures once the loop is done; return how many round trips were closed.

    Parameters
    ----------
    row, executions : int64 array (f,) and float64 array (6, f)
        Executions of one symbol, as `write_trips` takes them; the first `count` are read.
    levels : float64 array (k + 1,)
        Cash, and equity at each period's end.
    returns : float64 array (k,)
        Written to, see `write_returns`.
    trips : float64 array (8, count)
        Written to, see `write_trips`.
    fees, values : float64 arrays (count,)
        Written to: commission and value of each execution.
    """
    for k in range(count):
        fees[k] = executions[3, k] + executions[4, k]
        values[k] = abs((executions[0, k] + executions[1, k]) * executions[2, k])
    write_returns(levels, returns)
    return write_trips(row, executions, count, trips)


_round_trips = jit_lean(round_trips_python)


def run_of(prepared: PreparedWindow, outcome: Outcome, book: Book) -> EngineRun:
    """Return a run with its series; fills are copied out of the book, which the next run overwrites."""
    bars, first, stop = prepared.bars, prepared.first, prepared.stop
    fills = _fills_of(outcome, book)
    return EngineRun(
        symbols=(bars.symbol,),
        ts=prepared.ts,
        fills=fills,
        equity=book.equity,
        position=positions(fills, 1, stop - first),
        close=bars.close[None, first:stop].copy(),
        margin_rejected=outcome.rejected,
        engine="compiled",
        cash=book.cash,
    )


def _fills_of(outcome: Outcome, book: Book) -> Fills:
    """Return a copy of the executions in a book."""
    count = outcome.fills
    return Fills(
        row=book.row[:count].copy(),
        symbol=np.zeros(count, dtype=np.int64),
        closed=book.executions[CLOSED, :count].copy(),
        opened=book.executions[OPENED, :count].copy(),
        price=book.executions[PRICE, :count].copy(),
        closed_commission=book.executions[CLOSED_FEE, :count].copy(),
        opened_commission=book.executions[OPENED_FEE, :count].copy(),
        multiplier=book.executions[MULTIPLIER, :count].copy(),
    )


@lru_cache(maxsize=256)
def broker_of(execution: Execution) -> Broker:
    """Return the broker's settings as the loop takes them."""
    slippage = (
        float(execution.slippage),
        float(execution.slippage_fixed),
        execution.slip_open,
        execution.slip_match,
        execution.slip_out,
    )
    costs = (float(execution.commission), execution.commtype == "fixed", execution.shortcash)
    return Broker(float(execution.cash), costs, slippage, execution.checksubmit, execution.coc)


@lru_cache(maxsize=256)
def _rules(overlays: Overlays) -> OverlayRules:
    return overlay_rules(overlays)


def compile_ahead(spec: StrategySpec, params: Mapping[str, Any], overlays: Overlays) -> None:
    """Compile a strategy's kernel, or find it on disk, before any bar is there.

    Raises
    ------
    StepNotCompiledError
        If numba cannot compile the step; the line is named.
    EngineError
        If no folder for kernels can be written to.
    """
    nothing = np.zeros(0, dtype=np.int64)
    none = np.zeros(0)
    bars = Bars("", nothing, none, none, none, none, none, none, nothing, nothing, nothing)
    prepared = PreparedWindow(spec, bars, 0, 0)
    kernel = kernel_of(prepared.identified, params, overlays.is_on)
    series = [read_only(none)] * len(kernel.series)
    arguments = prepared.arguments(kernel, RunInputs(params, Execution(), overlays), series)
    with uncompiled(spec):
        kernel.run.compile(tuple(numba.typeof(argument) for argument in arguments))
