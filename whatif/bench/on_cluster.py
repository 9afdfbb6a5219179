"""Sweeps on a cluster, timed by their driver: submit this file with REQUEST and ANSWER."""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession

from whatif.errors import SessionError
from whatif.lake import create_tables
from whatif.pins import LakeLocation
from whatif.results import Pending
from whatif.runner import Plan, WaveDone, run_waves
from whatif.session import get_spark, task_slots

WAIT_SECONDS = 60.0


def main(request: str, answer: str) -> None:
    """Run the pickled sweep of `request` once its executors are there, and write how long it took.

    A first, small sweep of other rows lets Python workers start and read their bars, which is what
    a cluster that works has behind it.
    """
    plan, warm, pending, cores, at_once = pickle.loads(Path(request).read_bytes())
    location = LakeLocation.from_environment()
    spark = get_spark(location)
    create_tables(spark, location)
    _wait_for(spark, cores)
    _run(spark, location, replace(plan, data_digest=f"{plan.data_digest}-warm"), warm, cores, at_once)
    found = _run(spark, location, plan, pending, cores, at_once)
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


def _run(
    spark: SparkSession,
    location: LakeLocation,
    plan: Plan,
    pending: Sequence[Pending],
    cores: int,
    at_once: int,
) -> dict[str, float]:
    waves: list[WaveDone] = []
    started = time.perf_counter()
    failed = run_waves(spark, location, plan, pending, lambda: cores, report=waves.append, at_once=at_once)
    seconds = time.perf_counter() - started
    backtests = sum(wave.backtests for wave in waves)
    return {"seconds": seconds, "waves": len(waves), "failed": failed, "backtests": backtests}


def _wait_for(spark: SparkSession, cores: int) -> None:
    """Wait until executors with so many cores have come; Spark says two before the first one has."""
    scheduler = spark.sparkContext._jsc.sc().statusTracker()
    end = time.monotonic() + WAIT_SECONDS
    # the driver counts among them
    while len(scheduler.getExecutorInfos()) <= cores or task_slots(spark) < cores:
        if time.monotonic() > end:
            raise SessionError(f"{cores} executors did not come in {WAIT_SECONDS:.0f} s")
        time.sleep(0.2)


if __name__ == "__main__":
    main(*sys.argv[1:])
