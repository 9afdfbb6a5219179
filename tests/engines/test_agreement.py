"""The step engine against plain Backtrader: fills, trades and equity, equal as bytes."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.domain.execution import Execution
from whatif.domain.metrics import max_drawdown, profit_metrics
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import buy, close, hold, resolve, sell, strategy, target, target_percent


class Crossover(bt.Strategy):
    """What a Backtrader user writes for `sma_crossover`."""

    params = (("fast", 10), ("slow", 50), ("size", 100.0), ("enter_at_once", False))

    def __init__(self):
        self.cross = {
            data: bt.ind.CrossOver(bt.ind.SMA(data, period=self.p.fast), bt.ind.SMA(data, period=self.p.slow))
            for data in self.datas
        }

    def next(self):
        for data, cross in self.cross.items():
            if cross[0] > 0:
                self.order_target_size(data, self.p.size)
            elif cross[0] < 0:
                self.order_target_size(data, -self.p.size)


COSTS = st.builds(
    Execution,
    cash=st.floats(500.0, 1e6),
    commission=st.sampled_from([0.0, 0.0005, 0.00173]),
    slippage=st.sampled_from([0.0, 0.0001, 0.004]),
    checksubmit=st.booleans(),
    coc=st.booleans(),
    shortcash=st.booleans(),
)


def assert_equal(run, plain) -> None:
    """Compare a run with plain Backtrader to the last bit."""
    fills = run.fills
    assert run.equity.tobytes() == np.array(plain.equity).tobytes()
    names = [run.symbols[k] for k in fills.symbol]
    assert names == [fill[1] for fill in plain.fills]
    for own, column in ((fills.size, 2), (fills.price, 3), (fills.commission, 4)):
        assert own.tobytes() == np.array([fill[column] for fill in plain.fills], dtype=float).tobytes()
    if len(run.symbols) == 1:
        assert fills.row.tolist() == [fill[0] for fill in plain.fills]
    assert run.trades.pnl.tobytes() == np.array([trade[0] for trade in plain.trades], dtype=float).tobytes()
    assert (
        run.trades.pnl_net.tobytes() == np.array([trade[1] for trade in plain.trades], dtype=float).tobytes()
    )


@settings(deadline=None, max_examples=12)
@given(
    start=st.integers(0, 27_000),
    fast=st.integers(1, 30),
    more=st.integers(1, 60),
    size=st.sampled_from([1.0, 3.0, 100.0, 0.37]),
    execution=COSTS,
)
def test_sma_crossover_on_real_bars(estx50, plain, start, fast, more, size, execution) -> None:
    bars = estx50.slice(start, start + 500)
    spec = resolve("sma_crossover")
    params = spec.validate({"fast": fast, "slow": fast + more, "size": size})

    run = run_engine(BacktestTask([bars], spec, params, execution))

    assert_equal(run, plain(Crossover, bars, execution, **params))


@pytest.mark.slow
@pytest.mark.parametrize(
    "execution", [Execution(cash=1e5), Execution(cash=1e5, commission=5e-4, slippage=1e-4)]
)
def test_sma_crossover_on_all_real_bars(estx50, plain, execution) -> None:
    spec = resolve("sma_crossover")
    params = spec.validate({"fast": 10, "slow": 50, "size": 1})
    reference = plain(Crossover, estx50, execution, **params)

    run = run_engine(BacktestTask([estx50], spec, params, execution))

    assert_equal(run, reference)
    assert len(run.fills) > 900
    drawdown = reference.analysis["drawdown"]["max"]
    assert max_drawdown(run.equity) == (drawdown["drawdown"], drawdown["len"])
    measured = profit_metrics(run.trades.pnl_net)
    trades = reference.analysis["trades"]
    assert measured["trades"] == trades["total"]["closed"]
    assert measured["win_rate"] == trades["won"]["total"] / trades["total"]["closed"]
    assert measured["sqn"] == reference.analysis["sqn"]["sqn"]


SCRIPT = st.lists(
    st.tuples(
        st.sampled_from(["hold", "hold", "buy", "sell", "close", "target", "target_percent"]),
        st.floats(-40.0, 40.0).map(lambda size: round(size, 1)),
    ),
    min_size=30,
    max_size=90,
)
ORDERS = ("hold", "buy", "sell", "close", "target", "target_percent")


class Scripted(bt.Strategy):
    """Places the scripted orders with Backtrader's own methods."""

    params = (("script", ()),)

    def next(self):
        if len(self) < 2:
            return
        name, amount = self.p.script[len(self) - 1]
        if name == "buy" and amount:
            self.buy(size=abs(amount))
        elif name == "sell" and amount:
            self.sell(size=abs(amount))
        elif name == "close":
            self.close()
        elif name == "target":
            self.order_target_size(target=amount)
        elif name == "target_percent":
            self.order_target_percent(target=amount / 40.0)


@strategy(inputs={"order": "order", "amount": "amount"})
def scripted(i, x, p, s):
    """Gives the intents that two series say."""
    order, amount = x.order[i], x.amount[i]
    if order == 1.0 and amount != 0.0:
        return buy(abs(amount))
    if order == 2.0 and amount != 0.0:
        return sell(abs(amount))
    if order == 3.0:
        return close()
    if order == 4.0:
        return target(amount)
    if order == 5.0:
        return target_percent(amount / 40.0)
    return hold()


@settings(deadline=None, max_examples=25)
@given(script=SCRIPT, seed=st.integers(0, 10_000), execution=COSTS)
@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
def test_any_stream_of_intents(walk, plain, engine, script, seed, execution) -> None:
    bars = walk(seed, len(script), step=0.02)
    series = {
        "order": np.array([float(ORDERS.index(name)) for name, _ in script]),
        "amount": np.array([amount for _, amount in script]),
    }

    run = run_engine(BacktestTask([bars.with_inputs(series)], scripted, {}, execution), engine)

    reference = plain(Scripted, bars, execution, script=script)
    assert run.equity.tobytes() == np.array(reference.equity).tobytes()
    assert run.fills.price.tobytes() == np.array([fill[3] for fill in reference.fills], dtype=float).tobytes()
    assert run.fills.size.tobytes() == np.array([fill[2] for fill in reference.fills], dtype=float).tobytes()


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), execution=COSTS, gaps=st.sampled_from([0.0, 0.3]))
def test_two_symbols_share_one_account(walk, plain, seed, execution, gaps) -> None:
    first, second = walk(seed, 400, "A"), walk(seed + 1, 400, "B")
    rng = np.random.default_rng(seed)
    # both begin together, for an ordinary strategy waits for the last one to begin
    first, second = (
        one.take(np.flatnonzero((rng.random(400) >= gaps) | (np.arange(400) < 30))) for one in (first, second)
    )
    spec = resolve("sma_crossover")
    params = spec.validate({"fast": 3, "slow": 11, "size": 20})

    run = run_engine(BacktestTask([first, second], spec, params, execution))

    if gaps:
        reference = plain(OnFreshBars, [first, second], execution, **params)
    else:
        reference = plain(Crossover, [first, second], execution, **params)
    assert_equal(run, reference)


class OnFreshBars(Crossover):
    """Acts for a symbol only where it has a bar, in declared order."""

    def next(self):
        for data, cross in self.cross.items():
            if data.datetime[0] != self.datetime[0]:
                continue
            if cross[0] > 0:
                self.order_target_size(data, self.p.size)
            elif cross[0] < 0:
                self.order_target_size(data, -self.p.size)
