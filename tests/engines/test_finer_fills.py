"""Orders tried on finer bars: worked by hand, and the same as bytes whichever engine ran."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain import Bars, Execution, Overlays, timestamps
from whatif.engines import BacktestTask, EngineRun, run_engine
from whatif.errors import EngineError
from whatif.strategies import SESSION, bracket, buy, cancel, close, resolve, sell
from whatif.testing import (
    bars_of_prices,
    random_case,
    random_order_case,
    state_reader,
    with_costs,
    with_finer_fills,
    with_settings,
)
from whatif.testing.order_kinds import note_player, order_reader, with_answers
from whatif.testing.orders import across_player, joined_bars

from .conftest import agreed_runs

MINUTE = 60_000_000
FINER = Execution(cash=1e6, fill_timeframe="1min")
FLAT = (100.0, 100.0, 100.0, 100.0)

many = pytest.mark.parametrize(
    "cases", [60, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)


def drawn(seed: int) -> BacktestTask:
    """Return a task whose orders are tried on finer bars, of each kind in turn."""
    draws = [
        lambda: with_finer_fills(random_order_case(seed), seed).task(),
        lambda: with_finer_fills(with_settings(random_order_case(seed), seed), seed).task(),
        lambda: with_finer_fills(with_costs(random_order_case(seed), seed), seed).task(),
        lambda: with_finer_fills(with_settings(random_case(seed), seed), seed).task(state_reader),
        lambda: with_finer_fills(random_order_case(seed), seed).task(note_player),
    ]
    return draws[seed % len(draws)]()


def assert_same_orders(run: EngineRun, again: EngineRun) -> None:
    """Hold what is told of orders, if it is, against what another run tells."""
    for column in dataclasses.fields(again.orders) if run.orders is not None else ():
        given, other = getattr(run.orders, column.name), getattr(again.orders, column.name)
        np.testing.assert_array_equal(given, other, column.name)


def test_a_trail_that_became_an_order_at_the_market_is_told_where_it_was() -> None:
    """Drawn: its slipped price lay outside of the bar, and a filler left some of it for later bars."""
    task = drawn(236)
    assert task.execution.semantics == "corrected"
    run = run_engine(task, "compiled")
    assert run.orders is not None
    assert_same_orders(run, run_engine(task, "backtrader"))


@many
def test_two_brokers_one_answer(cases) -> None:
    filled = inside = 0
    for task, run in agreed_runs(drawn(seed) for seed in range(cases)):
        filled += len(run.fills)
        # of fills, those that lie behind the first of the finer bars of their row
        inside += int((run.fill_ts > run.ts[run.fills.row]).sum())
        assert_same_orders(run, run_engine(task, "backtrader"))
    assert filled > 4 * cases
    assert inside > cases


def longer(minutes: Bars, count: int) -> Bars:
    """Return bars of so many minutes, counted from each session's open, with the minutes inside them."""
    part = (minutes.ts - minutes.session_open) // (count * MINUTE)
    first = np.flatnonzero(np.append(True, (np.diff(part) != 0) | (np.diff(minutes.session) != 0)))
    return joined_bars(minutes, first)


def played(engine, minutes, answers, execution=FINER, finer=True, count=5, overlays=None):
    """Return the run of answers, by row, on bars of `count` minutes."""
    bars = with_answers(longer(minutes, count), answers)
    if not finer:
        bars, execution = replace(bars, finer=None), replace(execution, fill_timeframe="")
    task = BacktestTask([bars], order_reader, {}, execution, overlays=overlays or Overlays())
    return run_engine(task, engine)


# five minutes each: bought at 100 on the second bar; the third reaches 103.5 in its second minute, and
# falls to 97.5 in its fourth
REACHED = [
    *[FLAT] * 10,
    (100.0, 101.0, 99.5, 100.5),
    (100.5, 103.5, 100.0, 103.0),
    (103.0, 103.0, 99.0, 99.0),
    (99.0, 99.5, 97.5, 98.0),
    (98.0, 98.5, 98.0, 98.5),
]


@pytest.mark.parametrize(
    ("finer", "price", "reason", "minute"), [(False, 98.0, "stop", 10), (True, 103.0, "target", 11)]
)
def test_what_came_first_is_known(finer, price, reason, minute, engine) -> None:
    answers = {0: bracket(1.0, stop=98.0, target=103.0)}
    minutes = bars_of_prices(REACHED)
    run = played(engine, minutes, answers, finer=finer)
    assert run.fills.price.tolist() == [100.0, price]
    assert run.fills.row.tolist() == [1, 2]
    assert run.trade_notes.exit_reason == (reason,)
    assert run.filled_at.tolist() == minutes.ts[[5, minute]].tolist()
    assert [stamps.tolist() for stamps in run.traded_at] == [[minutes.ts[5]], [minutes.ts[minute]]]
    # equity is of the longer bars' closes
    assert len(run.equity) == 3
    assert run.equity.tolist() == [1e6, 1e6, 1e6 - 100.0 + price]


