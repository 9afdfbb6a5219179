"""Costs, contracts and orders that wait of several symbols in one account, on both brokers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from whatif.domain import DAY_US, SEMANTICS, Bars, Execution, Overlays, Periods, account_metrics, account_of
from whatif.engines import BacktestTask, RunInputs, WindowInputs, explained, get_engine, run_engine
from whatif.errors import EngineError
from whatif.strategies import bracket, buy, cancel, hold, sell, strategy
from whatif.testing import random_shared_case, scripted, task_differences, with_costs, with_settings
from whatif.testing.engines import random_account
from whatif.testing.order_kinds import (
    across_order_player,
    note_player,
    order_player,
    random_shared_order_case,
)
from whatif.testing.orders import note_reader, of_account

FLAT = (100.0, 100.0, 100.0, 100.0)
MINUTE = 60_000_000
TASKS: dict[str, Callable[[int], BacktestTask]] = {
    "costs": lambda seed: of_account(with_costs, random_shared_case(seed), seed).task(scripted),
    "contracts": lambda seed: of_account(with_settings, random_shared_case(seed), seed).task(scripted),
    "orders": lambda seed: random_shared_order_case(seed).task(order_player),
    "orders with contracts": lambda seed: of_account(
        with_settings, random_shared_order_case(seed), seed
    ).task(order_player),
    "orders with costs": lambda seed: of_account(with_costs, random_shared_order_case(seed), seed).task(
        order_player
    ),
    "orders across symbols": lambda seed: random_shared_order_case(seed).task(across_order_player),
    "orders that are seen": lambda seed: random_shared_order_case(seed).task(note_player),
    "notes with contracts": lambda seed: of_account(with_settings, random_shared_case(seed), seed).task(
        note_reader
    ),
}
LATER = ("orders that are seen", "notes with contracts")
"""Those whose kernels are others than those of the rest."""


def agreed_fills(tasks: list[BacktestTask]) -> int:
    """Return how many fills came of tasks on which both brokers agree."""
    fills = 0
    for k, task in enumerate(tasks):
        assert task_differences(task, "backtrader", "compiled") == [], f"case {k}"
        try:
            fills += len(run_engine(task, "compiled").fills)
        except EngineError:  # a size beyond what a float counts
            continue
    return fills


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind in LATER else []) for kind in TASKS]
)
@pytest.mark.parametrize(
    "cases", [20, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_two_brokers_one_answer(kind: str, cases: int) -> None:
    assert agreed_fills([TASKS[kind](seed) for seed in range(cases)]) > 5 * cases


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_brokers_one_answer_to_accounts_of_all_kinds() -> None:
    assert agreed_fills([random_account(seed) for seed in range(5000)]) > 25_000


def two(first: list[tuple[float, ...]], second: list[tuple[float, ...]], build_bars) -> list[Bars]:
    return [build_bars(first, "A"), build_bars(second, "B")]


@strategy(lookback=0)
def bids(i, x, p, s):
    """Bid on the first bar, for each symbol what is written for it."""
    return buy(1.0, limit=x.vwap[i]) if i == 0 else hold()


def bidding(bars: list[Bars], limits: tuple[float, ...]) -> list[Bars]:
    """Return bars on which `bids` bids these limits."""
    return [replace(one, vwap=np.full(len(one), limit)) for one, limit in zip(bars, limits, strict=True)]


def test_orders_of_all_symbols_are_checked_by_one_cash(engine, build_bars) -> None:
    low = (100.0, 100.0, 50.0, 100.0)
    bars = bidding(two([FLAT, low, FLAT], [FLAT, low, FLAT], build_bars), (95.0, 60.0))
    run = run_engine(BacktestTask(bars, bids, {}, Execution(cash=150.0)), engine)

    # 95 of 150 leave 55, which do not pay for 60
    assert run.margin_rejected == 1
    assert list(zip(run.fills.row, run.fills.symbol, run.fills.price, strict=True)) == [(1, 0, 95.0)]
    assert run.cash.tolist() == [150.0, 55.0, 55.0]
    assert run.equity.tolist() == [150.0, 155.0, 155.0]


@pytest.mark.parametrize(("semantics", "rows"), [(SEMANTICS, [1]), ("corrected", [2])])
def test_one_that_waits_is_tried_where_another_symbol_has_a_bar(semantics, rows, engine, build_bars) -> None:
    """Backtrader's broker tries it on the last bar of its own, that on which it was made among them."""
    touched = (100.0, 100.0, 94.0, 100.0)
    first, second = two([touched, FLAT, touched], [FLAT] * 3, build_bars)
    bars = bidding([first.take(np.array([0, 2])), second], (95.0, 10.0))
    given = Execution(cash=1000.0, semantics=semantics)
    run = run_engine(BacktestTask(bars, bids, {}, given, bar_us=MINUTE), engine)
    assert list(zip(run.fills.row, run.fills.symbol, run.fills.price, strict=True)) == [
        (row, 0, 95.0) for row in rows
    ]


