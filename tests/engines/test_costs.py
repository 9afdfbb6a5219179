"""Costs that people pay: worked by hand, and the same on both brokers."""

from __future__ import annotations

from dataclasses import replace

import backtrader as bt
import numpy as np
import pytest

from whatif.domain.cost_presets import PRESETS
from whatif.domain.costs import costs_from
from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError
from whatif.strategies import buy, hold, oco, resolve, sell, strategy
from whatif.strategies.intents import BUY, HOLD, SELL
from whatif.testing import (
    Case,
    bars_of_prices,
    random_case,
    random_order_case,
    script_of,
    scripted,
    state_reader,
    with_costs,
    within_whole_units,
)
from whatif.testing.order_kinds import order_reader, with_answers

from ..testing.witness import Player
from .conftest import agreed_runs

FLAT = (100.0, 110.0, 90.0, 100.0)


def fees(engine: str, intents, *, bars=None, cash=1e6, **costs):
    """Return the commission of each execution of a script, in its two parts."""
    bars = bars_of_prices([FLAT] * (len(intents) + 2)) if bars is None else bars
    case = Case(bars, script_of(intents), Execution(cash=cash, costs=costs_from(costs)))
    fills = run_engine(case.task(), engine).fills
    return list(zip(fills.closed_commission.tolist(), fills.opened_commission.tolist(), strict=True))


def prices(engine: str, intents, *, bars=None, cash=1e6, settings=None, **costs):
    bars = bars_of_prices([FLAT] * (len(intents) + 2)) if bars is None else bars
    execution = Execution(cash=cash, costs=costs_from(costs), **(settings or {}))
    fills = run_engine(Case(bars, script_of(intents), execution).task(), engine).fills
    return dict(zip(fills.row.tolist(), fills.price.tolist(), strict=True))


def test_a_fraction_and_money_for_each_unit_and_order_add_up(engine) -> None:
    found = fees(engine, [(BUY, 8.0), (SELL, 4.0)], per_order=1.0, per_unit=0.5, fraction=0.125)
    # 1 + 8 * 0.5 + 800 / 8, and half of the rates for half of the units
    assert found == [(0.0, 105.0), (53.0, 0.0)]


def test_a_minimum_is_paid_once_and_a_maximum_wins(engine) -> None:
    assert fees(engine, [(BUY, 1.0)], per_unit=0.5, minimum=2.0) == [(0.0, 2.0)]
    assert fees(engine, [(BUY, 100.0)], per_unit=0.5, minimum=2.0, maximum=7.0) == [(0.0, 7.0)]
    # 1/128 of 100 is less than the minimum
    assert fees(engine, [(BUY, 1.0)], minimum=2.0, maximum_fraction=0.0078125) == [(0.0, 0.78125)]


def test_a_reversal_is_one_order(engine) -> None:
    found = fees(engine, [(BUY, 10.0), (SELL, 14.0)], per_order=0.5, per_unit=0.25, minimum=3.0)
    # of 14 units: 0.5 + 3.5 are more than the minimum; the 10 that close pay 0.5 + 2.5, the others the rest
    assert found == [(0.0, 3.0), (3.0, 1.0)]


def test_buying_and_selling_cost_what_each_costs(engine) -> None:
    found = fees(
        engine,
        [(BUY, 8.0), (SELL, 8.0)],
        minimum=1.0,
        buy_fraction=0.0625,
        buy_per_unit=0.5,
        sell_fraction=0.03125,
        sell_per_unit=0.25,
    )
    # beside the minimum: 50 + 4, and 25 + 2
    assert found == [(0.0, 55.0), (28.0, 0.0)]


def test_fees_of_the_exchange_come_beside_the_bounds(engine) -> None:
    found = fees(
        engine, [(BUY, 8.0)], maximum=1.0, per_unit=9.0, exchange_per_unit=0.5, exchange_fraction=0.125
    )
    assert found == [(0.0, 105.0)]


