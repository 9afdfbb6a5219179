"""What an account of several symbols may hold: numbers worked by hand, on both engines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from whatif.domain.execution import Execution
from whatif.domain.overlays import Overlays
from whatif.engines import BacktestTask, run_engine
from whatif.engines.task import check_execution
from whatif.errors import EngineError
from whatif.strategies import bracket, hold, sizes, strategy, target, weights
from whatif.testing import bars_of_prices

NAMES, NAN = "ABC", math.nan


@strategy(inputs={"wish": "wish"}, lookback=0)
def follower(i, x, p, s):
    """Ask for the position that `wish` names."""
    return target(x.wish[i])


@strategy(inputs={"wish": "wish"}, cross_sectional=True, max_gross=9.0)
def weigher(i, x, p, s):
    """Ask for the shares that `wish` names."""
    for k in range(len(x.close)):
        s.answer[k] = x.wish[k]
    return weights(s.answer)


@strategy(inputs={"wish": "wish"}, cross_sectional=True)
def sizer(i, x, p, s):
    """Ask for the positions that `wish` names."""
    for k in range(len(x.close)):
        s.answer[k] = x.wish[k]
    return sizes(s.answer)


def held(engine, wishes, step=follower, price=100.0, **on):
    """Return what each symbol of an account of 1,000 holds at the end of bars at one price."""
    bars = [
        bars_of_prices([(price,) * 4] * len(wish), symbol=name).with_inputs(
            {"wish": np.array(wish, dtype=float)}
        )
        for name, wish in zip(NAMES, wishes, strict=False)
    ]
    task = BacktestTask(bars, step, {}, Execution(cash=1000.0), overlays=Overlays(**on))
    return [float(one[-1]) for one in run_engine(task, engine).position]


@pytest.mark.parametrize(
    ("wishes", "on", "expected"),
    [
        # 1,000 buys 10 in all: the second is left 4, the third none
        ([[6] * 3, [6] * 3, [6] * 3], {"max_gross": 1.0}, [6.0, 4.0, 0.0]),
        # shorts count as longs do
        ([[6] * 3, [-6] * 3], {"max_gross": 0.8}, [6.0, -2.0]),
        # 7.5 units are 7 whole ones
        ([[9] * 3], {"max_gross": 0.75}, [7.0]),
        # what is within the bound is not cut to whole units
        ([[2.5] * 3, [2.5] * 3], {"max_gross": 0.5}, [2.5, 2.5]),
        # net 5 long; a short one then may be 10, and what is short by 4 lets the third be long by 4
        ([[6] * 3, [-4] * 3, [6] * 3], {"max_net": 0.5}, [5.0, -4.0, 4.0]),
        ([[-8] * 3, [-1] * 3], {"max_net": 0.5}, [-5.0, 0.0]),
        # the first two in declared order; the third waits until one is closed, and has its turn after that
        ([[1] * 3, [2] * 3, [3] * 3], {"max_positions": 2}, [1.0, 2.0, 0.0]),
        ([[1, 0, 0, 0], [2] * 4, [3] * 4], {"max_positions": 2}, [0.0, 2.0, 3.0]),
        # a reversal closes what there is, and opens as much as is left
        ([[6, 6, -9, -9], [4] * 4], {"max_gross": 1.0}, [-6.0, 4.0]),
        # both bounds at once
        ([[9] * 3, [9] * 3], {"max_gross": 1.0, "max_positions": 1}, [9.0, 0.0]),
    ],
)
def test_bounds_worked_by_hand(engine, wishes, on, expected) -> None:
    several = wishes if len(wishes) > 1 else [*wishes, [0] * 3]
    assert held(engine, several, **on)[: len(expected)] == expected


def test_a_position_is_never_made_smaller_than_it_is(engine) -> None:
    # 5 of each are worth 1,000 at 100, and 1,500 of an account of 1,500 at 150: a bound of nine tenths holds
    # no more, and takes nothing away
    rows = [(100.0,) * 4] * 2 + [(150.0,) * 4] * 3
    bars = [
        bars_of_prices(rows, symbol=name).with_inputs({"wish": np.array([4.0, 4.0, 4.0, 7.0, 7.0])})
        for name in "AB"
    ]
    task = BacktestTask(bars, follower, {}, Execution(cash=1000.0), overlays=Overlays(max_gross=0.8))
    # 8 units of 1,400 are worth 1,200 at 150, more than 1,120
    assert run_engine(task, engine).position[:, -1].tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    ("step", "wishes", "on", "expected"),
    [
        (weigher, [[0.8] * 3, [0.8] * 3], {"max_gross": 1.0}, [8.0, 2.0]),
        (
            sizer,
            [[-6, NAN, NAN], [6, NAN, NAN], [3, NAN, NAN]],
            {"max_gross": 1.0, "max_net": 0.2},
            [-2.0, 4.0, 0.0],
        ),
        (sizer, [[6] * 3, [6] * 3], {"max_positions": 1}, [6.0, 0.0]),
    ],
)
def test_a_cross_sectional_step_is_held_within_them(engine, step, wishes, on, expected) -> None:
    assert held(engine, wishes, step, **on) == expected


def test_orders_that_wait_count(engine) -> None:
    # the bars of B begin when A's order waits: it is filled at A's next bar, and 4 are left
    assert held(engine, [[6] * 3, [6] * 3], max_gross=1.0, latency=1) == [6.0, 4.0]


def test_they_are_for_accounts_of_several_symbols(engine) -> None:
    with pytest.raises(
        EngineError, match=r"max_gross = 1, max_positions = 2 bounds what an account of several"
    ):
        held(engine, [[1.0] * 3], max_gross=1.0, max_positions=2)


def test_they_are_for_orders_at_the_market() -> None:
    @strategy(inputs={"wish": "wish"})
    def brackets(i, x, p, s):
        return bracket(x.wish[i], stop=50.0) if i == 1 else hold()

    with pytest.raises(
        EngineError, match=r"max_net = 0.5 bounds orders at the market, and those of brackets"
    ):
        held("backtrader", [[1.0] * 3] * 2, brackets, max_net=0.5)
    with pytest.raises(EngineError, match=r"max_net = 0.5 bounds orders at the market"):
        held("backtrader", [[1.0] * 3] * 2, max_net=0.5, trailing_stop=0.1)


def test_they_are_of_prices_and_not_for_contracts() -> None:
    future = Execution(margin=2000.0, mult=10.0)
    with pytest.raises(
        EngineError, match=r"max_gross bound what positions are worth at their prices.*mult = 10"
    ):
        check_execution(follower, future, Overlays(max_gross=1.0))
    check_execution(follower, future, Overlays())


def test_other_overlays_are_still_refused_over_a_cross_sectional_step(engine) -> None:
    with pytest.raises(EngineError, match="overlays stop_loss cannot be laid over sizer"):
        held(engine, [[1.0] * 3] * 2, sizer, max_gross=1.0, stop_loss=0.1)