EMPTY: dict[str, Callable[[int], BacktestTask]] = {
    "market": lambda seed: random_shared_case(seed).task(scripted),
    "contracts": lambda seed: of_account(with_settings, random_shared_case(seed), seed).task(scripted),
    "orders": lambda seed: random_shared_order_case(seed).task(order_player),
    "orders across symbols": lambda seed: random_shared_order_case(seed).task(across_order_player),
}


@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.parametrize("cases", [10, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_symbol_without_bars_in_the_window_is_as_if_it_were_not_there(
    kind: str, cases: int, engine
) -> None:
    """It has ended before the window, or begins after it, of which the history has no bar at all."""
    fills = 0
    for seed in range(cases):
        task = EMPTY[kind](seed)
        place, first = seed % (len(task.bars) + 1), task.bars[0]
        rows = slice(0, 1 if seed % 2 else 0)
        other = replace(first.slice(rows.start, rows.stop), symbol="Z")
        earlier = min(int(bars.ts[0]) for bars in task.bars) if task.start is None else task.start
        other = replace(other, ts=np.full(len(other), earlier - 30 * DAY_US))
        bars = [*task.bars[:place], other, *task.bars[place:]]
        try:
            run, plain = (
                run_engine(replace(task, bars=some, start=earlier), engine) for some in (bars, task.bars)
            )
        except EngineError:  # a size beyond what a float counts
            continue
        for name in ("row", "closed", "opened", "price", "closed_commission", "opened_commission"):
            assert getattr(run.fills, name).tolist() == getattr(plain.fills, name).tolist(), f"seed {seed}"
        moved = plain.fills.symbol + (plain.fills.symbol >= place)
        assert run.fills.symbol.tolist() == moved.tolist()
        assert run.equity.tobytes() == plain.equity.tobytes()
        assert np.isnan(run.close[place]).all()
        assert not run.position[place].any()
        fills += len(run.fills)
    assert fills > 10 * cases


def test_no_bar_of_any_symbol_in_the_window_is_refused(engine, build_bars) -> None:
    bars = two([FLAT], [FLAT], build_bars)
    task = BacktestTask(bars, bids, {}, Execution(), start=int(bars[0].ts[0]) + DAY_US)
    with pytest.raises(EngineError, match="A: no bar lies in the window; choose one that the data covers"):
        run_engine(task, engine)


ALONE = ("price", "closed", "opened")


@pytest.mark.parametrize("cases", [15, pytest.param(1000, marks=pytest.mark.slow)])
def test_corrected_a_symbol_fills_as_it_would_alone(cases: int, engine) -> None:
    """With money for all, nothing that other symbols have or lack makes a difference to its fills."""
    fills = 0
    for seed in range(cases):
        case = random_shared_order_case(seed)
        given = replace(case.execution, semantics="corrected", cash=1e15, checksubmit=False)
        task = replace(case, execution=given).task(order_player)
        run = run_engine(task, engine)
        for k, one in enumerate(task.bars):
            own = run_engine(replace(task, bars=[one]), engine)
            mine = run.fills.symbol == k
            for name in ALONE:
                found, expected = getattr(run.fills, name)[mine], getattr(own.fills, name)
                assert found.tolist() == expected.tolist(), f"seed {seed}, {one.symbol}: {name}"
        fills += len(run.fills)
    assert fills > 10 * cases


def test_an_order_ends_by_the_bars_of_its_own_symbol(engine, build_bars) -> None:
    @strategy(lookback=0)
    def once(i, x, p, s):
        return buy(1.0, limit=95.0, valid=1) if i == 0 else hold()

    touched = (100.0, 100.0, 94.0, 100.0)
    first, second = two([FLAT, FLAT, FLAT, touched], [FLAT] * 4, build_bars)
    # the bar that reaches it is the second of A's own, and the third of B's
    for rows, fills in (([0, 3], 1), ([0, 2, 3], 0)):
        bars = [first.take(np.array(rows)), second]
        run = run_engine(BacktestTask(bars, once, {}, Execution(cash=1000.0), bar_us=MINUTE), engine)
        assert len(run.fills) == fills


def test_futures_are_settled_each_at_its_own_close(engine, build_bars) -> None:
    @strategy(lookback=0)
    def one_each(i, x, p, s):
        return buy(1.0) if i == 0 else hold()

    bars = two(
        [FLAT, (100.0, 101.0, 100.0, 101.0), FLAT], [FLAT, (100.0, 100.0, 98.0, 98.0), FLAT], build_bars
    )
    given = Execution(cash=1000.0, margin=200.0, mult=10.0)
    run = run_engine(BacktestTask(bars, one_each, {}, given), engine)
    # two margins of 200 each; 10 gained and 20 lost, which the next close takes back
    assert run.cash.tolist() == [1000.0, 590.0, 600.0]
    assert run.equity.tolist() == [1000.0, 990.0, 1000.0]


def test_interest_is_owed_for_the_days_of_each_symbol(engine, build_bars) -> None:
    @strategy(lookback=0)
    def short_each(i, x, p, s):
        return sell(1.0) if i == 0 else hold()

    day = 86_400_000_000
    first, second = two([FLAT] * 4, [FLAT] * 4, build_bars)
    begin = int(first.ts[0])
    first = replace(first, ts=begin + day * np.array([0, 1, 2, 6]))
    second = replace(second, ts=begin + day * np.array([0, 1, 4, 6]))
    given = Execution(cash=1000.0, interest=0.365)
    run = run_engine(BacktestTask([first, second], short_each, {}, given, bar_us=day), engine)
    # 0.1 a day for each: of A one and four days, of B three and two, each when it has a bar
    owed = 1200.0 - run.cash
    assert owed[1:].tolist() == pytest.approx([0.0, 0.1, 0.4, 1.0], abs=1e-12)


def test_a_group_and_a_cancellation_are_of_one_symbol(engine, build_bars) -> None:
    @strategy(lookback=0)
    def entering(i, x, p, s):
        if i == 0:
            return bracket(1.0, limit=99.0, stop=90.0, target=110.0)
        # the first is cancelled by its own step, the second goes on
        return cancel() if i == 1 and x.vwap[i] == 1.0 else hold()

    deep, high = (100.0, 100.0, 98.0, 100.0), (100.0, 111.0, 100.0, 100.0)
    first, second = two([FLAT, FLAT, deep, high, FLAT], [FLAT, FLAT, deep, high, FLAT], build_bars)
    bars = bidding([first, second], (1.0, 2.0))
    task = BacktestTask(bars, entering, {}, Execution(cash=1000.0))
    run = run_engine(task, engine)
    assert list(zip(run.fills.row, run.fills.symbol, run.fills.price, strict=True)) == [
        (2, 1, 99.0), (3, 1, 110.0),
    ]  # fmt: skip
    notes = explained(task, run).trade_notes
    assert (notes.exit_reason, notes.entry_order.tolist()) == (("target",), [99.0])
    assert (notes.stop_price.tolist(), notes.target_price.tolist()) == ([90.0], [110.0])


def test_exits_inside_the_bar_are_each_symbols_own(engine, build_bars) -> None:
    @strategy(lookback=0)
    def entering(i, x, p, s):
        return buy(1.0) if i == 0 else hold()

    first, second = two(
        [FLAT, FLAT, (100.0, 100.0, 97.0, 100.0), FLAT],
        [FLAT, FLAT, (100.0, 106.0, 99.0, 100.0), FLAT],
        build_bars,
    )
    overlays = Overlays(stop_loss_intrabar=0.02, take_profit_intrabar=0.05)
    task = BacktestTask([first, second], entering, {}, Execution(cash=1000.0), overlays=overlays)
    run = run_engine(task, engine)
    assert list(zip(run.fills.row, run.fills.symbol, run.fills.price, strict=True)) == [
        (1, 0, 100.0), (1, 1, 100.0), (2, 0, 98.0), (2, 1, 105.0),
    ]  # fmt: skip
    assert explained(task, run).trade_notes.exit_reason == ("stop", "target")


def test_a_bad_order_names_its_symbol_and_bar(engine, build_bars) -> None:
    @strategy(lookback=0)
    def crooked(i, x, p, s):
        return bracket(1.0, stop=x.vwap[i], target=200.0) if i == 1 else hold()

    bars = bidding(two([FLAT] * 3, [FLAT] * 3, build_bars), (90.0, 110.0))
    with pytest.raises(EngineError, match=r"crooked: B, bar 1 at .*bracket\(1, stop=110, target=200\)"):
        run_engine(BacktestTask(bars, crooked, {}), engine)


def test_more_orders_than_may_wait_are_counted_by_symbol(engine, build_bars) -> None:
    @strategy(lookback=0, max_orders=2)
    def piling(i, x, p, s):
        return buy(1.0, limit=10.0) if i < x.vwap[i] else hold()

    bars = two([FLAT] * 5, [FLAT] * 5, build_bars)
    run_engine(BacktestTask(bidding(bars, (2.0, 2.0)), piling, {}), engine)
    with pytest.raises(EngineError, match=r"piling: B, bar 2 at .*more than max_orders 2 orders wait"):
        run_engine(BacktestTask(bidding(bars, (2.0, 3.0)), piling, {}), engine)


def test_a_sweep_measures_what_runs_for_themselves_would() -> None:
    """Between configurations at the market, and with more orders than there is room for at first."""
    case = random_shared_order_case(4)
    task = case.task(order_player)
    every = np.unique(np.concatenate([one.ts for one in task.bars]))
    periods = Periods("bar", np.append(every[5::10], every[-1] + 1), 252.0)
    window = WindowInputs(task.bars, task.strategy, periods)
    settings = [
        case.execution,
        replace(case.execution, checksubmit=False),
        of_account(with_settings, case, 1).execution,
        Execution(cash=1e6),
        case.execution,
    ]
    many = [RunInputs({}, execution) for execution in settings]

    found = get_engine("compiled").open_for_many(window)(many)

    for k, given in enumerate(many):
        run = run_engine(window.task(given), "backtrader")
        account = account_of(run, given.execution, periods)
        metrics = account_metrics(account, given.execution, periods)
        assert {name: repr(v[k].item()) for name, v in found.metrics.items()} == {
            name: repr(value) for name, value in metrics.items()
        }
        assert found.returns[k].tobytes() == account.returns.tobytes()
        assert found.rejected[k] == run.margin_rejected
