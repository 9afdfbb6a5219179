"""A rival of `whatif bench`: a sweep of a crossover, or of brackets, as a user of Backtrader writes it.

It is given the easy case: no observers, one analyzer that reads
the final value, whereas whatif also measures trades, returns and drawdown of each run.
"""

import sys
import time

import backtrader as bt
from rival import largest_child_mb, peak_mb, read_bars, read_request, write_answer


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


class Bracket(bt.Strategy):
    """Bid at the lowest low of `fast` bars; leave `slow` basis points below that, or twice as far above."""

    params = (("fast", 10), ("slow", 50), ("size", 1.0))

    def __init__(self):
        self.floor = bt.ind.Lowest(self.data.low, period=self.p.fast)
        self.waiting = 0

    def notify_order(self, order):
        """Count the orders that wait."""
        if order.status == order.Submitted:
            self.waiting += 1
        elif not order.alive():
            self.waiting -= 1

    def next(self):
        """Bid anew where nothing is held or waits."""
        if self.position or self.waiting:
            return
        entry, away = self.floor[0], self.p.slow / 10_000.0
        self.buy_bracket(
            size=self.p.size,
            price=entry,
            exectype=bt.Order.Limit,
            stopprice=entry * (1.0 - away),
            limitprice=entry * (1.0 + 2.0 * away),
        )


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
    """Run the sweep that the request describes and write seconds, memory and final values."""
    request = read_request(request_path)
    feed = TimedFeed(dataname=read_bars(request), timeframe=bt.TimeFrame.Minutes)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed)
    cerebro.broker.setcash(request["cash"])
    cerebro.broker.setcommission(request["commission"])
    cerebro.broker.set_slippage_perc(request["slippage"])
    cerebro.addanalyzer(FinalValue, _name="final")
    chosen = Bracket if request.get("bracket") else Crossover
    cerebro.optstrategy(chosen, fast=request["fast"], slow=request["slow"], size=[request["size"]])
    started = time.perf_counter()
    runs = cerebro.run(maxcpus=request["cores"])
    seconds = time.perf_counter() - started
    answer = {
        "seconds": seconds,
        "load_seconds": feed.seconds,
        "backtests": len(runs),
        "peak_mb": max(peak_mb(), largest_child_mb()),
        "values": [[run.p.fast, run.p.slow, run.analyzers.final.get_analysis()] for (run,) in runs],
    }
    write_answer(answer_path, answer, ("backtrader", "numpy", "pandas"))


if __name__ == "__main__":
    main(*sys.argv[1:])
