"""Run of pending backtests in waves, by a runner that computes them and stores their rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from whatif.domain import EQUITY_ARRAYS, TRADE_ARRAYS
from whatif.engines import get_engine
from whatif.errors import RunError, WhatIfError
from whatif.lake import EQUITY, RESULTS, RETURNS, TRADES, TableSpec
from whatif.pins import LakeLocation, all_of, equal, may_hold
from whatif.results import MAX_IN_FILTER, NOTHING, Keep, Pending
from whatif.runner.in_flight import Wave, WavesInFlight
from whatif.runner.plan import Plan, WorkItem
from whatif.runner.waves import Pace, take_wave, tasks_of, total_cost, work_items
from whatif.strategies import from_portable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MAX_LOG_BYTES = 20_000_000
"""Size from which the next run begins the workers' log on one machine anew."""


@dataclass(frozen=True)
class Computed:
    """A wave's rows before they are stored, counted, with what they took.

    Attributes
    ----------
    rows : object
        The rows, as the runner holds them.
    counts : Counter
        Rows by status.
    working : float
        Seconds that workers took, added up.
    seconds : float
        Wall time.
    """

    rows: Any
    counts: Counter[str]
    working: float
    seconds: float


class Runner(Protocol):
    """Computes work items and stores their rows; every runner gives the same ones.

    Attributes
    ----------
    spark : SparkSession or None
        The session whose jobs tell how far a wave is; None of a runner without one.
    location : LakeLocation
        Where the lake is.
    at_once : int
        Waves that may be computed at once.
    """

    spark: SparkSession | None
    location: LakeLocation
    at_once: int

    def slots(self) -> int:
        """Return how many work items can be computed at once now."""

    def log_place(self, home: str) -> str:
        """Return where workers say what they are at, see `Plan.log`, of a lake's home on this machine."""

    def compute(self, plan: Plan, items: Sequence[WorkItem]) -> Computed:
        """Compute the rows of work items: exactly one for each backtest, columns as in `row_columns`.

        Raises
        ------
        MachineError
            If what a backtest needs could not be read, each time that it was tried.
        """

    def fresh(self, plan: Plan) -> frozenset[str]:
        """Return the names of tables that `store` need not look for rows of a plan in."""

    def store(
        self, plan: Plan, items: Sequence[WorkItem], rows: Any, keep: Keep, fresh: Collection[str]
    ) -> None:
        """Store rows that `compute` gave: what each table lacks, series first, `results` last.

        Tables named in `fresh` lack all of it, and nothing is looked for in them.
        """

    def release(self, rows: Any) -> None:
        """Forget rows that `compute` gave."""

    def failure(self, error: Exception, items: Sequence[WorkItem], log: str) -> RunError:
        """Return what is said of items that could not be computed or stored."""

    def cancel(self) -> None:
        """End what is still being computed, since nobody waits for it any more."""


@dataclass(frozen=True)
class WaveDone:
    """What a finished wave reports.

    Attributes
    ----------
    backtests, failed : int
        Rows of this wave, and those among them with an error.
    cost : float
        Configuration-bars of this wave.
    remaining : float
        Configuration-bars that are left.
    seconds : float
        Wall time of the wave, with its commit.
    slots : int
        Work items that could be computed at once when it began.
    """

    backtests: int
    failed: int
    cost: float
    remaining: float
    seconds: float
    slots: int


@dataclass(frozen=True)
class _CutWave:
    """A wave and what it is cut into."""

    cost: float
    items: Sequence[WorkItem]
    cores: int


def run_waves(
    runner: Runner,
    plan: Plan,
    pending: Sequence[Pending],
    keep: Keep = NOTHING,
    report: Callable[[WaveDone], None] = lambda _: None,
) -> int:
    """Run all pending backtests and store their rows; return how many failed.

    Each wave is computed as a whole, followed by its commits: series first, `results` last. The next
    wave is computed while they are made, so that workers do not wait for the driver. A
    backtest counts as done when `results` holds it, so whatever is interrupted is computed
    again and stored once.

    Parameters
    ----------
    runner : Runner
        Computes and stores; asked before each wave how many items it can compute at once.
    plan, pending
        What all backtests share, and which ones.
    keep : Keep
        Whose series are stored.
    report : callable
        Takes each wave that is stored.

    Raises
    ------
    RunError
        If a backtest is pending twice; or if the runner gives up on a wave: a worker process died
        each time it was tried, or nothing more could be written.
    MachineError
        If what backtests of a wave need could not be read, each time that it was tried. No row of that
        wave is stored.
    """
    if not pending:
        return 0
    _check_once(pending)
    plan = replace(plan, log=runner.log_place(plan.home))
    pace = Pace(get_engine(plan.engine).rate(from_portable(plan.strategy)))
    rest, failed = list(pending), 0
    fresh = runner.fresh(plan)
    with WavesInFlight[_CutWave](runner.spark, runner.at_once, runner.cancel) as in_flight:
        while rest or in_flight:
            done = in_flight.next_done(bool(rest)) if in_flight else None
            if done is not None:
                found, cost = _computed(runner, done, plan.log), done.wave.cost
                pace.learn_rate(cost, found.seconds * done.wave.cores if done.alone else found.working)
            if rest and in_flight.has_room():
                wave, rest = _next_wave(rest, pace, runner.slots(), plan.engine, keep.anything)
                compute = partial(runner.compute, plan, wave.items)
                tasks, expected = len(tasks_of(wave.items)), pace.seconds(wave.cost, wave.cores)
                in_flight.start(wave, tasks, expected, compute)
            if done is None:
                continue
            pace.storing = _store_wave(runner, plan, done.wave, found, keep, fresh)
            failed += found.counts["error"]
            left = total_cost(rest) + sum(wave.cost for wave in in_flight.waves)
            seconds = found.seconds + pace.storing
            total, wrong = found.counts.total(), found.counts["error"]
            report(WaveDone(total, wrong, cost, left, seconds, done.wave.cores))
    return failed


