"""Waves on Spark: work items sent to workers, and their rows stored."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from whatif.domain import (
    EQUITY_ARRAYS,
    KEY,
    PLAN_COLUMNS,
    TRADE_ARRAYS,
    ddl,
    row_columns,
    worker_columns,
)
from whatif.engines import get_engine
from whatif.errors import MachineError, RunError, WhatIfError
from whatif.lake import EQUITY, RESULTS, RETURNS, TRADES, insert_missing, sql_text
from whatif.pins import LakeLocation
from whatif.results import MAX_IN_FILTER, NOTHING, Keep, Pending
from whatif.runner.in_flight import MAX_AT_ONCE, Wave, WavesInFlight
from whatif.runner.plan import Plan, WorkItem
from whatif.runner.watch import STDERR, where_workers_say
from whatif.runner.waves import Pace, take_wave, total_cost, work_items
from whatif.strategies import from_portable

ITEMS_PER_FILE = 64
"""Work items whose rows go into one file of `results` and `returns`."""

_OF_THE_MACHINE = re.compile(rf"{MachineError.__module__}\.{MachineError.__name__}: (.+)")
"""The line of a worker's traceback that says what its machine could not do."""

MAX_LOG_BYTES = 20_000_000
"""Size from which the next run begins the workers' log on one machine anew."""


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
    """

    backtests: int
    failed: int
    cost: float
    remaining: float
    seconds: float


def backtests(spark: SparkSession, plan: Plan, items: Sequence[WorkItem]) -> DataFrame:
    """Return the rows of all backtests in `items`: one task for each item, columns as in `row_columns`."""
    texts = pd.DataFrame({"item": [item.to_json() for item in items]})
    # from one partition, round robin gives every task exactly one item
    frame = spark.createDataFrame(texts, "item string").coalesce(1).repartition(len(items))
    keep = any(item.keep for item in items)
    rows = frame.mapInPandas(_evaluator(plan), schema=ddl(worker_columns(keep)))
    same = plan.columns
    return rows.select(
        *(
            F.lit(same[name]).cast(kind).alias(name) if name in PLAN_COLUMNS else F.col(name)
            for name, kind in row_columns(keep).items()
        )
    )


@dataclass(frozen=True)
class _CutWave:
    """A wave and what it is cut into."""

    cost: float
    items: Sequence[WorkItem]
    cores: int


@dataclass(frozen=True)
class _Computed:
    """A wave's rows before they are stored: on the executors, counted, with what they took."""

    rows: DataFrame
    counts: Counter[str]
    working: float
    seconds: float


def run_waves(
    spark: SparkSession,
    location: LakeLocation,
    plan: Plan,
    pending: Sequence[Pending],
    slots: Callable[[], int],
    keep: Keep = NOTHING,
    report: Callable[[WaveDone], None] = lambda _: None,
    at_once: int = MAX_AT_ONCE,
) -> int:
    """Run all pending backtests and store their rows; return how many failed.

    Each wave is one Spark job, followed by its commits: series first, `results` last. The next
    wave is computed while they are made, so that executors do not wait for the driver. A
    backtest counts as done when `results` holds it, so whatever is interrupted is computed
    again and stored once.

    Parameters
    ----------
    spark, location, plan, pending
        Where, what all backtests share, and which ones.
    slots : callable
        Tells how many tasks can run at once; asked for each wave, since executors come late and
        are lost.
    keep : Keep
        Whose series are stored.
    report : callable
        Takes each wave that is stored.
    at_once : int
        Waves that may be computed at once.

    Raises
    ------
    RunError
        If a backtest is pending twice; or if Spark gives up on a wave: a worker process died
        each time it was tried, or nothing more could be written.
    MachineError
        If what backtests of a wave need could not be read, each time that it was tried. No row of that
        wave is stored.
    """
    if not pending:
        return 0
    _check_once(pending)
    plan = replace(plan, log=_log_place(spark, plan.home))
    pace = Pace(get_engine(plan.engine).rate(from_portable(plan.strategy)))
    rest, failed = list(pending), 0
    with WavesInFlight[_CutWave](spark, at_once) as in_flight:
        while rest or in_flight:
            done = in_flight.next_done(bool(rest)) if in_flight else None
            if done is not None:
                found, cost = _computed(done, plan.log), done.wave.cost
                pace.learn_rate(cost, found.seconds * done.wave.cores if done.alone else found.working)
            if rest and in_flight.has_room():
                wave, rest = _next_wave(rest, pace, slots(), plan.engine, keep.anything)
                compute = partial(_compute, spark, plan, wave.items)
                in_flight.start(wave, len(wave.items), pace.seconds(wave.cost, wave.cores), compute)
            if done is None:
                continue
            pace.storing = _store_wave(spark, location, plan, done.wave, found, keep)
            failed += found.counts["error"]
            left = total_cost(rest) + sum(wave.cost for wave in in_flight.waves)
            seconds = found.seconds + pace.storing
            report(WaveDone(found.counts.total(), found.counts["error"], cost, left, seconds))
    return failed


def _next_wave(
    rest: Sequence[Pending], pace: Pace, cores: int, engine: str, keep: bool
) -> tuple[_CutWave, list[Pending]]:
    taken, rest = take_wave(rest, pace.wave_cost(total_cost(rest), cores))
    return _CutWave(total_cost(taken), work_items(taken, cores, engine, keep), cores), rest


def _log_place(spark: SparkSession, home: str) -> str:
    """Return where workers say what they are at: a file of the lake on one machine, else standard error.

    On one machine a worker's standard error is the user's terminal.
    """
    if not str(spark.conf.get("spark.master", "") or "").startswith("local"):
        return STDERR
    if not home:
        return ""
    path = Path(home) / "logs" / "workers.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.write_bytes(b"")
    return str(path)


