"""Why positions were left: worked by hand, and the same whichever engine ran."""

from __future__ import annotations

import math
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest

from whatif.domain import Execution, Overlays
from whatif.engines import BacktestTask, get_engine, run_engine
from whatif.errors import EngineError
from whatif.strategies import BUY, HOLD, bracket, buy, cancel, close, sell, target
from whatif.testing import (
    bars_of_prices,
    random_case,
    random_order_case,
    random_shared_case,
    script_of,
    scripted,
)
from whatif.testing.order_kinds import order_player, order_reader, with_answers

FLAT = (100.0, 101.0, 99.0, 100.0)


def flat(price):
    return (price, price, price, price)


def notes(engine, prices, answers, overlays=None, session_bars=390):
    """Return what is said of the trades of answers by row."""
    bars = with_answers(bars_of_prices(prices, session_bars=session_bars), answers)
    task = BacktestTask([bars], order_reader, {}, Execution(cash=1e6), overlays=overlays or Overlays())
    return run_engine(task, engine).trade_notes


BRACKET = bracket(1.0, limit=95.0, stop=90.0, target=105.0)
LEFT_BY_ORDERS = {
    # bid 95 on bar 1, filled on bar 2; bar 3 reaches 105, or 90
    "target": ({1: BRACKET}, [FLAT, FLAT, (99, 99, 94, 96), (96, 106, 96, 104), FLAT], "target"),
    "stop": ({1: BRACKET}, [FLAT, FLAT, (99, 99, 94, 96), (96, 97, 89, 91), FLAT], "stop"),
    "trail": (
        {1: buy(1.0), 2: sell(1.0, trail=3.0)},
        # the trail begins 3 below the close of 104, and follows that of 110 to 107
        [FLAT, FLAT, (100, 104, 100, 104), (105, 110, 104, 110), (109, 109, 106, 106), flat(106.0)],
        "trailing_stop",
    ),
    "reversal": ({1: buy(1.0), 2: target(-2.0)}, [FLAT] * 5, "reversal"),
    "own": ({1: buy(1.0), 2: close()}, [FLAT] * 5, "step"),
    "at_close": ({1: buy(1.0), 2: sell(1.0, at_close=True)}, [FLAT] * 8, "step"),
}


@pytest.mark.parametrize("name", LEFT_BY_ORDERS)
def test_the_order_that_left_a_position_says_why(name, engine):
    answers, prices, reason = LEFT_BY_ORDERS[name]
    session_bars = 4 if name == "at_close" else 390
    assert notes(engine, prices, answers, session_bars=session_bars).exit_reason == (reason,)


def test_prices_of_a_bracket_stand_beside_its_trade(engine):
    for name in ("target", "stop"):
        answers, prices, _ = LEFT_BY_ORDERS[name]
        found = notes(engine, prices, answers)
        assert [found.entry_order[0], found.stop_price[0], found.target_price[0]] == [95.0, 90.0, 105.0]


def test_a_trail_stands_where_it_was_hit_and_an_order_at_the_market_has_no_price(engine):
    answers, prices, _ = LEFT_BY_ORDERS["trail"]
    found = notes(engine, prices, answers)
    assert found.stop_price.tolist() == [107.0]
    assert math.isnan(found.entry_order[0])
    assert math.isnan(found.target_price[0])


def test_what_was_cancelled_before_the_exit_is_no_price_of_the_trade(engine):
    # the sale at 120 is cancelled on bar 3, and the position left on bar 5
    answers = {1: buy(1.0), 2: sell(1.0, limit=120.0), 3: cancel(), 4: close()}
    found = notes(engine, [FLAT] * 7, answers)
    assert found.exit_reason == ("step",)
    assert math.isnan(found.target_price[0])


LEFT_BY_OVERLAYS = [
    # bought at 100 on bar 2; the rule holds at the close of bar 3, and the order fills on bar 4
    (Overlays(stop_loss=0.03), 96.0, "stop", (97.0, math.nan)),
    (Overlays(take_profit=0.03), 104.0, "target", (math.nan, 103.0)),
    (Overlays(stop_loss=0.03, take_profit=0.03), 104.0, "target", (97.0, 103.0)),
    (Overlays(max_bars_held=1), 100.0, "time", (math.nan, math.nan)),
    # of several rules that hold, the first of `apply_overlays`
    (Overlays(max_bars_held=1, stop_loss=0.03), 96.0, "stop", (97.0, math.nan)),
]


@pytest.mark.parametrize(("overlays", "price", "reason", "prices"), LEFT_BY_OVERLAYS)
def test_an_overlay_that_left_a_position_is_named(overlays, price, reason, prices, engine):
    bars = [flat(100.0)] * 3 + [flat(price)] * 6
    found = notes(engine, bars, {1: buy(1.0)}, overlays)
    assert found.exit_reason == (reason,)
    np.testing.assert_array_equal([found.stop_price[0], found.target_price[0]], prices)


