"""Expected values that other projects print for their own tests."""

from __future__ import annotations

import math

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from whatif.domain.execution import Execution
from whatif.domain.fills import Trades
from whatif.domain.metrics import max_drawdown, profit_metrics, sharpe, sortino
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import buy, close, hold, resolve, strategy, target
from whatif.strategies.intents import BUY, SELL
from whatif.testing import script_of, scripted


@strategy(inputs={"cross": "crossover(close, sma(15))"})
def unoptimized(i, x, p, s):
    """Backtrader's tests/test_strategy_unoptimized.py: long 1, one order at a time."""
    if s.pending:
        return hold()
    if s.size == 0:
        return buy(1.0) if x.cross[i] > 0.0 else hold()
    return close() if x.cross[i] < 0.0 else hold()


class Unoptimized(bt.Strategy):
    """The same, as that test writes it."""

    params = (("stocklike", True),)

    def __init__(self):
        self.order = None
        self.cross = bt.ind.CrossOver(self.data.close, bt.ind.SMA(self.data, period=15))
        self.first = None

    def start(self):
        if not self.p.stocklike:
            self.broker.setcommission(commission=2.0, mult=10.0, margin=1000.0)

    def notify_order(self, order):
        if not order.alive():
            self.order = None

    def nextstart(self):
        FIRST_NEXT.append(len(self))
        self.next()

    def next(self):
        if self.order:
            return
        if not self.position.size:
            if self.cross > 0.0:
                self.order = self.buy(size=1)
        elif self.cross < 0.0:
            self.order = self.close()

    def stop(self):
        FINAL_CASH.append(self.broker.getcash())


FIRST_NEXT: list[int] = []
FINAL_CASH: list[float] = []


def assert_is_the_published_run(run) -> None:
    # source: backtrader tests/test_strategy_unoptimized.py and test_analyzer-*.py, executed
    assert len(run.ts) == 255
    assert run.equity[-1] == 10284.099999999997
    assert run.cash[-1] == 6164.159999999997
    assert len(run.fills) == 23
    assert len(run.trades) == 11
    assert math.fsum(run.trades.pnl_net) == pytest.approx(216.71000000000004, rel=1e-14)
    assert max_drawdown(run.equity) == (2.6158135411549006, 157)


def test_1_close_crosses_its_average_as_stocks(year_2006, engine) -> None:
    assert_is_the_published_run(run_engine(BacktestTask([year_2006], unoptimized, {}), engine))


def test_1_the_same_by_an_ordinary_strategy(year_2006) -> None:
    assert_is_the_published_run(run_engine(BacktestTask([year_2006], resolve(Unoptimized), {})))


def test_1_cash_and_the_first_next(year_2006) -> None:
    FIRST_NEXT.clear()
    FINAL_CASH.clear()

    run_engine(BacktestTask([year_2006], resolve(Unoptimized), {}))

    assert FIRST_NEXT == [16]
    assert FINAL_CASH == [6164.159999999997]
    # the step's input has its first value on the same bar, counted from 0
    assert resolve(unoptimized).warmup({}) == 15


def test_1_the_step_sees_that_cash(year_2006) -> None:
    seen: list[float] = []

    @strategy(inputs={"cross": "crossover(close, sma(15))"})
    def watched(i, x, p, s):
        seen.append(s.cash)
        return unoptimized.step(i, x, p, s)

    # a step that writes into a list cannot be compiled
    run_engine(BacktestTask([year_2006], watched, {}), "backtrader")

    assert seen[-1] == 6164.159999999997


def test_2_the_same_as_futures(year_2006) -> None:
    FINAL_CASH.clear()

    run = run_engine(BacktestTask([year_2006], resolve(Unoptimized), {"stocklike": False}))

    # source: the same tests, and test_analyzer-sqn.py
    assert run.equity[-1] == 12794.999999999984
    assert FINAL_CASH == [11794.999999999984]
    assert math.fsum(run.trades.pnl_net) == pytest.approx(2123.1000000000004, rel=1e-14)
    assert max_drawdown(run.equity) == (22.48435685583248, 158)
    assert profit_metrics(run.trades.pnl_net)["sqn"] == 0.9125503164393756


def played_run(build_bars, engine, opens, orders, **costs):
    """Return the run of market orders of these signed sizes, each filled at the open after it."""
    intents = [(BUY if size > 0 else SELL, abs(size)) for size in orders]
    prices = [(price, price, price, price) for price in opens]
    bars = script_of(intents).on(build_bars(prices))
    return run_engine(BacktestTask([bars], scripted, {}, Execution(cash=10_000.0, **costs)), engine)


