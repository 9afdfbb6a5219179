"""Steps that answer with an `Order`: what is empty changes nothing, what is filled is refused by name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from whatif.domain import Execution, Overlays, Periods
from whatif.engines import REFERENCE, BacktestTask, Engine, RunInputs, WindowInputs, get_engine, run_engine
from whatif.engines.select import choose_engine
from whatif.errors import EngineError
from whatif.strategies import BUY, CLOSE, HOLD, SELL, TARGET, Order, Param, hold, resolve, strategy, target
from whatif.testing import differences, random_bars

BOTH = ["backtrader", "compiled"]
BARS = random_bars(7, 400)
PARAMS = {"fast": Param(3), "slow": Param(9), "size": Param(10.0)}
INPUTS = {"fast": "sma(fast)", "slow": "sma(slow)", "cross": "crossover(sma(fast), sma(slow))"}


@strategy(params=PARAMS, inputs=INPUTS)
def pairs(i, x, p, s):
    """Answer with pairs of code and amount."""
    if x.cross[i] > 0.0:
        return target(p.size) if s.size <= 0.0 else hold()
    if x.cross[i] < 0.0:
        return (SELL, p.size + abs(s.size))
    if s.bars_held > 6:
        return (CLOSE, 0.0)
    if i % 17 == 3 and s.pending == 0:
        return (BUY, 2.0)
    return hold()


@strategy(params=PARAMS, inputs=INPUTS)
def orders(i, x, p, s):
    """Do as `pairs`, in orders that say nothing more, and in pairs where it holds."""
    if x.cross[i] > 0.0:
        return Order(TARGET, p.size, math.nan, math.nan, 0, 0) if s.size <= 0.0 else hold()
    if x.cross[i] < 0.0:
        return Order(SELL, p.size + abs(s.size), valid=0)
    if s.bars_held > 6:
        return Order(CLOSE, 0)
    if i % 17 == 3 and s.pending == 0:
        return Order(BUY, 2, price=math.nan)
    return hold()


def entry(size, due):
    """Return an order from a helper, or an intent."""
    return Order(BUY, size) if due else hold()


@strategy(params=PARAMS, inputs=INPUTS)
def by_helper(i, x, p, s):
    """Answer with orders that a helper makes, and a pair."""
    if s.size > 20.0:
        return (SELL, 20)
    return entry(1.0, i % 5 == 2)


@strategy(params=PARAMS, inputs=INPUTS)
def by_pair(i, x, p, s):
    """Do as `by_helper`, in pairs."""
    if s.size > 20.0:
        return (SELL, 20.0)
    return (BUY, 1.0) if i % 5 == 2 else (HOLD, 0.0)


OVERLAYS = [
    Overlays(),
    Overlays(latency=2),
    Overlays(stop_loss=0.01, take_profit=0.02, max_bars_held=5),
    Overlays(percent_of_equity=0.5, latency=1),
]
EXECUTIONS = [Execution(), Execution(coc=True, commission=0.001, slippage=0.002)]


def task_of(step, overlays=OVERLAYS[0], execution=EXECUTIONS[0], **params):
    return BacktestTask([BARS], step, step.validate(params), execution, overlays=overlays)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("overlays", OVERLAYS)
@pytest.mark.parametrize(("plain", "general"), [(pairs, orders), (by_pair, by_helper)])
def test_an_order_that_says_nothing_more_is_the_pair(plain, general, overlays, execution):
    assert not plain.answers_orders
    assert general.answers_orders
    expected = run_engine(task_of(plain, overlays, execution), "backtrader")
    assert len(expected.fills.row) > 10
    for engine in BOTH:
        assert differences(expected, run_engine(task_of(general, overlays, execution), engine)) == []


def test_a_window_that_is_opened_gives_orders_the_account_of_pairs():
    periods = Periods("bar", np.array([BARS.ts[200], BARS.ts[-1] + 1]), 252.0)
    found = []
    for step in (pairs, orders):
        measure = get_engine("compiled").open(WindowInputs([BARS], step, periods))
        found.append(measure(RunInputs(step.validate({}), overlays=OVERLAYS[1])))
    assert found[0].account.final == found[1].account.final
    assert found[0].account.net.tobytes() == found[1].account.net.tobytes()


@strategy(params={"code": Param(1), "amount": Param(1.0), "filled": Param(0)})
def given(i, x, p, s):
    """Answer once with a code, an amount and some of the other fields."""
    if i != 5:
        return hold()
    price = 99.0 if p.filled % 2 == 1 else math.nan
    second = 0.5 if p.filled // 2 % 2 == 1 else math.nan
    valid, group = (-3 if p.filled // 4 % 2 == 1 else 0), p.filled // 8
    return Order(p.code, p.amount * 10.0 / 10.0, price, second, valid, group)


@pytest.mark.parametrize("overlays", OVERLAYS[:2])
@pytest.mark.parametrize("engine", [*BOTH, "auto"])
@pytest.mark.parametrize(
    ("filled", "code", "named"),
    [
        (1, BUY, "price"),
        (2, TARGET, "second"),
        (4, SELL, "valid"),
        (8, CLOSE, "group"),
        (15, HOLD, "price, second, valid, group"),
        (1, 9, "price"),
    ],
)
def test_a_field_that_no_engine_acts_on_is_refused_by_name(filled, code, named, engine, overlays):
    with pytest.raises(EngineError) as refused:
        run_engine(task_of(given, overlays, code=code, filled=filled), engine)
    text = str(refused.value)
    assert text.startswith("strategy given: X, bar 5 at ")
    assert text.endswith(
        f"the step returned an order with {named}; market orders only: leave price, second, valid, group "
        "empty (a price NaN, a number 0)"
    )


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize(
    ("code", "amount", "said"),
    [(9, 1.0, "use hold, target"), (BUY, -1.0, "not negative"), (TARGET, 1e308, "must be a finite number")],
)
def test_an_order_is_held_to_the_rules_of_a_pair(code, amount, said, engine):
    with pytest.raises(EngineError, match=said):
        run_engine(task_of(given, code=code, amount=amount), engine)


@pytest.mark.parametrize("engine", BOTH)
def test_a_plain_tuple_of_six_is_no_answer(engine):
    @strategy()
    def six(i, x, p, s):
        return (BUY, 1.0, 0.0, 0.0, 0, 0)

    with pytest.raises(EngineError, match="must return an intent"):
        run_engine(task_of(six), engine)


class PairsOnly(Engine):
    """An engine that says nothing of orders."""

    name = "test_orders:PairsOnly"

    def run(self, task, cache=None):
        """Return Backtrader's run."""
        return REFERENCE.run(task, cache)


def test_an_engine_that_knows_pairs_only_is_given_no_orders():
    assert PairsOnly().reasons_against(pairs) == []
    (reason,) = PairsOnly().reasons_against(orders)
    with pytest.raises(EngineError, match="does not cover the orders of orders, which are no pairs"):
        PairsOnly().checked_run(task_of(orders))
    assert reason == "the orders of orders, which are no pairs of code and amount"


def test_the_choice_falls_to_the_engine_that_takes_orders(monkeypatch):
    assert choose_engine("auto", orders)[0].name == "compiled"
    monkeypatch.setattr("whatif.engines.compiled.engine.CompiledEngine.order_fields", None)
    engine, why = choose_engine("auto", orders)
    assert (engine.name, why) == ("backtrader", "the orders of orders, which are no pairs of code and amount")
    assert choose_engine("auto", resolve("sma_crossover"))[0].name == "compiled"
    with pytest.raises(EngineError, match="engine compiled does not cover the orders of orders"):
        choose_engine("compiled", orders)
    assert differences(run_engine(task_of(orders)), run_engine(task_of(orders), "backtrader")) == []
