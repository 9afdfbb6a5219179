"""Benchmark of a large sweep by the compiled engine through Spark, against three other backtesters."""

from __future__ import annotations

import math
import statistics
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.rivals import (
    BACKTESTING,
    OPTSTRATEGY,
    VECTORBT,
    Rival,
    RivalRun,
    peak_of,
    rate_of,
    run_rival,
    spread,
)
from whatif.bench.setting import Setting
from whatif.bench.sweep import (
    WINDOW,
    StoredSweep,
    compute,
    compute_pending,
    compute_rows,
    crossovers,
    rows_of,
    store,
)
from whatif.domain import BENCHMARK_COLUMNS, METRIC_COLUMNS, compute_metrics
from whatif.engines import REFERENCE, BacktestTask
from whatif.errors import RunError
from whatif.search import Configuration
from whatif.stats import buy_and_hold
from whatif.strategies import from_portable

AGAIN = 20
"""Configurations that are run again by Backtrader's broker."""

RIVALS = {OPTSTRATEGY: 4, VECTORBT: 20, BACKTESTING: 6}
"""How many fast and how many slow periods each rival runs, of those of the sweep."""

_FULL = (range(5, 105), range(110, 1110, 10))
_MANY = (range(5, 255), range(260, 660))
_QUICK = (range(5, 15), range(110, 210, 10))
_QUICK_SIDE = 3
_NOTES = (
    "whatif: wall time through Spark in a session that has run another sweep; all metrics, returns and "
    "buy-and-hold of each configuration. A worker forgets its indicators before each run. Before results are "
    "stored, a task holds its rows as Arrow tables with all columns, which it writes into files where they "
    "are stored; as rows of the JVM is what it takes to look for each of them in a table first",
    "rivals: wall time of the sweep alone in fresh processes, nothing compiled, read or imported while the "
    "clock runs. Each runs a part of the grid, evenly spaced: its rate is for each configuration and bar, "
    "which is what the ratios compare. They compute less: optstrategy the final value, vectorbt total "
    "return, Sharpe ratio and drawdown",
    "vectorbt: a few configurations at a time, which is its fastest; the shorter time of one process and of "
    "one for each core. Its memory for all of them at once is a figure of its own",
)

COMPARED = (*METRIC_COLUMNS, *BENCHMARK_COLUMNS, "orders_rejected", "bars")
"""Columns of `results` that are compared."""

_SEED = 20_060_102


@dataclass(frozen=True)
class _Round:
    """All sides on the same bars, one after the other; a rival that is not installed is None."""

    computed_seconds: float
    rows_seconds: float
    stored: StoredSweep
    rivals: dict[Rival, RivalRun | None]

    def to_dict(self) -> dict[str, Any]:
        """Return the round for JSON."""
        return {
            "computed_seconds": self.computed_seconds,
            "rows_seconds": self.rows_seconds,
            "stored_seconds": self.stored.seconds,
            "waves": self.stored.waves,
            "failed": self.stored.failed,
            "rivals": {rival.name: run and run.to_dict() for rival, run in self.rivals.items()},
        }


