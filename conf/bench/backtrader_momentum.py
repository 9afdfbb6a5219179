"""A rival of `whatif bench`: momentum over many symbols, as a user of Backtrader writes it."""

import json
import sys
import time
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd


class Momentum(bt.Strategy):
    """Long the symbol that rose most, short the one that rose least, anew every so many bars."""

    params = (("period", 20), ("every", 20), ("share", 0.9))

    def __init__(self):
        self.change = [bt.ind.RateOfChange(data.close, period=self.p.period) for data in self.datas]

    def next(self):
        """Rank, and order what makes the weights."""
        if (len(self) - 1) % self.p.every:
            return
        change = [line[0] for line in self.change]
        ranked = sorted(range(len(change)), key=lambda k: change[k])
        weights = dict.fromkeys(range(len(change)), 0.0)
        weights[ranked[0]], weights[ranked[-1]] = -self.p.share / 2.0, self.p.share / 2.0
        for k, data in enumerate(self.datas):
            self.order_target_percent(data, target=weights[k])


def main(request, answer):
    """Run once on the bars of all symbols, and write how long that took and the final value."""
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    bars = np.load(asked["bars"])
    index = pd.DatetimeIndex(bars["ts"].astype("datetime64[us]"))
    names = ("open", "high", "low", "close", "volume")
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(asked["cash"])
    cerebro.broker.setcommission(asked["commission"])
    for k in range(len(bars["close"])):
        frame = pd.DataFrame({name: bars[name][k] for name in names}, index=index)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Momentum, **asked["params"])
    started = time.perf_counter()
    cerebro.run()
    found = {"seconds": time.perf_counter() - started, "final": cerebro.broker.getvalue()}
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