def test_3_a_position_is_averaged_reduced_and_reversed(build_bars, engine) -> None:
    # source: backtrader tests/test_position.py: 10 at 10, 5 at 12.5, -7 at 14.5, -15 at 17.5
    run = played_run(build_bars, engine, [10.0, 10.0, 12.5, 14.5, 17.5], [10, 5, -7, -15])

    average = (10 * 10.0 + 5 * 12.5) / 15
    assert run.position[0].tolist() == [0.0, 10.0, 15.0, 8.0, -7.0]
    # what reduces and what opens have the sign of the order
    assert run.fills.closed.tolist() == [0.0, 0.0, -7.0, -8.0]
    assert run.fills.opened.tolist() == [10.0, 5.0, 0.0, -7.0]
    assert run.trades.pnl.tolist() == [7 * (14.5 - average) + 8 * (17.5 - average)]
    assert run.trades.entry_price.tolist() == [average]


def test_3_a_trade_adds_up_commission_and_ends_when_flat(build_bars, engine) -> None:
    # source: backtrader tests/test_trade.py: 10 at 10, -5 at 12.5, 7 at 14.5, -12 at 12.5, fee 2.5 %
    # (its fees are those of the first value throughout; here each order pays its own)
    prices, orders = [10.0, 12.5, 14.5, 12.5], [10, -5, 7, -12]
    run = played_run(build_bars, engine, [10.0, *prices], orders, commission=0.025)

    fees = [abs(size) * 0.025 * price for size, price in zip(orders, prices, strict=True)]
    average = (5 * 10.0 + 7 * 14.5) / 12
    pnl = 5 * (12.5 - 10.0) + 12 * (12.5 - average)
    assert run.fills.commission.tolist() == fees
    assert (run.trades.opened.tolist(), run.trades.closed.tolist()) == ([1], [4])
    assert run.trades.pnl[0] == pytest.approx(pnl, rel=1e-14)
    assert run.trades.pnl_net[0] == pytest.approx(pnl - sum(fees), rel=1e-14)


def test_3_cost_commission_and_profit_of_stocks(build_bars, engine) -> None:
    # source: backtrader tests/test_comminfo.py: 100 at 10 with a fee of one half, then a price of 5
    run = played_run(build_bars, engine, [10.0, 10.0, 5.0, 5.0], [100, 0, 0, 0], commission=0.5)

    assert run.fills.commission.tolist() == [100 * 10.0 * 0.5]
    assert run.cash[1:].tolist() == [10_000.0 - 100 * 10.0 - 500.0] * 3
    assert run.equity[2] - run.equity[1] == 100 * (5.0 - 10.0)


def test_3_each_part_of_an_order_is_reported_once(build_bars, engine) -> None:
    # source: backtrader tests/test_order.py: a later notification repeats no earlier part; a reversal
    # whose parts miss its size in floats is filled in two
    run = played_run(build_bars, engine, [1.0] * 5, [0.2, -0.9, 0, 0, 0])

    assert run.fills.row.tolist() == [1, 2, 3]
    assert run.fills.size.tolist() == [0.2, -0.8999999999999999, -1.1102230246251565e-16]


def test_4_a_slower_feed_delays_the_first_next(data_dir) -> None:
    # source: backtrader tests/test_data_multiframe.py; pins the version of Backtrader we build on
    first: list[int] = []

    class Probe(bt.Strategy):
        def __init__(self):
            for data in self.datas:
                bt.ind.SMA(data, period=30)

        def nextstart(self):
            first.append(len(self))

    cerebro = bt.Cerebro(stdstats=False)
    for name, timeframe in (("day", bt.TimeFrame.Days), ("week", bt.TimeFrame.Weeks)):
        rows = pd.read_csv(
            data_dir / "backtrader" / f"2006-{name}-001.txt", parse_dates=["Date"], index_col="Date"
        )
        cerebro.adddata(bt.feeds.PandasData(dataname=rows, timeframe=timeframe))
    cerebro.addstrategy(Probe)
    cerebro.run()

    # the weekly average is ready on bar 147, and again on each day until the next week's bar:
    # Backtrader calls nextstart on all of them, and its test keeps the last
    assert first == [147, 148, 149, 150, 151]


class BacktestingPy:
    """What backtesting.py does with SMA 10/30 on GOOG; its own statistics and series."""

    def __init__(self) -> None:
        from backtesting import Backtest, Strategy
        from backtesting.lib import crossover
        from backtesting.test import GOOG, SMA

        class SmaCross(Strategy):
            def init(self):
                self.fast = self.I(SMA, self.data.Close, 10)
                self.slow = self.I(SMA, self.data.Close, 30)

            def next(self):
                if crossover(self.fast, self.slow):
                    self.position.close()
                    self.buy()
                elif crossover(self.slow, self.fast):
                    self.position.close()
                    self.sell()

        self.prices = GOOG
        self.stats = Backtest(GOOG, SmaCross, cash=10_000, finalize_trades=True).run()
        self.equity = self.stats["_equity_curve"]["Equity"]
        self.trades = self.stats["_trades"]


