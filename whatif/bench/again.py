"""Runs stored backtests again with Backtrader's broker and compares every number as bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from whatif.bench.setting import Setting
from whatif.bench.sweep import WINDOW
from whatif.bench.through import StoredSweep, rows_of
from whatif.domain import BENCHMARK_COLUMNS, METRIC_COLUMNS, compute_metrics
from whatif.engines import REFERENCE, BacktestTask
from whatif.search import Configuration
from whatif.stats import buy_and_hold
from whatif.strategies import from_portable

COMPARED = (*METRIC_COLUMNS, *BENCHMARK_COLUMNS, "orders_rejected", "bars")
"""Columns of `results` that are compared."""

_SEED = 20_060_102


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
