"""Overlays through the broker: fills worked out by hand."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain.execution import Execution
from whatif.domain.overlays import Overlays
from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError
from whatif.strategies import bracket, hold, resolve, sell, strategy, target


def follow(build_bars, closes, wish, execution=None, **on):
    """Run a strategy that wishes for a position by row, on bars that open where the last one closed."""
    rows = [(closes[max(0, k - 1)], 1e6, 0.01, close) for k, close in enumerate(closes)]
    bars = build_bars(rows, wish=wish)
    task = BacktestTask([bars], follower, {}, execution or Execution(cash=1000.0), overlays=Overlays(**on))
    run = run_engine(task)
    fills = run.fills
    return list(zip(fills.row.tolist(), fills.size.tolist(), fills.price.tolist(), strict=True)), run


@strategy(inputs={"wish": "wish"}, lookback=0)
def follower(i, x, p, s):
    """Ask for the position that `wish` names; NaN asks for nothing."""
    return target(x.wish[i]) if x.wish[i] == x.wish[i] else hold()


NAN = float("nan")


def test_a_stop_and_what_comes_after_it(build_bars) -> None:
    closes = [100.0, 100.0, 96.0, 95.0, 94.0, 101.0, 101.0]
    wish = [NAN, 2.0, NAN, NAN, NAN, NAN, NAN]

    fills, run = follow(build_bars, closes, wish, stop_loss=0.05)

    # asked on bar 1, in at bar 2's open, 100; 96 is above 95, 95 is not; out at bar 4's open, 95
    assert fills == [(2, 2.0, 100.0), (4, -2.0, 95.0)]
    assert run.equity.tolist() == [1000.0, 1000.0, 992.0, 990.0, 990.0, 990.0, 990.0]


def test_a_step_that_asks_again_gets_in_again(build_bars) -> None:
    closes = [100.0, 100.0, 95.0, 95.0, 95.0]

    fills, _ = follow(build_bars, closes, [2.0] * 5, stop_loss=0.05)

    # in at bar 1's open; the stop of bar 2 fills at bar 3's open, where the step asks anew
    assert fills == [(1, 2.0, 100.0), (3, -2.0, 95.0), (4, 2.0, 95.0)]


def test_a_short_position_s_target(build_bars) -> None:
    closes = [100.0, 100.0, 91.0, 90.0, 80.0, 80.0]

    fills, _ = follow(build_bars, closes, [-2.0, NAN, NAN, NAN, NAN, NAN], take_profit=0.1)

    assert fills == [(1, -2.0, 100.0), (4, 2.0, 90.0)]


def ranged(build_bars, rows, wish, engine="compiled", step=None, **on):
    """Run a wish by row on bars of open, high, low and close; return row, size and price of each fill."""
    bars = build_bars(rows, wish=wish)
    run = run_engine(
        BacktestTask([bars], step or follower, {}, Execution(cash=1000.0), overlays=Overlays(**on)), engine
    )
    fills = run.fills
    return list(zip(fills.row.tolist(), fills.size.tolist(), fills.price.tolist(), strict=True))


FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.mark.parametrize("engine", ["compiled", "backtrader"])
class TestExitsInsideTheBar:
    """In at bar 1's open, 100; the orders that leave are tried from bar 2 on."""

    def test_a_stop(self, build_bars, engine) -> None:
        rows = [FLAT, (100.0, 101.0, 90.0, 99.0), (99.0, 99.0, 94.0, 98.0), FLAT]

        found = ranged(build_bars, rows, [2.0, NAN, NAN, NAN], engine, stop_loss_intrabar=0.05)

        # bar 1 falls below 95 too, but that is the bar of the entry
        assert found == [(1, 2.0, 100.0), (2, -2.0, 95.0)]

    def test_a_stop_that_the_bar_opens_beyond(self, build_bars, engine) -> None:
        rows = [FLAT, FLAT, (93.0, 96.0, 92.0, 95.0), FLAT]

        found = ranged(build_bars, rows, [2.0, NAN, NAN, NAN], engine, stop_loss_intrabar=0.05)

        assert found == [(1, 2.0, 100.0), (2, -2.0, 93.0)]

    def test_a_short_position_s_target(self, build_bars, engine) -> None:
        rows = [FLAT, FLAT, (99.0, 99.0, 89.0, 98.0), FLAT]

        found = ranged(build_bars, rows, [-2.0, NAN, NAN, NAN], engine, take_profit_intrabar=0.1)

        assert found == [(1, -2.0, 100.0), (2, 2.0, 90.0)]

    def test_of_both_the_stop(self, build_bars, engine) -> None:
        rows = [FLAT, FLAT, (100.0, 111.0, 89.0, 100.0), FLAT]

        found = ranged(
            build_bars, rows, [2.0, NAN, NAN, NAN], engine, stop_loss_intrabar=0.1, take_profit_intrabar=0.1
        )

        assert found == [(1, 2.0, 100.0), (2, -2.0, 90.0)]

    def test_a_trail(self, build_bars, engine) -> None:
        # from the close of bar 1, 110: stop at 99; the close of bar 2, 120, moves it to 108
        rows = [
            FLAT, (100.0, 110.0, 99.0, 110.0), (110.0, 120.0, 105.0, 120.0), (120.0, 120.0, 100.0, 101.0)
        ]  # fmt: skip

        found = ranged(build_bars, rows, [2.0, NAN, NAN, NAN], engine, trailing_stop=0.1)

        assert found == [(1, 2.0, 100.0), (3, -2.0, 108.0)]

    def test_a_trail_starts_from_the_entry_where_that_is_better(self, build_bars, engine) -> None:
        # the close of bar 1 is 95, the entry 100: stop at 90, and not at 85.5
        rows = [FLAT, (100.0, 100.0, 95.0, 95.0), (95.0, 95.0, 88.0, 94.0), FLAT]

        found = ranged(build_bars, rows, [2.0, NAN, NAN, NAN], engine, trailing_stop=0.1)

        assert found == [(1, 2.0, 100.0), (2, -2.0, 90.0)]

    def test_a_changed_position_has_new_ones(self, build_bars, engine) -> None:
        # 2 at 100 and 2 at 90 are 4 at 95: a stop at 85.5 for all of them
        rows = [
            FLAT, (100.0, 100.0, 91.0, 91.0), (90.0, 92.0, 90.0, 91.0), (91.0, 91.0, 86.0, 88.0),
            (88.0, 88.0, 85.0, 86.0),
        ]  # fmt: skip

        found = ranged(build_bars, rows, [2.0, 4.0, NAN, NAN, NAN], engine, stop_loss_intrabar=0.1)

        assert found == [(1, 2.0, 100.0), (2, 2.0, 90.0), (4, -4.0, 85.5)]

    def test_an_order_of_the_step_at_the_market_ends_them(self, build_bars, engine) -> None:
        # out at bar 3's open; that the bar falls below the stop as well leaves no short position
        rows = [FLAT, FLAT, FLAT, (100.0, 100.0, 80.0, 90.0), FLAT]

        found = ranged(build_bars, rows, [2.0, NAN, 0.0, NAN, NAN], engine, stop_loss_intrabar=0.1)

        assert found == [(1, 2.0, 100.0), (3, -2.0, 100.0)]

    def test_the_step_does_not_see_them_wait(self, build_bars, engine) -> None:
        rows = [FLAT, FLAT, FLAT, (99.0, 99.0, 89.0, 95.0), FLAT]

        found = ranged(
            build_bars, rows, [2.0, NAN, NAN, NAN, NAN], engine, waits_for_none, stop_loss_intrabar=0.1
        )

        assert found == [(1, 2.0, 100.0), (3, -2.0, 90.0)]

    def test_what_else_waits_ends_with_the_position(self, build_bars, engine) -> None:
        # the step's own stop at 85 would open a short position on bar 4
        rows = [FLAT, FLAT, FLAT, (99.0, 99.0, 89.0, 95.0), (95.0, 95.0, 80.0, 90.0), FLAT]

        found = ranged(
            build_bars, rows, [2.0, NAN, NAN, NAN, NAN, NAN], engine, bracketed, stop_loss_intrabar=0.1
        )

        assert found == [(1, 2.0, 100.0), (3, -2.0, 90.0)]

    def test_with_the_close_s(self, build_bars, engine) -> None:
        # the close of bar 2 is 4 % below the entry: the position is left, and so is the order at 90
        rows = [FLAT, FLAT, (100.0, 100.0, 96.0, 96.0), (96.0, 96.0, 80.0, 90.0), FLAT]

        found = ranged(
            build_bars, rows, [2.0, NAN, NAN, NAN, NAN], engine, stop_loss=0.03, stop_loss_intrabar=0.1
        )

        assert found == [(1, 2.0, 100.0), (3, -2.0, 96.0)]


