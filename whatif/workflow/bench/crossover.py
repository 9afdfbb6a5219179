"""The runner with Backtrader's broker against Backtrader's own parallel optimiser."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whatif.lake import create_tables
from whatif.lake.results import RESULTS
from whatif.runner.plan import Pending, Plan
from whatif.runner.spark import WaveDone, backtests, run_waves
from whatif.runner.waves import work_items
from whatif.session import conf_dir, task_slots
from whatif.workflow.bench.figures import Figure, Goal, Measurement
from whatif.workflow.bench.setting import Setting
from whatif.workflow.bench.sweep import EXECUTION, SIZE, WINDOW, crossovers, sweep_plan
from whatif.workflow.stored import Slot, read_rows

RIVAL = Path("bench", "backtrader_optstrategy.py")
"""The rival's program in the folder of configuration."""

_FAST = (5, 10, 20, 40)
_SLOW = (60, 120, 240, 480)
_NOTES = (
    "whatif: wall time of the runner, from pending configurations to stored results, in a session that has "
    "run one sweep of other periods; all metrics, returns and buy-and-hold of each configuration included",
    "optstrategy: wall time of cerebro.run(maxcpus) alone, in a fresh process, no observers, final value "
    "only; its time to load the bars is included, reading the file is not",
)

Values = Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class _Round:
    """One comparison: both on the same grid, one after the other."""

    stored_seconds: float
    computed_seconds: float
    rival_seconds: float
    rival_load_seconds: float
    waves: int
    backtests: int
    equal: int


def measure(setting: Setting) -> Measurement:
    """Compare configuration-bars a second of the runner and of `optstrategy` on the same sweep."""
    bars = len(setting.market.bars)
    # other periods than any measured grid, so that no indicator is there already
    _store(setting, "warm-up", [f + 500 for f in _FAST], [s + 1000 for s in _SLOW])
    rounds = [_round(setting, k) for k in range(setting.options.repeats)]
    count = len(_FAST) * len(_SLOW)
    cost = float(count * bars)
    own = statistics.median(cost / one.stored_seconds for one in rounds)
    computed = statistics.median(cost / one.computed_seconds for one in rounds)
    rival = statistics.median(cost / one.rival_seconds for one in rounds)
    ratio = statistics.median(one.rival_seconds / one.stored_seconds for one in rounds)
    bare = statistics.median(one.rival_seconds / one.computed_seconds for one in rounds)
    equal = min(one.equal for one in rounds)
    title = (
        f"sma_crossover, {count} configurations on {bars:,} bars of {setting.market.bars.symbol}, Backtrader"
    )
    return Measurement(
        name="crossover",
        title=title,
        figures=(
            Figure("ratio", "through Spark / optstrategy, results stored", ratio, "x", Goal("at least", 1.5)),
            Figure(
                "equal", "final values equal to optstrategy's as bytes", equal, "", Goal("exactly", count)
            ),
            Figure("ratio_computed", "through Spark / optstrategy, before results are stored", bare, "x"),
            Figure("rate", "whatif, results stored", own, "bars/s"),
            Figure("rate_computed", "whatif, before results are stored", computed, "bars/s"),
            Figure("rate_optstrategy", f"optstrategy(maxcpus={setting.options.cores})", rival, "bars/s"),
        ),
        notes=_NOTES,
        detail={"bars": bars, "rounds": [{"grid": _grid(k), **vars(one)} for k, one in enumerate(rounds)]},
    )


def _grid(k: int) -> tuple[list[int], list[int]]:
    """Return the periods of round `k`; no round shares one with another."""
    return [f + k for f in _FAST], [s + 10 * k for s in _SLOW]


def _round(setting: Setting, k: int) -> _Round:
    fast, slow = _grid(k)
    setting.say(f"crossover: round {k + 1} of {setting.options.repeats}")
    rival: dict[str, Any] = {}
    if k % 2:
        rival = _run_rival(setting, fast, slow)
    stored, waves, values = _store(setting, f"round {k}", fast, slow)
    computed = _compute(setting, [f + 300 for f in fast], [s + 600 for s in slow])
    rival = rival or _run_rival(setting, fast, slow)
    theirs = {(int(f), int(s)): value - EXECUTION.cash for f, s, value in rival["values"]}
    return _Round(
        stored_seconds=stored,
        computed_seconds=computed,
        rival_seconds=rival["seconds"],
        rival_load_seconds=rival["load_seconds"],
        waves=waves,
        backtests=len(values),
        equal=sum(theirs.get(key) == value for key, value in values.items()),
    )


def _store(
    setting: Setting, name: str, fast: Sequence[int], slow: Sequence[int]
) -> tuple[float, int, Values]:
    """Run a sweep as `whatif run` does; return seconds, waves, and net profit by (fast, slow)."""
    market, spark, location = setting.market, setting.spark, setting.location
    create_tables(spark, location)
    plan = sweep_plan(market, f"crossover {name}")
    pending = crossovers(market, fast, slow, len(market.bars))
    waves: list[WaveDone] = []
    started = time.perf_counter()
    run_waves(spark, location, plan, pending, task_slots(spark), report=waves.append)
    seconds = time.perf_counter() - started
    return seconds, len(waves), _profits(setting, plan, pending)


def _compute(setting: Setting, fast: Sequence[int], slow: Sequence[int]) -> float:
    """Run a sweep without storing its rows; return seconds."""
    market, spark = setting.market, setting.spark
    plan = sweep_plan(market, "crossover not stored")
    items = work_items(crossovers(market, fast, slow, len(market.bars)), task_slots(spark))
    started = time.perf_counter()
    backtests(spark, plan, items).write.format("noop").mode("overwrite").save()
    return time.perf_counter() - started


def _profits(setting: Setting, plan: Plan, pending: Sequence[Pending]) -> Values:
    slot = Slot(plan.bars.snapshot_id, plan.data_digest, plan.windows[WINDOW].window)
    rows: pd.DataFrame = read_rows(setting.location, RESULTS, slot, ["config_id", "pnl_net"])
    by_id = dict(zip(rows["config_id"], rows["pnl_net"], strict=True))
    return {
        (c.params["fast"], c.params["slow"]): float(by_id.get(c.config_id, np.nan))
        for c in pending[0].configurations
    }


def _run_rival(setting: Setting, fast: Sequence[int], slow: Sequence[int]) -> dict[str, Any]:
    """Run Backtrader's optimiser in a process of its own and return what it answers."""
    home, bars = setting.location.home, setting.market.bars
    columns = {name: getattr(bars, name) for name in ("ts", "open", "high", "low", "close", "volume")}
    np.savez(home / "rival.npz", **columns)
    request = {
        "bars": str(home / "rival.npz"),
        "fast": list(fast),
        "slow": list(slow),
        "size": SIZE,
        "cash": EXECUTION.cash,
        "commission": EXECUTION.commission,
        "slippage": EXECUTION.slippage,
        "maxcpus": setting.options.cores,
    }
    (home / "request.json").write_text(json.dumps(request), encoding="utf-8")
    setting.run_child([conf_dir() / RIVAL, home / "request.json", home / "answer.json"])
    answer: dict[str, Any] = json.loads((home / "answer.json").read_text(encoding="utf-8"))
    return answer
