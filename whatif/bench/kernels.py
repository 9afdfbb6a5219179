"""Benchmark of the compiled loop alone: nanoseconds a bar of each built-in strategy, and with overlays."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting
from whatif.domain import Bars, Execution, Overlays
from whatif.engines import RunInputs, WindowInputs, get_engine
from whatif.strategies import BY_SYMBOL, StrategySpec, resolve

CONFIGURATIONS = 32
"""How many are run by one call; all are the same, so that their inputs are made once."""

CALLS = 9

EXAMPLE = Path(__file__).parents[2] / "conf" / "strategies" / "example.py"

_PERIODS = {"fast": 40, "slow": 160, "minutes": 90}
_EXECUTION = Execution(cash=10_000_000.0, commission=0.0001, slippage=0.00005)
_OVERLAYS = Overlays(stop_loss=0.005, take_profit=0.01)
_FORECASTS = ("forecast", "prob_long", "prob_short")
_SEED = 17
_LASTS = 64
_NOTES = (
    f"median of {CALLS} calls that run {CONFIGURATIONS} configurations over all bars, after one that is not "
    "counted: fills, all metrics and returns a session; inputs are in memory. One core",
    f"crossovers of 40 and 160 bars; a forecast is drawn for {_LASTS} bars each",
    f"with overlays: {', '.join(f'{k} {v}' for k, v in _OVERLAYS.active.items())}",
)


def measure(setting: Setting) -> Measurement:
    """Time the loop of each strategy."""
    bars = _with_forecasts(setting.market.bars)
    names = [*BY_SYMBOL, *([str(EXAMPLE)] if EXAMPLE.is_file() else [])]
    setting.say(f"kernels: {len(names)} strategies, with and without overlays")
    figures = []
    for name in names:
        for overlays in (Overlays(), _OVERLAYS):
            goal = 1.7 if name == sweep.STRATEGY and not overlays.is_on else 4.0
            short = Path(name).stem + ("_overlaid" if overlays.is_on else "")
            nanoseconds, trades = _timed(name, bars, overlays, setting)
            text = f"{short.replace('_overlaid', ' with overlays')}, {trades:,} trades"
            figures.append(Figure(short, text, nanoseconds, "ns a bar", Goal("at most", goal)))
    return Measurement(
        name="kernels",
        title=f"the compiled loop alone, {len(bars):,} bars of {bars.symbol}",
        figures=tuple(figures),
        notes=_NOTES,
    )


def _with_forecasts(bars: Bars) -> Bars:
    rng, drawn = np.random.default_rng(_SEED), {}
    for name in _FORECASTS:
        values = (
            rng.uniform(-1e-3, 1e-3, len(bars)) if name == "forecast" else rng.uniform(0.0, 1.0, len(bars))
        )
        drawn[name] = np.repeat(values, _LASTS)[: len(bars)]
    return bars.with_inputs(drawn)


def _timed(name: str, bars: Bars, overlays: Overlays, setting: Setting) -> tuple[float, int]:
    """Return nanoseconds a bar, and trades a configuration."""
    spec = resolve(name)
    assert isinstance(spec, StrategySpec)
    params = spec.validate({key: value for key, value in _PERIODS.items() if key in spec.params})
    plan = sweep.sweep_plan(setting.market, "kernels", sweep.COMPILED)
    periods = plan.windows[sweep.WINDOW].periods
    window = WindowInputs(bars=[bars], strategy=spec, periods=periods, cache={})
    run = get_engine(sweep.COMPILED).open_for_many(window)
    assert run is not None
    many = [RunInputs(params, _EXECUTION, overlays)] * CONFIGURATIONS
    seconds = []
    for _ in range(CALLS + 1):
        started = time.perf_counter()
        found = run(many)
        seconds.append(time.perf_counter() - started)
    return 1e9 * statistics.median(seconds[1:]) / (CONFIGURATIONS * len(bars)), int(
        found.metrics["trades"][0]
    )