@strategy(inputs={"wish": "wish"}, lookback=0)
def waits_for_none(i, x, p, s):
    """Buy as the wish says; sell a unit on any bar on which an order waits."""
    return sell(1.0) if s.pending else target(x.wish[i]) if x.wish[i] == x.wish[i] else hold()


@strategy(inputs={"wish": "wish"}, lookback=0)
def bracketed(i, x, p, s):
    """Buy as the wish says, with a stop 15 % below."""
    return bracket(x.wish[i], stop=x.close[i] * 0.85) if x.wish[i] == x.wish[i] else hold()


def test_latency_and_orders_that_wait_exclude_each_other() -> None:
    with pytest.raises(EngineError, match="latency = 1 delays orders at the market, and the orders of trail"):
        Overlays(latency=1, trailing_stop=0.1)


def test_the_oldest_position(build_bars) -> None:
    fills, _ = follow(build_bars, [100.0] * 7, [1.0, NAN, NAN, NAN, NAN, NAN, NAN], max_bars_held=2)

    # opened on bar 1, two bars old on bar 3, out at bar 4's open
    assert [fill[:2] for fill in fills] == [(1, 1.0), (4, -1.0)]


def test_a_share_of_the_account(build_bars) -> None:
    closes = [30.0, 30.0, 33.0, 33.0, 22.0, 22.0, 22.0]
    wish = [1.0, 1.0, 1.0, -1.0, NAN, 0.0, NAN]

    fills, run = follow(build_bars, closes, wish, percent_of_equity=0.5)

    # 500 at 30 are 16 units; a rise does not add to them; worth 1,048, half of which are 15 at 33,
    # and the position goes from 16 to -15
    assert fills == [(1, 16.0, 30.0), (4, -31.0, 33.0), (6, 15.0, 22.0)]
    assert run.equity.tolist() == [1000.0, 1000.0, 1048.0, 1048.0, 1213.0, 1213.0, 1213.0]