def test_tiers_are_those_of_the_month(engine) -> None:
    bars = bars_of_prices([FLAT] * 40, session_bars=1)  # a bar a day from 2013-10-22 on
    tiers = [{"from_units": 0, "per_unit": 1.0}, {"from_units": 10, "per_unit": 0.5}]
    intents = [(HOLD, 0.0)] * 12
    intents[0] = intents[2] = intents[11] = (BUY, 8.0)
    months = bars.ts.astype("datetime64[us]").astype("datetime64[M]")
    assert months[1] == months[3] < months[12]
    # 8; 2 in the first tier and 6 in the second; a new month
    expected = [(0.0, 8.0), (0.0, 5.0), (0.0, 8.0)]
    assert fees(engine, intents, bars=bars, tiers=tiers) == expected
    # the volume before the order decides
    expected[1] = (0.0, 8.0)
    assert fees(engine, intents, bars=bars, tiers=tiers, marginal=False) == expected


def test_tiers_may_be_of_money(engine) -> None:
    tiers = [{"from_value": 0, "fraction": 0.125}, {"from_value": 1000, "fraction": 0.0625}]
    assert fees(engine, [(BUY, 16.0), (SELL, 4.0)], tiers=tiers) == [(0.0, 125.0 + 37.5), (25.0, 0.0)]


def test_several_symbols_share_what_the_account_has_traded(engine) -> None:
    tiers = [{"from_units": 0, "per_unit": 1.0}, {"from_units": 10, "per_unit": 0.5}]
    one = script_of([(BUY, 8.0), (HOLD, 0.0)]).on(bars_of_prices([FLAT] * 4))
    other = script_of([(BUY, 8.0), (HOLD, 0.0)]).on(bars_of_prices([FLAT] * 4, symbol="Y"))
    settings = Execution(cash=1e6, costs=costs_from({"tiers": tiers}))
    fills = run_engine(BacktestTask([one, other], scripted, {}, settings), engine).fills
    assert fills.symbol.tolist() == [0, 1]
    assert fills.commission.tolist() == [8.0, 5.0]


def test_the_check_at_submission_counts_them(engine) -> None:
    exactly = {"minimum": 50.0}
    assert len(fees(engine, [(BUY, 1.0)], cash=150.0, **exactly)) == 1
    assert fees(engine, [(BUY, 1.0)], cash=149.0, **exactly) == []


def test_the_check_at_submission_knows_a_reversal_for_one_order(engine) -> None:
    # 1,200 less 1,000 and 50; 1,000 more for the 10, less 50 once, pay for 11 to be short of, to the cent
    bars = bars_of_prices([FLAT] * 4)
    execution = Execution(cash=1200.0, shortcash=False, costs=costs_from({"minimum": 50.0}))
    run = run_engine(Case(bars, script_of([(BUY, 10.0), (SELL, 21.0)]), execution).task(), engine)
    assert (run.fills.size.tolist(), run.margin_rejected) == ([10.0, -21.0], 0)
    assert run.cash[-1] == 0.0


@strategy(lookback=0)
def limits(i, x, p, s):
    if i == 0:
        return buy(1.0, limit=95.0), buy(2.0, limit=101.0), buy(4.0)
    if i == 2:
        return oco(sell(8.0, limit=105.0), sell(16.0, stop=80.0))
    return hold()


def test_a_limit_order_that_lies_in_the_book_pays_the_makers_fee(engine) -> None:
    costs = costs_from({"maker": 0.0625, "taker": 0.125, "spread_ticks": 2, "tick": 0.5})
    task = BacktestTask([bars_of_prices([FLAT] * 6)], limits, {}, Execution(cash=1e6, costs=costs))
    fills = run_engine(task, engine).fills
    # 95 was reached within the bar; 101 lies above the open, whose price slips like a market order's
    expected = {1.0: (95.0, 0.0625), 2.0: (100.5, 0.125), 4.0: (100.5, 0.125), -8.0: (105.0, 0.0625)}
    found = dict(zip(fills.size.tolist(), zip(fills.price, fills.commission, strict=True), strict=True))
    assert found == {size: (at, abs(size) * at * share) for size, (at, share) in expected.items()}


