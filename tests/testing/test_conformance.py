"""The suite that users run on strategies of their own."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from whatif.domain.execution import Execution
from whatif.engines import ENGINES
from whatif.errors import EngineError, StrategyError
from whatif.strategies import Param, buy, hold, resolve, strategy, target
from whatif.testing import check_strategy, random_bars
from whatif.testing.conformance import draw_params

BUILTIN = ("sma_crossover", "forecast_threshold")
needs_both = pytest.mark.skipif("compiled" not in ENGINES, reason="there is no compiled engine yet")


@needs_both
@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_strategies(name) -> None:
    assert check_strategy(resolve(name), cases=30) > 10


# the suite runs on both engines above; what the comparison itself does is alike for all strategies
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "breakout")) for name in BUILTIN]
)
def test_an_engine_conforms_to_itself_and_trades(name, engine) -> None:
    assert check_strategy(resolve(name), cases=12, engines=(engine, engine)) > 4


def test_an_engine_that_differs_is_found(monkeypatch) -> None:
    @strategy()
    def forgetful(i, x, p, s):
        calls.append(i)
        return buy(1.0 + len(calls))

    calls: list[int] = []

    with pytest.raises(AssertionError, match=r"differ: strategy forgetful, seed 0, case 0[\s\S]*fills"):
        check_strategy(forgetful, cases=3, engines=("backtrader", "backtrader"))


def test_a_failure_of_one_engine_alone_is_found() -> None:
    @strategy()
    def fails_the_second_time(i, x, p, s):
        runs.append(i)
        return hold() if len(runs) < 120 else 1 / 0

    runs: list[int] = []

    with pytest.raises(AssertionError, match="only backtrader fails"):
        check_strategy(
            fails_the_second_time, bars=random_bars(1, 100), cases=1, engines=("backtrader", "backtrader")
        )


def test_failing_alike_is_agreement_but_no_case() -> None:
    @strategy()
    def fails(i, x, p, s):
        raise KeyError("lost")

    assert check_strategy(fails, cases=3, engines=("backtrader", "backtrader")) == 0


def test_what_is_given_is_kept() -> None:
    seen = set()

    @strategy(params={"size": Param(1.0, low=0), "period": Param(3, low=1)}, inputs={"signal": "signal"})
    def watched(i, x, p, s):
        seen.add((p.size, x.close[0], s.cash if i == 1 else 0.0, p.period))
        return target(p.size) if x.signal[i] > 0.0 else hold()

    bars = random_bars(1, 40)

    check_strategy(
        watched, bars, {"size": 2.5}, [Execution(cash=777.0)], cases=4, engines=("backtrader", "backtrader")
    )

    assert {(size, n) for size, n, _, _ in seen} == {(2.5, bars.close[0])}
    assert {cash for _, _, cash, _ in seen} == {777.0, 0.0}
    assert len({period for *_, period in seen}) > 1


def test_parameters_are_drawn_within_their_bounds_until_the_constraint_holds() -> None:
    @strategy(
        params={
            "fast": Param(5, low=2, high=30),
            "slow": Param(20, low=2),
            "share": Param(-0.5),
            "on": Param(True),
            "kind": Param("a"),
        },
        constraint="fast < slow",
    )
    def bounded(i, x, p, s):
        return hold()

    drawn = [draw_params(bounded, np.random.default_rng(seed), {}) for seed in range(60)]

    assert {params["kind"] for params in drawn} == {"a"}
    assert {params["on"] for params in drawn} == {True, False}
    assert all(2 <= params["fast"] < params["slow"] <= 60 for params in drawn)
    assert max(params["fast"] for params in drawn) > 20
    assert all(-1.0 <= params["share"] <= 2.0 for params in drawn)
    with pytest.raises(StrategyError, match="200 random draws were all refused"):
        draw_params(bounded, np.random.default_rng(0), {"slow": 2})


@strategy(
    params={"n": Param(5, 2, 20)},
    inputs={
        "slow": "sma(close@5min, n)",
        "far": "SPY.close",
        "left": "minutes_to_close",
        "last": "is_month_end",
    },
)
def from_elsewhere(i, x, p, s):
    if x.left[i] != s.minutes_to_close or x.last[i] < 0.0:
        return target(0.0)
    return target(3.0 if x.close[i] > x.slow[i] or x.close[i] < x.far[i] else -2.0)


def test_inputs_from_elsewhere_are_there_and_look_at_nothing_ahead() -> None:
    assert check_strategy(from_elsewhere, cases=12) > 6


def test_an_ordinary_strategy_is_refused() -> None:
    import backtrader as bt

    class Ordinary(bt.Strategy):
        pass

    with pytest.raises(EngineError, match="is no step function"):
        check_strategy(resolve(Ordinary))


def test_without_hypothesis_the_message_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "try:\n    import whatif.testing\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == (
        "whatif.testing draws its cases with hypothesis, which is not installed: pip install hypothesis\n"
    )


REMEMBERED: list[int] = []


@strategy(lookback=0)
def remembering(i, x, p, s):
    """Buy on each seventh bar that was ever seen."""
    REMEMBERED.append(i)
    return buy(1.0) if len(REMEMBERED) % 7 == 0 else hold()


@strategy(lookback=0)
def writing(i, x, p, s):
    """Change the close that others read too."""
    x.close[i] = 1.0
    return hold()


@strategy(lookback=0)
def drawing(i, x, p, s):
    """Buy by chance."""
    return buy(1.0) if random.random() < 0.1 else hold()


@strategy(lookback=0)
def peeking(i, x, p, s):
    """Buy what will have risen."""
    return buy(1.0) if x.close[i + 1] > x.close[i] else hold()


@pytest.mark.parametrize(
    ("step", "error", "said"),
    [
        (remembering, AssertionError, "keeps state outside of s.scratch: .* strategy remembering"),
        (
            writing,
            AssertionError,
            "writes into its inputs: strategy writing: .*x.name cannot be written to; keep values in",
        ),
        (drawing, StrategyError, "random.random, which drawing reads, is a random generator"),
        (peeking, AssertionError, "looks ahead: strategy peeking: .* reads a bar after the present one"),
    ],
)
def test_a_step_that_cheats_is_named(step, error, said) -> None:
    with pytest.raises(error, match=said):
        check_strategy(step, cases=3)
