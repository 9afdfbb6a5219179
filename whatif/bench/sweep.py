"""Crossover sweeps over the market's bars, run and timed: through Spark, stored or not, and by one worker."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pandas as pd

from whatif.bench.market import BenchMarket
from whatif.bench.setting import Setting
from whatif.calendars import EPOCH, choose_period, make_periods, schedule
from whatif.domain import MINUTE_US, Execution, Overlays
from whatif.lake import RESULTS, create_tables
from whatif.results import Pending, Slot, read_rows
from whatif.runner import (
    Plan,
    SparkRunner,
    WaveDone,
    WindowPlan,
    backtests,
    provenance,
    run_unstored,
    run_waves,
    work_items,
)
from whatif.search import BarSlice, Configuration
from whatif.session import task_slots
from whatif.splits import Window
from whatif.strategies import AnyStrategy, resolve, to_portable
from whatif.study import digest

STRATEGY = "sma_crossover"
SIZE = 1.0
EXECUTION = Execution(cash=100_000.0, commission=0.0001, slippage=0.00005)
WINDOW = "validate"
COMPILED = "compiled"
"""The engine that everything but the crossover is measured with."""

BRACKET = "whatif.bench.bracket:bid_at_the_low"
"""The strategy that orders with prices are measured with."""

_PLAIN = Overlays()
_runs = count(1)


def sweep_plan(
    market: BenchMarket, name: str, engine: str, first_row: int = 0, strategy: str = STRATEGY
) -> Plan:
    """Return the plan of a sweep by `engine` on the bars from `first_row` to the last.

    Rows of plans with different names never count as the same backtest.
    """
    bars = market.bars
    start, end = int(bars.ts[first_row]), int(bars.ts[-1]) + MINUTE_US
    days = (EPOCH + timedelta(days=int(bars.session[k])) for k in (first_row, -1))
    sessions = schedule(market.exchange, *days).between(start, end)
    kind = choose_period(sessions, start, end, MINUTE_US)
    periods = make_periods(kind, sessions, start, end, MINUTE_US)
    part = BarSlice((bars.symbol,), "1min", "1min", market.exchange, "extended", int(bars.ts[0]), end)
    return Plan(
        study="bench",
        data_digest=digest({"bench": name}),
        bars=market.pin,
        slices={"1min": part},
        models={},
        strategy=to_portable(resolve(strategy)),
        strategy_name=strategy,
        windows={WINDOW: WindowPlan(Window(WINDOW, start, end), periods)},
        engine=engine,
        provenance=provenance(),
    )


def crossovers(
    market: BenchMarket, fast: Sequence[int], slow: Sequence[int], bars: int, strategy: str = STRATEGY
) -> list[Pending]:
    """Return the configurations of all pairs of `fast` and `slow`, to be run on a window of `bars` bars."""
    spec = resolve(strategy)
    own = spec.digest  # which is worked out anew each time
    found = [_configuration(spec, own, f, s) for f in fast for s in slow]
    return [Pending((market.bars.symbol,), WINDOW, tuple(found), bars)]


def _configuration(spec: AnyStrategy, own: str, fast: int, slow: int) -> Configuration:
    params = spec.validate({"fast": fast, "slow": slow, "size": SIZE})
    identity = {"strategy": own, "params": params, "execution": EXECUTION.written}
    return Configuration(digest(identity), params, None, "1min", EXECUTION, overlays=_PLAIN)


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
    runner = SparkRunner(spark, location, lambda: task_slots(spark))
    started = time.perf_counter()
    failed = run_waves(runner, plan, pending, report=waves.append)
    return StoredSweep(plan, pending, time.perf_counter() - started, len(waves), failed)


def compute(
    setting: Setting, engine: str, fast: Sequence[int], slow: Sequence[int], strategy: str = STRATEGY
) -> float:
    """Run all pairs of `fast` and `slow` through Spark up to where rows are stored; return seconds."""
    return compute_pending(setting, engine, _pairs(setting, fast, slow, strategy), strategy)


def compute_pending(
    setting: Setting, engine: str, pending: Sequence[Pending], strategy: str = STRATEGY
) -> float:
    """Run configurations through Spark up to where their rows are stored; return seconds."""
    plan = _fresh(sweep_plan(setting.market, "not stored", engine, strategy=strategy))
    started = time.perf_counter()
    run_unstored(setting.spark, plan, work_items(pending, task_slots(setting.spark), engine))
    return time.perf_counter() - started


def compute_rows(setting: Setting, engine: str, fast: Sequence[int], slow: Sequence[int]) -> float:
    """Run all pairs of periods and hand their rows to the JVM, unstored; return seconds."""
    plan = _fresh(sweep_plan(setting.market, "not stored", engine))
    pending = _pairs(setting, fast, slow)
    started = time.perf_counter()
    items = work_items(pending, task_slots(setting.spark), engine)
    backtests(setting.spark, plan, items).write.format("noop").mode("overwrite").save()
    return time.perf_counter() - started


def _pairs(
    setting: Setting, fast: Sequence[int], slow: Sequence[int], strategy: str = STRATEGY
) -> list[Pending]:
    return crossovers(setting.market, fast, slow, len(setting.market.bars), strategy)


def rows_of(setting: Setting, sweep: StoredSweep, columns: Sequence[str]) -> pd.DataFrame:
    """Return columns of the stored rows of a sweep, indexed by config_id."""
    plan = sweep.plan
    slot = Slot(plan.bars.snapshot_id, plan.data_digest, plan.windows[WINDOW].window)
    names = [name for name in columns if name != "config_id"]
    return read_rows(setting.location, RESULTS, slot, ["config_id", *names]).set_index("config_id")


def run_worker(setting: Setting, plan: Plan, pending: Sequence[Pending]) -> dict[str, Any]:
    """Evaluate everything in one worker without Spark; return its counts and its memory in MB."""
    home = setting.location.home
    items = [item.to_json() for item in work_items(pending, setting.options.cores, plan.engine)]
    request, answer = home / "probe.pickle", home / "probe.json"
    request.write_bytes(pickle.dumps((plan, items)))
    setting.run_child(["-m", "whatif.bench.probe", "worker", request, answer])
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def _fresh(plan: Plan) -> Plan:
    """Return the plan with another bound on kept arrays: a worker then lets go of all it has."""
    return replace(plan, array_bytes=plan.array_bytes + 64 * next(_runs))
