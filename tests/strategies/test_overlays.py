"""What overlays make of an intent, worked out by hand, and the same in compiled code."""

from __future__ import annotations

import math
from dataclasses import replace

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.domain.execution import Execution
from whatif.domain.fills import LOST, TRADE_TALLY, TRADES, WINS, WON, note_trade
from whatif.domain.overlays import SIZINGS, Overlays
from whatif.strategies import buy, close, hold, sell, target, target_percent
from whatif.strategies.overlays import (
    OverlayRules,
    apply_overlays,
    delay,
    kelly_share,
    overlay_memory,
    overlay_rules,
)


def left_of(
    intent,
    *,
    price=100.0,
    size=0.0,
    entry=0.0,
    held=0,
    cash=6_000.0,
    value=10_000.0,
    to_close=60,
    measured=math.nan,
    **on,
):
    rules = overlay_rules(Overlays(**on))
    return apply_overlays(*intent, price, size, entry, held, cash, value, to_close, measured, rules)


INTENTS = [hold(), target(5), target(-5), target(0), buy(2), sell(2), close(), target_percent(0.5)]


@pytest.mark.parametrize("intent", INTENTS)
@pytest.mark.parametrize(("size", "entry"), [(0.0, 0.0), (5.0, 1.0), (-5.0, 1.0)])
def test_with_all_off_an_intent_stays(intent, size: float, entry: float) -> None:
    assert left_of(intent, size=size, entry=entry, held=10**6, to_close=-(10**6)) == intent


@pytest.mark.parametrize("intent", INTENTS)
def test_before_the_close_a_position_is_left_and_none_opened(intent) -> None:
    # 15 minutes before the close, at it and after it
    for to_close in (15, 1, 0, -30):
        assert left_of(intent, size=5.0, entry=100.0, to_close=to_close, flat_before_close=15) == close()
        assert left_of(intent, size=-5.0, entry=100.0, to_close=to_close, flat_before_close=15) == close()
        assert left_of(intent, to_close=to_close, flat_before_close=15) == hold()
    assert left_of(intent, to_close=16, flat_before_close=15) == intent


@pytest.mark.parametrize(
    ("size", "price", "expected"),
    [
        # in at 80: a stop of 1/4 is at 60 and 100, a target of 1/2 at 120 and 40
        (5.0, 60.0, close()), (5.0, 60.01, target(5)), (5.0, 119.99, target(5)), (5.0, 120.0, close()),
        (-5.0, 100.0, close()), (-5.0, 99.99, target(5)), (-5.0, 40.01, target(5)), (-5.0, 40.0, close()),
    ],
)  # fmt: skip
def test_stop_and_target_by_the_close(size: float, price: float, expected) -> None:
    found = left_of(target(5), size=size, entry=80.0, price=price, stop_loss=0.25, take_profit=0.5)

    assert found == expected


def test_age_comes_before_the_step_s_own_intent() -> None:
    assert left_of(target(-5), size=5.0, entry=100.0, held=3, max_bars_held=4) == target(-5)
    assert left_of(target(-5), size=5.0, entry=100.0, held=4, max_bars_held=4) == close()
    assert left_of(target(-5), held=4, max_bars_held=4) == target(-5)


@pytest.mark.parametrize(
    ("intent", "size", "expected"),
    [
        # half of 10,000 at 30 is 166.67 units
        (target(1), 0.0, target(166)),
        (target(1), -3.0, target(166)),
        (target(1), 3.0, hold()),
        (target(-1), 0.0, target(-166)),
        (target(-1), 3.0, target(-166)),
        (target(-1), -3.0, hold()),
        (target(0), 3.0, target(0)),
        (buy(1), 0.0, buy(166)),
        (sell(1), 3.0, sell(166)),
        (buy(0), 0.0, buy(0)),
        (hold(), 3.0, hold()),
        (close(), 3.0, close()),
        (target_percent(0.1), 3.0, target_percent(0.1)),
    ],
)
def test_sizes_by_the_account(intent, size: float, expected) -> None:
    assert left_of(intent, size=size, entry=30.0, price=30.0, percent_of_equity=0.5) == expected


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        # half of the cash, 6,000, at 30
        ({"percent_of_cash": 0.5}, 100.0),
        # 1 % of the account, 100, by 1 % of 30, 0.3
        ({"risk_per_trade": 0.01, "stop_loss": 0.01}, 333.0),
        # of several stops the nearest is hit first: 0.5 % of 30, 0.15
        ({"risk_per_trade": 0.01, "stop_loss": 0.02, "stop_loss_intrabar": 0.005}, 666.0),
        ({"risk_per_trade": 0.01, "stop_loss": 0.02, "trailing_stop": 0.01}, 333.0),
        # 1 % of the account, 100, by 2 % of 30, 0.6; but no more than a twentieth of it, 500
        ({"volatility_target": 0.01, "measured": 0.02}, 166.0),
        ({"volatility_target": 0.01, "measured": 0.02, "volatility_max": 0.05}, 16.0),
        # what the trades so far say, whatever fraction of Kelly's that is
        ({"kelly_fraction": 0.01, "measured": 0.25}, 83.0),
    ],
)
def test_sizes_by_cash_and_by_risk(on, expected) -> None:
    for intent, sized_as in ((target(1), target(expected)), (target(-1), target(-expected))):
        assert left_of(intent, price=30.0, **on) == sized_as
    assert left_of(buy(1), price=30.0, **on) == buy(expected)
    assert left_of(sell(7), price=30.0, **on) == sell(expected)
    assert left_of(target(1), price=30.0, size=3.0, entry=30.0, **on) == hold()
    assert left_of(target(0), price=30.0, size=3.0, entry=30.0, **on) == target(0)