@pytest.fixture(scope="module")
def reference() -> BacktestingPy:
    pytest.importorskip(
        "backtesting", reason="backtesting.py is under the Affero GPL, so that 'make install' leaves it out"
    )
    return BacktestingPy()


def test_5_the_reference_prints_what_it_promises(reference) -> None:
    # source: backtesting.py test/_test.py, TestBacktest.test_compute_stats
    assert reference.stats["# Trades"] == 66
    assert reference.stats["Equity Final [$]"] == pytest.approx(51422.99, abs=0.005)


def test_5_statistics_of_its_equity_curve(reference) -> None:
    equity = reference.equity.to_numpy()
    returns = np.diff(equity) / equity[:-1]

    assert equity.max() == pytest.approx(75787.44, abs=0.005)
    assert max_drawdown(equity)[0] == pytest.approx(47.98012705007589, rel=1e-12)
    # its ratios compound: mean return is geometric and volatility that of a compounded year;
    # ours are arithmetic means over deviations, so by its own formula from the same returns:
    growth = (equity[-1] / equity[0]) ** (1.0 / len(returns))
    year = growth**252 - 1.0
    deviation = math.sqrt((returns.var(ddof=1) + growth**2) ** 252 - growth ** (2 * 252))
    assert year / deviation == pytest.approx(0.5806232244, rel=1e-9)
    downside = math.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)) * math.sqrt(252)
    assert year / downside == pytest.approx(1.0853434352, rel=1e-9)
    years = (reference.equity.index[-1] - reference.equity.index[0]).days / 365.25
    assert 100.0 * ((equity[-1] / equity[0]) ** (1 / years) - 1.0) == pytest.approx(21.1602457, rel=1e-8)
    # and ours, by hand from the same parts: the denominator of sortino is the very same
    mean = returns.mean()
    assert sharpe(returns, 252) == pytest.approx(mean / returns.std(ddof=1) * math.sqrt(252), rel=1e-12)
    assert sortino(returns, 252) == pytest.approx(mean * 252 / downside, rel=1e-12)


def test_5_statistics_of_its_trades(reference) -> None:
    net = reference.trades["PnL"].to_numpy()
    measured = profit_metrics(trades_with(net).pnl_net)

    # its SQN takes the sample deviation, ours (Backtrader's) that of the population
    assert measured["sqn"] * math.sqrt(65 / 66) == pytest.approx(1.0766187357, rel=1e-9)
    # its profit factor adds up returns, ours money: the same function on its returns
    returned = profit_metrics(trades_with(reference.trades["ReturnPct"].to_numpy()).pnl_net)
    assert returned["profit_factor"] == pytest.approx(2.1679459743, rel=1e-9)
    assert measured["trades"] == 66
    assert measured["win_rate"] == pytest.approx(reference.stats["Win Rate [%]"] / 100.0, rel=1e-12)


def trades_with(net: np.ndarray) -> Trades:
    """Return trades of which only the net profit matters."""
    n = len(net)
    whole, real = np.zeros(n, dtype=np.int64), np.zeros(n)
    return Trades(whole, whole, whole, real, real, real, real, np.ascontiguousarray(net, dtype=np.float64))


@strategy(inputs={"cross": "crossover(sma(10), sma(30))", "next_open": "next_open"})
def all_in(i, x, p, s):
    """Always in the market with all equity; knows the next open, as backtesting.py's broker does."""
    if x.cross[i] == 0.0 or x.cross[i] != x.cross[i]:
        return hold()
    price = x.next_open[i]
    units = (s.cash + s.size * price) * (1.0 - 2.0**-52) // price
    return target(units if x.cross[i] > 0.0 else -units)


def test_5_the_same_strategy_on_our_broker(reference, build_bars, engine) -> None:
    goog = reference.prices
    ts = pd.DatetimeIndex(goog.index).as_unit("us").asi8
    following = np.append(goog["Open"].to_numpy()[1:], np.nan)
    bars = build_bars(goog[["Open", "High", "Low", "Close"]].to_numpy(), "GOOG", ts, next_open=following)

    # its orders are checked at the price of execution only
    run = run_engine(BacktestTask([bars], all_in, {}, Execution(checksubmit=False)), engine)

    # 65 closed trades, and one open at the end, which the reference closes at the last bar's open
    assert (len(bars), len(run.trades), run.open_at_end) == (2148, 65, True)
    np.testing.assert_allclose(run.equity[:-1], reference.equity.to_numpy()[:-1], rtol=1e-12)
    closed_at_open = run.equity[-1] + run.position[0, -1] * (bars.open[-1] - bars.close[-1])
    assert closed_at_open == pytest.approx(51422.99, abs=0.005)
    assert run.fills.price.tolist() == reference.trades.sort_values("EntryBar")["EntryPrice"].tolist()
    theirs = reference.trades.sort_values("EntryBar")["PnL"].to_numpy()[:-1]
    np.testing.assert_allclose(run.trades.pnl, theirs, rtol=1e-9, atol=1e-9)