def test_a_share_of_the_cash(build_bars) -> None:
    fills, _ = follow(build_bars, [30.0, 30.0, 33.0, 33.0], [1.0, -1.0, NAN, NAN], percent_of_cash=0.5)

    # 500 of 1,000 at 30 are 16 units; 520 are left, of which 260 at 30 are 8
    assert fills == [(1, 16.0, 30.0), (2, -24.0, 30.0)]


def test_the_same_loss_at_each_stop(build_bars) -> None:
    closes, wish = [30.0, 30.0, 20.0, 20.0, 40.0, 40.0], [1.0, NAN, NAN, -1.0, NAN, NAN]

    fills, _ = follow(build_bars, closes, wish, risk_per_trade=0.04, stop_loss=0.25)

    # 4 % of 1,000 by 25 % of 30: 40 / 7.5 are 5 units; they lose 50 at 20. 4 % of 950 by 5: 7 units
    assert fills == [(1, 5.0, 30.0), (3, -5.0, 20.0), (4, -7.0, 20.0), (5, 7.0, 40.0)]


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
def test_the_same_move_of_the_account_by_each_volatility(build_bars, engine) -> None:
    # ranges of 20, 10, 4 and none; 2 % of 1,000 by 20 is 1 unit, by 10 are 2, by 4 are 5, and 4 at most
    rows = [(100.0, 100.0 + r / 2, 100.0 - r / 2, 100.0) for r in (20.0, 10.0, 4.0, 0.0, 20.0)]
    by = {"volatility_target": 0.02, "volatility": "(high - low) / close", "volatility_max": 0.4}

    found = ranged(build_bars, rows, [1.0, -1.0, 1.0, -1.0, NAN], engine, **by)

    # without a range the short position is wished for with 0 units
    assert found == [(1, 1.0, 100.0), (2, -3.0, 100.0), (3, 6.0, 100.0), (4, -4.0, 100.0)]


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
def test_a_volatility_is_the_deviation_of_returns_and_nothing_is_opened_before_it_is_there(
    build_bars, engine
) -> None:
    closes = [100.0 if k % 2 else 102.0 for k in range(24)]
    rows = [(close,) * 4 for close in closes]
    by = {"volatility_target": 0.01, "volatility_max": 1.0}

    # the first of 20 returns is that of row 1; half of the returns are -1/51, and half of them 1/50: at 102 a
    # unit moves by 2.02, of which 10 are 4
    assert ranged(build_bars, rows, [1.0] * 20 + [NAN] * 4, engine, **by) == []
    assert ranged(build_bars, rows, [NAN] * 20 + [1.0] + [NAN] * 3, engine, **by) == [(21, 4.0, 100.0)]


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
def test_kelly_s_fraction_of_the_symbol_s_own_trades(build_bars, engine) -> None:
    wish = [1.0, 0.0, 1.0, 0.0, 1.0, NAN, NAN]
    prices = [100.0, 120.0, 100.0, 90.0, 100.0, 100.0, 100.0]
    rows = [(prices[max(0, k - 1)], 1e6, 0.01, close) for k, close in enumerate(prices)]
    never = [NAN] * 4 + [1.0, NAN, NAN]
    bars = [build_bars(rows, "A", wish=wish), build_bars(rows, "B", wish=never)]
    by = Overlays(kelly_fraction=0.8, kelly_trades=2)

    run = run_engine(BacktestTask(bars, follower, {}, Execution(cash=1000.0), overlays=by), engine)

    # a tenth of the account twice: a fifth won, a tenth lost. Then 0.8 * (1/2 - 1/2 / 2) of 1,010; B, which
    # has not traded, is bought for a tenth of it
    fills = run.fills
    assert list(zip(fills.row, fills.symbol, fills.size, strict=True)) == [
        (1, 0, 1.0), (2, 0, -1.0), (3, 0, 1.0), (4, 0, -1.0), (5, 0, 2.0), (5, 1, 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("volatility", "said"),
    [
        ("stdev(roc(1), 20)", "overlays: volatility: .*did you mean 'stddev'"),
        ("atr(14)@1d", "overlays: volatility: 'atr.*it belongs behind the name of a series"),
        ("stddev(close@1d, 5)", "must be made of the bars' own series and numbers: .*1d.* is not; write"),
        ("SPY.close", "must be made of the bars' own series and numbers: .*SPY.* is not"),
        ("forecast", "must be made of the bars' own series and numbers: forecast is not"),
        ("sma(period)", "must be made of the bars' own series and numbers: period is not"),
        ("minute_of_session", "must be made of the bars' own series and numbers; write"),
    ],
)
def test_a_volatility_is_made_of_the_bars_that_are_traded(build_bars, volatility, said) -> None:
    bars = build_bars([FLAT] * 3, wish=[1.0] * 3)
    by = Overlays(volatility_target=0.1, volatility=volatility)
    for engine in ("backtrader", "compiled"):
        with pytest.raises(EngineError, match=said):
            run_engine(BacktestTask([bars], follower, {}, overlays=by), engine)


@strategy(lookback=0)
def bids_with_a_stop(i, x, p, s):
    """Bid at 1 below the close with a stop 4 below that on bar 0, sell at the market so on bar 2."""
    if i == 0:
        return bracket(1.0, limit=29.0, stop=25.0)
    return bracket(-1.0, stop=36.0, target=10.0) if i == 2 else hold()


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
@pytest.mark.parametrize(
    ("on", "expected"),
    [
        # 2 % of 1,000, 20, by 29 - 25; the limit fills at 29, and the stop at 25 loses 20 of the account; the
        # second one is sized by 36 - 30
        ({}, [(1, 5.0, 29.0), (3, -3.0, 30.0)]),
        # a stop of 5 % lies nearer: 20 by 1.45, and by 1.5
        ({"stop_loss": 0.05}, [(1, 13.0, 29.0), (3, -13.0, 30.0)]),
    ],
)
def test_a_bracket_is_sized_by_the_nearest_of_its_stops(build_bars, engine, on, expected) -> None:
    rows = [(30.0, 31.0, 29.0, 30.0)] * 4
    task = BacktestTask(
        [build_bars(rows)],
        bids_with_a_stop,
        {},
        Execution(cash=1000.0),
        overlays=Overlays(risk_per_trade=0.02, **on),
    )
    fills = run_engine(task, engine).fills
    assert list(zip(fills.row.tolist(), fills.size.tolist(), fills.price.tolist(), strict=True)) == expected


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
def test_an_order_without_a_stop_is_refused_on_its_bar(build_bars, engine) -> None:
    @strategy(lookback=0)
    def loose(i, x, p, s):
        return bracket(2.0, target=50.0) if i == 1 else hold()

    bars = build_bars([(30.0, 31.0, 29.0, 30.0)] * 4)
    task = BacktestTask([bars], loose, {}, Execution(), overlays=Overlays(risk_per_trade=0.02))
    with pytest.raises(EngineError, match=r"bar 1 .*target=50\); risk_per_trade sizes it by"):
        run_engine(task, engine)


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
def test_a_risk_without_any_stop_is_refused_before_the_first_bar(build_bars, engine) -> None:
    bars = build_bars([(30.0, 31.0, 29.0, 30.0)] * 4, wish=[1.0] * 4)
    task = BacktestTask([bars], follower, {}, Execution(), overlays=Overlays(risk_per_trade=0.02))
    said = "risk_per_trade = 0.02 sizes by the distance to a stop, and nothing says one for "
    with pytest.raises(EngineError, match=said):
        run_engine(task, engine)
    with pytest.raises(EngineError, match=said):
        whatif.backtest(
            pd.DataFrame({name: [1.0] * 3 for name in ("open", "high", "low", "close")},
                         index=pd.date_range("2024-01-02", periods=3, freq="D", tz="UTC")),
            "sma_crossover", overlays={"risk_per_trade": 0.02},
        )  # fmt: skip


def test_latency_moves_every_intent_and_the_last_ones_die(build_bars) -> None:
    closes = [float(100 + k) for k in range(9)]
    wish = [1.0, NAN, -1.0, NAN, NAN, NAN, 5.0, 5.0, 5.0]

    plain, _ = follow(build_bars, closes, wish)
    late, run = follow(build_bars, closes, wish, latency=2)

    assert plain == [(1, 1.0, 100.0), (3, -2.0, 102.0), (7, 6.0, 106.0)]
    assert late == [(3, 1.0, 102.0), (5, -2.0, 104.0)]
    assert run.open_at_end


def test_a_target_is_compared_when_it_reaches_the_broker(build_bars) -> None:
    # asked on three bars while the first is still under way: it is bought once
    fills, _ = follow(build_bars, [100.0] * 6, [1.0, 1.0, 1.0, NAN, NAN, NAN], latency=2)

    assert [fill[:2] for fill in fills] == [(3, 1.0)]


def test_a_late_stop(build_bars) -> None:
    closes = [100.0, 90.0, 80.0, 70.0, 60.0]

    fills, _ = follow(build_bars, closes, [1.0, NAN, NAN, NAN, NAN], stop_loss=0.1, latency=1)

    # bar 0's wish fills on bar 2 at 90; 80 on bar 2 is the stop; it reaches the broker on bar 3
    assert fills == [(2, 1.0, 90.0), (4, -1.0, 70.0)]


def test_the_window_begins_with_nothing_under_way(build_bars) -> None:
    bars = build_bars([(100.0, 101.0, 99.0, 100.0)] * 8, wish=[1.0] * 8)
    task = BacktestTask(
        [bars], follower, {}, Execution(cash=1000.0), start=int(bars.ts[3]), overlays=Overlays(latency=2)
    )

    # the first bar of the window decides, two bars on the broker has it, one more and it fills
    assert run_engine(task).fills.row.tolist() == [3]


def session(day: str, bars: int, freq: str = "1min") -> pd.DataFrame:
    ts = pd.date_range(f"{day} 20:50", periods=bars, freq=freq, tz="UTC")
    return pd.DataFrame(
        {"symbol": "S", "ts": ts, "open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 1.0}
    )


def test_flat_before_the_exchange_s_close() -> None:
    # New York closes at 21:00 UTC in January; the last ten minutes of two sessions
    bars = pd.concat([session("2024-01-03", 10), session("2024-01-04", 10)], ignore_index=True)
    bars["wish"] = 1.0

    result = whatif.backtest(bars, follower, calendar="XNYS", overlays={"flat_before_close": "3min"})

    # bar 20:57 begins three minutes before the close: it sells, at 20:58's open
    expected = [("2024-01-03 20:51", 1.0), ("2024-01-03 20:58", -1.0)]
    expected += [("2024-01-04 20:51", 1.0), ("2024-01-04 20:58", -1.0)]
    assert [
        (f"{ts:%Y-%m-%d %H:%M}", size) for ts, size in result.fills[["ts", "size"]].to_numpy()
    ] == expected
    assert not result.metrics["open_at_end"]


def sessions(minutes: int, count: int = 30) -> pd.DataFrame:
    """Return bars of `minutes` from New York's open to its close, every one of which wishes to be long."""
    ts = [
        pd.date_range(
            f"{day:%Y-%m-%d} 09:30", f"{day:%Y-%m-%d} 15:59", freq=f"{minutes}min", tz="America/New_York"
        )
        for day in pd.bdate_range("2024-04-01", periods=count)
    ]
    frame = pd.DataFrame({"symbol": "S", "ts": np.concatenate([part.tz_convert("UTC") for part in ts])})
    return frame.assign(**dict.fromkeys(["open", "high", "low", "close", "volume"], 10.0), wish=1.0)


def nights(result: whatif.BacktestResult) -> int:
    held = pd.Series(result.run.position[0], index=result.equity.index.tz_convert("America/New_York"))
    return int((held.groupby(held.index.date).last() != 0).sum())


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
@pytest.mark.parametrize(
    # the last bar but one is the first whose order fills in the same session: it begins two bars
    # before the close, or 90 minutes where the last hour is cut in half
    ("minutes", "latency", "least"),
    [(60, 0, 90), (30, 0, 60), (15, 0, 30), (1, 0, 2), (30, 1, 120), (1, 3, 8)],
)
def test_flat_before_close_leaves_no_night_or_is_refused(engine, minutes, latency, least) -> None:
    bars = sessions(minutes)

    def run(flat: int) -> whatif.BacktestResult:
        laid_over = {"flat_before_close": flat, "latency": latency}
        return whatif.backtest(bars, follower, engine=engine, calendar="XNYS", overlays=laid_over)

    enough = run(least)
    assert nights(enough) == 0
    assert len(enough.fills) > 50
    for flat in {least - 1, max(1, least - minutes)}:
        with pytest.raises(EngineError, match=rf"flat_before_close = {flat} .* comes too late on S.*{least}"):
            run(flat)


def test_flat_before_close_that_a_few_gaps_make_late_is_no_mistake() -> None:
    bars = sessions(1, 20)
    local = bars["ts"].dt.tz_convert("America/New_York")
    short = bars[~((local.dt.day == 3) & (local.dt.hour == 15) & (local.dt.minute > 40))]

    # the night after the third of April, whose last 19 minutes are missing
    assert nights(whatif.backtest(short, follower, calendar="XNYS", overlays={"flat_before_close": 15})) == 1


def test_flat_before_close_needs_sessions() -> None:
    bars = sessions(15, 4)
    for calendar, said in ((None, "no calendar was given"), ("24/7", "calendar 24/7 has none")):
        with pytest.raises(EngineError, match=rf"flat_before_close = 30 minutes needs a session.*{said}"):
            whatif.backtest(bars, follower, calendar=calendar, overlays={"flat_before_close": 30})
    named = bars.assign(session=bars["ts"].dt.date)
    assert nights(whatif.backtest(named, follower, overlays={"flat_before_close": 30})) == 0
    days = bars.groupby(bars["ts"].dt.date).head(1)
    with pytest.raises(EngineError, match="use shorter bars: its sessions have fewer than 2"):
        whatif.backtest(days, follower, calendar="XNYS", overlays={"flat_before_close": 390})


def test_symbols_of_one_account_have_their_own_memory(build_bars) -> None:
    first = build_bars([(10.0, 11.0, 9.0, 10.0)] * 5, "A", wish=[1.0, NAN, NAN, NAN, NAN])
    second = build_bars([(10.0, 11.0, 9.0, 10.0)] * 5, "B", wish=[NAN, -1.0, NAN, NAN, NAN])
    task = BacktestTask([first, second], follower, {}, overlays=Overlays(latency=1))

    fills = run_engine(task).fills

    assert list(zip(fills.row, fills.symbol, fills.size, strict=True)) == [(2, 0, 1.0), (3, 1, -1.0)]


def test_what_is_off_changes_nothing(walk) -> None:
    bars, spec = walk(3, 300), resolve("sma_crossover")
    params = spec.validate({"fast": 3, "slow": 9})
    plain, far = (
        run_engine(BacktestTask([bars], spec, params, overlays=overlays))
        for overlays in (Overlays(), Overlays(take_profit=1.0, stop_loss=0.999, max_bars_held=10**6))
    )

    assert plain.equity.tobytes() == far.equity.tobytes()
    assert len(plain.fills) > 5


def test_an_intent_is_checked_before_overlays_hide_it(build_bars) -> None:
    @strategy()
    def wrong(i, x, p, s):
        return sell(-1.0)

    bars = build_bars([(10.0, 10.0, 10.0, 10.0)] * 3)
    with pytest.raises(EngineError, match="not negative for buy and sell"):
        run_engine(BacktestTask([bars], wrong, {}, overlays=Overlays(flat_before_close=1_440)))


class Ordinary(bt.Strategy):
    pass


def test_an_ordinary_strategy_is_refused(walk) -> None:
    bars = pd.DataFrame({"ts": pd.date_range("2024-01-02", periods=9, freq="1min", tz="UTC"), "symbol": "A"})
    bars = bars.assign(**dict.fromkeys(["open", "high", "low", "close", "volume"], 1.0))
    with pytest.raises(EngineError, match=r"\{'latency': 1\} cannot be laid over an ordinary Backtrader"):
        whatif.backtest(bars, Ordinary, overlays=Overlays(latency=1))
    whatif.backtest(bars, Ordinary, overlays=Overlays())
    with pytest.raises(EngineError, match="did you mean 'stop_loss'"):
        whatif.backtest(bars, follower, overlays={"stoploss": 1})


def test_against_a_broker_strategy_that_does_it_by_hand(walk, plain) -> None:
    bars, execution = walk(11, 600), Execution(cash=5000.0, commission=0.0005, slippage=0.0002)
    spec = resolve("sma_crossover")
    params = spec.validate({"fast": 3, "slow": 11, "size": 9})
    overlays = Overlays(take_profit=0.01, stop_loss=0.006, max_bars_held=12, percent_of_equity=0.8)

    run = run_engine(BacktestTask([bars], spec, params, execution, overlays=overlays))
    reference = plain(WithExits, bars, execution)

    assert run.equity.tobytes() == np.array(reference.equity).tobytes()
    assert len(run.fills) > 40


class WithExits(bt.Strategy):
    """The same rules as a Backtrader user writes them."""

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=3), bt.ind.SMA(period=11))
        self.opened = 0

    def notify_order(self, order):
        for bit in order.executed.iterpending():
            if bit.opened and bit.psize == bit.opened:
                self.opened = len(self)

    def next(self):
        close, position = self.data.close[0], self.position
        if position:
            side = 1 if position.size > 0 else -1
            stop = (
                close <= position.price * (1 - 0.006) if side > 0 else close >= position.price * (1 + 0.006)
            )
            goal = close >= position.price * (1 + 0.01) if side > 0 else close <= position.price * (1 - 0.01)
            if stop or goal or len(self) - self.opened >= 12:
                self.close()
                return
        if self.cross[0] and self.cross[0] * position.size <= 0:
            units = int(0.8 * self.broker.getvalue() / close)
            self.order_target_size(target=units if self.cross[0] > 0 else -units)
