"""Random markets, scripts and broker settings: all engines agree, and so does plain Backtrader.

WHATIF_CASES sets how many are drawn in `make test-slow`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from whatif.domain.execution import Execution
from whatif.domain.overlays import Overlays
from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError
from whatif.strategies import StrategySpec
from whatif.strategies.intents import BUY, CLOSE, SELL
from whatif.testing import (
    Case,
    OrderCase,
    bars_of_prices,
    cases,
    order_cases,
    random_case,
    random_order_case,
    random_shared_case,
    script_of,
    scripted,
    state_reader,
    task_differences,
    with_costs,
    with_settings,
    within_whole_units,
)
from whatif.testing.order_kinds import note_player
from whatif.testing.orders import note_reader, queue_reader

from .witness import played, played_orders, unlike_plain

FAST = 30
SLOW = int(os.environ.get("WHATIF_CASES", "10000"))
WITNESSED = 60

ONE_WITNESSED = pytest.mark.parametrize(
    "engine", ["compiled", pytest.param("backtrader", marks=pytest.mark.slow)]
)
"""The other engine equals the first as bytes."""

in_both_tiers = pytest.mark.parametrize(
    "examples", [FAST, pytest.param(SLOW, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)


def seeded(examples: int) -> settings:
    """Return settings under which every run draws the same cases, whatever was drawn before."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


class Count:
    """How many cases ran, how many of them traded, and how many fills and refusals they had."""

    def __init__(self) -> None:
        self.cases = self.traded = self.fills = self.rejected = 0

    def add(self, run) -> None:
        self.cases += 1
        self.traded += len(run.fills) > 0
        self.fills += len(run.fills)
        self.rejected += run.margin_rejected

    def __str__(self) -> str:
        return f"{self.cases} cases, {self.traded} with {self.fills} fills, {self.rejected} orders refused"


@pytest.fixture
def told(capsys, request) -> Callable[[Count], None]:
    def tell(count: Count) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {count}")  # noqa: T201

    return tell


def both_agree(case: Case, step: StrategySpec, count: Count) -> None:
    task = case.task(step)
    assert task_differences(task, "backtrader", "compiled") == []
    with suppress(EngineError):  # a size beyond what a float counts
        count.add(run_engine(task, "compiled"))


@pytest.mark.parametrize(
    "step",
    [scripted, state_reader, note_reader, queue_reader],
    ids=["scripted", "by-state", "by-notes", "by-queue"],
)
@in_both_tiers
def test_two_brokers_one_answer(step, examples, told) -> None:
    count = Count()

    @seeded(examples)
    @given(case=cases())
    def agree(case: Case) -> None:
        both_agree(case, step, count)

    agree()
    told(count)


