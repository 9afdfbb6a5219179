"""Subclasses of backtrader.Strategy run as they are."""

from __future__ import annotations

import gc

import backtrader as bt
import numpy as np
import pytest

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError, StrategyError
from whatif.strategies import resolve

COSTS = Execution(cash=1e5, commission=0.0005, slippage=0.0001)


class Crossover(bt.Strategy):
    params = (("fast", 5), ("slow", 20), ("size", 3))

    def __init__(self):
        fast, slow = (bt.ind.SMA(period=period) for period in (self.p.fast, self.p.slow))
        self.cross = bt.ind.CrossOver(fast, slow)

    def next(self):
        if self.cross[0]:
            self.order_target_size(target=self.p.size * self.cross[0])


class Brackets(bt.Strategy):
    """Orders that no step function can place yet."""

    def next(self):
        if not self.position and len(self) % 7 == 0:
            price = self.data.close[0]
            self.buy_bracket(size=5, price=price * 1.001, stopprice=price * 0.9992, limitprice=price * 1.0008)


@pytest.mark.parametrize("strategy", [Crossover, Brackets])
def test_equals_plain_backtrader_as_bytes(estx50, plain, strategy) -> None:
    bars = estx50.slice(2_000, 4_000)
    reference = plain(strategy, bars, COSTS)

    run = run_engine(BacktestTask([bars], resolve(strategy), {}, COSTS))

    assert len(run.fills) > 10
    assert run.equity.tobytes() == np.array(reference.equity).tobytes()
    assert run.fills.price.tobytes() == np.array([fill[3] for fill in reference.fills]).tobytes()
    assert run.fills.row.tolist() == [fill[0] for fill in reference.fills]
    assert run.trades.pnl_net.tobytes() == np.array([trade[1] for trade in reference.trades]).tobytes()


def test_a_window_is_fed_its_warmup_and_measured_alone(estx50) -> None:
    bars = estx50.slice(0, 3_000)
    window = {"start": int(bars.ts[1_000]), "end": int(bars.ts[2_500])}
    spec = resolve("sma_crossover")
    params = spec.validate({"fast": 5, "slow": 20, "size": 3})
    by_step = run_engine(BacktestTask([bars], spec, params, COSTS, **window))

    run = run_engine(BacktestTask([bars], resolve(Crossover), {}, COSTS, **window, warmup=20))

    assert run.ts.tolist() == bars.ts[1_000:2_500].tolist()
    assert run.equity.tobytes() == by_step.equity.tobytes()
    assert run.fills.row.tolist() == by_step.fills.row.tolist()


def test_an_order_before_the_window_is_an_error_that_names_the_bar(walk) -> None:
    class Eager(bt.Strategy):
        def next(self):
            if len(self) == 4:
                self.buy(size=1)

    bars = walk(1, 30)

    with pytest.raises(EngineError) as refused:
        run_engine(BacktestTask([bars], resolve(Eager), {}, start=int(bars.ts[10]), warmup=10))

    # the fourth bar of the feed, which begins with bar 0
    assert "order was placed on bar 3 at 2024-10-04T00:03:00+00:00" in str(refused.value)


def test_an_order_on_the_windows_first_bar_is_none(walk) -> None:
    class OnFirst(bt.Strategy):
        def next(self):
            if len(self) == 11:
                self.buy(size=1)

    bars = walk(1, 30)

    run = run_engine(BacktestTask([bars], resolve(OnFirst), {}, start=int(bars.ts[10]), warmup=10))

    assert run.fills.row.tolist() == [1]


def test_inputs_are_lines_by_name_and_time_is_naive_utc(walk) -> None:
    seen = []

    class Reader(bt.Strategy):
        def next(self):
            seen.append((self.data.forecast[0], self.data.vwap[0], self.data.datetime.datetime().isoformat()))

    bars = walk(2, 5, forecast=[0.1, 0.2, 0.3, 0.4, 0.5])

    run_engine(BacktestTask([bars], resolve(Reader), {}))

    assert [forecast for forecast, _, _ in seen] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert [vwap for _, vwap, _ in seen] == bars.vwap.tolist()
    assert seen[2][2] == "2024-10-04T00:02:00"


def test_an_exception_keeps_its_cause_and_names_the_bar(walk) -> None:
    class Failing(bt.Strategy):
        def next(self):
            if len(self) == 6:
                raise KeyError("lost")

    with pytest.raises(
        EngineError, match=r"Failing: bar 5 at 2024-10-04T00:05:00\+00:00: it raised KeyError"
    ) as failed:
        run_engine(BacktestTask([walk(3, 20)], resolve(Failing), {}))

    assert isinstance(failed.value.__cause__, KeyError)


def test_unknown_parameters_are_refused_with_the_nearest() -> None:
    with pytest.raises(StrategyError, match=r"'fsat'.*did you mean 'fast'"):
        resolve(Crossover).validate({"fsat": 3})


def test_several_symbols_share_one_account(walk, plain) -> None:
    class Pairs(bt.Strategy):
        def next(self):
            for data in self.datas:
                self.order_target_size(data, 5 if data.close[0] > data.close[-1] else -5)

    both = [walk(4, 200, "A"), walk(5, 200, "B")]
    reference = plain(Pairs, both, COSTS)

    run = run_engine(BacktestTask(both, resolve(Pairs), {}, COSTS))

    assert run.equity.tobytes() == np.array(reference.equity).tobytes()
    assert [run.symbols[k] for k in run.fills.symbol] == [fill[1] for fill in reference.fills]


def test_a_finished_run_leaves_no_garbage_and_no_new_class(walk) -> None:
    bars = walk(6, 120, forecast=np.zeros(120))
    task = BacktestTask([bars], resolve(Crossover), {}, COSTS)
    run_engine(task)
    gc.collect()
    gc.disable()
    try:
        before, classes = (
            len(gc.get_objects()),
            len(bt.Strategy.__subclasses__()) + len(bt.feed.DataBase.__subclasses__()),
        )
        for _ in range(20):
            run_engine(task)
        grown = len(gc.get_objects()) - before
        created = len(bt.Strategy.__subclasses__()) + len(bt.feed.DataBase.__subclasses__()) - classes
    finally:
        gc.enable()

    # without the collector, a single kept run would hold hundreds of objects
    assert grown < 100
    assert created == 0
