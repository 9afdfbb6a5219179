"""Spark runner: work items computed by Spark's workers, and their rows stored by Spark."""

from __future__ import annotations

import pickle
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from whatif.domain import (
    KEY,
    PLAN_COLUMNS,
    ddl,
    row_columns,
    worker_columns,
)
from whatif.errors import MachineError, RunError, WhatIfError
from whatif.lake import (
    RESULTS,
    RETURNS,
    TableSpec,
    append_files,
    insert_missing,
    sql_text,
    write_files,
)
from whatif.pins import LakeLocation
from whatif.results import Keep
from whatif.runner.batches import whole_rows
from whatif.runner.in_flight import MAX_AT_ONCE
from whatif.runner.plan import Plan, WorkItem
from whatif.runner.run import (
    Computed,
    fresh_tables,
    ids_to_look_for,
    kept_series,
    log_file,
    symbols_said,
)
from whatif.runner.watch import STDERR, where_workers_say
from whatif.runner.waves import tasks_of

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyspark.sql import Column, DataFrame, SparkSession

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

ITEMS_PER_FILE = 64
"""Work items whose rows go into one file of `results` and `returns`."""

ROWS_OF_A_TASK = 32
"""Backtests of a task from which on it writes files of its own; many tasks of few rows share files."""

HELD_BYTES = 64 * 1024 * 1024
"""Rows that a task holds before it writes them."""

_OF_THE_MACHINE = re.compile(rf"{MachineError.__module__}\.{MachineError.__name__}: (.+)")
"""The line of a worker's traceback that says what its machine could not do."""


def backtests(spark: SparkSession, plan: Plan, items: Sequence[WorkItem]) -> DataFrame:
    """Return the rows of all backtests in `items`, by their tasks; columns as in `row_columns`.

    Items travel with the function, packed, and a task takes those of its number. As rows they would have to
    be spread by an exchange, a stage of its own, that cannot be told what each task gets.
    """
    from pyspark.sql import functions as F  # noqa: N812

    keep = any(item.keep for item in items)
    packed = _packed(items)
    rows = _tasks(spark, len(packed)).mapInArrow(_evaluator(plan, packed), schema=ddl(worker_columns(keep)))
    same = plan.columns
    return rows.select(
        *(
            F.lit(same[name]).cast(kind).alias(name) if name in PLAN_COLUMNS else F.col(name)
            for name, kind in row_columns(keep).items()
        )
    )


def _packed(items: Sequence[WorkItem]) -> list[list[bytes]]:
    """Return the items of each task, as they travel."""
    return [[zlib.compress(item.to_json().encode(), 1) for item in some] for some in tasks_of(items)]


def _tasks(spark: SparkSession, count: int) -> DataFrame:
    """Return a row for each task, that has its number `id` from 0 on."""
    return spark.range(0, count, 1, count)


def spread_on_spark(
    spark: SparkSession, work: Callable[[_Given], _Made], given: Sequence[_Given], at_once: int
) -> Iterator[tuple[int, _Made]]:
    """Yield what a function makes of each of some things, with their places: one task of Spark for each.

    Parameters
    ----------
    spark : SparkSession
        The session.
    work : callable
        A function of a module, which executors import.
    given : sequence
        What can be pickled.
    at_once : int
        How many go into one job, whose answers come to the driver together.

    Raises
    ------
    WhatIfError
        What the function raised.
    """
    for first in range(0, len(given), at_once):
        sent = [pickle.dumps((work, one)) for one in given[first : first + at_once]]
        rows = _tasks(spark, len(sent)).mapInArrow(_worker_of(sent), "id long, answer binary")
        for row in rows.collect():
            answer = pickle.loads(row["answer"])
            if isinstance(answer, WhatIfError):
                raise answer
            yield first + row["id"], answer


