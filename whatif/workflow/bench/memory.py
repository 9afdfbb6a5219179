"""A worker's peak memory, for few and for many configurations."""

from __future__ import annotations

import json
import pickle
from typing import Any

from whatif.runner.waves import work_items
from whatif.workflow.bench.figures import Figure, Goal, Measurement
from whatif.workflow.bench.setting import Setting
from whatif.workflow.bench.sweep import crossovers, sweep_plan

FEW = 16
MANY = 1_600

_WINDOW_BARS = 400
_NOTES = (
    "a process of its own that evaluates work items as a worker does, all of them on one core; indicators "
    f"see all bars, the window is short ({_WINDOW_BARS} bars) so that it ends soon; imports included",
)


def measure(setting: Setting) -> Measurement:
    """Compare the peak memory of a worker for 16 and for 1,600 configurations."""
    sides = (4, 10) if setting.options.quick else (4, 40)
    few, many = (_peak(setting, side) for side in sides)
    growth = 100.0 * (many["peak_mb"] / few["peak_mb"] - 1.0)
    bars, limit = len(setting.market.bars), Goal("at most", 10.0)
    return Measurement(
        name="memory",
        title=f"a worker's peak memory, sma_crossover on {bars:,} bars of {setting.market.bars.symbol}",
        figures=(
            Figure(
                "growth",
                f"growth from {few['rows']:,} to {many['rows']:,} configurations",
                growth,
                "%",
                limit,
            ),
            Figure("peak_few", f"peak for {few['rows']:,} configurations", few["peak_mb"], "MB"),
            Figure("peak_many", f"peak for {many['rows']:,} configurations", many["peak_mb"], "MB"),
            Figure("imports", "of that before the first backtest", few["imports_mb"], "MB"),
            Figure("failed", "backtests that failed", few["failed"] + many["failed"], "", Goal("exactly", 0)),
        ),
        notes=_NOTES,
        detail={"few": few, "many": many},
    )


def _peak(setting: Setting, side: int) -> dict[str, Any]:
    """Return what the probe says of side * side configurations."""
    market, home = setting.market, setting.location.home
    setting.say(f"memory: a worker with {side * side:,} configurations")
    plan = sweep_plan(market, "memory", len(market.bars) - _WINDOW_BARS)
    pending = crossovers(market, range(5, 5 + side), range(60, 60 + 5 * side, 5), _WINDOW_BARS)
    items = [item.to_json() for item in work_items(pending, setting.options.cores)]
    request, answer = home / "probe.pickle", home / "probe.json"
    request.write_bytes(pickle.dumps((plan, items)))
    setting.run_child(["-m", "whatif.workflow.bench.probe", request, answer])
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found
