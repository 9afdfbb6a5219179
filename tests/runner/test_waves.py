"""Nothing pending is lost or run twice, whatever waves it is cut into."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import backtrader as bt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.domain import Execution
from whatif.engines import REFERENCE, get_engine
from whatif.results import Pending
from whatif.runner.plan import WorkItem
from whatif.runner.waves import (
    MAX_BACKTESTS,
    TASKS_PER_CORE,
    WAVE_SECONDS,
    Pace,
    take_wave,
    tasks_of,
    total_cost,
    work_items,
)
from whatif.search.configuration import Configuration
from whatif.strategies import resolve


def configurations(count: int, prefix: str = "c") -> tuple[Configuration, ...]:
    return tuple(Configuration(f"{prefix}{k}", {}, None, "1min", Execution()) for k in range(count))


def pending(symbol: str, count: int, bars: int) -> Pending:
    return Pending((symbol,), "validate", configurations(count), bars)


some_work = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5_000)), max_size=8).map(
    lambda sizes: [pending(f"S{k}", count, bars) for k, (count, bars) in enumerate(sizes)]
)


def backtests(parts: list[Pending] | list[WorkItem]) -> Counter[tuple[str, str]]:
    return Counter(("+".join(p.symbols), c.config_id) for p in parts for c in p.configurations)


@given(some_work, st.floats(0, 1e6), st.integers(1, 64))
def test_waves_and_items_hold_each_backtest_once(work, cost, cores) -> None:
    rest, items, waves = list(work), [], 0
    while rest:
        wave, rest = take_wave(rest, cost)
        assert wave, "a wave without work never ends"
        items += work_items(wave, cores, "backtrader")
        waves += 1
    assert backtests(items) == backtests(work)
    assert all(item.configurations for item in items)
    assert waves <= sum(backtests(work).values())


@given(some_work, st.floats(1, 1e6))
def test_a_wave_is_as_dear_as_asked_up_to_one_backtest(work, cost) -> None:
    wave, rest = take_wave(work, cost)
    dearest = max((max(p.bars, 1) for p in work), default=0)
    if rest:
        assert cost <= total_cost(wave) < cost + dearest
    else:
        assert total_cost(wave) <= max(1.5 * cost, cost + dearest)
    assert total_cost(wave) + total_cost(rest) == total_cost(work)


def test_a_small_rest_joins_the_last_wave() -> None:
    wave, rest = take_wave([pending("A", 14, 100)], 1_000.0)
    assert (len(wave[0].configurations), rest) == (14, [])
    wave, rest = take_wave([pending("A", 16, 100)], 1_000.0)
    assert (len(wave[0].configurations), len(rest[0].configurations)) == (10, 6)


def test_symbols_stay_together_and_in_order() -> None:
    wave, rest = take_wave([pending("A", 4, 100), pending("B", 8, 100), pending("C", 8, 100)], 1_000.0)
    assert [(p.symbols[0], len(p.configurations)) for p in wave] == [("A", 4), ("B", 6)]
    assert [(p.symbols[0], len(p.configurations)) for p in rest] == [("B", 2), ("C", 8)]


@given(some_work, st.integers(1, 64))
def test_items_never_mix_symbols_and_the_dearest_comes_first(work, cores) -> None:
    items = work_items(work, cores, "backtrader")
    costs = [item.cost for item in items]
    assert costs == sorted(costs, reverse=True)
    bars = {p.symbols: max(p.bars, 1) for p in work}
    for item in items:
        assert item.cost == len(item.configurations) * bars[item.symbols]


def test_one_symbols_configurations_are_spread_evenly() -> None:
    items = work_items([pending("A", 100, 1_000)], cores=2, engine="backtrader")
    sizes = [len(item.configurations) for item in items]
    assert len(sizes) == 2 * REFERENCE.items_per_core
    assert max(sizes) - min(sizes) <= 1


def test_there_are_never_more_items_than_backtests() -> None:
    assert len(work_items([pending("A", 3, 10)], cores=64, engine="backtrader")) == 3


@given(some_work, st.integers(1, 3))
def test_tasks_hold_each_item_once_and_only_symbols_that_lie_together(work, cores) -> None:
    items = work_items(work, cores, "compiled")
    tasks = tasks_of(items)
    assert sorted(map(id, items)) == sorted(id(item) for task in tasks for item in task)
    if len(items) <= TASKS_PER_CORE * cores:
        assert all(len(task) == 1 for task in tasks)
        return
    assert len(tasks) <= TASKS_PER_CORE * cores
    spans = sorted((task[0].symbols, task[-1].symbols) for task in tasks)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    costs = [sum(item.cost for item in task) for task in tasks]
    assert costs == sorted(costs, reverse=True)
    # a share, and half of an item at either end
    share = sum(costs) / (TASKS_PER_CORE * cores)
    assert max(costs) <= share + max(item.cost for item in items) + 1e-6


def test_symbols_of_a_universe_share_tasks_unless_series_are_asked_for() -> None:
    work = [pending(f"S{k:04d}", 2, 100) for k in range(1_000)]
    assert [len(task) for task in tasks_of(work_items(work, 2, "compiled"))] == [125] * 8
    assert len(tasks_of(work_items(work, 2, "compiled", keep=True))) == 1_000


def test_series_are_asked_for_by_every_item() -> None:
    assert all(item.keep for item in work_items([pending("A", 9, 10)], 2, "compiled", keep=True))


class TestPace:
    def test_a_long_run_goes_in_waves_of_a_minute(self) -> None:
        pace = Pace(rate=250.0)
        assert pace.wave_cost(1e9, cores=4) == 1_000.0 * WAVE_SECONDS

    def test_cores_that_come_or_go_change_the_next_wave(self) -> None:
        pace = Pace(rate=250.0)
        assert pace.wave_cost(1e9, cores=8) == 2 * pace.wave_cost(1e9, cores=4)
        assert pace.seconds(1_000.0, cores=8) == pytest.approx(0.5)

    def test_a_short_run_loses_a_twelfth_at_most(self) -> None:
        # 240 seconds of work: waves of 20 seconds
        assert Pace(rate=250.0).wave_cost(240_000.0, cores=4) == pytest.approx(20_000.0)

    def test_no_wave_is_so_short_that_its_commits_outweigh_it(self) -> None:
        # 4 seconds at least, and twice what the commits of the last wave took
        assert Pace(rate=250.0, storing=1.0).wave_cost(1_000.0, cores=4) == pytest.approx(4_000.0)
        assert Pace(rate=250.0, storing=3.0).wave_cost(1_000.0, cores=4) == pytest.approx(6_000.0)

    def test_slow_commits_do_not_shrink_the_next_wave(self) -> None:
        pace = Pace(rate=250.0, storing=10.0)
        pace.learn_rate(cost=4_000.0, core_seconds=16.0)
        assert pace.wave_cost(1_000.0, cores=4) == pytest.approx(20_000.0)

    def test_it_goes_by_the_last_wave(self) -> None:
        pace = Pace(rate=150_000.0)
        pace.learn_rate(cost=500.0, core_seconds=2.0)
        assert pace.rate == 250.0
        pace.learn_rate(cost=0.0, core_seconds=2.0)
        assert pace.rate == 250.0


def test_a_wave_of_fast_backtests_is_bounded_by_their_number() -> None:
    wave, rest = take_wave([pending("A", 60_000, 10)], 1e12)

    assert (len(wave[0].configurations), len(rest[0].configurations)) == (MAX_BACKTESTS, 50_000)


def test_the_compiled_engine_is_expected_to_be_faster() -> None:
    class Ordinary(bt.Strategy):
        pass

    step, ordinary = resolve("sma_crossover"), resolve(Ordinary)
    assert get_engine("compiled").rate(step) > 100 * REFERENCE.rate(step)
    assert REFERENCE.rate(step) > 5 * REFERENCE.rate(ordinary)
