"""Change every bar after t: nothing up to t may move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from whatif.domain.bars import PRICE_FIELDS, Bars
from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import BUILTIN, resolve, strategy, target

EXAMPLE = str(Path(__file__).resolve().parents[2] / "conf" / "strategies" / "example.py")
STRATEGIES = {
    "sma_crossover": {"fast": 2, "slow": 7, "size": 3},
    "forecast_threshold": {"threshold": 0.001, "size": 3, "exit_on_neutral": True},
    EXAMPLE: {"dip": 0.001, "patience": 3, "size": 3},
}


def after(bars: Bars, t: int, seed: int) -> Bars:
    """Return the bars with everything after row t replaced."""
    factor = np.ones(len(bars))
    factor[t + 1 :] = np.random.default_rng(seed).uniform(0.5, 2.0, len(bars) - t - 1)
    series = {name: getattr(bars, name) * factor for name in PRICE_FIELDS}
    changed = replace(bars, **series)
    return changed.with_inputs(
        {name: np.where(factor == 1.0, values, -values) for name, values in bars.inputs.items()}
    )


def run(bars: Bars, spec, params):
    """Return a run and every intent of the step, by row."""
    intents: dict[int, tuple[int, float]] = {}

    def noted(i, x, p, s):
        intents[i] = spec.step(i, x, p, s)
        return intents[i]

    costs = Execution(cash=1000.0, commission=0.001, slippage=0.001)
    watched = replace(spec, step=noted)
    task = BacktestTask([bars], watched, spec.validate(params), costs, start=int(bars.ts[20]))
    return run_engine(task), intents


def moves(spec, params, bars: Bars, t: int) -> bool:
    """Return whether anything up to row t depends on a bar after it: intents, fills, equity."""
    (one, intents), (other, changed) = run(bars, spec, params), run(after(bars, t, seed=t), spec, params)
    upto = t + 1 - 20
    fills = [
        (part.price[part.row < upto].tobytes(), part.size[part.row < upto].tobytes())
        for part in (one.fills, other.fills)
    ]
    return (
        fills[0] != fills[1]
        or one.equity[:upto].tobytes() != other.equity[:upto].tobytes()
        or any(intents[i] != changed[i] for i in range(20, t + 1))
    )


def test_every_built_in_strategy_is_listed() -> None:
    assert set(BUILTIN) <= set(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_nothing_up_to_t_moves(walk, name: str) -> None:
    forecast = np.random.default_rng(9).normal(0.0, 0.002, 150)
    bars = walk(8, 150, forecast=forecast)
    spec = resolve(name)

    assert len(run(bars, spec, STRATEGIES[name])[0].fills) > 5
    for t in range(20, 149, 4):
        assert not moves(spec, STRATEGIES[name], bars, t), f"row {t}"


def test_the_check_catches_a_strategy_that_peeks(walk) -> None:
    @strategy()
    def peeking(i, x, p, s):
        return target(1.0 if i + 1 < len(x.close) and x.close[i + 1] > x.close[i] else -1.0)

    bars = walk(8, 150)

    assert any(moves(peeking, {}, bars, t) for t in range(20, 149))
