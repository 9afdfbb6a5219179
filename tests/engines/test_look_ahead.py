"""Change every bar after t: nothing up to t may move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from whatif.domain import MINUTE_US
from whatif.domain.bars import PRICE_FIELDS, Bars
from whatif.domain.execution import Execution
from whatif.domain.overlays import Overlays
from whatif.engines import BacktestTask, run_engine
from whatif.errors import LookAheadError
from whatif.strategies import BY_SYMBOL, resolve, strategy, target

EXAMPLE = str(Path(__file__).resolve().parents[2] / "conf" / "strategies" / "example.py")
STRATEGIES = {
    "sma_crossover": {"fast": 2, "slow": 7, "size": 3},
    "ema_crossover": {"fast": 2, "slow": 7, "size": 3, "enter_at_once": True},
    "macd_crossover": {"fast": 2, "slow": 7, "signal": 3, "size": 3},
    "breakout": {"period": 4, "exit_period": 2, "size": 3},
    "probability_threshold": {"long_threshold": 0.6, "target": 0.004, "stop": 0.004, "size": 3},
    "forecast_threshold": {"threshold": 0.001, "size": 3, "exit_on_neutral": True},
    "bollinger_reversion": {"period": 5, "width": 1.0, "loss": 0.005, "size": 3},
    "opening_range_breakout": {"minutes": 2, "flat": 1, "size": 3},
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


def run(bars: Bars, spec, params, overlays=Overlays()):  # noqa: B008
    """Return a run and every intent of the step, by row."""
    intents: dict[int, str] = {}

    def noted(i, x, p, s):
        answer = spec.step(i, x, p, s)
        intents[i] = repr(answer)  # a price that is not given is NaN, which equals nothing
        return answer

    costs = Execution(cash=1000.0, commission=0.001, slippage=0.001)
    watched = replace(spec, step=noted)
    start = int(bars.ts[20])
    task = BacktestTask([bars], watched, spec.validate(params), costs, start=start, overlays=overlays)
    # what notes its intents cannot be compiled: "auto" would try in vain, for seconds, and end here too
    return run_engine(task, "backtrader"), intents


def moves(spec, params, bars: Bars, t: int, overlays=Overlays()) -> bool:  # noqa: B008
    """Return whether anything up to row t depends on a bar after it: intents, fills, equity."""
    (one, intents), (other, changed) = (
        run(market, spec, params, overlays) for market in (bars, after(bars, t, seed=t))
    )
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


def in_sessions(bars: Bars, length: int) -> Bars:
    """Return bars as if each `length` of them were a session."""
    session = np.arange(len(bars)) // length
    opens = bars.ts[session * length]
    return replace(bars, session=session, session_open=opens, session_close=opens + length * MINUTE_US)


def test_every_built_in_strategy_is_listed() -> None:
    assert set(BY_SYMBOL) <= set(STRATEGIES)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("ema_crossover", "macd_crossover") else [])
        for name in STRATEGIES
    ],
)
def test_nothing_up_to_t_moves(walk, name: str) -> None:
    rng = np.random.default_rng(9)
    forecast = rng.normal(0.0, 0.002, 150)
    bars = walk(8, 150, forecast=forecast, prob_long=rng.random(150), prob_short=rng.random(150))
    spec = resolve(name)
    if name == "opening_range_breakout":
        bars = in_sessions(bars, 10)

    assert len(run(bars, spec, STRATEGIES[name])[0].fills) > 5
    for t in range(20, 149, 4):
        assert not moves(spec, STRATEGIES[name], bars, t), f"row {t}"


def test_nothing_up_to_t_moves_with_all_overlays(walk) -> None:
    bars = walk(8, 150)
    spec, params = resolve("sma_crossover"), {"fast": 2, "slow": 7, "enter_at_once": True}
    overlays = Overlays(
        take_profit=0.005,
        stop_loss=0.005,
        max_bars_held=9,
        flat_before_close=1350,
        percent_of_equity=0.9,
        latency=1,
    )

    assert len(run(bars, spec, params, overlays)[0].fills) > 5
    for t in range(20, 149, 4):
        assert not moves(spec, params, bars, t, overlays), f"row {t}"


def test_the_check_catches_a_strategy_that_peeks(walk) -> None:
    @strategy()
    def peeking(i, x, p, s):
        return target(1.0 if i + 1 < len(x.close) and x.close[i + 1] > x.close[i] else -1.0)

    bars = walk(8, 150)

    with pytest.raises(LookAheadError, match="the step reads a series as a whole"):
        moves(peeking, {}, bars, 40)


def test_the_check_catches_what_a_step_knows_from_elsewhere(walk) -> None:
    bars = walk(8, 150)
    tomorrow = {}

    @strategy()
    def told(i, x, p, s):
        return target(1.0 if tomorrow["close"][i + 1] > x.close[i] else -1.0)

    def moved(t: int) -> bool:
        found = []
        for market in (bars, after(bars, t, seed=t)):
            tomorrow["close"] = np.append(market.close, 0.0).tolist()
            found.append(run(market, told, {})[1][t])
        return found[0] != found[1]

    assert any(moved(t) for t in (30, 60, 90, 120))
