"""Symbols that are members of a universe for a time: what is opened and left, on both brokers."""

from __future__ import annotations

from dataclasses import replace

import backtrader as bt
import numpy as np
import pytest

from whatif.domain.bars import EVER, Membership
from whatif.domain.execution import Execution
from whatif.domain.overlays import Overlays
from whatif.domain.periods import Periods
from whatif.engines import BacktestTask, RunInputs, WindowInputs, explained, get_engine, run_engine
from whatif.engines.arrays import leaving_rows
from whatif.errors import EngineError
from whatif.strategies import buy, hold, resolve, sizes, strategy, target
from whatif.testing import across_player, random_shared_case, scripted, task_differences

ENGINES = ("backtrader", "compiled")
FLAT = (100.0, 100.0, 100.0, 100.0)


@strategy(inputs={"wish": "wish"}, lookback=0)
def follower(i, x, p, s):
    """Ask for the position that `wish` names; NaN asks for nothing."""
    return target(x.wish[i]) if x.wish[i] == x.wish[i] else hold()


def of(build_bars, member, name="A", rows=None, **series):
    """Return bars of which a mask, written as "110", says on which the symbol is a member."""
    bars = build_bars(rows or [FLAT] * len(member), name, **series)
    return replace(bars, member=np.array([letter == "1" for letter in member]))


def fills_of(task, engine):
    fills = run_engine(task, engine).fills
    return list(zip(fills.row.tolist(), fills.symbol.tolist(), fills.size.tolist(), strict=True))


def test_when_a_symbol_is_left() -> None:
    ts, session = np.array([10, 20, 30, 40]), np.array([1, 1, 2, 3])
    assert Membership(1, 3).holds(ts, session).tolist() == [True, True, True, False]
    assert Membership(20, 40, False, False).holds(ts, session).tolist() == [False, True, True, False]
    assert Membership(2, EVER).holds(ts, session).tolist() == [False, False, True, True]
    assert Membership(2, 40, True, False).holds(ts, session).tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("member", "latency", "expected"),
    [
        ("11100111", 0, "00111000"),
        # the order fills two bars later, and so does the one that leaves it
        ("11100111", 1, "11111000"),
        ("11111101", 1, "00011110"),
        ("00000000", 0, "11111111"),
        ("11111111", 3, "00000000"),
    ],
)
def test_a_row_is_left_before_one_outside(build_bars, member, latency, expected) -> None:
    bars = of(build_bars, member)
    found = leaving_rows(bars, len(bars), latency)
    assert "".join("01"[int(one)] for one in found) == expected


def test_what_comes_after_the_window_is_not_looked_at(build_bars) -> None:
    assert leaving_rows(of(build_bars, "11100"), 3, 0).tolist() == [False, False, False]
    assert leaving_rows(build_bars([FLAT]), 1, 0) is None


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("on", "expected"),
    [
        # left at the open of the first bar outside, bar 3; asked again on bar 5, in at the open of bar 6
        ({}, [(1, 0, 1.0), (3, 0, -1.0), (6, 0, 1.0)]),
        ({"latency": 1}, [(7, 0, 1.0)]),
        # a rule that is on as well, whose share of 1,000 is 5 units
        ({"percent_of_equity": 0.5}, [(1, 0, 5.0), (3, 0, -5.0), (6, 0, 5.0)]),
    ],
)
def test_a_position_is_left_and_none_is_opened_outside(build_bars, engine, on, expected) -> None:
    bars = of(build_bars, "11100111", wish=[1.0] * 8)
    task = BacktestTask([bars], follower, {}, Execution(cash=1000.0), overlays=Overlays(**on))

    assert fills_of(task, engine) == expected


@strategy(lookback=0)
def bidder(i, x, p, s):
    return buy(1.0, limit=90.0) if i == 0 else hold()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_waits_for_a_price_is_cancelled(build_bars, engine) -> None:
    rows = [FLAT, FLAT, FLAT, (100.0, 100.0, 80.0, 100.0), FLAT]
    for member, expected in (("11111", [(3, 0, 1.0)]), ("11101", []), ("11001", [])):
        task = BacktestTask([of(build_bars, member, rows=rows)], bidder, {}, Execution(cash=1000.0))
        assert fills_of(task, engine) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_exits_inside_the_bar_end_with_the_position(build_bars, engine) -> None:
    rows = [FLAT, FLAT, FLAT, FLAT, (100.0, 100.0, 80.0, 100.0), FLAT]
    bars = of(build_bars, "111001", rows=rows, wish=[1.0] * 6)
    by = Overlays(stop_loss_intrabar=0.1)

    assert fills_of(BacktestTask([bars], follower, {}, overlays=by), engine) == [(1, 0, 1.0), (3, 0, -1.0)]