@pytest.mark.parametrize("measured", [0.0, -0.1, math.nan])
def test_without_a_volatility_nothing_is_opened(measured: float) -> None:
    assert left_of(buy(1), measured=measured, volatility_target=0.01) == buy(0)
    assert left_of(target(-1), size=3.0, entry=30.0, measured=measured, volatility_target=0.01) == target(0)


@pytest.mark.parametrize(
    ("trades", "expected"),
    [
        # profits on units bought for 100: two of three won 6 on average, one lost 2: 2/3 - 1/3 / 3
        ([4.0, -2.0, 8.0], 2 / 3 - 1 / 9),
        # what neither won nor lost is none of those that lost: 1/2 - 1/2 / (2 / 1), 4 and 0 won
        ([4.0, 0.0, -1.0, -1.0], 0.25),
        ([3.0, 1.0], 1.0),
        ([-3.0, -1.0], 0.0),
        ([0.0, -1.0], 0.0),
        # one of three won 1, two lost 4: 1/3 - 2/3 / 0.25
        ([1.0, -4.0, -4.0], 1 / 3 - 8 / 3),
    ],
)
def test_kelly_s_fraction_of_closed_trades(trades, expected) -> None:
    tally = np.zeros(TRADE_TALLY)
    for profit in trades:
        note_trade(tally, 0.0, 2.0, 2.0, 50.0, 0.0, 0.0, 0.0)
        note_trade(tally, -2.0, 0.0, 0.0, 50.0 + profit / 2.0, profit, 0.0, 0.0)

    rules = overlay_rules(Overlays(kelly_fraction=0.5, kelly_max=0.4, kelly_trades=2, kelly_start=0.3))
    assert kelly_share(tally, rules) == pytest.approx(min(max(0.5 * expected, 0.0), 0.4), rel=1e-12, abs=0.0)
    later = rules._replace(kelly_trades=len(trades) + 1)
    assert kelly_share(tally, later) == 0.3


def test_a_trade_lasts_from_flat_to_flat_and_commission_counts() -> None:
    tally = np.zeros(TRADE_TALLY)
    note_trade(tally, 0.0, 1.0, 1.0, 100.0, 0.0, 0.0, 1.0)
    note_trade(tally, 0.0, 1.0, 2.0, 120.0, 0.0, 0.0, 1.0)
    note_trade(tally, -1.0, 0.0, 1.0, 130.0, 20.0, 2.0, 0.0)
    assert tally[TRADES] == 0.0
    # a reversal closes it, at 16 - 3 more, and opens one of 3 units at 126
    note_trade(tally, -1.0, -3.0, -3.0, 126.0, 16.0, 3.0, 5.0)
    # 20 + 16 less 1 + 1 + 2 + 3 of commission, of 220
    assert tally[TRADES] == tally[WINS] == 1.0
    assert tally[WON] == 29.0 / 220.0
    note_trade(tally, 3.0, 0.0, 0.0, 126.0, 0.0, 5.0, 0.0)
    # nothing but commission, 10 of 378
    assert tally[LOST] == 10.0 / 378.0
    assert tally[TRADES] == 2.0