@in_both_tiers
def test_two_brokers_one_answer_on_longer_markets(examples, told) -> None:
    count = Count()
    for seed in range(examples // 2):
        task = random_case(seed, max_bars=300).task(state_reader if seed % 2 else scripted)
        assert task_differences(task, "backtrader", "compiled") == [], f"random_case({seed}, max_bars=300)"
        with suppress(EngineError):  # a size beyond what a float counts
            count.add(run_engine(task, "compiled"))
    told(count)


@ONE_WITNESSED
def test_an_ordinary_strategy_is_the_third_witness(engine, told) -> None:
    count = Count()

    @seeded(WITNESSED)
    @given(case=cases(max_bars=40))
    def agree(case: Case) -> None:
        task = case.task()
        run = run_engine(task, engine)
        assume(within_whole_units(run))
        count.add(run)
        assert unlike_plain(run, played(task)) == []

    agree()
    told(count)


@pytest.mark.parametrize("draws", [25, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_two_brokers_show_the_same_fills_positions_and_orders(draws, told) -> None:
    count = Count()
    for seed in range(draws):
        task = random_order_case(seed, max_bars=120).task(note_player)
        assert task_differences(task, "backtrader", "compiled") == [], f"seed {seed}"
        with suppress(EngineError):
            count.add(run_engine(task, "compiled"))
    assert count.fills > 15 * draws
    told(count)


@pytest.mark.parametrize(
    "examples", [500, pytest.param(SLOW * 3, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)
def test_two_brokers_one_answer_to_every_kind_of_order(examples, told) -> None:
    count = Count()

    @seeded(examples)
    @given(case=order_cases())
    def agree(case: OrderCase) -> None:
        task = case.task()
        assert task_differences(task, "backtrader", "compiled") == []
        with suppress(EngineError):  # a size beyond what a float counts
            count.add(run_engine(task, "compiled"))

    agree()
    told(count)


@ONE_WITNESSED
def test_plain_backtrader_is_the_third_witness_of_every_kind_of_order(engine, told) -> None:
    count = Count()

    @seeded(WITNESSED)
    @given(case=order_cases(max_bars=40))
    def agree(case: OrderCase) -> None:
        task = case.task()
        try:
            run = run_engine(task, engine)
        except EngineError:  # a bracket whose prices rounding has made one
            assume(False)
        assume(within_whole_units(run))
        count.add(run)
        assert unlike_plain(run, played_orders(task)) == []

    agree()
    told(count)


OF_ORDERS = {
    "stop_loss": [None, 0.01, 0.002],
    "take_profit": [None, 0.01, 0.003],
    "max_bars_held": [None, 3, 8],
    "stop_loss_intrabar": [None, 0.01, 0.002],
    "take_profit_intrabar": [None, 0.01, 0.003],
    "trailing_stop": [None, None, 0.01, 0.003],
}
SIZED = (
    {},
    {"percent_of_equity": 0.5},
    {"percent_of_cash": 0.7},
    {"risk_per_trade": 0.004},
    {"volatility_target": 0.002, "volatility": "stddev(roc(1), 4)"},
    {"kelly_fraction": 0.6, "kelly_trades": 2},
)
OF_INTENTS = {
    "stop_loss_intrabar": [None, 0.01, 0.002],
    "take_profit_intrabar": [None, 0.01, 0.003],
    "trailing_stop": [0.03, 0.01, 0.003],
    "max_bars_held": [None, 3],
}


@pytest.mark.parametrize("examples", [30, pytest.param(SLOW // 5, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("draw", "choices"),
    [(random_order_case, OF_ORDERS), (random_case, OF_INTENTS)],
    ids=["orders", "intents with exits inside the bar"],
)
def test_two_brokers_one_answer_under_overlays(draw, choices, examples, told) -> None:
    count = Count()
    for seed in range(examples):
        rng = np.random.default_rng(seed)
        drawn = {name: values[rng.integers(len(values))] for name, values in choices.items()}
        sizing = SIZED[rng.integers(len(SIZED))] if drawn["stop_loss_intrabar"] is not None else {}
        overlays = Overlays(**drawn, **sizing)
        task = replace(draw(seed, max_bars=120).task(), overlays=overlays)
        assert task_differences(task, "backtrader", "compiled") == [], f"seed {seed}, {overlays}"
        with suppress(EngineError):
            count.add(run_engine(task, "compiled"))
    assert count.fills > 15 * examples
    told(count)


def stream(seed: int) -> BacktestTask:
    """Return a task of each kind in turn: orders, costs, fillers, futures, several ragged symbols."""
    draws: list[Callable[[], BacktestTask]] = [
        lambda: random_order_case(seed).task(),
        lambda: with_settings(random_order_case(seed), seed).task(),
        lambda: with_costs(random_order_case(seed), seed).task(),
        lambda: with_costs(with_settings(random_order_case(seed), seed), seed, by_price=False).task(),
        lambda: with_settings(random_case(seed), seed).task(state_reader),
        lambda: random_shared_case(seed).task(state_reader),
    ]
    return draws[seed % len(draws)]()


PIECES = 25


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("piece", range(PIECES))
def test_two_brokers_one_answer_to_streams_of_all_kinds(piece, told) -> None:
    count = Count()
    for seed in range(piece, 3 * SLOW, PIECES):
        task = stream(seed)
        assert task_differences(task, "backtrader", "compiled") == [], f"stream({seed})"
        with suppress(EngineError):
            count.add(run_engine(task, "compiled"))
    assert count.fills > 5 * count.cases
    told(count)


def test_random_orders_reach_what_they_are_for() -> None:
    """Each kind of order fills, ends and is cancelled among the first 200 cases."""
    fills = refused = failed = 0
    for seed in range(200):
        try:
            run = run_engine(random_order_case(seed, max_bars=120).task(), "compiled")
        except EngineError:
            failed += 1
            continue
        fills += len(run.fills)
        refused += run.margin_rejected

    assert fills > 4000
    assert refused > 300
    assert failed < 10


def test_random_cases_reach_what_they_are_for() -> None:
    """Fills, refusals, reversals, rests and waiting orders do occur among the first 200."""
    fills = refused = reversals = tiny = two_on_a_bar = 0
    for seed in range(200):
        run = run_engine(random_case(seed).task(), "compiled")
        fills += len(run.fills)
        refused += run.margin_rejected
        reversals += int(((run.fills.closed != 0) & (run.fills.opened != 0)).sum())
        tiny += int((abs(run.fills.size) < 1e-12).sum())
        two_on_a_bar += len(run.fills) - len(set(run.fills.row.tolist()))

    assert fills > 1000
    assert refused > 200
    assert reversals > 100
    assert tiny > 3
    assert two_on_a_bar > 20


def test_there_can_be_more_fills_than_bars(engine) -> None:
    bars = bars_of_prices([(1.0, 1.0, 1.0, 1.0)] * 60)
    # 0.3 - 0.9 rounds so that the order to sell leaves a rest, which fills on the bar of the next one
    reversals = script_of([(BUY, 0.3), (SELL, 0.9), (CLOSE, 0.0), (CLOSE, 0.0)] * 15)
    case = Case(bars, reversals, Execution(cash=1000.0))

    run = run_engine(case.task(), engine)

    assert len(run.fills) > len(bars)
    assert unlike_plain(run, played(case.task())) == []
    assert task_differences(case.task(), "backtrader", engine) == []
