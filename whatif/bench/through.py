"""Sweeps through Spark, timed: with their rows stored, and without."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

import pandas as pd

from whatif.bench.setting import Setting
from whatif.bench.sweep import WINDOW, crossovers, sweep_plan
from whatif.lake import RESULTS, create_tables
from whatif.results import Pending, Slot, read_rows
from whatif.runner import Plan, WaveDone, backtests, run_waves, work_items
from whatif.session import task_slots

_runs = count(1)


@dataclass(frozen=True)
class StoredSweep:
    """A sweep whose rows are in `results`.

    Attributes
    ----------
    plan : Plan
        What was run.
    pending : list of Pending
        All its configurations.
    seconds : float
        Wall time from pending configurations to stored rows.
    waves : int
        Spark jobs that it took.
    failed : int
        Backtests that failed.
    """

    plan: Plan
    pending: list[Pending]
    seconds: float
    waves: int
    failed: int


def store(setting: Setting, name: str, engine: str, fast: Sequence[int], slow: Sequence[int]) -> StoredSweep:
    """Run all pairs of periods as `whatif run` does, under a name of their own."""
    market, spark, location = setting.market, setting.spark, setting.location
    create_tables(spark, location)
    plan = _fresh(sweep_plan(market, name, engine))
    pending = crossovers(market, fast, slow, len(market.bars))
    waves: list[WaveDone] = []
    started = time.perf_counter()
    failed = run_waves(spark, location, plan, pending, lambda: task_slots(spark), report=waves.append)
    return StoredSweep(plan, pending, time.perf_counter() - started, len(waves), failed)


def compute(setting: Setting, engine: str, fast: Sequence[int], slow: Sequence[int]) -> float:
    """Run all pairs of periods through Spark without storing their rows; return seconds."""
    market, spark = setting.market, setting.spark
    plan = _fresh(sweep_plan(market, "not stored", engine))
    items = work_items(crossovers(market, fast, slow, len(market.bars)), task_slots(spark), engine)
    started = time.perf_counter()
    backtests(spark, plan, items).write.format("noop").mode("overwrite").save()
    return time.perf_counter() - started


def rows_of(setting: Setting, sweep: StoredSweep, columns: Sequence[str]) -> pd.DataFrame:
    """Return columns of the stored rows of a sweep, indexed by config_id."""
    plan = sweep.plan
    slot = Slot(plan.bars.snapshot_id, plan.data_digest, plan.windows[WINDOW].window)
    names = [name for name in columns if name != "config_id"]
    return read_rows(setting.location, RESULTS, slot, ["config_id", *names]).set_index("config_id")


def _fresh(plan: Plan) -> Plan:
    """Return the plan with another bound on kept arrays: a worker then lets go of all it has."""
    return replace(plan, array_bytes=plan.array_bytes + 64 * next(_runs))