def fresh_tables(location: LakeLocation, plan: Plan) -> frozenset[str]:
    """Return the names of tables that can hold no row of a plan, nor get one from others while it is run.

    That is known of a lake on this machine alone, of which a run holds the lock.
    """
    near = all_of(equal("bars_snapshot", plan.bars.snapshot_id), equal("data_digest", plan.data_digest))
    names = [table.name for table in (RESULTS, RETURNS, TRADES, EQUITY)]
    return frozenset(name for name in names if location.local and not may_hold(location, name, near))


def kept_series(keep: Keep) -> Iterator[tuple[TableSpec, str, list[str], str | None, frozenset[str] | None]]:
    """Yield the tables of series that take rows of a wave.

    Yields
    ------
    TableSpec, str, list of str, str or None, frozenset of str or None
        The table, the prefix and the names of the arrays that become its rows, its column that numbers
        them, and which backtests it takes, as ``config_id/symbol``; None for all.
    """
    for table, prefix, arrays, number, wanted in (
        (TRADES, "trades", TRADE_ARRAYS, "trade_no", keep.trades),
        (EQUITY, "equity", EQUITY_ARRAYS, None, keep.equity),
    ):
        if wanted is None or wanted:
            yield table, prefix, list(arrays), number, wanted


def ids_to_look_for(items: Sequence[WorkItem]) -> list[str] | None:
    """Return the configurations whose rows a table may hold already; None if they are too many for a filter.

    With them, files of other configurations are not even opened: a lake's tables hold the series of every
    study on the same bars.
    """
    ids = {configuration.config_id for item in items for configuration in item.configurations}
    return sorted(ids) if len(ids) <= MAX_IN_FILTER else None


def symbols_said(items: Sequence[WorkItem]) -> str:
    """Return the first symbols of work items, for a message."""
    symbols = sorted({"+".join(item.symbols) for item in items})
    return ", ".join(symbols[:3]) + (" …" if len(symbols) > 3 else "")


def log_file(home: str) -> str:
    """Return the file of a lake where workers of this machine say what they are at; "" without a home."""
    if not home:
        return ""
    path = Path(home) / "logs" / "workers.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.write_bytes(b"")
    return str(path)


def _next_wave(
    rest: Sequence[Pending], pace: Pace, cores: int, engine: str, keep: bool
) -> tuple[_CutWave, list[Pending]]:
    taken, rest = take_wave(rest, pace.wave_cost(total_cost(rest), cores))
    return _CutWave(total_cost(taken), work_items(taken, cores, engine, keep), cores), rest


def _check_once(pending: Sequence[Pending]) -> None:
    """Make sure of what the tables rely on: that no backtest would give two rows."""
    keys = [(p.symbols, p.window, c.config_id) for p in pending for c in p.configurations]
    if len(set(keys)) < len(keys):
        twice, _ = Counter(keys).most_common(1)[0]
        raise RunError(f"backtest {twice} is pending twice: every backtest runs once")


def _computed(runner: Runner, done: Wave[_CutWave], log: str) -> Computed:
    """Return what a wave gave, or say that the runner gave up on it."""
    try:
        found: Computed = done.result()
    except WhatIfError:
        raise
    except Exception as error:
        raise runner.failure(error, done.wave.items, log) from error
    return found


def _store_wave(
    runner: Runner, plan: Plan, wave: _CutWave, found: Computed, keep: Keep, fresh: Collection[str]
) -> float:
    """Store a wave that is computed; return the seconds that it took."""
    started = time.perf_counter()
    try:
        runner.store(plan, wave.items, found.rows, keep, fresh)
    except WhatIfError:
        raise
    except Exception as error:
        raise runner.failure(error, wave.items, plan.log) from error
    finally:
        runner.release(found.rows)
    return time.perf_counter() - started