def measure(setting: Setting) -> Measurement:
    """Compare configuration-bars a second of the compiled engine with those of the rivals."""
    fast, slow = _QUICK if setting.options.quick else _FULL
    bars, configurations = len(setting.market.bars), len(fast) * len(slow)
    store(setting, "sweep warm-up", sweep.COMPILED, [f + 200 for f in fast[:20]], [s + 5 for s in slow[:20]])
    rounds = [_round(setting, k, fast, slow) for k in range(setting.options.repeats)]
    last, many = rounds[-1].stored, _many(setting)
    failed = sum(one.stored.failed for one in rounds)
    if failed == configurations * len(rounds):
        raise RunError(f"all {failed:,} backtests of the sweep failed; run it by `whatif run` to see why")
    chosen = draw(last.pending[0].configurations, AGAIN)
    setting.say(f"sweep: {len(chosen)} configurations again, by Backtrader's broker")
    wrong = differing(setting, last, chosen)
    setting.say("sweep: a worker's memory")
    worker = sweep.run_worker(setting, last.plan, last.pending)
    whole = _whole_memory(setting, fast, slow)
    equal = Figure(
        "equal",
        f"of {len(chosen)} drawn configurations, equal to Backtrader's broker as bytes in all metrics",
        len(chosen) - len(wrong),
        "",
        Goal("exactly", AGAIN),
    )
    return Measurement(
        name="sweep",
        title=f"sma_crossover, {configurations:,} configurations on {bars:,} bars of "
        f"{setting.market.bars.symbol}, {sweep.COMPILED} engine, commission and slippage",
        figures=(
            *_speeds(rounds, bars, configurations),
            many,
            equal,
            Figure("failed", "backtests that failed", failed, "", Goal("exactly", 0)),
            *_memory(rounds, worker, whole),
        ),
        notes=(*_NOTES, *(rival.remedy for rival, run in rounds[0].rivals.items() if run is None)),
        detail={
            "bars": bars,
            "grid": [list(fast), list(slow)],
            "rounds": [one.to_dict() for one in rounds],
            "rival_versions": {r.name: dict(run.versions) for r, run in rounds[-1].rivals.items() if run},
            "differing": wrong,
            "worker": worker,
            "vectorbt_at_once": whole and whole.to_dict(),
        },
    )


def _round(setting: Setting, k: int, fast: Sequence[int], slow: Sequence[int]) -> _Round:
    setting.say(f"sweep: round {k + 1} of {setting.options.repeats}")
    computed = compute(setting, sweep.COMPILED, fast, slow)
    rows = compute_rows(setting, sweep.COMPILED, fast, slow)
    stored = store(setting, f"sweep round {k}", sweep.COMPILED, fast, slow)
    runs = {rival: run_rival(setting, rival, *_part(setting, rival, fast, slow)) for rival in RIVALS}
    return _Round(computed, rows, stored, runs)


def _many(setting: Setting) -> Figure:
    """Return how fast ten times as many configurations go, once."""
    pairs = _QUICK if setting.options.quick else _MANY
    bars, count = len(setting.market.bars), len(pairs[0]) * len(pairs[1])
    setting.say(f"sweep: {count:,} configurations")
    pending = crossovers(setting.market, *pairs, bars)
    rate = float(count * bars) / compute_pending(setting, sweep.COMPILED, pending)
    text = f"configuration-bars through Spark, {count:,} configurations"
    return Figure("rate_many", text, rate, "bars/s", Goal("at least", 1e9))