@strategy(lookback=0)
def stop_limits(i, x, p, s):
    return buy(1.0, stop=105.0, limit=107.0) if i == 0 else hold()


@pytest.mark.parametrize(
    ("rows", "at", "share"),
    [
        # hit within the bar, where the limit lies beyond the stop
        ([(104.0, 106.0, 103.0, 105.0)], 105.0, 0.125),
        # passed at the open, and reached within the bar, or within the next one
        ([(110.0, 112.0, 106.0, 111.0)], 107.0, 0.0625),
        ([(110.0, 112.0, 108.0, 111.0), (109.0, 111.0, 106.0, 110.0)], 107.0, 0.0625),
        # passed at the open, and the next bar opens beyond the limit
        ([(110.0, 112.0, 108.0, 111.0), (106.0, 111.0, 105.0, 110.0)], 106.0, 0.125),
    ],
)
def test_a_stop_limit_order_adds_liquidity_once_it_lies_in_the_book(engine, rows, at, share) -> None:
    costs = costs_from({"maker": 0.0625, "taker": 0.125})
    bars = bars_of_prices([FLAT, *rows, FLAT])
    fills = run_engine(BacktestTask([bars], stop_limits, {}, Execution(costs=costs)), engine).fills
    assert (fills.price.tolist(), fills.commission.tolist()) == ([at], [at * share])


def test_half_of_the_spread_and_a_share_of_the_range_make_prices_worse(engine) -> None:
    intents = [(BUY, 1.0), (SELL, 1.0)]
    assert prices(engine, intents, spread_ticks=3, tick=0.5) == {1: 100.75, 2: 99.25}
    assert prices(engine, intents, range_slippage=0.125) == {1: 102.5, 2: 97.5}
    # no price lies outside of the bar
    assert prices(engine, intents, range_slippage=1.0) == {1: 110.0, 2: 90.0}
    out = {"slip_out": True}
    assert prices(engine, intents, range_slippage=1.0, settings=out) == {1: 120.0, 2: 80.0}


def test_impact_is_the_root_of_the_share_of_the_volume(engine) -> None:
    bars = bars_of_prices([FLAT] * 5)
    bars = replace(bars, volume=np.array([9.0, 16.0, 0.0, np.nan, 4.0]))
    intents = [(BUY, 4.0), (SELL, 1.0)]
    # half of 1/16 of 100; the sale waits for a bar with a volume
    found = prices(engine, intents, bars=bars, impact=0.0625, fraction=0.5)
    assert found == {1: 103.125, 4: 100.0 - 0.0625 * 0.5 * 100.0}


def test_impact_without_any_volume_is_refused(engine) -> None:
    bars = bars_of_prices([FLAT] * 5)
    with pytest.raises(EngineError, match=r"impact = 0\.1 is reckoned by volume, and no bar"):
        prices(engine, [(BUY, 4.0)], bars=replace(bars, volume=np.zeros(5)), impact=0.1)


def test_what_rounding_leaves_of_a_reversal_pays_no_second_minimum(engine) -> None:
    found = fees(engine, [(BUY, 0.2), (SELL, 0.9), (HOLD, 0.0)], per_order=1.0, minimum=2.0, per_unit=1.0)
    assert found[:2] == [(0.0, 2.0), (2.0, 0.0)]
    assert all(abs(closed) + abs(opened) < 1e-12 for closed, opened in found[2:])