def test_an_entry_and_its_exit_may_lie_in_one_bar(engine) -> None:
    # a bid at 99 that the second bar's third minute reaches, and a target at 101 that its fifth does; that of
    # its third is no exit, as an exit is tried from the bar after the entry's on, which is the next minute
    prices = [
        *[FLAT] * 7,
        (100.0, 102.0, 98.0, 100.0),
        (100.0, 100.5, 100.0, 100.0),
        (100.0, 101.5, 100.0, 101.0),
    ]
    minutes = bars_of_prices([*prices, *[FLAT] * 10])
    answers = {
        0: bracket(1.0, limit=99.0, stop=90.0, target=101.0),
        1: bracket(1.0, stop=95.0, target=110.0),
        2: close(),
    }
    run = played(engine, minutes, answers)
    assert run.fills.row.tolist() == [1, 1, 2, 3]
    assert run.fills.price.tolist() == [99.0, 101.0, 100.0, 100.0]
    assert run.filled_at.tolist() == minutes.ts[[7, 9, 10, 15]].tolist()
    assert run.trade_notes.exit_reason == ("target", "step")
    assert run.trade_notes.entry_order.tolist()[0] == 99.0
    assert np.isnan(run.trade_notes.entry_order[1])
    assert [stamps.tolist() for stamps in run.traded_at] == [
        minutes.ts[[7, 10]].tolist(),
        minutes.ts[[9, 15]].tolist(),
    ]


@pytest.mark.parametrize(("valid", "fills"), [(1, 0), (2, 1), (SESSION, 0), (0, 1)])
def test_an_order_is_valid_for_bars_of_the_study(valid, fills, engine) -> None:
    # sessions of ten minutes: the bid of the first bar is reached on the third, in the next session
    prices = [*[FLAT] * 14, (100.0, 100.0, 94.0, 100.0), *[FLAT] * 5]
    run = played(engine, bars_of_prices(prices, session_bars=10), {0: buy(1.0, limit=95.0, valid=valid)})
    assert len(run.fills) == fills


def test_at_the_close_is_that_of_the_session(engine) -> None:
    prices = [*[FLAT] * 9, (100.0, 100.0, 100.0, 97.0), *[FLAT] * 10]
    minutes = bars_of_prices(prices, session_bars=10)
    run = played(engine, minutes, {0: buy(1.0, at_close=True)})
    # known on the next session's first minute
    assert run.fills.price.tolist() == [97.0]
    assert run.filled_at.tolist() == [minutes.ts[10]]


def test_partial_bars_at_both_ends_hold_fewer(engine) -> None:
    # bars of five minutes from the open on, of which the first minute and the last three are missing
    minutes = bars_of_prices([(100.0 + k, 100.5 + k, 99.5 + k, 100.0 + k) for k in range(15)]).slice(1, 12)
    run = played(engine, minutes, {0: buy(1.0), 1: sell(1.0)})
    assert run.ts.tolist() == minutes.ts[[0, 4, 9]].tolist()
    assert run.filled_at.tolist() == minutes.ts[[4, 9]].tolist()
    assert run.fills.price.tolist() == [105.0, 110.0]


def test_a_future_is_settled_and_interest_paid_on_finer_bars(engine) -> None:
    minutes = bars_of_prices([(100.0, 100.0, 100.0, 100.0 + k) for k in range(15)], session_bars=5)
    minutes = replace(minutes, high=minutes.close)
    future = Execution(cash=1000.0, margin=10.0, mult=2.0, fill_timeframe="1min")
    run = played(engine, minutes, {0: buy(1.0)}, future)
    # bought at 100 on the second bar, whose last minute closes at 109
    assert run.cash.tolist() == [1000.0, 1000.0 - 10.0 + 2 * 9.0, 1000.0 - 10.0 + 2 * 14.0]
    # a year's interest is 3,650 a unit, ten a day; a short of one day
    owed = Execution(cash=1000.0, interest=10.0, fill_timeframe="1min")
    run = played(engine, bars_of_prices([FLAT] * 15, session_bars=5), {0: sell(1.0)}, owed)
    assert run.cash.tolist() == [1000.0, 1100.0, 1100.0 - 10.0 / 365 * 100.0]