def _part(
    setting: Setting, rival: Rival, fast: Sequence[int], slow: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return the periods that a rival runs."""
    side = min(RIVALS[rival], _QUICK_SIDE) if setting.options.quick else RIVALS[rival]
    return spread(fast, side), spread(slow, side)


def _whole_memory(setting: Setting, fast: Sequence[int], slow: Sequence[int]) -> RivalRun | None:
    """Run vectorbt's part of the grid with all configurations in one table."""
    part = _part(setting, VECTORBT, fast, slow)
    return run_rival(setting, VECTORBT, *part, columns=len(part[0]) * len(part[1]))


def _speeds(rounds: Sequence[_Round], bars: int, configurations: int) -> list[Figure]:
    """Return ratios and rates, each the median of all rounds."""
    cost = float(configurations * bars)
    computed = [cost / one.computed_seconds for one in rounds]
    rows = [cost / one.rows_seconds for one in rounds]
    stored = [cost / one.stored.seconds for one in rounds]
    theirs = {rival: [rate_of(one.rivals[rival], bars) for one in rounds] for rival in RIVALS}
    goals = {OPTSTRATEGY: Goal("at least", 10_000.0), VECTORBT: Goal("at least", 40.0)}
    ratios = [
        Figure(
            f"ratio_{_key(rival)}",
            f"through Spark / {rival.name}",
            statistics.median(a / b for a, b in zip(computed, rates, strict=True)),
            "x",
            goals.get(rival),
        )
        for rival, rates in theirs.items()
    ]
    rates = [
        Figure(f"rate_{_key(rival)}", rival.name, statistics.median(values), "bars/s")
        for rival, values in theirs.items()
    ]
    median = statistics.median
    alone = median(
        a / _rate_alone(one.rivals[VECTORBT], bars) for a, one in zip(computed, rounds, strict=True)
    )
    return [
        Figure(
            "rate", "configuration-bars through Spark", median(computed), "bars/s", Goal("at least", 100e6)
        ),
        *ratios,
        Figure("ratio_vectorbt_alone", "through Spark / vectorbt in one process, as it comes", alone, "x"),
        Figure("rate_rows", "configuration-bars through Spark, as rows of the JVM", median(rows), "bars/s"),
        Figure("rate_stored", "configuration-bars through Spark, results stored", median(stored), "bars/s"),
        Figure(
            "stored_share",
            "through Spark, results stored / before that",
            median(one.computed_seconds / one.stored.seconds for one in rounds),
            "x",
            Goal("at least", 0.8),
        ),
        *rates,
    ]


def _rate_alone(run: RivalRun | None, bars: int) -> float:
    """Return vectorbt's rate in the one process that it runs in by itself; NaN without it."""
    return math.nan if run is None else run.backtests * bars / float(run.detail["seconds_one"])


def _memory(rounds: Sequence[_Round], worker: dict[str, Any], whole: RivalRun | None) -> list[Figure]:
    peaks = [
        Figure(
            f"peak_{_key(rival)}",
            f"peak memory of {rival.name}'s largest process",
            max(peak_of(one.rivals[rival]) for one in rounds),
            "MB",
        )
        for rival in RIVALS
    ]
    count = "its" if whole is None else f"{whole.backtests:,}"
    own = f"peak memory of a worker of whatif, all {worker['rows']:,} configurations"
    text = f"peak memory of vectorbt, {count} configurations in one table"
    return [
        Figure("peak_worker", own, worker["peak_mb"], "MB"),
        *peaks,
        Figure("peak_vectorbt_at_once", text, peak_of(whole), "MB"),
    ]


def _key(rival: Rival) -> str:
    return rival.module if rival is not OPTSTRATEGY else rival.name


def draw(configurations: Sequence[Configuration], count: int) -> list[Configuration]:
    """Return `count` different configurations, always the same ones of the same sequence."""
    chosen = np.random.default_rng(_SEED).choice(
        len(configurations), min(count, len(configurations)), replace=False
    )
    return [configurations[int(k)] for k in chosen]


def differing(setting: Setting, sweep: StoredSweep, chosen: Sequence[Configuration]) -> dict[str, list[str]]:
    """Return by config_id the columns in which the stored row is not Backtrader's; equal ones are left out.

    A configuration whose row is not stored differs in all columns.
    """
    stored = rows_of(setting, sweep, COMPARED)
    found = {}
    for configuration in chosen:
        key = configuration.config_id
        row = stored.loc[key].to_dict() if key in stored.index else {}
        expected = by_backtrader(setting, sweep, configuration)
        wrong = [name for name in COMPARED if not row or not same(row[name], expected[name])]
        if wrong:
            found[key] = wrong
    return found


def by_backtrader(setting: Setting, sweep: StoredSweep, configuration: Configuration) -> Mapping[str, Any]:
    """Return the compared columns of a configuration, run by Backtrader's broker."""
    plan = sweep.plan.windows[WINDOW]
    task = BacktestTask(
        bars=[setting.market.bars],
        strategy=from_portable(sweep.plan.strategy),
        params=configuration.params,
        execution=configuration.execution,
        start=plan.window.start_us,
    )
    run = REFERENCE.checked_run(task)
    benchmark = buy_and_hold(run, task.bars, task.execution, plan.periods)
    return {
        **compute_metrics(run, task.execution, plan.periods),
        "benchmark_return_pct": benchmark.return_pct,
        "benchmark_sharpe": benchmark.sharpe,
        "benchmark_max_drawdown_pct": benchmark.max_drawdown_pct,
        "orders_rejected": run.margin_rejected,
        "bars": len(run.ts),
    }


def same(stored: Any, expected: Any) -> bool:
    """Tell whether two numbers have the same bytes as doubles; what is missing equals what is missing."""
    if pd.isna(stored) or pd.isna(expected):
        return bool(pd.isna(stored) and pd.isna(expected))
    return struct.pack("<d", float(stored)) == struct.pack("<d", float(expected))