@pytest.mark.parametrize(
    "cases", [75, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
@pytest.mark.parametrize("step", [scripted, state_reader], ids=["scripted", "by-state"])
def test_two_brokers_one_answer(step, cases) -> None:
    filled = rejected = 0
    for _, run in agreed_runs(with_costs(random_case(seed), seed).task(step) for seed in range(cases)):
        filled, rejected = filled + len(run.fills), rejected + run.margin_rejected
    assert filled > 3 * cases
    assert rejected > cases


@pytest.mark.parametrize(
    "cases", [100, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_two_brokers_one_answer_to_every_kind_of_order(cases) -> None:
    tasks = (with_costs(random_order_case(seed), seed).task() for seed in range(cases))
    filled = sum(len(run.fills) for _, run in agreed_runs(tasks))
    assert filled > 5 * cases


def test_an_ordinary_strategy_pays_the_same() -> None:
    compared = 0
    for seed in range(60):
        task = with_costs(random_case(seed), seed).task()
        ours = run_engine(task, "compiled")
        if not within_whole_units(ours):
            continue
        (bars,) = task.bars
        script = [(bars.inputs["code"].tolist(), bars.inputs["amount"].tolist())]
        theirs = run_engine(replace(task, strategy=resolve(Player), params={"scripts": script}), "backtrader")
        for name in ("row", "size", "price", "closed_commission", "opened_commission"):
            assert getattr(ours.fills, name).tobytes() == getattr(theirs.fills, name).tobytes(), (seed, name)
        assert ours.equity.tobytes() == theirs.equity.tobytes(), seed
        compared += len(ours.fills) > 0
    assert compared > 30


def test_an_ordinary_strategy_may_not_change_what_costs_say() -> None:
    class Dear(bt.Strategy):
        def start(self):
            self.broker.setcommission(0.5)

    task = BacktestTask(
        [bars_of_prices([FLAT] * 5)], resolve(Dear), {}, Execution(costs=costs_from("kraken_pro"))
    )
    with pytest.raises(EngineError, match="changes the commission"):
        run_engine(task, "backtrader")


@pytest.mark.parametrize("seed", range(30))
def test_a_spread_is_money_and_a_fraction_is_one(seed, engine) -> None:
    """What plain Backtrader has too, which the settings of its own names are held to."""
    case = random_case(seed)
    price = float(case.bars.open[0])
    plain = replace(case.execution, commission=0.0, commtype="perc", slippage=0.0, slippage_fixed=0.0)
    money = replace(plain, slippage_fixed=0.5 * (3.0 * (0.004 * price)))
    costs = replace(plain, costs=costs_from({"spread_ticks": 3, "tick": 0.004 * price}))
    one, other = (run_engine(replace(case, execution=each).task(), engine) for each in (money, costs))
    assert one.fills.price.tobytes() == other.fills.price.tobytes()
    assert one.equity.tobytes() == other.equity.tobytes()
    share = replace(plain, commission=0.0009765625, cash=1e6 * price)
    costs = replace(plain, costs=costs_from({"fraction": 0.0009765625}), cash=1e6 * price)
    one, other = (run_engine(replace(case, execution=each).task(), engine) for each in (share, costs))
    np.testing.assert_allclose(one.fills.commission, other.fills.commission, rtol=1e-9, atol=1e-12 * price)


PENNY = (0.2, 0.25, 0.15, 0.2)
BY_TARIFF = [
    # 0.005 a share, at least 1, at most 1 % of the value; sales: SEC 0.0000278 of the value, FINRA 0.000166
    # a share. 100 shares at 100: 0.50, so 1.00; sold 1.00 + 0.278 + 0.0166
    ("ibkr_fixed_us", FLAT, [(BUY, 100.0), (SELL, 100.0)], [(0, 1.0), (1.2946, 0)]),
    # 1,000 shares: 5.00; sold 5.00 + 2.78 + 0.166
    ("ibkr_fixed_us", FLAT, [(BUY, 1000.0), (SELL, 1000.0)], [(0, 5.0), (7.946, 0)]),
    # 1,000 at 0.20: 5.00, and 1 % of 200 is 2.00. Of 10 shares the minimum is 1.00, and 1 % of 2 is 0.02
    ("ibkr_fixed_us", PENNY, [(BUY, 1000.0)], [(0, 2.0)]),
    ("ibkr_fixed_us", PENNY, [(BUY, 10.0)], [(0, 0.02)]),
    # 0.0035 up to 300,000 shares a month, 0.0020 from there, at least 0.35; clearing 0.0002 a share
    ("ibkr_tiered_us", FLAT, [(BUY, 50.0)], [(0, 0.35 + 0.01)]),
    # 300,000 * 0.0035 + 100,000 * 0.0020 + 80 = 1,330; sold, all beyond 300,000:
    # 800 + 80 + SEC 40,000,000 * 0.0000278 + FINRA 66.4 = 2,058.4
    ("ibkr_tiered_us", FLAT, [(BUY, 400_000.0), (SELL, 400_000.0)], [(0, 1330.0), (2058.4, 0)]),
    # 0.05 % of the value, at least 3.00
    ("ibkr_fixed_eu", FLAT, [(BUY, 10.0), (BUY, 100.0), (SELL, 110.0)], [(0, 3.0), (0, 5.0), (5.5, 0)]),
    # 0.05 % of the value, at least 1.25 and at most 29.00; a reversal is one order of 100,000: 210 of its
    # units close and pay 10.50, the others what is left of 29.00
    ("ibkr_tiered_eu", FLAT, [(BUY, 10.0), (BUY, 200.0), (SELL, 1000.0)], [(0, 1.25), (0, 10), (10.5, 18.5)]),
    ("ibkr_tiered_eu", FLAT, [(BUY, 1000.0)], [(0, 29.0)]),
    # 0.5 % of purchases
    ("uk_stamp_duty", FLAT, [(BUY, 100.0), (SELL, 100.0)], [(0, 50.0), (0, 0)]),
    # takers 0.40 %, from 10,000 in the month 0.35 %: 5,000 and 6,000 before it is reached, then 11,000
    ("kraken_pro", FLAT, [(BUY, 50.0), (BUY, 60.0), (SELL, 110.0)], [(0, 20.0), (0, 24.0), (38.5, 0)]),
    # takers 0.60 %, from 10,000 in the month 0.40 %
    ("coinbase_exchange", FLAT, [(BUY, 50.0), (BUY, 60.0), (SELL, 110.0)], [(0, 30.0), (0, 36.0), (44.0, 0)]),
]


@pytest.mark.parametrize(("preset", "price", "intents", "wanted"), BY_TARIFF)
def test_a_preset_charges_what_its_tariff_says(preset, price, intents, wanted, engine) -> None:
    bars = bars_of_prices([price] * (len(intents) + 2))
    found = fees(engine, intents, bars=bars, cash=1e9, preset=preset)
    assert len(found) == len(wanted)
    for paid, told in zip(found, wanted, strict=True):
        assert paid == pytest.approx(told, rel=1e-12, abs=0)


MAKERS = [("kraken_pro", 2.375), ("coinbase_exchange", 3.8)]
"""What a limit order that lay in the book pays of 10 units at 95: 0.25 %, and 0.40 %."""


@pytest.mark.parametrize(("preset", "wanted"), MAKERS)
def test_a_preset_charges_makers_by_its_tariff(preset, wanted, engine) -> None:
    bars = with_answers(bars_of_prices([FLAT] * 4), {0: buy(10.0, limit=95.0)})
    execution = Execution(cash=1e6, costs=costs_from(preset))
    run = run_engine(BacktestTask([bars], order_reader, {}, execution), engine)
    assert run.fills.price.tolist() == [95.0]
    assert run.fills.commission.tolist() == pytest.approx([wanted], rel=1e-12)


def test_every_preset_is_worked_by_hand() -> None:
    assert {name for name, *_ in BY_TARIFF} == set(PRESETS)
    assert {name for name, _ in MAKERS} == {n for n, one in PRESETS.items() if "maker" in str(one.costs)}