def test_cash_is_checked_at_the_close_that_decided(engine) -> None:
    # 100 at the close; the next bar's first minute opens at 120, which cash of 110 does not pay
    minutes = bars_of_prices([*[FLAT] * 5, (120.0, 120.0, 100.0, 100.0), *[FLAT] * 4])
    run = played(engine, minutes, {0: buy(1.0)}, Execution(cash=110.0, fill_timeframe="1min"))
    assert (len(run.fills), run.margin_rejected) == (0, 1)
    run = played(engine, minutes, {0: (buy(1.0), cancel())}, Execution(cash=99.0, fill_timeframe="1min"))
    assert (len(run.fills), run.margin_rejected) == (0, 1)


def frames(count: int = 5) -> tuple[pd.DataFrame, pd.DataFrame]:
    def of(bars: Bars) -> pd.DataFrame:
        names = ("open", "high", "low", "close", "volume")
        prices = {name: getattr(bars, name) for name in names}
        return pd.DataFrame({"symbol": "X", "ts": timestamps(bars.ts), **prices})

    minutes = bars_of_prices(REACHED * 8)
    return of(longer(minutes, count)), of(minutes)


ASKED = {"fill_timeframe": "1min"}


def test_a_backtest_takes_frames_of_both(engine) -> None:
    bars, minutes = frames()
    given = {"strategy": "bollinger_reversion", "params": {"period": 3}, "engine": engine}
    found = whatif.backtest(bars, execution=ASKED, fill_bars=minutes, **given)
    plain = whatif.backtest(bars, **given)
    assert len(found.fills)
    assert set(found.fills["ts"]) <= set(minutes["ts"])
    assert not set(found.fills["ts"]) <= set(bars["ts"])
    assert set(plain.fills["ts"]) <= set(bars["ts"])
    assert found.equity.index.equals(plain.equity.index)


def refused_frames(kind: str) -> dict[str, object]:
    bars, minutes = frames()
    given = {"bars": bars, "fill_bars": minutes, "execution": ASKED, "strategy": "breakout"}
    high = bars["high"].copy()
    high[2] = 104.0
    changes: dict[str, dict[str, object]] = {
        "no bars": {"fill_bars": None},
        "not asked for": {"execution": {}},
        "other length": {"execution": {"fill_timeframe": "2min"}},
        "not shorter": {"fill_bars": bars, "execution": {"fill_timeframe": "5min"}},
        "other symbol": {"fill_bars": minutes.assign(symbol="Y")},
        "other prices": {"bars": bars.assign(high=high)},
        "a bar without": {"fill_bars": minutes.drop(range(10, 15))},
        "bad price": {"fill_bars": minutes.assign(low=minutes["low"].where(minutes.index != 7, -1.0))},
        "no timeframe": {"execution": {"fill_timeframe": "7min"}},
    }
    return given | changes[kind]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("no bars", "fill_timeframe = '1min' needs bars of that length .* fill_bars"),
        ("not asked for", "execution has no fill_timeframe: name their length"),
        ("other length", "fill_timeframe = '2min', and fill_bars stand 1 minutes apart, bars 5"),
        ("not shorter", "fill_timeframe = '5min', and fill_bars stand 5 minutes apart, bars 5"),
        ("other symbol", "fill_bars are of Y, and bars of X"),
        ("other prices", "high of bar 2 .* is 104.0, and that of the finer bars inside it 103.5"),
        ("a bar without", "bar 2 at .* holds no finer bar"),
        ("bad price", "low of bar 7 at .* is -1.0; a price must be"),
        ("no timeframe", "fill_timeframe: timeframe '7min' does not divide a day"),
    ],
)
def test_what_contradicts_is_refused(kind, said, engine) -> None:
    with pytest.raises(EngineError, match=said):
        whatif.backtest(engine=engine, **refused_frames(kind))


def test_what_no_broker_tries_there_is_refused(engine) -> None:
    import backtrader as bt

    class Plain(bt.Strategy):
        pass

    one = longer(bars_of_prices(REACHED), 5)
    two = [one, replace(one, symbol="Y")]
    for bars, strategy, said in (
        ([one], Plain, "Plain is an ordinary Backtrader strategy"),
        (two, "breakout", "several share it"),
        ([one], across_player, "across_player is a cross-sectional step"),
    ):
        task = BacktestTask(bars, resolve(strategy), {}, FINER)
        with pytest.raises(EngineError, match=f"fill_timeframe = '1min' is .*{said}|does not cover"):
            run_engine(task, engine)
        with pytest.raises(EngineError, match=f"fill_timeframe = '1min' is .*{said}"):
            run_engine(task, "backtrader")
