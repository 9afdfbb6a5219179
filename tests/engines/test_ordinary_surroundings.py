"""What an ordinary strategy finds around it is what a plain Cerebro gives it."""

from __future__ import annotations

import datetime as dt

import backtrader as bt
import pandas as pd
import pytest

import whatif
from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.engines.backtrader import ordinary
from whatif.errors import EngineError
from whatif.strategies import resolve

LOG: list[tuple[object, ...]] = []


def told(name):
    def method(self, *args, **kwargs):
        shown = [a.getstatusname() if hasattr(a, "getstatusname") else a for a in args]
        shown = [(a.status, a.size, a.pnl) if isinstance(a, bt.Trade) else a for a in shown]
        shown = [type(a).__name__ if isinstance(a, (bt.Timer, bt.Analyzer)) else a for a in shown]
        LOG.append((name, len(self), *shown))
        return getattr(bt.Strategy, name)(self, *args, **kwargs)

    return method


CALLBACKS = (
    "start", "stop", "prenext", "nextstart", "prenext_open", "nextstart_open", "next_open", "notify_order",
    "notify_trade", "notify_cashvalue", "notify_fund", "notify_data", "notify_store", "notify_timer",
)  # fmt: skip


class Told(bt.Strategy):
    """Writes down everything that it is told, in order."""

    params = (("period", 4),)

    for _name in CALLBACKS:
        locals()[_name] = told(_name)

    def __init__(self):
        self.mean = bt.ind.SMA(period=self.p.period)
        LOG.append(("init", self.broker.getcash()))
        self.add_timer(when=dt.time(0, 5), cheat=False)
        self.add_timer(when=dt.time(0, 7), cheat=True)

    def next(self):
        LOG.append(
            ("next", len(self), self.data.datetime.datetime(), self.broker.getvalue(), self.position.size)
        )
        LOG.append(
            (self.data.close[0], self.data.close[-1], self.mean[0], self.data._name, self.env is self.cerebro)
        )
        if len(self) % 4 == 0:
            self.order_target_size(target=3 if len(self) % 8 else -3)
        if len(self) % 9 == 0:
            price = self.data.close[0]
            self.buy_bracket(size=2, price=price, stopprice=price * 0.999, limitprice=price * 1.001)


@pytest.mark.parametrize("coo", [False, True])
def test_everything_is_told_in_the_order_of_cerebro(walk, plain, coo: bool) -> None:
    bars, execution = walk(8, 60), Execution(commission=0.001, coo=coo)
    LOG.clear()
    plain(Told, bars, execution)
    expected = list(LOG)
    LOG.clear()

    run_engine(BacktestTask([bars], resolve(Told), {}, execution))

    assert expected == LOG
    names = {entry[0] for entry in LOG}
    assert names >= {"start", "stop", "prenext", "nextstart", "notify_order", "notify_trade", "notify_timer"}
    assert ("next_open" in names) is coo


def test_several_symbols_are_told_alike(walk, plain) -> None:
    bars = [walk(8, 60, "X"), walk(9, 60, "Y")]
    LOG.clear()
    plain(Told, bars)
    expected = list(LOG)
    LOG.clear()

    run_engine(BacktestTask(bars, resolve(Told), {}))

    assert expected == LOG


class Looks(bt.Strategy):
    """Reads what Cerebro's observers show."""

    def start(self):
        self.seen = []

    def next(self):
        stats = self.stats
        self.seen.append((stats.broker.value[0], stats.broker.cash[0], *self.signals(stats), len(stats)))
        self.order_target_size(target=len(self) % 3)

    def signals(self, stats):
        return stats.buysell[0].buy[-1] if len(self) > 1 else 0.0, stats.trades.pnlplus[0]

    def stop(self):
        LOG.extend(self.seen)


def observed(self):
    return self.observers.broker.value[0]


class LooksElsewhere(bt.Strategy):
    """The same by a function of this module."""

    def next(self):
        LOG.append(observed(self))


class LooksInSecret(bt.Strategy):
    """No code names them."""

    def next(self):
        LOG.append(getattr(self, "".join(("st", "ats"))).broker.value[0])


@pytest.mark.parametrize("cls", [Looks, LooksElsewhere, LooksInSecret])
def test_observers_are_there_for_those_who_look(walk, plain, cls: type) -> None:
    bars = walk(8, 40)
    LOG.clear()
    plain(cls, bars)
    expected = [str(one) for one in LOG]
    LOG.clear()

    run_engine(BacktestTask([bars], resolve(cls), {}))

    assert [str(one) for one in LOG] == expected  # NaN is not NaN
    assert len(LOG) == 40


def test_observers_are_not_there_for_others() -> None:
    found = {
        cls.__name__: ordinary._reads_observers(cls) for cls in (Told, Looks, LooksElsewhere, LooksInSecret)
    }

    # one that is found out only when it runs is run again, with observers
    assert found == {"Told": False, "Looks": True, "LooksElsewhere": True, "LooksInSecret": False}


class Analyzes(bt.Strategy):
    def __init__(self):
        self._addanalyzer(bt.analyzers.DrawDown, _name="fall")
        self._addanalyzer(bt.analyzers.TradeAnalyzer)
        self.env.addanalyzer(bt.analyzers.TimeReturn, _name="returns", timeframe=bt.TimeFrame.Minutes)

    def next(self):
        self.order_target_size(target=5 if len(self) % 7 < 3 else 0)


def test_what_analyzers_found_can_be_fetched(walk, plain) -> None:
    bars = walk(8, 200)
    reference = plain(Analyzes, bars)
    stamps = pd.DatetimeIndex(bars.ts.astype("datetime64[us]"), tz="UTC")
    frame = pd.DataFrame(
        {
            "symbol": "X",
            "ts": stamps,
            **{k: getattr(bars, k) for k in ("open", "high", "low", "close", "volume")},
        }
    )

    result = whatif.backtest(frame, Analyzes)

    assert list(result.analyzers) == ["fall", "tradeanalyzer", "returns"]
    assert result.analyzers["fall"]["max"] == dict(reference.analysis["drawdown"]["max"])
    assert result.analyzers["fall"]["max"]["drawdown"] == result.metrics["max_drawdown_pct"]
    assert result.analyzers["tradeanalyzer"]["total"]["closed"] == result.metrics["trades"] > 10
    assert type(result.analyzers["fall"]) is dict
    assert len(result.analyzers["returns"]) == 200


def test_an_attribute_that_is_not_there_is_still_an_error(walk) -> None:
    class Wrong(bt.Strategy):
        def next(self):
            self.nothing.of.this.name()

    with pytest.raises(EngineError, match=r"Wrong: bar 0 at .*it raised AttributeError.*nothing"):
        run_engine(BacktestTask([walk(1, 20)], resolve(Wrong), {}))