def _worker_of(
    sent: Sequence[bytes],
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                work, one = pickle.loads(sent[number])
                try:
                    answer = work(one)
                except WhatIfError as error:
                    answer = error
                yield pa.record_batch(
                    {"id": pa.array([number], pa.int64()), "answer": pa.array([pickle.dumps(answer)])}
                )

    return run


@dataclass(frozen=True)
class _Written:
    """What a task wrote: files that no snapshot names yet, and its backtests by status and in seconds."""

    results: Sequence[DataFile]
    returns: Sequence[DataFile]
    counts: Counter[str]
    working: float


@dataclass
class SparkRunner:
    """Waves as Spark jobs: rows kept by executors until they are stored.

    Where nothing has to be looked for on the local lake, and no series are kept, tasks of many backtests
    write their rows into files, which are stored by a commit that names them: their values never become rows
    of the JVM.

    Attributes
    ----------
    spark : SparkSession
        The session.
    location : LakeLocation
        Where the lake is; its tables exist.
    ask_slots : callable
        Tells how many tasks can run at once now: executors come late and are lost.
    at_once : int
        Waves that may be computed at once.
    """

    spark: SparkSession
    location: LakeLocation
    ask_slots: Callable[[], int]
    at_once: int = MAX_AT_ONCE
    _fresh: Collection[str] = ()

    def slots(self) -> int:
        """Return how many tasks can run at once now."""
        return self.ask_slots()

    def log_place(self, home: str) -> str:
        """Return where workers say what they are at: a file of the lake on one machine, else standard error.

        On one machine a worker's standard error is the user's terminal.
        """
        if not str(self.spark.conf.get("spark.master", "") or "").startswith("local"):
            return STDERR
        return log_file(home)

    def compute(self, plan: Plan, items: Sequence[WorkItem]) -> Computed:
        """Compute the rows of a wave, which stay on the executors, or in files, until they are stored."""
        started = time.perf_counter()
        if _writes_files(self.location, items, self._fresh):
            written = write_backtests(self.spark, self.location, plan, items)
            all_counts = sum((one.counts for one in written), Counter[str]())
            seconds = sum(one.working for one in written)
            return Computed(written, all_counts, seconds, time.perf_counter() - started)
        rows = backtests(self.spark, plan, items).persist()
        try:
            # two values for each backtest of a wave come to the driver, and no more
            found = rows.select("status", "wall_seconds").collect()
        except BaseException:
            rows.unpersist()
            raise
        working = sum(row["wall_seconds"] for row in found)
        counts = Counter(row["status"] for row in found)
        return Computed(rows, counts, working, time.perf_counter() - started)

    def fresh(self, plan: Plan) -> frozenset[str]:
        """Return the tables that lack all rows of a plan."""
        self._fresh = fresh_tables(self.location, plan)
        return self._fresh

    def store(
        self,
        plan: Plan,
        items: Sequence[WorkItem],
        rows: DataFrame | list[_Written],
        keep: Keep,
        fresh: Collection[str],
    ) -> None:
        """Store the rows of a wave; appended to the tables named in `fresh`."""
        if isinstance(rows, list):
            append_files(self.location, RETURNS, [file for one in rows for file in one.returns])
            append_files(self.location, RESULTS, [file for one in rows for file in one.results])
        else:
            store(self.spark, self.location, plan, items, rows, keep, fresh)

    def release(self, rows: DataFrame | list[_Written]) -> None:
        """Let executors forget the rows of a wave; files that were not stored are left to maintenance."""
        if not isinstance(rows, list):
            rows.unpersist()

    def failure(self, error: Exception, items: Sequence[WorkItem], log: str) -> RunError:
        """Return what is said of a wave that could not be computed or stored."""
        return _gave_up(error, items, log)

    def cancel(self) -> None:
        """Do nothing: jobs are cancelled with the waves that they belong to."""


def _gave_up(error: Exception, items: Sequence[WorkItem], log: str = "") -> RunError:
    """Return what a worker said of its machine, or else what Spark could not do, in its own first words."""
    told = _OF_THE_MACHINE.search(str(error))
    if told:
        return MachineError(told[1].strip())
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if "SparkException" in line or "Exception:" in line), lines[0])
    return RunError(
        f"Spark gave up on a wave of backtests of {symbols_said(items)}: {said[:500]}. What earlier waves "
        "stored stays; the log is in logs/spark.log of the lake's home"
        f"{where_workers_say(log)}; the same command goes on from there"
    )


