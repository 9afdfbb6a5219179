"""The further built-in strategies against what a Backtrader user writes, equal as bytes."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pytest

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import resolve

EXECUTION = Execution(cash=100_000.0, commission=0.0005, slippage=0.0001)
AVERAGES = {"sma_crossover": bt.ind.SMA, "ema_crossover": bt.ind.EMA}


def assert_same_fills(name, given, bars, reference) -> None:
    spec = resolve(name)
    run = run_engine(BacktestTask([bars], spec, spec.validate(given), EXECUTION))

    assert run.fills.row.tolist() == [fill[0] for fill in reference.fills]
    assert run.fills.size.tobytes() == np.array([fill[2] for fill in reference.fills], dtype=float).tobytes()
    assert run.fills.price.tobytes() == np.array([fill[3] for fill in reference.fills], dtype=float).tobytes()
    assert run.equity.tobytes() == np.array(reference.equity).tobytes()
    assert len(run.fills) > 8


class Cross(bt.Strategy):
    """Trade the order of two lines; `lines_of` names them."""

    params = (("size", 10), ("at_once", False), ("make", None))

    def __init__(self):
        self.one, self.other = self.p.make(self.data)
        # an indicator more would put the first bar off
        self.cross = None if self.p.at_once else bt.ind.CrossOver(self.one, self.other)

    def next(self):
        if not self.p.at_once:
            if self.cross[0]:
                self.order_target_size(target=self.p.size * self.cross[0])
        elif not self.position and self.one[0] != self.other[0]:
            self.order_target_size(target=self.p.size if self.one[0] > self.other[0] else -self.p.size)
        elif self.position.size > 0 and self.one[0] < self.other[0]:
            self.order_target_size(target=-self.p.size)
        elif self.position.size < 0 and self.one[0] > self.other[0]:
            self.order_target_size(target=self.p.size)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(("fast", "slow"), [(3, 11), (11, 3), (1, 2)])
@pytest.mark.parametrize("name", AVERAGES)
def test_crossing_averages(walk, plain, name: str, fast: int, slow: int, at_once: bool) -> None:
    bars, average = walk(fast + slow, 300), AVERAGES[name]

    def make(data):
        return average(data, period=fast), average(data, period=slow)

    reference = plain(Cross, bars, EXECUTION, at_once=at_once, make=make)

    given = {"fast": fast, "slow": slow, "size": 10, "enter_at_once": at_once}
    assert_same_fills(name, given, bars, reference)
    # both averages are there from bar `longest - 1` on, which fills on the next one
    assert (reference.fills[0][0] == max(fast, slow)) is at_once


@pytest.mark.parametrize("at_once", [False, True])
def test_the_macd_and_its_signal(walk, plain, at_once: bool) -> None:
    bars = walk(5, 400)

    def make(data):
        macd = bt.ind.MACD(data, period_me1=5, period_me2=13, period_signal=4)
        return macd.macd, macd.signal

    reference = plain(Cross, bars, EXECUTION, at_once=at_once, make=make)

    given = {"fast": 5, "slow": 13, "signal": 4, "size": 10, "enter_at_once": at_once}
    assert_same_fills("macd_crossover", given, bars, reference)


def test_equal_averages_open_nothing_and_keep_what_is_held(build_bars) -> None:
    closes = [10.0, 10.0, 10.0, 12.0, 12.0, 12.0, 9.0, 9.0]
    bars = build_bars([(close, 20.0, 1.0, close) for close in closes])
    spec = resolve("sma_crossover")
    params = spec.validate({"fast": 1, "slow": 2, "size": 1, "enter_at_once": True})

    run = run_engine(BacktestTask([bars], spec, params))

    # above on bar 3, equal on 4 and 5, below on 6
    assert list(zip(run.fills.row, run.fills.size, strict=True)) == [(4, 1.0), (7, -2.0)]


class Turtle(bt.Strategy):
    params = (("period", 8), ("leave", 8), ("long", True), ("short", True), ("on_close", False), ("size", 10))

    def next(self):
        p, data = self.p, self.data
        if len(self) <= max(p.period, p.leave):
            return
        highs, lows = (data.close, data.close) if p.on_close else (data.high, data.low)
        above = data.close[0] > max(highs.get(ago=-1, size=p.period))
        below = data.close[0] < min(lows.get(ago=-1, size=p.period))
        size = self.position.size
        gone = (size > 0 and data.close[0] < min(lows.get(ago=-1, size=p.leave))) or (
            size < 0 and data.close[0] > max(highs.get(ago=-1, size=p.leave))
        )
        if size and not gone:
            return
        if above and p.long and size <= 0:
            self.order_target_size(target=p.size)
        elif below and p.short and size >= 0:
            self.order_target_size(target=-p.size)
        elif gone:
            self.close()


@pytest.mark.parametrize(("period", "leave"), [(8, 0), (8, 3), (4, 10)], ids=["same", "sooner", "later"])
@pytest.mark.parametrize(("long", "short"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("on_close", [False, True])
def test_breakout(walk, plain, period, leave, long, short, on_close) -> None:
    bars = walk(period + leave, 500)
    # the reference looks from where both ranges are whole; before, the range of the entry is enough
    own = {"period": period, "exit_period": leave, "go_long": long, "go_short": short, "on_close": on_close}
    reference = plain(
        Turtle,
        bars,
        EXECUTION,
        period=period,
        leave=leave or period,
        long=long,
        short=short,
        on_close=on_close,
    )

    if leave > period:
        spec = resolve("breakout")
        start = int(bars.ts[leave])
        run = run_engine(
            BacktestTask([bars], spec, spec.validate({**own, "size": 10}), EXECUTION, start=start)
        )
        assert (run.fills.row + leave).tolist() == [fill[0] for fill in reference.fills]
        assert run.equity.tobytes() == np.array(reference.equity[leave:]).tobytes()
    else:
        assert_same_fills("breakout", {**own, "size": 10}, bars, reference)


def test_breakout_by_hand(build_bars) -> None:
    rows = [(10, 12, 8, 10), (10, 13, 9, 10), (10, 14, 9, 13), (13, 14, 12, 13.5), (13, 14, 12.5, 13),
            (13, 13, 12, 12.4), (12, 12, 8, 8.5), (8, 9, 7, 8), (8, 9, 7, 8)]  # fmt: skip
    bars = build_bars(rows)
    spec = resolve("breakout")

    def fills(**given):
        params = spec.validate({"period": 2, "size": 1, **given})
        run = run_engine(BacktestTask([bars], spec, params))
        return list(zip(run.fills.row.tolist(), run.fills.size.tolist(), strict=True))

    # bar 2 closes at 13, which is the highest high of bars 0 and 1 and not above it; bar 5's 12.4 is
    # not below 12, the lowest low of bars 3 and 4; bar 6's 8.5 is below 12
    assert fills() == [(7, -1.0)]
    # of closes: 13 on bar 2 is above 10; bar 5's 12.4 is below 13
    assert fills(on_close=True) == [(3, 1.0), (6, -2.0)]
    assert fills(on_close=True, go_short=False) == [(3, 1.0), (6, -1.0)]
    # the range of one bar: bar 4's 13 is below 13.5, and not below 13, the lowest close of bars 2 and 3
    assert fills(on_close=True, exit_period=1) == [(3, 1.0), (5, -1.0), (6, -1.0)]


class Probable(bt.Strategy):
    params = (("size", 10), ("long", 0.5), ("short", 0.5), ("target", 0.02), ("stop", 0.015), ("probs", None))

    def next(self):
        row, price, close = len(self) - 1, self.position.price, self.data.close[0]
        long, short = (column[row] for column in self.p.probs)
        if self.position.size > 0:
            if not price * (1 - self.p.stop) < close < price * (1 + self.p.target):
                self.close()
        elif self.position.size < 0:
            if not price * (1 - self.p.target) < close < price * (1 + self.p.stop):
                self.close()
        elif np.isnan(long + short):
            return
        elif long > self.p.long:
            self.buy(size=self.p.size)
        elif short > self.p.short:
            self.sell(size=self.p.size)


@pytest.mark.parametrize("seed", range(4))
def test_probabilities(walk, plain, seed: int) -> None:
    rng = np.random.default_rng(seed)
    long, short = rng.random((2, 400))
    long[rng.random(400) < 0.2] = np.nan
    short[rng.random(400) < 0.2] = np.nan
    bars = walk(seed, 400, prob_long=long, prob_short=short)
    given = {"long_threshold": 0.7, "short_threshold": 0.6, "target": 0.008, "stop": 0.005, "size": 10}

    reference = plain(
        Probable, bars, EXECUTION, probs=(long, short), long=0.7, short=0.6, target=0.008, stop=0.005
    )

    assert_same_fills("probability_threshold", given, bars, reference)
