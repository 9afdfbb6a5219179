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

import pandas as pd
import pyarrow as pa

from whatif.domain import (
    KEY,
    PLAN_COLUMNS,
    ddl,
    row_columns,
    worker_columns,
)
from whatif.errors import MachineError, RunError, WhatIfError
from whatif.lake import RESULTS, RETURNS, TableSpec, insert_missing, sql_text
from whatif.pins import LakeLocation
from whatif.results import Keep
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

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

ITEMS_PER_FILE = 64
"""Work items whose rows go into one file of `results` and `returns`."""

_OF_THE_MACHINE = re.compile(rf"{MachineError.__module__}\.{MachineError.__name__}: (.+)")
"""The line of a worker's traceback that says what its machine could not do."""


def backtests(spark: SparkSession, plan: Plan, items: Sequence[WorkItem]) -> DataFrame:
    """Return the rows of all backtests in `items`: one task for each item, columns as in `row_columns`.

    Items travel with the function, packed, and a task takes the one of its number. As rows they would have to
    be spread by an exchange, a stage of its own, that cannot be told to give each task one.
    """
    from pyspark.sql import functions as F  # noqa: N812

    texts = [zlib.compress(item.to_json().encode(), 1) for item in items]
    keep = any(item.keep for item in items)
    numbers = spark.range(0, len(items), 1, len(items))
    rows = numbers.mapInArrow(_evaluator(plan, texts), schema=ddl(worker_columns(keep)))
    same = plan.columns
    return rows.select(
        *(
            F.lit(same[name]).cast(kind).alias(name) if name in PLAN_COLUMNS else F.col(name)
            for name, kind in row_columns(keep).items()
        )
    )


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
        rows = pd.DataFrame({"place": range(first, first + len(sent)), "sent": sent})
        frame = spark.createDataFrame(rows, "place long, sent binary").coalesce(1).repartition(len(sent))
        for row in frame.mapInPandas(_worked, "place long, answer binary").collect():
            answer = pickle.loads(row["answer"])
            if isinstance(answer, WhatIfError):
                raise answer
            yield row["place"], answer


def _worked(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    for frame in frames:
        for place, sent in zip(frame["place"], frame["sent"], strict=True):
            work, one = pickle.loads(sent)
            try:
                answer = work(one)
            except WhatIfError as error:
                answer = error
            yield pd.DataFrame({"place": [place], "answer": [pickle.dumps(answer)]})


@dataclass
class SparkRunner:
    """Waves as Spark jobs: one task for each work item, rows kept by executors until they are stored.

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
        """Compute the rows of a wave, which stay on the executors until they are stored."""
        started = time.perf_counter()
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
        return fresh_tables(self.location, plan)

    def store(
        self, plan: Plan, items: Sequence[WorkItem], rows: DataFrame, keep: Keep, fresh: Collection[str]
    ) -> None:
        """Store the rows of a wave; appended to the tables named in `fresh`."""
        store(self.spark, self.location, plan, items, rows, keep, fresh)

    def release(self, rows: DataFrame) -> None:
        """Let executors forget the rows of a wave."""
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
    plan: Plan, packed: Sequence[bytes]
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
                texts = [zlib.decompress(packed[number]).decode() for number in numbers]
                ahead = dict.fromkeys(symbol for text in texts for symbol in WorkItem.symbols_of(text))
                with expecting(ahead):
                    yield from evaluate(plan, texts, attempt)
        finally:
            forget_archives()

    return run
