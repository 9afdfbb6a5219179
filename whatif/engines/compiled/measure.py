"""What a sweep measures of runs once the loop is done, from executions and equity in its book."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from whatif.domain import (
    Account,
    Bars,
    EngineRun,
    Fills,
    Orders,
    figures,
    inlinable_lean,
    jit_lean,
    level_returns,
    metric_columns,
    positions,
    room_for_partials,
    write_returns,
    write_trips,
)
from whatif.engines.base import Measured, MeasuredRuns, RunInputs
from whatif.engines.compiled.book import (
    BAD_INTENT,
    BARS_HELD,
    CLOSED,
    CLOSED_FEE,
    DEEPEST,
    EQUITY_SUM,
    FAILED,
    FILLS,
    FINAL,
    LONGEST,
    MULTIPLIER,
    OPENED,
    OPENED_FEE,
    ORDERS_MADE,
    PRICE,
    REJECTED,
    SIZE,
    Book,
    Outcomes,
)
from whatif.engines.compiled.refusal import StepRaisedError, uncompiled
from whatif.engines.compiled.working import TOLD_MADE, TOLD_SYMBOL
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.engines.compiled.shared import SharedCall
    from whatif.engines.compiled.shared_book import SharedBook
    from whatif.engines.compiled.window import Call
    from whatif.strategies import StrategySpec

FIGURES = 8
"""Numbers of a run: what `whatif.domain.figures` returns, and its closed round trips."""


def write_executed_python(
    row: IntArray,
    executions: FloatArray,
    begin: int,
    count: int,
    trips: FloatArray,
    fees: FloatArray,
    values: FloatArray,
    net: FloatArray,
) -> int:
    """Write what executions cost, traded and gained; return how many round trips were closed.

    Parameters
    ----------
    row, executions : int64 array (f,) and float64 array (6, f)
        Executions of one symbol, as `write_trips` takes them; `count` are read, from place `begin` on.
    trips : float64 array (8, r)
        Room for at least `count` of them.
    fees, values : float64 arrays (r,)
        Written to: commission and value of each execution.
    net : float64 array (r,)
        Written to: net profit of each round trip, oldest close first.
    """
    own = executions[:, begin : begin + count]
    write_paid(own, fees, values)
    closed = write_trips(row[begin : begin + count], own, count, trips)
    for k in range(closed):
        net[k] = trips[7, k]
    return closed


write_executed = jit_lean(write_executed_python)


@inlinable_lean
def write_paid(executions: FloatArray, fees: FloatArray, values: FloatArray) -> None:
    """Write commission and value of executions (6, f), to fees and values of at least that length."""
    for k in range(executions.shape[1]):
        fees[k] = executions[3, k] + executions[4, k]
        values[k] = abs((executions[0, k] + executions[1, k]) * executions[2, k] * executions[5, k])


@inlinable_lean
def write_figures(
    returns: FloatArray,
    net: FloatArray,
    fees: FloatArray,
    values: FloatArray,
    per_year: float,
    two: float,
    part: FloatArray,
    partials: FloatArray,
    row: FloatArray,
) -> None:
    """Write the figures of one run, and how many round trips it closed, to its `row` (FIGURES,).

    The other arguments are as `whatif.domain.figures` takes them.
    """
    found = figures(returns, per_year, net, fees, values, two, part, partials)
    row[0], row[1], row[2], row[3] = found[:4]
    row[4], row[5], row[6] = found[4:]
    row[7] = len(net)


def measure_runs_python(
    begin: int,
    end: int,
    counts: IntArray,
    levels: FloatArray,
    row: IntArray,
    executions: FloatArray,
    per_year: float,
    two: float,
    trips: FloatArray,
    fees: FloatArray,
    values: FloatArray,
    net: FloatArray,
    part: FloatArray,
    partials: FloatArray,
    returns: FloatArray,
    measured: FloatArray,
) -> None:
    """Measure the runs from `begin` to `end`, whose executions lie in a book one after the other.

    Parameters
    ----------
    counts, levels : int64 array (c, 7) and float64 array (c, k + 1)
        As in `Outcomes`.
    row, executions : int64 array (f,) and float64 array (6, f)
        As in `Book`.
    per_year, two, part, partials
        As `whatif.domain.figures` takes them.
    trips, fees, values, net
        Room, as `write_executed` takes it.
    returns, measured : float64 arrays (c, k) and (c, FIGURES)
        Written to: the return of each period, and the figures.
    """
    used = 0
    for run in range(begin, end):
        if counts[run, FAILED] != 0:
            continue
        count = counts[run, FILLS]
        write_returns(levels[run], returns[run])
        closed = write_executed(row, executions, used, count, trips, fees, values, net)
        write_figures(
            returns[run],
            net[:closed],
            fees[:count],
            values[:count],
            per_year,
            two,
            part,
            partials,
            measured[run],
        )  # fmt: skip
        used += count


_measure_runs = jit_lean(measure_runs_python)


class RunsMeasure:
    """Measures runs of one window, in room that one call after the other writes to.

    Parameters
    ----------
    most : int
        Executions of one run at most.
    periods : int
        Periods over which returns are measured, k.
    per_year : float
        How many of them are in a year.
    """

    def __init__(self, most: int, periods: int, per_year: float) -> None:
        self._periods, self._per_year = periods, per_year
        self._trips = np.empty((8, most))
        self._fees, self._values, self._net = (np.empty(most) for _ in range(3))
        self._part, self._partials = np.empty(max(most, periods)), room_for_partials()

    def room(self, count: int) -> tuple[FloatArray, FloatArray]:
        """Return what is written to: returns (c, k) and figures (c, FIGURES) of `count` runs."""
        return np.empty((count, self._periods)), np.empty((count, FIGURES))

    def __call__(
        self, outcomes: Outcomes, book: Book, begin: int, end: int, found: tuple[FloatArray, FloatArray]
    ) -> None:
        """Measure the runs from `begin` to `end`, whose executions the book holds."""
        _measure_runs(
            begin,
            end,
            outcomes.counts,
            outcomes.levels,
            book.row,
            book.executions,
            self._per_year,
            2.0,
            self._trips,
            self._fees,
            self._values,
            self._net,
            self._part,
            self._partials,
            *found,
        )


def measure_one(outcomes: Outcomes, book: Book, bars: int) -> Measured:
    """Return what the metrics need to know of the one run in a book, over so many bars."""
    count = int(outcomes.counts[0, FILLS])
    fees, values, net = (np.empty(count) for _ in range(3))
    closed = write_executed(book.row, book.executions, 0, count, np.empty((8, count)), fees, values, net)
    return _measured(outcomes, fees, values, net[:closed], bars)


def measure_account(outcomes: Outcomes, book: SharedBook, symbols: int, bars: int) -> Measured:
    """Do as `measure_one` for an account of several symbols."""
    count = int(outcomes.counts[0, FILLS])
    fees, values, net = (np.empty(count) for _ in range(3))
    room = np.empty(symbols + 2 * count, dtype=np.int64), np.empty((7, count)), np.empty((8, count))
    made = book.row, book.symbol, book.executions
    closed = write_profits(symbols, *made, 0, count, *room, fees, values, net)
    return _measured(outcomes, fees, values, net[:closed], bars)


def _measured(
    outcomes: Outcomes, fees: FloatArray, values: FloatArray, net: FloatArray, bars: int
) -> Measured:
    counts, money = outcomes.counts[0].tolist(), outcomes.money[0].tolist()
    returns = np.empty(outcomes.levels.shape[1] - 1)
    level_returns(outcomes.levels[0], returns)
    account = Account(
        final=money[FINAL],
        returns=returns,
        deepest=money[DEEPEST],
        longest=counts[LONGEST],
        equity_sum=money[EQUITY_SUM],
        bars=bars,
        bars_held=counts[BARS_HELD],
        fees=fees,
        values=values,
        net=net,
        open_at_end=money[SIZE] != 0.0,
    )
    return Measured(account, counts[REJECTED])


def write_profits_python(
    symbols: int,
    row: IntArray,
    symbol: IntArray,
    executions: FloatArray,
    begin: int,
    count: int,
    whole: IntArray,
    own: FloatArray,
    trips: FloatArray,
    fees: FloatArray,
    values: FloatArray,
    net: FloatArray,
) -> int:
    """Do as `write_executed` for executions of several symbols; return how many round trips were closed.

    Parameters
    ----------
    symbols : int
        How many symbols there are, k.
    row, symbol, executions : int64 arrays (f,) and float64 array (6, f)
        `count` executions are read, from place `begin` on.
    whole, own, trips : int64 array (k + 2 r,), float64 arrays (7, r) and (8, r)
        Room for at least `count` of them.
    fees, values, net : float64 arrays (r,)
        Written to, as by `write_executed`.
    """
    ends = whole[:symbols]
    places, rows = whole[symbols : symbols + count], whole[symbols + count : symbols + 2 * count]
    for s in range(symbols):
        ends[s] = 0
    write_paid(executions[:, begin : begin + count], fees, values)
    for k in range(count):
        own[6, k] = math.nan
        ends[symbol[begin + k]] += 1
    for s in range(1, symbols):
        ends[s] += ends[s - 1]
    # one symbol after the other, each in the order of its executions
    for k in range(count - 1, -1, -1):
        ends[symbol[begin + k]] -= 1
        places[ends[symbol[begin + k]]] = k
    for s in range(symbols):
        first, stop = ends[s], ends[s + 1] if s + 1 < symbols else count
        for j in range(first, stop):
            rows[j] = row[begin + places[j]]
            for field in range(6):
                own[field, j] = executions[field, begin + places[j]]
        closed = write_trips(rows[first:stop], own[:6, first:stop], stop - first, trips)
        for j in range(closed):
            own[6, places[first + int(trips[0, j])]] = trips[7, j]
    found = 0
    for k in range(count):
        # NaN where the execution closed none
        if own[6, k] == own[6, k]:
            net[found] = own[6, k]
            found += 1
    return found


write_profits = jit_lean(write_profits_python)


def measure_accounts_python(
    begin: int,
    end: int,
    symbols: int,
    counts: IntArray,
    levels: FloatArray,
    row: IntArray,
    symbol: IntArray,
    executions: FloatArray,
    per_year: float,
    two: float,
    whole: IntArray,
    own: FloatArray,
    trips: FloatArray,
    fees: FloatArray,
    values: FloatArray,
    net: FloatArray,
    part: FloatArray,
    partials: FloatArray,
    returns: FloatArray,
    measured: FloatArray,
) -> None:
    """Do as `measure_runs_python` for accounts of several symbols."""
    used = 0
    for run in range(begin, end):
        if counts[run, FAILED] != 0:
            continue
        count = counts[run, FILLS]
        write_returns(levels[run], returns[run])
        closed = write_profits(
            symbols, row, symbol, executions, used, count, whole, own, trips, fees, values, net
        )
        write_figures(
            returns[run],
            net[:closed],
            fees[:count],
            values[:count],
            per_year,
            two,
            part,
            partials,
            measured[run],
        )  # fmt: skip
        used += count


_measure_accounts = jit_lean(measure_accounts_python)


class AccountsMeasure:
    """Measures runs of accounts of several symbols.

    Parameters
    ----------
    symbols : int
        How many.
    periods, per_year
        As `RunsMeasure` takes them.
    """

    def __init__(self, symbols: int, periods: int, per_year: float) -> None:
        self._symbols, self._periods, self._per_year = symbols, periods, per_year
        self._partials = room_for_partials()
        self._grow(1)

    def _grow(self, most: int) -> None:
        self._most = most
        self._whole = np.empty(self._symbols + 2 * most, dtype=np.int64)
        self._own, self._trips = np.empty((7, most)), np.empty((8, most))
        self._fees, self._values, self._net = (np.empty(most) for _ in range(3))
        self._part = np.empty(max(most, self._periods))

    def room(self, count: int) -> tuple[FloatArray, FloatArray]:
        """Return what is written to: returns (c, k) and figures (c, FIGURES) of `count` runs."""
        return np.empty((count, self._periods)), np.empty((count, FIGURES))

    def __call__(
        self, outcomes: Outcomes, book: SharedBook, begin: int, end: int, found: tuple[FloatArray, FloatArray]
    ) -> None:
        """Measure the runs from `begin` to `end`, whose executions the book holds."""
        most = int(outcomes.counts[begin:end, FILLS].max(initial=0))
        if most > self._most:
            self._grow(most)
        _measure_accounts(
            begin,
            end,
            self._symbols,
            outcomes.counts,
            outcomes.levels,
            book.row,
            book.symbol,
            book.executions,
            self._per_year,
            2.0,
            self._whole,
            self._own,
            self._trips,
            self._fees,
            self._values,
            self._net,
            self._part,
            self._partials,
            *found,
        )


def measure_call(
    spec: StrategySpec,
    call: Call | SharedCall,
    measure: RunsMeasure | AccountsMeasure,
    many: Sequence[RunInputs],
    bars: int,
) -> MeasuredRuns:
    """Run configurations by one call, or by one more for each that the step raises in, and measure them.

    Parameters
    ----------
    spec : StrategySpec
        The strategy.
    call : Call or SharedCall
        Of c configurations, with what they write to.
    measure : RunsMeasure or AccountsMeasure
        What measures them.
    many : sequence of RunInputs
        The configurations.
    bars : int
        Bars of the window.
    """
    outcomes, found = call.outcomes, measure.room(len(many))
    begin = 0
    while begin < len(many):
        try:
            with uncompiled(spec):
                following = end = call.run(begin)
        except StepRaisedError:
            end = int(call.book.at_work[0])
            following = end + 1
            outcomes.counts[end, FAILED] = BAD_INTENT
        measure(outcomes, call.book, begin, end, found)  # type: ignore[arg-type]
        # where there is no room for one alone, and none can be made, it is not good
        begin = following if following > begin or call.grow() else begin + 1
    cash = np.array([given.execution.cash for given in many], dtype=np.float64)
    return measured_runs(outcomes, found, cash, bars)


def measured_runs(
    outcomes: Outcomes, measured: tuple[FloatArray, FloatArray], cash: FloatArray, bars: int
) -> MeasuredRuns:
    """Return runs with their metrics.

    Parameters
    ----------
    outcomes : Outcomes
        What c of them ended with.
    measured : tuple of float64 arrays (c, k) and (c, FIGURES)
        What was measured of them.
    cash : float64 array (c,)
        Their cash at the start.
    bars : int
        Bars of the window.
    """
    money, counts, (returns, found) = outcomes.money, outcomes.counts, measured
    good = counts[:, FAILED] == 0
    # what is not good holds anything
    with np.errstate(all="ignore"):
        metrics = metric_columns(
            cash=cash,
            final=money[:, FINAL],
            deepest=money[:, DEEPEST],
            longest=counts[:, LONGEST],
            equity_sum=money[:, EQUITY_SUM],
            bars=bars,
            bars_held=counts[:, BARS_HELD],
            figures=found[:, :7],
            trades=np.where(good, found[:, 7], 0.0).astype(np.int64),
            open_at_end=money[:, SIZE] != 0.0,
        )
    return MeasuredRuns(good, metrics, counts[:, REJECTED], returns, bars)


def run_of(bars: Bars, first: int, stop: int, outcomes: Outcomes, book: Book) -> EngineRun:
    """Return the run in a book with its series, over the rows `first` to `stop` of its bars.

    Fills are copied out of the book, which the next run overwrites. Orders are told where the book has them.
    """
    count = int(outcomes.counts[0, FILLS])
    fills = fills_of(book.row, np.zeros(count, dtype=np.int64), book.executions, count)
    return EngineRun(
        symbols=(bars.symbol,),
        ts=bars.ts[first:stop],
        fills=fills,
        equity=book.equity,
        position=positions(fills, 1, stop - first),
        close=bars.close[None, first:stop].copy(),
        margin_rejected=int(outcomes.counts[0, REJECTED]),
        engine="compiled",
        cash=book.cash,
        orders=told_orders(book, count, stop - first) if len(book.told) else None,
        fill_ts=None if bars.finer is None else bars.finer.bars.ts[book.finer[:count]],
    )


def told_orders(book: Book | SharedBook, fills: int, rows: int) -> Orders:
    """Return the orders that a book tells of, of a run with so many executions and rows."""
    made = book.told[: int(book.serial[ORDERS_MADE]), TOLD_MADE]
    # those of the last bar never came to the broker
    told = book.told[: int(np.searchsorted(made, rows - 1))]
    kind, size, price, limit, begun, ended = told[:, :TOLD_SYMBOL].T.copy()
    return Orders(
        symbol=told[:, TOLD_SYMBOL].astype(np.int64),
        kind=kind.astype(np.int64),
        size=size,
        price=price,
        limit=limit,
        made=begun.astype(np.int64),
        ended=ended.astype(np.int64),
        of_fill=book.of_fill[:fills].copy(),
    )


def fills_of(row: IntArray, symbol: IntArray, executions: FloatArray, count: int) -> Fills:
    """Return a copy of the first executions in a book."""
    return Fills(
        row=row[:count].copy(),
        symbol=symbol[:count].copy(),
        closed=executions[CLOSED, :count].copy(),
        opened=executions[OPENED, :count].copy(),
        price=executions[PRICE, :count].copy(),
        closed_commission=executions[CLOSED_FEE, :count].copy(),
        opened_commission=executions[OPENED_FEE, :count].copy(),
        multiplier=executions[MULTIPLIER, :count].copy(),
    )