@pytest.mark.parametrize("cash", [0.0, -1.0, math.nan])
def test_without_cash_nothing_is_bought_with_it(cash: float) -> None:
    assert left_of(buy(1), cash=cash, percent_of_cash=0.5) == buy(0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_an_account_without_value_buys_nothing(value: float) -> None:
    for intent in (target(1), target(-1)):
        code, amount = left_of(intent, value=value, percent_of_equity=0.5)
        assert (code, amount) == target(0)
        assert math.copysign(1.0, amount) == 1.0
    assert left_of(buy(1), value=value, percent_of_equity=0.5) == buy(0)


def test_a_delay_is_a_queue_that_begins_with_holds() -> None:
    overlays = Overlays(latency=3)
    memory = overlay_memory(overlays)
    given = [buy(1), hold(), target(-2.5), sell(4), close(), target_percent(0.5), hold(), hold(), hold()]
    # a window may begin at any row
    due = [delay(*intent, row, 3, memory) for row, intent in enumerate(given, start=1001)]

    assert due == [hold(), hold(), hold(), *given[:-3]]
    assert all(type(code) is int and type(amount) is float for code, amount in due)
    assert delay(*buy(1), 7, 0, overlay_memory(Overlays())) == buy(1)


@numba.njit
def compiled(
    code, amount, close, size, entry, held, cash, value, to_close, measured, rules, row, latency, memory
):
    own = cash, value, to_close, measured, rules
    code, amount = apply_overlays(code, amount, close, size, entry, held, *own)
    return delay(code, amount, row, latency, memory)


PRICES = st.floats(0.01, 1e6)
FRACTIONS = st.none() | st.floats(1e-6, 0.999)


@settings(deadline=None, max_examples=300)
@given(
    intent=st.sampled_from([hold(), close()])
    | st.builds(target, st.floats(-100, 100))
    | st.builds(buy, st.floats(0, 100))
    | st.builds(sell, st.floats(0, 100))
    | st.builds(target_percent, st.floats(-1, 1)),
    close=PRICES,
    entry=PRICES,
    size=st.sampled_from([0.0, 1.0, -1.0, 0.3, -7.5]),
    held=st.integers(0, 20),
    cash=st.floats(-1e6, 1e300),
    value=st.floats(-1e6, 1e300),
    to_close=st.integers(-60, 60),
    row=st.integers(0, 10**6),
    overlays=st.builds(
        Overlays,
        take_profit=FRACTIONS,
        stop_loss=FRACTIONS,
        max_bars_held=st.none() | st.integers(1, 20),
        flat_before_close=st.none() | st.integers(1, 60),
        latency=st.integers(0, 3),
    ),
    sizing=st.fixed_dictionaries({}, optional={name: st.floats(1e-6, 0.999) for name in SIZINGS}),
    measured=st.just(math.nan) | st.floats(0.0, 2.0),
)
def test_compiled_and_plain_are_one(
    intent, close, entry, size, held, cash, value, to_close, row, overlays, sizing, measured
) -> None:
    overlays = replace(overlays, **dict(list(sizing.items())[:1]))
    if overlays.risk_per_trade is not None and overlays.nearest_stop is None:
        overlays = replace(overlays, stop_loss=0.25)
    if overlays.kelly_fraction is not None and math.isnan(measured):
        measured = 0.3  # of trades there is always something to go by
    rules = overlay_rules(overlays)
    assert isinstance(rules, OverlayRules)
    plain_memory, own_memory = overlay_memory(overlays), overlay_memory(overlays)
    for k in range(2 * overlays.latency + 1):
        given = (*intent, close, size, entry, held, cash, value, to_close, measured)
        plain = delay(*apply_overlays(*given, rules), row + k, overlays.latency, plain_memory)
        own = compiled(*given, rules, row + k, overlays.latency, own_memory)
        assert own == plain
        assert np.float64(own[1]).tobytes() == np.float64(plain[1]).tobytes()
    assert own_memory.tobytes() == plain_memory.tobytes()


@pytest.mark.parametrize(
    ("account", "rule", "units"),
    [
        # a fiftieth of 100,000 is 2,000, and a unit loses 5 points of 10 each at a stop 5 % below 100
        ({"margin": 2000.0, "mult": 10.0}, {"risk_per_trade": 0.02, "stop_loss": 0.05}, 40.0),
        ({}, {"risk_per_trade": 0.02, "stop_loss": 0.05}, 400.0),
        # half of 100,000 at a margin of 2,000, whatever the price; half of the cash, 30,000
        ({"margin": 2000.0, "mult": 10.0}, {"percent_of_equity": 0.5}, 25.0),
        ({"margin": 2000.0, "mult": 10.0}, {"percent_of_cash": 0.5}, 15.0),
        ({"leverage": 3.0}, {"percent_of_cash": 0.5}, 900.0),
        # as at a stop 5 % away; no more than a tenth of 100,000 at the margin, or thrice that
        ({"margin": 2000.0, "mult": 10.0}, {"volatility_target": 0.02}, 40.0),
        ({"margin": 2000.0, "mult": 10.0}, {"volatility_target": 0.02, "volatility_max": 0.1}, 5.0),
        ({"leverage": 3.0}, {"volatility_target": 0.02, "volatility_max": 0.1}, 300.0),
        # a twentieth of 100,000: what is measured comes with leverage already
        ({"margin": 2000.0, "mult": 10.0}, {"kelly_fraction": 0.3}, 2.0),
        ({"leverage": 3.0}, {"kelly_fraction": 0.3}, 50.0),
    ],
)
def test_contracts_are_sized_by_what_they_take_and_lose(account, rule, units) -> None:
    rules = overlay_rules(Overlays(**rule), Execution(cash=100_000.0, **account))
    found = apply_overlays(*target(-1.0), 100.0, 0.0, 0.0, 0, 60_000.0, 100_000.0, 60, 0.05, rules)
    assert found == target(-units)
