"""Futures, leverage, interest, fillers and more: both brokers' answer, plain Backtrader's, and a sweep's."""

from __future__ import annotations

from dataclasses import replace

import backtrader as bt
import numpy as np
import pytest

from whatif.domain import SEMANTICS, SPECIAL_SETTINGS, Filler, Overlays, Periods, account_of
from whatif.domain.costs import costs_from
from whatif.domain.execution import ALL_SEMANTICS, Execution
from whatif.engines import BacktestTask, Engine, RunInputs, WindowInputs, get_engine, run_engine
from whatif.errors import EngineError
from whatif.stats import buy_and_hold
from whatif.strategies import bracket, buy, hold, oco, resolve, strategy, target
from whatif.strategies.intents import BUY, CLOSE, HOLD, SELL, TARGET
from whatif.testing import (
    Case,
    bars_of_prices,
    random_case,
    random_order_case,
    script_of,
    scripted,
    state_reader,
    task_differences,
    with_costs,
    with_finer_fills,
    with_settings,
    within_whole_units,
)
from whatif.testing.order_kinds import note_player

from ..testing.witness import Player, played, played_orders, unlike_plain
from .conftest import agreed_runs

FLAT = (100.0, 110.0, 90.0, 100.0)
FUTURE = Execution(cash=100_000.0, margin=200.0, mult=10.0)
many = pytest.mark.parametrize(
    "cases", [75, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)


def drawn(seed: int) -> Case:
    """Return a case with random settings, of which each fifth has its orders tried on finer bars."""
    case = with_settings(random_case(seed), seed)
    return case if seed % 5 else with_finer_fills(case, seed)


@many
@pytest.mark.parametrize("step", [scripted, state_reader], ids=["scripted", "by-state"])
def test_two_brokers_one_answer(step, cases) -> None:
    filled = rejected = 0
    seen: set[str] = set()
    for task, run in agreed_runs(drawn(seed).task(step) for seed in range(cases)):
        filled, rejected = filled + len(run.fills), rejected + run.margin_rejected
        seen |= set(task.execution.special) if len(run.fills) else set()
    assert seen == set(SPECIAL_SETTINGS)
    assert filled > 3 * cases
    assert rejected > cases / 2


@many
def test_two_brokers_one_answer_to_every_kind_of_order(cases) -> None:
    tasks = (with_settings(random_order_case(seed), seed).task() for seed in range(cases))
    filled = sum(len(run.fills) for _, run in agreed_runs(tasks))
    assert filled > 5 * cases


@pytest.mark.parametrize(
    ("draw", "play"), [(random_case, played), (random_order_case, played_orders)], ids=["intents", "orders"]
)
def test_plain_backtrader_is_the_third_witness(draw, play, engine) -> None:
    compared = 0
    for seed in range(60):
        case = with_settings(draw(seed, max_bars=40), seed)
        task = replace(case, execution=replace(case.execution, semantics=SEMANTICS)).task()
        try:
            run = run_engine(task, engine)
        except EngineError:  # a bracket whose prices rounding has made one
            continue
        if within_whole_units(run):
            assert unlike_plain(run, play(task)) == [], f"seed {seed}"
            compared += len(run.fills) > 0
    assert compared > 20


def test_costs_are_paid_for_them_too() -> None:
    filled = 0
    for seed in range(80):
        case = with_costs(with_settings(random_case(seed), seed), seed, by_price=False)
        assert task_differences(case.task(), "backtrader", "compiled") == [], f"seed {seed}"
        try:
            filled += len(run_engine(case.task(), "compiled").fills)
        except EngineError:
            continue
    assert filled > 100


SIZED = {
    "margin": (FUTURE, 250.0),  # half of 100,000 is 250 margins of 200
    "leverage": (Execution(cash=100_000.0, leverage=4.0), 2000.0),  # 500 at 100, four times
}


@pytest.mark.parametrize("key", SIZED)
def test_percent_of_equity_is_one_of_the_cash_that_units_take(key, engine) -> None:
    execution, units = SIZED[key]
    task = Case(bars_of_prices([FLAT] * 4), script_of([(BUY, 1.0)]), execution).task()
    run = run_engine(replace(task, overlays=Overlays(percent_of_equity=0.5)), engine)
    assert run.fills.size.tolist() == [units]


def test_a_sweep_measures_what_a_run_is_worth() -> None:
    """In one window, between configurations of a stock: nothing of a contract reaches the next one."""
    for seed in range(25):
        case = with_settings(random_case(seed), seed)
        task = case.task()
        plain = Execution(cash=case.execution.cash)
        periods = Periods("bar", np.append(task.bars[0].ts[1:], task.bars[0].ts[-1] + 1), 252.0)
        window = WindowInputs(task.bars, task.strategy, periods)
        asked = [RunInputs(execution=each) for each in (case.execution, plain, case.execution)]
        found = get_engine("compiled").open_for_many(window)(asked)
        for place, given in enumerate(asked):
            if not found.good[place]:
                continue
            run = run_engine(replace(task, execution=given.execution), "backtrader")
            account = account_of(run, given.execution, periods)
            assert found.returns[place].tobytes() == account.returns.tobytes(), seed
            turnover = float(account.values.sum()) / (account.equity_sum / account.bars)
            if found.metrics["turnover"][place] == found.metrics["turnover"][place]:
                assert found.metrics["turnover"][place] == pytest.approx(turnover, rel=1e-12)


def test_a_future_trades_what_it_stands_for(engine) -> None:
    task = Case(bars_of_prices([FLAT] * 4), script_of([(BUY, 2.0), (CLOSE, 0.0)]), FUTURE).task()
    run = run_engine(task, engine)
    periods = Periods("bar", task.bars[0].ts[1:], 252.0)
    # 2 units at 100, ten times
    assert account_of(run, FUTURE, periods).values.tolist() == [2000.0, 2000.0]
    assert run.fills.multiplier.tolist() == [10.0, 10.0]


def test_buy_and_hold_buys_a_futures_worth_for_the_cash() -> None:
    rows = [(100.0, 100.0, 100.0, 100.0), (100.0, 130.0, 100.0, 130.0)]
    given = replace(FUTURE, commission=2.0, commtype="fixed")
    task = Case(bars_of_prices(rows), script_of([(HOLD, 0.0)]), given).task()
    run = run_engine(task)
    held = buy_and_hold(run, task.bars, given, Periods("bar", task.bars[0].ts[1:] + 1, 252.0))
    # 1,000 units of the price, which are 100 contracts of 10: 30 % less 100 * 2
    assert held.equity.tolist() == [99_800.0, 129_800.0]
    charged = replace(FUTURE, costs=costs_from({"per_unit": 2.0}))
    assert buy_and_hold(run, task.bars, charged, Periods("bar", task.bars[0].ts[1:] + 1, 252.0)).equity[
        -1
    ] == pytest.approx(129_800.0)


def test_an_ordinary_strategy_has_them_too() -> None:
    compared = 0
    for seed in range(40):
        task = with_settings(random_case(seed), seed).task()
        ours = run_engine(task, "compiled")
        if not within_whole_units(ours):
            continue
        (bars,) = task.bars
        script = [(bars.inputs["code"].tolist(), bars.inputs["amount"].tolist())]
        theirs = run_engine(replace(task, strategy=resolve(Player), params={"scripts": script}), "backtrader")
        assert ours.equity.tobytes() == theirs.equity.tobytes(), seed
        compared += len(ours.fills) > 0
    assert compared > 20


def test_an_ordinary_strategy_may_not_change_them() -> None:
    class Dear(bt.Strategy):
        def start(self):
            self.broker.setcommission(0.5)

    with pytest.raises(EngineError, match="changes the commission"):
        run_engine(BacktestTask([bars_of_prices([FLAT] * 5)], resolve(Dear), {}, FUTURE), "backtrader")


@pytest.mark.parametrize(
    "filler",
    [Filler("fixed_size", 4.0), Filler("fixed_bar_perc", 50.0), Filler("bar_point_perc", 50.0, 20.0)],
)
def test_a_bar_whose_volume_is_missing_fills_nothing(filler, engine) -> None:
    bars = replace(bars_of_prices([FLAT] * 4), volume=np.array([1.0, np.nan, 8.0, 8.0]))
    case = Case(bars, script_of([(BUY, 2.0)]), Execution(filler=filler))
    assert run_engine(case.task(), engine).fills.row[0] > 1


def test_a_minimum_is_paid_by_the_first_part(engine) -> None:
    costs = costs_from({"per_order": 1.0, "per_unit": 0.5, "minimum": 8.0})
    given = Execution(filler=Filler("fixed_size", 4.0), costs=costs)
    run = run_engine(Case(bars_of_prices([FLAT] * 4), script_of([(BUY, 10.0)]), given).task(), engine)
    # 1 + 4 * 0.5 is less than 8; then 4 * 0.5, and 2 * 0.5
    assert run.fills.commission.tolist() == [8.0, 2.0, 1.0]


@pytest.mark.parametrize("volume", [0.0, np.nan])
def test_a_filler_is_refused_where_there_is_no_volume(volume, engine) -> None:
    bars = replace(bars_of_prices([FLAT] * 4), volume=np.full(4, volume))
    case = Case(bars, script_of([(BUY, 2.0)]), Execution(filler=Filler("fixed_size", 4.0)))
    with pytest.raises(EngineError, match=r"X: execution: filler = \{'fixed_size': 4.0\}.*leave filler out"):
        run_engine(case.task(), engine)
    measure = get_engine("compiled").open_for_many(
        WindowInputs([case.task().bars[0]], scripted, Periods("bar", bars.ts[1:], 252.0))
    )
    assert not measure([RunInputs(execution=case.execution)]).good.any()


@pytest.mark.parametrize(
    ("units", "fills"),
    [
        (12.0, 12 * 20),
        # the order of bar k is filled on each bar from k + 1 to 39: more than any run has room for at first
        (300.0, sum(39 - k for k in range(20))),
    ],
)
def test_orders_that_wait_in_parts_have_room(units, fills, engine) -> None:
    """Units ordered on each of twenty bars, of which each bar fills one of each order."""
    case = Case(
        bars_of_prices([FLAT] * 40),
        script_of([(BUY, units)] * 20),
        Execution(cash=1e6, filler=Filler("fixed_size", 1.0)),
    )
    run = run_engine(case.task(), engine)
    assert len(run.fills) == fills
    measured = get_engine(engine).open(
        WindowInputs([case.task().bars[0]], scripted, Periods("bar", run.ts[1:], 252.0))
    )
    assert measured(RunInputs(execution=case.execution)).account.final == run.equity[-1]


@strategy(lookback=0)
def tied(i, x, p, s):
    """Tie an order to a bracket; the first fills, and what waits then is asked for."""
    if i == 0:
        return oco(buy(1.0, limit=99.0), bracket(1.0, limit=90.0, stop=80.0, target=200.0))
    return target(float(s.pending)) if i == 3 else hold()


@pytest.mark.parametrize(("semantics", "waiting"), [(SEMANTICS, 2.0), ("corrected", 0.0)])
def test_what_a_group_ends_takes_its_brackets_exits_along(semantics, waiting, engine) -> None:
    bars = bars_of_prices([(100.0, 100.0, 98.0, 100.0)] * 6)
    run = run_engine(BacktestTask([bars], tied, {}, Execution(semantics=semantics)), engine)
    # one unit is held from bar 1 on
    assert run.position[0, -1] == waiting


@strategy(lookback=0)
def tied_to_an_exit(i, x, p, s):
    """Tie a bid to a bracket whose exit takes more cash than there is."""
    if i == 0:
        return oco(buy(1.0, limit=50.0), bracket(-1.0, limit=101.0, stop=300.0))
    return hold()


@pytest.mark.parametrize("semantics", ALL_SEMANTICS)
def test_an_exit_that_is_refused_ends_what_its_entry_is_tied_to(semantics, engine) -> None:
    # the check leaves 100 - 50 + 101 for a stop at 300, whose refusal cancels the entry, and that the bid
    bars = bars_of_prices([(100.0, 100.0, 40.0, 100.0)] * 4)
    given = Execution(cash=100.0, semantics=semantics)
    run = run_engine(BacktestTask([bars], tied_to_an_exit, {}, given), engine)
    assert run.margin_rejected == 1
    assert len(run.fills) == 0


@pytest.mark.parametrize(("semantics", "fills"), [(SEMANTICS, 39), ("corrected", 3)])
def test_a_rest_of_the_other_side_is_filled_or_grows(semantics, fills, engine) -> None:
    # 0.3 held and 0.9 sold: the parts are 0.3 and 0.6000000000000001, a little more than was to be sold
    given = Execution(cash=1000.0, filler=Filler("fixed_size", 50.0), semantics=semantics)
    case = Case(bars_of_prices([(1.0,) * 4] * 40), script_of([(BUY, 0.3), (SELL, 0.9)]), given)
    assert len(run_engine(case.task(), engine).fills) == fills


def test_an_engine_of_ones_own_is_not_asked_for_what_it_does_not_know() -> None:
    class Own(Engine):
        name = "own"

        def run(self, task, cache=None):
            raise AssertionError

    task = Case(bars_of_prices([FLAT] * 4), script_of([(BUY, 2.0)]), replace(FUTURE, coo=True)).task()
    assert Own().reasons_against_task(task) == ["execution: coo, margin, mult"]


def test_futures_of_several_symbols_tie_up_the_cash_of_one_account(engine) -> None:
    script = script_of([(TARGET, 2.0)])
    bars = [script.on(bars_of_prices([FLAT] * 4, symbol=name)) for name in "XY"]
    run = run_engine(BacktestTask(bars, scripted, {}, FUTURE), engine)
    # two margins of 200 each
    assert run.cash[-1] == 100_000.0 - 800.0
    assert run.equity[-1] == 100_000.0


@pytest.mark.parametrize("seed", [21, 51, 62])
def test_a_step_sees_the_same_of_a_stop_that_was_reached(seed: int) -> None:
    """Corrected, it is an order at the market from then on, and acts at no price."""
    task = with_settings(random_order_case(seed), seed).task(note_player)
    assert task.execution.semantics == "corrected"
    assert task_differences(task, "backtrader", "compiled") == []