def test_an_overlay_whose_order_comes_late_is_named(engine):
    # bought on bar 4; the rule holds at the close of bar 5, its order comes on bar 7 and fills on bar 8
    bars = script_of([(HOLD, 0.0), (BUY, 1.0)]).on(bars_of_prices([flat(100.0)] * 5 + [flat(96.0)] * 6))
    task = BacktestTask([bars], scripted, {}, overlays=Overlays(stop_loss=0.03, latency=2))
    run = run_engine(task, engine)
    assert run.fills.row.tolist()[:2] == [4, 8]
    assert run.trade_notes.exit_reason[0] == "stop"


def test_the_end_of_a_session_is_named(engine):
    # sessions of 8 minutes: on bars that start 5 minutes before the close and later nothing is held
    found = notes(
        engine, [FLAT] * 24, {1: buy(1.0), 10: sell(1.0)}, Overlays(flat_before_close=5), session_bars=8
    )
    assert found.exit_reason == ("session", "session")


def test_an_exit_inside_a_bar_is_the_order_that_it_is(engine):
    bars = [flat(100.0)] * 4 + [(100.0, 100.0, 96.0, 99.0)] * 3
    found = notes(engine, bars, {1: buy(1.0)}, Overlays(stop_loss_intrabar=0.03, take_profit_intrabar=0.05))
    assert found.exit_reason == ("stop",)
    np.testing.assert_allclose([found.stop_price[0], found.target_price[0]], [97.0, 105.0], rtol=1e-15)


def same(one, other):
    assert one.exit_reason == other.exit_reason
    for name in ("entry_order", "stop_price", "target_price"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def same_orders(one, other):
    for column in fields(one):
        np.testing.assert_array_equal(getattr(one, column.name), getattr(other, column.name), column.name)


SEEDS = [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 200))]
RULES = [
    Overlays(),
    Overlays(stop_loss=0.01, take_profit=0.02, max_bars_held=5),
    Overlays(latency=2, stop_loss=0.02),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_both_engines_say_the_same_of_random_streams(seed):
    rules = RULES[seed % 3]
    of_pairs = replace(random_case(seed, 200).task(), overlays=rules)
    of_orders = random_order_case(seed, 120)
    of_orders = BacktestTask(
        [of_orders.script.on(of_orders.bars)], order_player, {}, of_orders.execution,
        overlays=Overlays() if rules.latency else rules,
    )  # fmt: skip
    for task in (of_pairs, of_orders, random_shared_case(seed).task()):
        try:
            runs = [run_engine(task, engine) for engine in ("backtrader", "compiled")]
        except EngineError:
            continue  # what is refused on one is refused on the other, which other tests hold
        same(*(run.trade_notes for run in runs))
        assert len(runs[0].trade_notes.exit_reason) == len(runs[0].trades)
        if task is of_orders:
            same_orders(*(run.orders for run in runs))


def test_no_order_is_left_out_where_there_are_many():
    # nine orders on each of six bars are more than there is room to tell of at first; each is cancelled
    # on the next bar, and the last bar's never come to the broker
    many = (cancel(), *(bracket(1.0, limit=50.0, stop=40.0, target=60.0),) * 3)
    bars = with_answers(
        bars_of_prices([FLAT] * 8), {**dict.fromkeys(range(1, 8), many), 6: (cancel(), buy(1.0))}
    )
    task = BacktestTask([bars], order_reader, {}, Execution(cash=1e6))
    runs = [run_engine(task, engine) for engine in ("backtrader", "compiled")]
    assert runs[1].orders.of_fill.tolist() == [5 * 9]
    assert runs[1].orders.made.tolist() == [row for row in range(1, 6) for _ in range(9)] + [6]
    assert runs[1].orders.ended.tolist() == [row for row in range(3, 8) for _ in range(9)] + [7]
    same_orders(*(run.orders for run in runs))


def test_a_trail_that_outlives_its_trade_stands_where_it_trailed_to(engine):
    # begins 3 below the close of 100 on bar 2, is left waiting when bar 6 sells, and follows 110 to 107
    closes = [100.0, 100.0, 100.0, 104.0, 110.0, 109.0, 109.0, 109.0]
    answers = {1: buy(1.0), 2: sell(1.0, trail=3.0), 5: close()}
    found = notes(engine, [flat(price) for price in closes], answers)
    assert found.exit_reason == ("step",)
    assert found.stop_price.tolist() == [107.0]


def test_a_run_that_is_pickled_keeps_what_is_said_of_it():
    answers, prices, _ = LEFT_BY_ORDERS["target"]
    bars = with_answers(bars_of_prices(prices), answers)
    run = run_engine(BacktestTask([bars], order_reader, {}, Execution(cash=1e6)), "compiled")
    again = pickle.loads(pickle.dumps(run))
    assert again.explain is None
    same(run.trade_notes, again.trade_notes)


def test_an_engine_that_tells_no_orders_gives_no_reason():
    answers, prices, _ = LEFT_BY_ORDERS["target"]
    bars = with_answers(bars_of_prices(prices), answers)
    task = BacktestTask([bars], order_reader, {}, Execution(cash=1e6))
    run = get_engine("compiled").checked_run(task)
    assert run.trade_notes.exit_reason == (None,)
