"""Program of the benchmarks' child processes: `python -m whatif.bench.probe WHAT REQUEST… ANSWER`.

Each part imports what it needs when it is called: a worker is measured without Spark, and imports count
as part of its start.
"""

from __future__ import annotations

import json
import math
import pickle
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from whatif.pins import LakeLocation
    from whatif.results import Pending
    from whatif.runner import Plan

WAIT_SECONDS = 60.0
"""How long executors may take to come."""

BLOCKS = 16
REPS = 1_000
"""Blocks of the probability of overfitting, and bootstraps of superior predictive ability."""


def main(what: str, *arguments: str) -> None:
    """Measure what is named, and write what was found as JSON to the last of the arguments."""
    *given, answer = arguments
    parts: dict[str, Callable[..., dict[str, Any]]] = {
        "worker": worker,
        "statistic": statistic,
        "study": study,
        "session": session,
        "sweep": sweep,
    }
    Path(answer).write_text(json.dumps(parts[what](*given)), encoding="utf-8")


def worker(request: str) -> dict[str, Any]:
    """Evaluate the pickled plan and work items of `request` as a worker does, without Spark.

    The rows are taken and dropped one batch at a time, as Spark takes them. The times of the end of the
    imports and of the first rows are in seconds since 1970, so that whoever started this process can tell
    how long it took from there.
    """
    from whatif.startup import begin_worker

    begin_worker()  # as a process of a pool does

    from whatif.runner import evaluate

    imported, imports = time.time(), peak_mb()
    plan, items = pickle.loads(Path(request).read_bytes())
    started, first, rows, failed = time.perf_counter(), math.nan, 0, 0
    for batch in evaluate(plan, items):
        first = time.time() if math.isnan(first) else first
        rows += batch.num_rows
        failed += sum(status != "ok" for status in batch.column("status").to_pylist())
    return {
        "rows": rows,
        "failed": failed,
        "seconds": time.perf_counter() - started,
        "imports_mb": imports,
        "peak_mb": peak_mb(),
        "imported_at": imported,
        "first_at": first,
    }


def statistic(name: str, periods: str, configurations: str) -> dict[str, Any]:
    """Time `pbo` or `spa` on random returns."""
    import arch.bootstrap  # noqa: F401 (so that its import is not timed)
    import numpy as np

    from whatif.stats import probability_of_backtest_overfitting, superior_predictive_ability

    returns = np.random.default_rng(0).normal(0.0001, 0.01, (int(periods), int(configurations)))
    started = time.perf_counter()
    if name == "pbo":
        count = probability_of_backtest_overfitting(returns, BLOCKS).splits
    else:
        count = superior_predictive_ability(returns, 0.0, REPS, seed=0).reps
    return {"seconds": time.perf_counter() - started, "count": count, "peak_mb": peak_mb()}


def study(path: str) -> dict[str, Any]:
    """Run a study as `whatif run` does; return what it counted, and the most memory that it held."""
    from rich.console import Console

    from whatif.pins import LakeLocation
    from whatif.workflow import RunOptions, run

    result = run(path, location=LakeLocation.from_environment(), options=RunOptions(console=Console()))
    return {
        "computed": result.computed,
        "resumed": result.resumed,
        "failed": result.failed,
        "rows": len(result.data.ranking.leaderboard),
        "verdict": result.verdict.verdict.word if result.verdict else "",
        "python_mb": peak_mb(),
        "jvm_mb": _jvm_mb(),
    }


def session(*paths: str) -> dict[str, Any]:
    """Run studies one after the other in this process, as a notebook does, without report and MLflow.

    Returns
    -------
    dict
        Backtests that were computed, and seconds, of the last one.
    """
    from whatif.pins import LakeLocation
    from whatif.workflow import RunOptions, run

    options = RunOptions(report=False, track=False)
    for path in paths:
        started = time.perf_counter()
        result = run(path, location=LakeLocation.from_environment(), options=options, quiet=True)
    return {"computed": result.computed, "seconds": time.perf_counter() - started}


def sweep(request: str) -> dict[str, float]:
    """Run the pickled sweep of `request` once its executors are there, as the driver on a cluster.

    A first, small sweep of other rows lets Python workers start and read their bars, which is what
    a cluster that works has behind it.
    """
    from whatif.lake import create_tables
    from whatif.pins import LakeLocation
    from whatif.session import get_spark

    plan, warm, pending, cores, at_once = pickle.loads(Path(request).read_bytes())
    location = LakeLocation.from_environment()
    spark = get_spark(location)
    create_tables(spark, location)
    _wait_for(spark, cores)
    _run(spark, location, replace(plan, data_digest=f"{plan.data_digest}-warm"), warm, cores, at_once)
    return _run(spark, location, plan, pending, cores, at_once)


def _run(
    spark: SparkSession,
    location: LakeLocation,
    plan: Plan,
    pending: Sequence[Pending],
    cores: int,
    at_once: int,
) -> dict[str, float]:
    from whatif.runner import SparkRunner, WaveDone, run_waves

    waves: list[WaveDone] = []
    started = time.perf_counter()
    runner = SparkRunner(spark, location, lambda: cores, at_once)
    failed = run_waves(runner, plan, pending, report=waves.append)
    seconds = time.perf_counter() - started
    backtests = sum(wave.backtests for wave in waves)
    return {"seconds": seconds, "waves": len(waves), "failed": failed, "backtests": backtests}


def _wait_for(spark: SparkSession, cores: int) -> None:
    """Wait until executors with so many cores have come; Spark says two before the first one has."""
    from whatif.errors import SessionError
    from whatif.session import task_slots

    scheduler = spark.sparkContext._jsc.sc().statusTracker()
    end = time.monotonic() + WAIT_SECONDS
    # the driver counts among them
    while len(scheduler.getExecutorInfos()) <= cores or task_slots(spark) < cores:
        if time.monotonic() > end:
            raise SessionError(f"{cores} executors did not come in {WAIT_SECONDS:.0f} s")
        time.sleep(0.2)


def peak_mb(pid: int | None = None) -> float:
    """Return the most memory that a process (this one) has held, in 2**20 bytes; NaN if it does not say.

    Linux's own high-water mark of the address space where there is one: `ru_maxrss` also
    counts what the parent held when it started this process.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    if pid is not None:
        return math.nan
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _jvm_mb() -> float:
    """Return the most memory that the driver's JVM has held, in 2**20 bytes; NaN without one."""
    from pyspark import SparkContext

    if SparkContext._jvm is None:
        return math.nan
    return peak_mb(int(SparkContext._jvm.java.lang.ProcessHandle.current().pid()))


if __name__ == "__main__":
    main(*sys.argv[1:])
