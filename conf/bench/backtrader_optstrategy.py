"""The rival of `whatif bench`: a crossover sweep as a user of Backtrader writes it.

A program of its own, which imports nothing of whatif: `python backtrader_optstrategy.py
REQUEST ANSWER`, both JSON. It is given the easy case: no observers, one analyzer that reads
the final value, whereas whatif also measures trades, returns and drawdown of each run.
"""

import json
import sys
import time

import backtrader as bt
import numpy as np
import pandas as pd


class Crossover(bt.Strategy):
    """Long when the fast average crosses above the slow one, short when below."""

    params = (("fast", 10), ("slow", 50), ("size", 1.0))

    def __init__(self):
        fast = bt.ind.SMA(period=self.p.fast)
        slow = bt.ind.SMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)

    def next(self):
        """Reverse on a cross."""
        if self.cross[0] > 0:
            self.order_target_size(target=self.p.size)
        elif self.cross[0] < 0:
            self.order_target_size(target=-self.p.size)


class FinalValue(bt.Analyzer):
    """The account's value at the end."""

    def stop(self):
        """Read it."""
        self.value = self.strategy.broker.getvalue()

    def get_analysis(self):
        """Return it."""
        return self.value


class TimedFeed(bt.feeds.PandasData):
    """Backtrader's own feed of a frame, which notes how long loading took."""

    seconds = 0.0

    def preload(self):
        """Load all bars, as the base class does."""
        started = time.perf_counter()
        super().preload()
        self.seconds = time.perf_counter() - started


def main(request_path, answer_path):
    """Run the sweep that the request describes and write seconds and final values."""
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    bars = np.load(request["bars"])
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")})
    frame.index = pd.DatetimeIndex(bars["ts"].astype("datetime64[us]"))
    feed = TimedFeed(dataname=frame, timeframe=bt.TimeFrame.Minutes)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed)
    cerebro.broker.setcash(request["cash"])
    cerebro.broker.setcommission(request["commission"])
    cerebro.broker.set_slippage_perc(request["slippage"])
    cerebro.addanalyzer(FinalValue, _name="final")
    cerebro.optstrategy(Crossover, fast=request["fast"], slow=request["slow"], size=[request["size"]])
    started = time.perf_counter()
    runs = cerebro.run(maxcpus=request["maxcpus"])
    seconds = time.perf_counter() - started
    values = [[run.p.fast, run.p.slow, run.analyzers.final.get_analysis()] for (run,) in runs]
    answer = {
        "seconds": seconds,
        "load_seconds": feed.seconds,
        "values": values,
        "version": bt.__version__,
    }
    with open(answer_path, "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