@pytest.mark.parametrize("engine", ENGINES)
def test_of_one_account_each_symbol_has_its_own_membership(build_bars, engine) -> None:
    first = of(build_bars, "11111", "A", wish=[1.0] * 5)
    second = of(build_bars, "01100", "B", wish=[2.0] * 5)
    always = build_bars([FLAT] * 5, "C", wish=[3.0] * 5)

    found = fills_of(BacktestTask([first, second, always], follower, {}), engine)

    # B: not yet on bar 0; asked on bar 1, in at bar 2's open; asked to leave there, out at bar 3's
    assert found == [(1, 0, 1.0), (1, 2, 3.0), (2, 1, 2.0), (3, 1, -2.0)]


@pytest.mark.parametrize("engine", ENGINES)
def test_of_a_cross_sectional_step_a_symbol_has_no_bar_outside_and_is_left(build_bars, engine) -> None:
    @strategy(cross_sectional=True)
    def counts(i, x, p, s):
        # how many have a bar stands in the size of the first one; from bar 4 on the step asks for nothing
        if i >= 4:
            return hold()
        s.answer[0] = 1.0 + x.has_bar[0] + x.has_bar[1]
        s.answer[1] = 5.0
        return sizes(s.answer)

    first, second = build_bars([FLAT] * 7, "A"), of(build_bars, "1110011", "B")
    held = run_engine(BacktestTask([first, second], counts, {}), engine).position
    assert held[0].tolist() == [0.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0]
    # asked for again on bars 2 and 3, where it is left
    assert held[1].tolist() == [0.0, 5.0, 5.0, 0.0, 0.0, 0.0, 0.0]

    # left on a bar on which the step holds
    late = of(build_bars, "1111110", "B")
    assert run_engine(BacktestTask([first, late], counts, {}), engine).position[1].tolist() == [
        0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.0,
    ]  # fmt: skip


@pytest.mark.parametrize("cases", [15, pytest.param(500, marks=pytest.mark.slow)])
def test_two_brokers_one_answer(cases: int) -> None:
    fills = 0
    for k in range(cases):
        case = random_shared_case(4 * k + 3)
        assert all(bars.member is not None for bars in case.bars)
        for task in (case.task(scripted), replace(case.task(across_player), overlays=Overlays())):
            said = f"random_shared_case({4 * k + 3}) of {task.strategy.name}"
            assert task_differences(task, *ENGINES) == [], said
            try:
                fills += len(run_engine(task, "compiled").fills)
            except EngineError:  # a size beyond what a float counts
                continue
    assert fills > 4 * cases


def test_many_configurations_with_other_latencies_are_those_for_themselves(build_bars) -> None:
    rng = np.random.default_rng(3)
    wish = rng.choice([-1.0, 0.0, 1.0, np.nan], 60)
    for others in ([], [build_bars([FLAT] * 60, "B", wish=wish)]):
        bars = [of(build_bars, "1" * 20 + "0" * 10 + "1" * 30, "A", wish=wish), *others]
        periods = Periods("bar", np.array([bars[0].ts[30], bars[0].ts[-1] + 1]), 252.0)
        window = WindowInputs(bars, follower, periods)
        many = [RunInputs({}, Execution(cash=1000.0), Overlays(latency=k % 3)) for k in range(6)]
        found = get_engine("compiled").open_for_many(window)(many)
        assert found.good.all()
        assert len(set(found.metrics["trades"].tolist())) == 3
        for k, given in enumerate(many):
            run = run_engine(window.task(given), "backtrader")
            assert found.metrics["trades"][k] == len(run.trades)


def test_why_it_was_left(build_bars) -> None:
    bars = of(build_bars, "11100111", wish=[1.0] * 5 + [np.nan] * 3)
    task = BacktestTask([bars], follower, {})
    for name in ENGINES:
        engine = get_engine(name)
        run = explained(task, engine.checked_run(task))
        assert run.trade_notes.exit_reason == ("universe",)


def test_an_ordinary_strategy_is_refused(build_bars) -> None:
    class Ordinary(bt.Strategy):
        pass

    task = BacktestTask([of(build_bars, "110")], resolve(Ordinary), {})
    with pytest.raises(EngineError, match="universe says where symbols may be traded, and Ordinary, an"):
        run_engine(task, "backtrader")
