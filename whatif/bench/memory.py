"""Benchmark of a worker's peak memory, for few and for many configurations."""

from __future__ import annotations

from typing import Any

from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting

FEW = (25, 40)
MANY = (100, 100)
"""Numbers of fast and slow periods."""

_QUICK = ((4, 4), (10, 10))
_WINDOW_BARS = 400
_NOTES = (
    "a process of its own that evaluates work items as a worker does, all of them on one core; indicators "
    f"see all bars, the window is short ({_WINDOW_BARS} bars) so that it ends soon; imports included",
)


def measure(setting: Setting) -> Measurement:
    """Compare the peak memory of a worker for 1,000 and for 10,000 configurations."""
    sizes = _QUICK if setting.options.quick else (FEW, MANY)
    few, many = (_peak(setting, *size) for size in sizes)
    change = 100.0 * (many["peak_mb"] / few["peak_mb"] - 1.0)
    text = f"difference between {few['rows']:,} and {many['rows']:,} configurations"
    market = setting.market.bars
    return Measurement(
        name="memory",
        title=f"a worker's peak memory, {sweep.COMPILED} engine, {len(market):,} bars of {market.symbol}",
        figures=(
            Figure("growth", text, abs(change), "%", Goal("at most", 10.0)),
            Figure("peak_few", f"peak for {few['rows']:,} configurations", few["peak_mb"], "MB"),
            Figure("peak_many", f"peak for {many['rows']:,} configurations", many["peak_mb"], "MB"),
            Figure("imports", "of that before the first backtest", few["imports_mb"], "MB"),
            Figure("failed", "backtests that failed", few["failed"] + many["failed"], "", Goal("exactly", 0)),
        ),
        notes=_NOTES,
        detail={"few": few, "many": many, "change_percent": change},
    )


def _peak(setting: Setting, fast: int, slow: int) -> dict[str, Any]:
    """Return what the probe says of fast * slow configurations."""
    market = setting.market
    setting.say(f"memory: a worker with {fast * slow:,} configurations")
    plan = sweep.sweep_plan(market, "memory", sweep.COMPILED, len(market.bars) - _WINDOW_BARS)
    periods = range(5, 5 + fast), range(110, 110 + 5 * slow, 5)
    return sweep.run_worker(setting, plan, sweep.crossovers(market, *periods, _WINDOW_BARS))
