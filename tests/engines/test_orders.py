"""Steps that answer with orders: what is empty changes nothing, what breaks a rule is refused by name."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from whatif.domain import Execution, Overlays, Periods
from whatif.engines import REFERENCE, BacktestTask, Engine, RunInputs, WindowInputs, get_engine, run_engine
from whatif.engines.select import choose_engine
from whatif.errors import EngineError
from whatif.strategies import (
    BRACKET,
    BUY,
    CANCEL,
    CLOSE,
    HOLD,
    OCO,
    SELL,
    TARGET,
    TARGET_PERCENT,
    Order,
    Param,
    bracket,
    buy,
    close,
    hold,
    oco,
    resolve,
    sell,
    strategy,
    target,
)
from whatif.testing import bars_of_prices, differences, random_bars

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
        return Order(TARGET, p.size, math.nan, math.nan, valid=0, at_close=0) if s.size <= 0.0 else hold()
    if x.cross[i] < 0.0:
        return Order(SELL, p.size + abs(s.size), valid=0)
    if s.bars_held > 6:
        return Order(CLOSE, 0)
    if i % 17 == 3 and s.pending == 0:
        return Order(BUY, 2, limit=math.nan)
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
@pytest.mark.parametrize(
    "overlays",
    [*OVERLAYS[1:2], *(pytest.param(one, marks=pytest.mark.slow) for one in (OVERLAYS[0], *OVERLAYS[2:]))],
)
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


@strategy(
    params={
        "code": Param(1), "amount": Param(1.0), "limit": Param(0.0), "stop": Param(0.0), "trail": Param(0.0),
        "trail_percent": Param(0.0), "target": Param(0.0), "valid": Param(0), "at_close": Param(0),
    }
)  # fmt: skip
def given(i, x, p, s):
    """Answer once with an order, whose prices are NaN where the parameter is 0, infinite at 998."""
    if i != 5:
        return hold()
    limit = p.limit if p.limit != 0.0 else math.nan
    stop = p.stop if p.stop != 0.0 else math.nan
    trail = p.trail if p.trail != 0.0 else math.nan
    percent = p.trail_percent if p.trail_percent != 0.0 else math.nan
    goal = p.target if p.target != 0.0 else math.nan
    limit = 0.0 if limit == 999.0 else math.inf if limit == 998.0 else limit
    trail = math.inf if trail == 998.0 else trail
    return Order(p.code, p.amount * 10.0 / 10.0, limit, stop, trail, percent, goal, p.valid, p.at_close)


CLOSE_5 = float(BARS.close[5])
LOWER, HIGHER = CLOSE_5 - 1.0, CLOSE_5 + 1.0

TAKES_NONE = "prices, valid and at_close are for buy, sell and bracket, and a target for bracket only"
NO_PRICE = "a price must be a positive finite number, or NaN for none"
BAD_TRAIL = (
    "give trail, an amount of money above 0, or trail_percent, a fraction above 0 and below 1, and "
    "neither to a bracket"
)
WRONG_SIDE = "the limit behind a stop must be at or above it to buy, and at or below it to sell"
BAD_BRACKET = "a bracket needs a stop or a target; of a long position the stop must be below the entry"
BAD_VALID = "valid is a number of bars from 1, SESSION, or 0 for no end"
BAD_CLOSE = "at_close takes no price: leave limit, stop and trail out"
BAD_GROUP = "oco ties two orders or more that buy, sell or are brackets, and is not given another oco"

REFUSED = [
    ({"code": HOLD, "limit": 99.0}, TAKES_NONE),
    ({"code": TARGET, "stop": 99.0}, TAKES_NONE),
    ({"code": CLOSE, "valid": 2}, TAKES_NONE),
    ({"code": TARGET_PERCENT, "at_close": 1}, TAKES_NONE),
    ({"code": CANCEL, "limit": 99.0}, TAKES_NONE),
    ({"code": BUY, "target": 99.0}, TAKES_NONE),
    ({"code": BUY, "limit": 998.0}, NO_PRICE),
    ({"code": BUY, "limit": 999.0}, NO_PRICE),
    ({"code": SELL, "stop": -3.0}, NO_PRICE),
    ({"code": SELL, "trail": -1.0}, BAD_TRAIL),
    ({"code": SELL, "trail": 998.0}, BAD_TRAIL),
    ({"code": SELL, "trail_percent": 1.0}, BAD_TRAIL),
    ({"code": SELL, "trail_percent": -0.1}, BAD_TRAIL),
    ({"code": BUY, "trail": 1.0, "trail_percent": 0.1}, BAD_TRAIL),
    ({"code": BRACKET, "stop": LOWER, "trail": 1.0}, BAD_TRAIL),
    ({"code": BUY, "stop": HIGHER, "limit": LOWER}, WRONG_SIDE),
    ({"code": SELL, "stop": LOWER, "limit": HIGHER}, WRONG_SIDE),
    ({"code": SELL, "trail": 1.0, "limit": HIGHER}, WRONG_SIDE),
    ({"code": BRACKET}, BAD_BRACKET),
    ({"code": BRACKET, "stop": HIGHER}, BAD_BRACKET),
    ({"code": BRACKET, "stop": CLOSE_5}, BAD_BRACKET),
    ({"code": BRACKET, "target": LOWER}, BAD_BRACKET),
    ({"code": BRACKET, "amount": -1.0, "stop": LOWER}, BAD_BRACKET),
    ({"code": BRACKET, "stop": LOWER, "limit": LOWER - 1.0}, BAD_BRACKET),
    ({"code": BRACKET, "stop": LOWER, "valid": 3}, BAD_VALID),
    ({"code": BUY, "valid": 3}, BAD_VALID),
    ({"code": BUY, "limit": LOWER, "valid": -2}, BAD_VALID),
    ({"code": BUY, "at_close": 1, "limit": LOWER}, BAD_CLOSE),
    ({"code": BUY, "at_close": 2}, BAD_CLOSE),
    ({"code": OCO, "amount": 2.0}, BAD_GROUP),
    ({"code": OCO, "amount": 0.0}, BAD_GROUP),
]


@pytest.mark.parametrize("engine", [*BOTH, "auto"])
@pytest.mark.parametrize(("params", "rule"), REFUSED)
def test_what_breaks_a_rule_is_refused_with_it(params, rule, engine):
    with pytest.raises(EngineError) as refused:
        run_engine(task_of(given, **params), engine)
    text = str(refused.value)
    assert text.startswith("strategy given: X, bar 5 at 2013-10-22T13:35:00+00:00: the step returned ")
    assert rule in text


def test_a_refused_order_is_shown_as_it_is_written():
    with pytest.raises(
        EngineError, match=r"returned sell\(1, stop=50, trail=-2, valid=3, at_close=True\); give"
    ):
        run_engine(task_of(given, code=SELL, stop=50.0, trail=-2.0, valid=3, at_close=1), "compiled")


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize(
    "params", [{"code": BUY, "limit": 99.0}, {"code": BRACKET, "stop": 1.0}, {"code": CANCEL}]
)
def test_latency_acts_on_market_orders_alone(params, engine):
    with pytest.raises(EngineError, match=r"bar 5 .*which latency cannot act on"):
        run_engine(task_of(given, Overlays(latency=2), **params), engine)


@pytest.mark.parametrize("engine", BOTH)
def test_an_exit_of_the_overlays_cancels_what_waits_for_a_price(engine):
    bars = bars_of_prices([(100.0, 100.0, 100.0, 100.0)] * 3 + [(100.0, 100.0, 90.0, 94.0)] * 4)

    @strategy(scratch=1)
    def once(i, x, p, s):
        if i == 1:
            return buy(1.0), buy(1.0, limit=95.0), sell(1.0, limit=120.0)
        return hold()

    run = run_engine(BacktestTask([bars], once, {}, overlays=Overlays(stop_loss=0.03)), engine)
    # bought at 100 and 95; the close of 94 on bar 3 is 3 % below 97.5; the sale at 120 is cancelled with it
    assert run.fills.row.tolist() == [2, 3, 4]
    assert run.fills.size.tolist() == [1.0, 1.0, -2.0]
    assert run.fills.price.tolist() == [100.0, 95.0, 100.0]


@pytest.mark.parametrize("engine", BOTH)
def test_a_share_of_the_account_sizes_every_order(engine):
    bars = bars_of_prices([(100.0, 100.0, 100.0, 100.0)] * 3 + [(100.0, 110.0, 90.0, 100.0)] * 3)

    @strategy()
    def once(i, x, p, s):
        if i == 1:
            return bracket(-3.0, stop=105.0, target=95.0), buy(7.0, limit=92.0), target(0.0)
        return hold()

    task = BacktestTask([bars], once, {}, Execution(cash=1000.0), overlays=Overlays(percent_of_equity=0.5))
    run = run_engine(task, engine)
    # half of 1000 is five units at 100, on the side that was asked for
    assert run.fills.size.tolist() == [-5.0, 5.0, 5.0]
    assert run.fills.price.tolist() == [100.0, 105.0, 92.0]


@pytest.mark.parametrize("engine", BOTH)
def test_what_breaks_a_rule_is_refused_under_overlays_too(engine):
    overlays = Overlays(percent_of_equity=0.5, stop_loss=0.01)
    with pytest.raises(EngineError, match=r"returned buy\(nan, limit=50\)|returned the intent"):
        run_engine(task_of(given_nan, overlays), engine)


@strategy()
def given_nan(i, x, p, s):
    """Answer with no number of units."""
    return buy(x.close[i] * math.nan, limit=50.0)


@pytest.mark.parametrize("engine", BOTH)
def test_no_more_orders_wait_than_the_strategy_says(engine):
    @strategy(max_orders=3)
    def many(i, x, p, s):
        return buy(1.0, limit=x.close[i] * 0.5)

    with pytest.raises(EngineError, match=r"bar 4 .*: more than max_orders 3 orders wait; cancel"):
        run_engine(task_of(many), engine)


@pytest.mark.parametrize("engine", BOTH)
def test_a_bar_has_room_for_so_many_orders(engine):
    @strategy()
    def many(i, x, p, s):
        three = (buy(1.0), sell(1.0), buy(2.0))
        return three, three, three, three, three, three, three, three, three, three, three

    with pytest.raises(EngineError, match=r"bar 1 .*: the step returned more than 32 orders on one bar"):
        run_engine(task_of(many), engine)


@pytest.mark.parametrize("engine", BOTH)
def test_a_tie_of_one_order_is_refused(engine):
    @strategy()
    def tied(i, x, p, s):
        return oco(buy(1.0, limit=x.close[i]), hold())

    with pytest.raises(EngineError, match="oco ties two orders or more that buy, sell or are brackets"):
        run_engine(task_of(tied), engine)


@pytest.mark.parametrize("engine", BOTH)
def test_a_bracket_of_no_units_places_nothing(engine):
    @strategy()
    def nothing(i, x, p, s):
        c, none = x.close[i], 0.0 * s.pending
        return bracket(none, stop=c * 0.9), bracket(-none, stop=c * 1.1), target(s.pending)

    run = run_engine(task_of(nothing), engine)
    assert len(run.fills) == 0
    assert run.margin_rejected == 0


def test_market_orders_in_a_tuple_need_no_keyword():
    @strategy()
    def both(i, x, p, s):
        if i % 5 == 0:
            return buy(3.0), sell(1.0)
        return hold() if s.size < 6.0 else close()

    assert both.answers_orders
    expected = run_engine(task_of(both), "backtrader")
    assert len(expected.fills) > 100
    assert differences(expected, run_engine(task_of(both), "compiled")) == []


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("answer", [None, "buy", (), (BUY,), (BUY, 1.0, 2.0), [BUY, "1"], ((BUY, 1.0), None)])
def test_what_is_no_order_is_refused(answer, engine):
    @strategy()
    def wrong(i, x, p, s):
        return answer

    with pytest.raises(EngineError, match="strategy wrong"):
        run_engine(task_of(wrong), engine)


def test_what_orders_can_say_is_seen_in_the_state():
    """Orders that wait are counted, those of a bracket too."""

    @strategy(scratch=1)
    def counted(i, x, p, s):
        s.scratch[0] += s.pending
        if i == 3:
            return bracket(1.0, stop=x.close[i] * 0.01, target=x.close[i] * 100.0)
        return target(s.scratch[0]) if i == 20 else hold()

    for engine in BOTH:
        run = run_engine(task_of(counted), engine)
        # two that leave the position wait on each bar from 4 to 20
        assert run.fills.size.tolist() == [1.0, 33.0]


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize(
    ("code", "amount", "said"),
    [(9, 1.0, "use hold, target"), (BUY, -1.0, "not negative"), (TARGET, 1e308, "must be a finite number")],
)
def test_an_order_is_held_to_the_rules_of_a_pair(code, amount, said, engine):
    with pytest.raises(EngineError, match=said):
        run_engine(task_of(given, code=code, amount=amount), engine)


@strategy(params={"valid": Param(3.0), "limit": Param(50.0)})
def waits(i, x, p, s):
    """Bid once; `limit` 0 is none at all."""
    return buy(1.0, limit=p.limit if p.limit else None, valid=p.valid) if i == 2 else hold()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"valid": 2.5}, r"buy\(1, limit=50, valid=2.5\); valid is a number of bars"),
        ({"valid": math.nan}, "valid is a number of bars"),
        (
            {"limit": 0.0},
            "bar 2 at .* not all of its fields are numbers .* leave out what the order has none of",
        ),
    ],
)
def test_in_python_a_field_may_be_of_any_kind_and_is_looked_at(params, said):
    given = {"valid": 3.0, "limit": 50.0}
    # a whole number of bars may be a float
    assert len(run_engine(BacktestTask([BARS], waits, given), "backtrader").fills) == 0
    with pytest.raises(EngineError, match=said):
        run_engine(BacktestTask([BARS], waits, given | params), "backtrader")


@pytest.mark.parametrize("engine", BOTH)
def test_a_plain_tuple_of_six_is_no_answer(engine):
    @strategy()
    def six(i, x, p, s):
        return (BUY, 1.0, 0.0, 0.0, 0, 0)

    with pytest.raises(EngineError, match="must return an intent"):
        run_engine(task_of(six), engine)


def test_the_example_of_the_documents_trades_on_both(tmp_path):
    text = Path(__file__, "../../../docs/orders.md").resolve().read_text(encoding="utf-8")
    (tmp_path / "own.py").write_text(text.split("```python\n")[1].split("```")[0])
    task = task_of(resolve(str(tmp_path / "own.py")), width=1.0, period=5)
    expected = run_engine(task, "backtrader")
    assert len(expected.fills) > 10
    assert differences(expected, run_engine(task, "compiled")) == []


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
