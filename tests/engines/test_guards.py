"""What an engine refuses, and how it says so."""

from __future__ import annotations

import math
from dataclasses import replace

import backtrader as bt
import numpy as np
import pytest

from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError
from whatif.strategies import buy, hold, resolve, strategy, target


class Ordinary(bt.Strategy):
    """A strategy that knows nothing of steps."""


def run_step(step, bars, **kwargs):
    return run_engine(BacktestTask([bars], strategy(**kwargs)(step), {}))


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused_before_the_run(walk, name: str, price: float) -> None:
    bars = walk(1, 20)
    series = getattr(bars, name).copy()
    series[13] = price

    with pytest.raises(EngineError, match=rf"X: {name} of bar 13 at 2024-10-04T00:13:00\+00:00 is {price}"):
        run_step(lambda i, x, p, s: hold(), replace(bars, **{name: series}))


def test_timestamps_must_increase_and_symbols_differ(walk) -> None:
    bars = walk(1, 20)
    ts = bars.ts.copy()
    ts[5] = ts[4]
    with pytest.raises(EngineError, match=r"bar 5 at .* is not after the one before"):
        run_step(lambda i, x, p, s: hold(), replace(bars, ts=ts))
    with pytest.raises(EngineError, match="come twice"):
        run_engine(BacktestTask([bars, bars], resolve("sma_crossover"), {}))
    with pytest.raises(EngineError, match="no bars were given"):
        run_engine(BacktestTask([], resolve("sma_crossover"), {}))


@pytest.mark.parametrize(
    "size", [float("nan"), *(pytest.param(size, marks=pytest.mark.slow) for size in (math.inf, -math.inf))]
)
def test_a_size_that_is_no_number_names_the_bar(walk, size: float) -> None:
    def step(i, x, p, s):
        return target(size) if i == 7 else hold()

    with pytest.raises(EngineError, match=r"step: X, bar 7 at 2024-10-04T00:07:00\+00:00: .*finite number"):
        run_step(step, walk(1, 20))


def test_a_negative_amount_to_buy_is_refused(walk) -> None:
    with pytest.raises(EngineError, match="not negative for buy and sell"):
        run_step(lambda i, x, p, s: buy(-1.0), walk(1, 20))


@pytest.mark.parametrize("returned", [None, 5, (1, 2, 3)])
def test_an_intent_must_be_an_intent(walk, returned: object) -> None:
    with pytest.raises(EngineError, match="must return an intent such as hold"):
        run_step(lambda i, x, p, s: returned, walk(1, 20))


def test_an_unknown_intent_is_refused(walk) -> None:
    with pytest.raises(
        EngineError, match="use hold, target, buy, sell, close, target_percent, bracket or cancel"
    ):
        run_step(lambda i, x, p, s: (17, 1.0), walk(1, 20))


def test_a_step_that_raises_keeps_its_exception(walk) -> None:
    def step(i, x, p, s):
        return target(1.0 / (i - 9))

    with pytest.raises(EngineError, match=r"bar 9 at .* the step raised ZeroDivisionError") as failed:
        run_step(step, walk(1, 20))

    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_a_missing_input_is_named_with_what_there_is(walk) -> None:
    spec = resolve("forecast_threshold")

    with pytest.raises(EngineError, match=r"input 'forecast'.*did you mean 'forecats'"):
        run_engine(BacktestTask([walk(1, 20, forecats=np.zeros(20))], spec, spec.validate({})))


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("backtrade", "did you mean 'backtrader'"),
        ("zipline", "unknown"),
    ],
)
def test_engines_that_are_not_there(walk, engine: str, said: str) -> None:
    spec = resolve("sma_crossover")

    with pytest.raises(EngineError, match=said):
        run_engine(BacktestTask([walk(1, 90)], spec, spec.validate({})), engine)


def test_auto_takes_the_compiled_broker_where_it_covers_a_task(walk) -> None:
    spec = resolve("sma_crossover")
    task = BacktestTask([walk(1, 90)], spec, spec.validate({}))
    shared = replace(task, bars=[walk(1, 90), replace(walk(2, 90), symbol="Y")])

    assert run_engine(task, "auto").engine == "compiled"
    assert run_engine(shared, "auto").engine == "compiled"


@strategy()
def entering(i, x, p, s):
    """Answers with orders that wait."""
    return buy(1.0, limit=x.low[i]) if s.size == 0.0 else hold()


def test_orders_that_wait_in_a_shared_account_are_covered(walk) -> None:
    shared = BacktestTask([walk(1, 90), replace(walk(2, 90), symbol="Y")], entering, {})

    assert run_engine(shared, "auto").engine == "compiled"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"strategy": resolve(Ordinary), "params": {}}, "ordinary backtrader.Strategy"),
    ],
)
def test_the_compiled_broker_names_what_it_does_not_cover(
    walk, change: dict[str, object], named: str
) -> None:
    spec = resolve("sma_crossover")
    task = replace(BacktestTask([walk(1, 90)], spec, spec.validate({})), **change)

    with pytest.raises(EngineError, match=f"does not cover.*{named}.*use engine auto or backtrader"):
        run_engine(task, "compiled")
