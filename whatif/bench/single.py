"""Benchmark of one backtest by a single call, without Spark."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

import pandas as pd

from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting
from whatif.domain import Bars, timestamps
from whatif.engines import backtest

CALLS = 20

_PARAMS = {"fast": 10, "slow": 50, "size": sweep.SIZE}
BRACKET_PARAMS = {"fast": 60, "slow": 20, "size": sweep.SIZE}
_NOTES = (
    f"median of {CALLS} calls of whatif.backtest on a frame of bars, after two that are not counted: checks, "
    "sessions, indicators, orders, metrics and the result's series; every call computes all of it anew",
)


def measure(setting: Setting) -> Measurement:
    """Time a single backtest, warm."""
    bars = setting.market.bars
    frame = frame_of(bars)
    setting.say(f"single: {CALLS} backtests")
    calls = [_call(frame, sweep.COMPILED) for _ in range(CALLS + 2)][2:]
    other = _call(frame, "backtrader")
    brackets = [_call(frame, sweep.COMPILED, sweep.BRACKET, BRACKET_PARAMS) for _ in range(CALLS + 2)][2:]
    return Measurement(
        name="single",
        title=f"one whatif.backtest of sma_crossover on {len(bars):,} bars of {bars.symbol}",
        figures=(
            Figure(
                "milliseconds",
                f"{sweep.COMPILED} engine, warm",
                1000.0 * statistics.median(calls),
                "ms",
                Goal("under", 5.0),
            ),
            Figure("milliseconds_backtrader", "Backtrader's broker", 1000.0 * other, "ms"),
            Figure(
                "milliseconds_bracket",
                f"a bracket strategy, {sweep.COMPILED} engine, warm",
                1000.0 * statistics.median(brackets),
                "ms",
                Goal("under", 6.0),
            ),
        ),
        notes=_NOTES,
        detail={"seconds": calls, "seconds_backtrader": other, "params": _PARAMS},
    )


def frame_of(bars: Bars) -> pd.DataFrame:
    """Return bars as a user would give them."""
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame({"symbol": bars.symbol, "ts": timestamps(bars.ts), **columns})


def _call(
    frame: pd.DataFrame,
    engine: str,
    strategy: str = sweep.STRATEGY,
    params: Mapping[str, object] = _PARAMS,
) -> float:
    started = time.perf_counter()
    backtest(frame, strategy, params, sweep.EXECUTION, engine)
    return time.perf_counter() - started
