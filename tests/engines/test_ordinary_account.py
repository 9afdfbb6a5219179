"""Ordinary strategies that end the run, change the account, or trade what is no stock."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain.execution import Execution
from whatif.domain.fills import Fills
from whatif.domain.periods import Periods
from whatif.domain.run import EngineRun
from whatif.engines import BacktestTask, Engine, run_engine, select
from whatif.errors import EngineError
from whatif.stats.benchmark import buy_and_hold
from whatif.strategies import resolve


def frame(bars) -> pd.DataFrame:
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    stamps = pd.DatetimeIndex(bars.ts.astype("datetime64[us]"), tz="UTC")
    return pd.DataFrame({"symbol": bars.symbol, "ts": stamps, **columns})


class Stops(bt.Strategy):
    params = (("at", 20), ("close", False), ("where", "next"))

    def _stop_at(self, where):
        if where == self.p.where and len(self) == self.p.at:
            self.env.runstop()

    def next_open(self):
        self._stop_at("next_open")

    def notify_order(self, order):
        self._stop_at("notify_order")

    def next(self):
        if len(self) == 3:
            self.buy(size=50)
        if self.p.close and len(self) == self.p.at - 5:
            self.close()
        self._stop_at("next")


@pytest.mark.parametrize("close", [False, True])
def test_what_stops_the_run_keeps_its_equity_to_the_end(walk, plain, close: bool) -> None:
    bars, execution = walk(1, 900), Execution(commission=0.0005)
    reference = plain(Stops, bars, execution, close=close)

    result = whatif.backtest(frame(bars), Stops, {"close": close}, execution=execution)

    # Backtrader's own run has 20 bars; the account is worth from there on what it was worth then
    assert len(reference.equity) == 20
    assert result.run.equity[:20].tobytes() == np.array(reference.equity).tobytes()
    assert (result.run.equity[20:] == reference.equity[-1]).all()
    assert len(result.equity) == len(bars)
    assert result.metrics["return_pct"] == 100.0 * (reference.equity[-1] / 10_000.0 - 1.0)
    assert np.isfinite(result.metrics["sharpe"])
    # bought on the fourth bar, closed on the sixteenth
    assert result.metrics["exposure"] == ((15 - 3) if close else (20 - 3)) / 900
    assert result.metrics["open_at_end"] is not close
    assert result.notes[0].startswith("the strategy ended the run after 20 of 900 bars, at 2024-10-04T00:19")


@pytest.mark.parametrize(
    ("where", "coo", "rows"),
    # next_open comes before the broker: the bar is not done; notify_order only where there is one
    [("next_open", True, 20), ("notify_order", False, 900), ("next", True, 20)],
)
def test_it_may_be_stopped_anywhere(walk, where: str, coo: bool, rows: int) -> None:
    result = whatif.backtest(frame(walk(1, 900)), Stops, {"where": where}, execution={"coo": coo})

    assert result.run.rows_run == (None if rows == 900 else rows)
    assert len(result.equity) == 900


def test_a_stop_before_the_window_leaves_cash(walk) -> None:
    bars = walk(1, 100)
    task = BacktestTask([bars], resolve(Stops), {"at": 2}, start=int(bars.ts[50]), warmup=10)

    run = run_engine(task)

    assert run.equity.tolist() == run.cash.tolist() == [10_000.0] * 50
    assert "after 0 of 50 bars" in run.notes[0]


def test_a_strategy_that_skips_itself_is_an_error(walk) -> None:
    class Skips(bt.Strategy):
        def __init__(self):
            raise bt.errors.StrategySkipError

    class SkipsLater(bt.Strategy):
        def next(self):
            raise bt.errors.StrategySkipError

    with pytest.raises(EngineError, match=r"Skips: it raised StrategySkipError.*no result"):
        whatif.backtest(frame(walk(1, 30)), Skips)
    with pytest.raises(EngineError, match=r"SkipsLater: bar 0 at .*it raised StrategySkipError"):
        whatif.backtest(frame(walk(1, 30)), SkipsLater)


def test_arrays_that_do_not_cover_the_window_are_refused(walk, monkeypatch) -> None:
    bars = walk(1, 30)
    good = run_engine(BacktestTask([bars], resolve(Stops), {}))
    for name in ("equity", "cash", "position", "close"):
        short = {
            "symbols": good.symbols, "ts": good.ts, "fills": good.fills, "equity": good.equity,
            "position": good.position, "close": good.close, "margin_rejected": 0, "engine": "mine",
            "cash": good.cash,
        }  # fmt: skip
        short[name] = short[name][..., :20]
        with pytest.raises(
            EngineError, match=rf"engine mine: {name} has the shape \(.*20,?\), and the window"
        ):
            EngineRun(**short)
    late = Fills.from_rows([(30, 0, 0.0, 1.0, 10.0, 0.0, 0.0, 1.0)])
    with pytest.raises(EngineError, match="outside of the window's 30 rows"):
        EngineRun(("X",), good.ts, late, good.equity, good.position, good.close, 0, "mine")

    class EndsEarly(Engine):
        name = "mine"

        def run(self, task, cache=None):
            return EngineRun(
                ("X",),
                good.ts[:20],
                Fills.from_rows([]),
                good.equity[:20],
                good.position[:, :20],
                good.close[:, :20],
                0,
                "mine",
            )

    monkeypatch.setattr(select, "_AUTOMATIC", (EndsEarly(),))
    with pytest.raises(EngineError, match="20 rows came of a window of 30 bars"):
        run_engine(BacktestTask([bars], resolve(Stops), {}))


CHANGES = {
    "broker.add_cash(1000)": r"add_cash\(1000\) would count as profit",
    "broker.add_cash(-1000)": "would count as loss",
    "broker.setcash(50000)": r"changes the broker's cash from 10000.0 to 50000.*execution: {cash: ...}",
    "broker.set_cash(50000)": "changes the broker's cash",
    "broker.set_coc(True)": "changes the broker's coc from False to True",
    "broker.set_coo(True)": "changes the broker's coo",
    "broker.set_checksubmit(False)": "changes the broker's checksubmit",
    "broker.set_shortcash(False)": "changes the broker's shortcash",
    "broker.set_slippage_perc(0.01)": r"slip_perc from 0.0 to 0.01.*execution: {slippage: ...}",
    "broker.set_slippage_fixed(0.01)": r"execution: {slippage_fixed: ...}",
    "broker.set_int2pnl(False)": "changes the broker's int2pnl",
    "broker.set_filler(bt.broker.fillers.FixedSize())": "changes the broker's filler",
    "broker.seteosbar(True)": "changes the broker's eosbar",
    "broker.set_fundmode(True)": "changes the broker's fundmode",
    "broker.p.coc = True": "changes the broker's coc",
    "broker.cash += 500": "changes the cash by 500 without an order",
    "broker._cash_addition.append(7)": "changes the cash by 7 without an order",
    "env.setbroker(bt.brokers.BackBroker())": "replaces the broker",
    "broker = bt.brokers.BackBroker()": "replaces the broker",
}


@pytest.mark.parametrize("when", ["init", "next", "stop"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_account_is_refused(walk, change: str, when: str) -> None:
    def changed(self):
        exec(f"self.{change}", {"self": self, "bt": bt})

    body = (
        {"__init__": changed} if when == "init" else {"next": lambda self: len(self) == 9 and changed(self)}
    )
    body = {"stop": changed} if when == "stop" else body
    cls = type("Changes", (bt.Strategy,), {**body, "__module__": __name__})
    if when == "stop" and "replaces" in CHANGES[change]:
        return  # the run is over

    with pytest.raises(EngineError, match=CHANGES[change]) as refused:
        whatif.backtest(frame(walk(1, 30)), cls)

    assert "strategy Changes: " in str(refused.value)


def test_what_changes_nothing_is_no_change(walk) -> None:
    class Same(bt.Strategy):
        def __init__(self):
            self.broker.set_coc(True)
            self.broker.set_slippage_perc(0.001)
            self.broker.setcommission(0.002)

        def next(self):
            self.order_target_size(target=len(self) % 2)

    given = {"coc": True, "slippage": 0.001, "commission": 0.002}
    result = whatif.backtest(frame(walk(1, 30)), Same, execution=given)

    assert len(result.fills) == 29
    assert result.notes == ()


class Costs(bt.Strategy):
    def __init__(self):
        self.broker.setcommission(0.01)

    def next(self):
        self.order_target_size(target=10 if len(self) % 2 else 0)


def test_costs_of_the_class_are_refused_beside_those_of_the_execution_or_said(walk) -> None:
    bars = frame(walk(1, 30))

    with pytest.raises(
        EngineError, match=r"setcommission changes the commission \(all symbols: commission 0.01\)"
    ):
        whatif.backtest(bars, Costs, execution={"commission": 0.001})
    result = whatif.backtest(bars, Costs)

    assert result.notes == ("the strategy sets the commission: all symbols: commission 0.01",)
    assert result.metrics["costs"] == pytest.approx(0.01 * 10 * result.fills["price"].sum())


class Futures(bt.Strategy):
    """Two contracts from bar 2 on; ten times the price each, 100 of margin, 3 a contract and side."""

    def __init__(self):
        self.broker.setcommission(commission=3.0, margin=100.0, mult=10.0, name="X")

    def next(self):
        if len(self) == 1:
            self.buy(size=2)
        if len(self) == 4:
            self.close()


def test_futures_by_hand(build_bars, plain) -> None:
    bars = build_bars([(10.0 + k, 11.5 + k, 9.5 + k, 11.0 + k) for k in range(6)])
    reference = plain(Futures, bars, Execution(cash=1_000.0))

    result = whatif.backtest(frame(bars), Futures, execution={"cash": 1_000.0})

    assert result.run.equity.tobytes() == np.array(reference.equity).tobytes()
    # bought at 11 and sold at 14: 3 * 10 * 2 = 60, and four sides of 3
    assert result.metrics["pnl_net"] == 48.0
    assert result.metrics["costs"] == 12.0
    assert result.trades[["size", "entry_price", "exit_price", "pnl", "pnl_net"]].to_numpy().tolist() == [
        [2.0, 11.0, 14.0, 60.0, 48.0]
    ]
    # equity: 1000, 1000 - 6 + 20, + 20, + 20, then sold at the open that the close before it was
    equity = [1000.0, 1014.0, 1034.0, 1054.0, 1048.0, 1048.0]
    assert result.run.equity.tolist() == equity
    assert result.metrics["turnover"] == pytest.approx(20.0 * (11.0 + 14.0) / (sum(equity) / 6))
    assert result.metrics["exposure"] == 3 / 6
    # held: 1,000 of what the contracts stand for, bought at 10, 3 for each ten of its units
    periods = Periods("bar", bars.ts + 1, 252.0)
    held = buy_and_hold(result.run, [bars], Execution(cash=1_000.0), periods)
    assert held.equity[-1] == pytest.approx(1_000.0 + 100.0 * (16.0 - 10.0) - 10.0 * 3.0)


class Ids(bt.Strategy):
    """Two trades at a time, told apart: the second one goes against the first."""

    def next(self):
        at = len(self) % 12
        if at == 1:
            self.buy(size=10, tradeid=1)
        if at == 3:
            self.sell(size=4, tradeid=2)
        if at == 6:
            self.buy(size=4, tradeid=2)
        if at == 9:
            self.sell(size=10, tradeid=1)


def test_trades_are_told_apart_by_their_id(walk, plain) -> None:
    bars, execution = walk(3, 12), Execution(commission=0.001)
    reference = plain(Ids, bars, execution)

    run = run_engine(BacktestTask([bars], resolve(Ids), {}, execution))

    assert [
        (float(a), float(b)) for a, b in zip(run.trades.pnl, run.trades.pnl_net, strict=True)
    ] == reference.trades
    assert run.trades.size.tolist() == [-4.0, 10.0]
    assert run.trades.opened.tolist() == [3, 1]
    assert run.trades.closed.tolist() == [6, 9]
    assert run.trades.entry_price.tolist() == [bars.open[3], bars.open[1]]
    assert run.trades.exit_price.tolist() == [bars.open[6], bars.open[9]]


def test_trades_by_id_add_up_to_the_account(walk) -> None:
    run = run_engine(BacktestTask([walk(3, 600)], resolve(Ids), {}, Execution(commission=0.001)))

    # one that is closed stays closed: Backtrader goes on with it where the next order of its id
    # reduces the position, and so counts its profit again
    assert len(run.trades) == 100
    assert run.trades.pnl_net.sum() == pytest.approx(run.equity[-1] - 10_000.0)


def test_ids_may_be_anything_and_may_reverse(walk, plain) -> None:
    class Reverses(bt.Strategy):
        def next(self):
            if len(self) % 5 == 1:
                self.order_target_size(target=3 if len(self) % 2 else -2, tradeid="a")

    bars = walk(4, 60)
    reference = plain(Reverses, bars)

    run = run_engine(BacktestTask([bars], resolve(Reverses), {}))

    assert len(run.trades) > 5
    assert [
        (float(a), float(b)) for a, b in zip(run.trades.pnl, run.trades.pnl_net, strict=True)
    ] == reference.trades