def store(
    spark: SparkSession,
    location: LakeLocation,
    plan: Plan,
    items: Sequence[WorkItem],
    rows: DataFrame,
    keep: Keep,
    fresh: Collection[str],
) -> None:
    """Store the rows of work items: what each table lacks, series side by side, `results` last.

    Those that `fresh` names lack everything.

    Rows of a wave are few, so they are written as few files; the series of all
    backtests are not, and are left as spread as they are.
    """
    from pyspark.sql import functions as F  # noqa: N812

    few = rows.coalesce(max(1, len(items) // ITEMS_PER_FILE))
    good = few.where(F.col("status") == "ok")
    mine = _held_rows(plan, items)
    series = [(RETURNS, good)]
    for table, prefix, arrays, number, wanted in kept_series(keep):
        kept = rows if wanted is None else good.where(_name().isin(sorted(wanted)))
        series.append((table, _exploded(kept, prefix, arrays, number)))
    with ThreadPoolExecutor(len(series), thread_name_prefix="store") as threads:
        storing = [
            threads.submit(_insert, spark, location, table, frame, mine, fresh) for table, frame in series
        ]
        for one in storing:
            one.result()
    _insert(spark, location, RESULTS, few, mine, fresh)


def _writes_files(location: LakeLocation, items: Sequence[WorkItem], fresh: Collection[str]) -> bool:
    """Return whether tasks write their rows themselves: they are many, and new to both tables."""
    return location.local and {RESULTS.name, RETURNS.name} <= set(fresh) and _are_many(items)


def _are_many(items: Sequence[WorkItem]) -> bool:
    backtests = sum(len(item.configurations) for item in items)
    return backtests >= ROWS_OF_A_TASK * len(tasks_of(items)) and not any(item.keep for item in items)


def run_unstored(spark: SparkSession, plan: Plan, items: Sequence[WorkItem]) -> None:
    """Run all backtests in `items` as the first wave of a sweep is run, up to where its rows are stored.

    Rows of tasks of many backtests are made whole, and let go of instead of being written; those of others
    are handed to Spark.
    """
    if _are_many(items):
        write_backtests(spark, None, plan, items)
    else:
        backtests(spark, plan, items).write.format("noop").mode("overwrite").save()


def write_backtests(
    spark: SparkSession, location: LakeLocation | None, plan: Plan, items: Sequence[WorkItem]
) -> list[_Written]:
    """Run all backtests in `items`, by their tasks, and return what tasks wrote on the local lake.

    Of a task that is made twice one answer counts; what the other wrote no snapshot will name. Without a
    location, rows are made, and not written.
    """
    packed = _packed(items)
    run = _writer(location, plan, packed)
    told = _tasks(spark, len(packed)).mapInArrow(run, "written binary").collect()
    return [pickle.loads(row["written"]) for row in told]


def _insert(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    rows: DataFrame,
    mine: str,
    fresh: Collection[str],
) -> None:
    insert_missing(spark, location, table, rows, mine, distinct=True, fresh=table.name in fresh)


def _held_rows(plan: Plan, items: Sequence[WorkItem]) -> str:
    """Return SQL that holds for what a table `t` may hold of work items already.

    Of literals, so that files of other markets and slices are not even opened.
    """
    mine = f"t.bars_snapshot = {plan.bars.snapshot_id} AND t.data_digest = '{plan.data_digest}'"
    ids = ids_to_look_for(items)
    return mine if ids is None else f"{mine} AND t.config_id IN ({', '.join(map(sql_text, ids))})"


def _name() -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.concat_ws("/", "config_id", "symbol")


def _exploded(rows: DataFrame, prefix: str, names: list[str], number: str | None) -> DataFrame:
    """One row for each element of the arrays `prefix_name`, numbered from 0 if `number` names a column."""
    from pyspark.sql import functions as F  # noqa: N812

    zipped = F.arrays_zip(*(F.col(f"{prefix}_{name}").alias(name) for name in names))
    explode = F.posexplode(zipped).alias(number or "position_in_array", "element")
    flat = rows.select(*KEY, explode)
    fields = [F.col(f"element.{name}").alias(name) for name in names]
    return flat.select(*KEY, *([number] if number else []), *fields)


def _evaluator(
    plan: Plan, packed: Sequence[Sequence[bytes]]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # imported here, so that the function travels by value and the worker by name
        from pyspark import TaskContext

        from whatif.runner.load import expecting
        from whatif.runner.worker import evaluate
        from whatif.startup import forget_archives

        context = TaskContext.get()
        attempt = 0 if context is None else context.attemptNumber()
        try:
            for batch in batches:
                numbers = batch.column("id").to_pylist()
                texts = [zlib.decompress(one).decode() for number in numbers for one in packed[number]]
                ahead = dict.fromkeys(symbol for text in texts for symbol in WorkItem.symbols_of(text))
                with expecting(ahead):
                    yield from evaluate(plan, texts, attempt)
        finally:
            forget_archives()

    return run


def _writer(
    location: LakeLocation | None, plan: Plan, packed: Sequence[Sequence[bytes]]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    evaluated = _evaluator(plan, packed)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: list[pa.RecordBatch] = []
        size = 0  # added up: of a batch it takes a while to tell, and they are as many as symbols
        for batch in evaluated(batches):
            held.append(batch)
            size += batch.nbytes
            if size >= HELD_BYTES:
                yield _told(written(location, plan, pa.Table.from_batches(held)))
                held, size = [], 0
        if held:
            yield _told(written(location, plan, pa.Table.from_batches(held)))

    return run


def _told(made: _Written) -> pa.RecordBatch:
    return pa.record_batch({"written": pa.array([pickle.dumps(made)], pa.binary())})


def written(location: LakeLocation | None, plan: Plan, rows: pa.Table) -> _Written:
    """Write rows of a worker into files of the local lake's `returns` and `results`, if there is a lake.

    Raises
    ------
    MachineError
        If nothing more can be written.
    """
    whole = whole_rows(plan.columns, rows)
    results, returns = ([], []) if location is None else _files(location, whole)
    counts = Counter(whole["status"].to_pylist())
    return _Written(results, returns, counts, pc.sum(whole["wall_seconds"]).as_py() or 0.0)


def _files(location: LakeLocation, whole: pa.Table) -> tuple[list[DataFile], list[DataFile]]:
    """Return the files of `results` and of `returns` that rows were written to."""
    good = whole.filter(pc.equal(whole["status"], "ok"))
    try:
        returns = write_files(location, RETURNS, good.select(list(RETURNS.column_names)))
        return write_files(location, RESULTS, whole.select(list(RESULTS.column_names))), returns
    except OSError as error:
        raise MachineError(f"rows of backtests could not be written to {location.home}: {error}") from error