def _check_once(pending: Sequence[Pending]) -> None:
    """Make sure of what the tables rely on: that no backtest would give two rows."""
    keys = [(p.symbols, p.window, c.config_id) for p in pending for c in p.configurations]
    if len(set(keys)) < len(keys):
        twice, _ = Counter(keys).most_common(1)[0]
        raise RunError(f"backtest {twice} is pending twice: every backtest runs once")


def _compute(spark: SparkSession, plan: Plan, items: Sequence[WorkItem]) -> _Computed:
    """Compute the rows of a wave, which stay on the executors until they are stored."""
    started = time.perf_counter()
    rows = backtests(spark, plan, items).persist()
    try:
        # two values for each backtest of a wave come to the driver, and no more
        found = rows.select("status", "wall_seconds").collect()
    except BaseException:
        rows.unpersist()
        raise
    working = sum(row["wall_seconds"] for row in found)
    return _Computed(rows, Counter(row["status"] for row in found), working, time.perf_counter() - started)


def _computed(done: Wave[_CutWave], log: str) -> _Computed:
    """Return what a wave gave, or say that Spark gave up on it."""
    try:
        found: _Computed = done.result()
    except WhatIfError:
        raise
    except Exception as error:
        raise _gave_up(error, done.wave.items, log) from error
    return found


def _store_wave(
    spark: SparkSession, location: LakeLocation, plan: Plan, wave: _CutWave, found: _Computed, keep: Keep
) -> float:
    """Store a wave that is computed; return the seconds that it took."""
    started = time.perf_counter()
    try:
        store(spark, location, plan, wave.items, found.rows, keep)
    except WhatIfError:
        raise
    except Exception as error:
        raise _gave_up(error, wave.items, plan.log) from error
    finally:
        found.rows.unpersist()
    return time.perf_counter() - started


def _gave_up(error: Exception, items: Sequence[WorkItem], log: str = "") -> RunError:
    """Return what a worker said of its machine, or else what Spark could not do, in its own first words."""
    told = _OF_THE_MACHINE.search(str(error))
    if told:
        return MachineError(told[1].strip())
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if "SparkException" in line or "Exception:" in line), lines[0])
    symbols = sorted({"+".join(item.symbols) for item in items})
    shown = ", ".join(symbols[:3]) + (" …" if len(symbols) > 3 else "")
    return RunError(
        f"Spark gave up on a wave of backtests of {shown}: {said[:500]}. What earlier waves stored stays; "
        f"the log is in logs/spark.log of the lake's home{where_workers_say(log)}; the same command goes on "
        "from there"
    )


def store(
    spark: SparkSession,
    location: LakeLocation,
    plan: Plan,
    items: Sequence[WorkItem],
    rows: DataFrame,
    keep: Keep,
) -> None:
    """Store the rows of work items: what each table lacks, series side by side, `results` last.

    Rows of a wave are few, so they are written as few files; the series of all
    backtests are not, and are left as spread as they are.
    """
    few = rows.coalesce(max(1, len(items) // ITEMS_PER_FILE))
    good = few.where(F.col("status") == "ok")
    mine = _held_rows(plan, items)
    series = [(RETURNS, good)]
    for table, prefix, arrays, number, wanted in (
        (TRADES, "trades", TRADE_ARRAYS, "trade_no", keep.trades),
        (EQUITY, "equity", EQUITY_ARRAYS, None, keep.equity),
    ):
        if wanted is None or wanted:
            kept = rows if wanted is None else good.where(_name().isin(sorted(wanted)))
            series.append((table, _exploded(kept, prefix, list(arrays), number)))
    with ThreadPoolExecutor(len(series), thread_name_prefix="store") as threads:
        storing = [
            threads.submit(insert_missing, spark, location, table, frame, mine, distinct=True)
            for table, frame in series
        ]
        for one in storing:
            one.result()
    insert_missing(spark, location, RESULTS, few, mine, distinct=True)


def _held_rows(plan: Plan, items: Sequence[WorkItem]) -> str:
    """Return SQL that holds for what a table `t` may hold of work items already.

    Of literals, so that files of other markets and slices are not even opened, nor of few configurations
    those of others: a lake's tables hold the series of every study on the same bars.
    """
    mine = f"t.bars_snapshot = {plan.bars.snapshot_id} AND t.data_digest = '{plan.data_digest}'"
    ids = {configuration.config_id for item in items for configuration in item.configurations}
    if len(ids) > MAX_IN_FILTER:
        return mine
    return f"{mine} AND t.config_id IN ({', '.join(sql_text(name) for name in sorted(ids))})"


def _name() -> Column:
    return F.concat_ws("/", "config_id", "symbol")


def _exploded(rows: DataFrame, prefix: str, names: list[str], number: str | None) -> DataFrame:
    """One row for each element of the arrays `prefix_name`, numbered from 0 if `number` names a column."""
    zipped = F.arrays_zip(*(F.col(f"{prefix}_{name}").alias(name) for name in names))
    explode = F.posexplode(zipped).alias(number or "position_in_array", "element")
    flat = rows.select(*KEY, explode)
    fields = [F.col(f"element.{name}").alias(name) for name in names]
    return flat.select(*KEY, *([number] if number else []), *fields)


def _evaluator(plan: Plan) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    def run(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        # imported here, so that the function travels by value and the worker by name
        from pyspark import TaskContext

        from whatif.runner.worker import evaluate
        from whatif.startup import forget_archives

        context = TaskContext.get()
        try:
            yield from evaluate(plan, frames, 0 if context is None else context.attemptNumber())
        finally:
            forget_archives()

    return run
