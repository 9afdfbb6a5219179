"""A rival of `whatif bench`: the crossover sweep as a user of backtesting.py writes it.

Its own optimiser runs the grid on its own pool of processes, and computes its statistics for
each configuration. Slippage is given as the spread, which is what it has for that and which it
pays on one of two trades. Its `crossover` sees no cross of averages that are equal in between.
"""

import multiprocessing
import sys
import time
import warnings

import backtesting
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover
from rival import largest_child_mb, peak_mb, read_bars, read_request, write_answer

VALUE = "Equity Final [$]"


def sma(values, period):
    """Return the moving average."""
    return pd.Series(values).rolling(period).mean()


class Crossover(Strategy):
    """Long when the fast average crosses above the slow one, short when below."""

    fast = 10
    slow = 50
    size = 1

    def init(self):
        """Compute both averages."""
        self.fast_average = self.I(sma, self.data.Close, self.fast, plot=False)
        self.slow_average = self.I(sma, self.data.Close, self.slow, plot=False)

    def next(self):
        """Reverse on a cross."""
        if crossover(self.fast_average, self.slow_average):
            self.position.close()
            self.buy(size=self.size)
        elif crossover(self.slow_average, self.fast_average):
            self.position.close()
            self.sell(size=self.size)


def main(request_path, answer_path):
    """Run the sweep that the request describes and write seconds, memory and final values."""
    request = read_request(request_path)
    test = Backtest(
        read_bars(request).rename(columns=str.capitalize),
        Crossover,
        cash=request["cash"],
        commission=request["commission"],
        spread=2.0 * request["slippage"],
        finalize_trades=False,
    )
    backtesting.Pool = lambda *args, **kwargs: multiprocessing.Pool(request["cores"], *args, **kwargs)
    grid = {"fast": request["fast"], "slow": request["slow"], "size": [int(request["size"])]}
    started = time.perf_counter()
    _, values = test.optimize(**grid, maximize=VALUE, return_heatmap=True)
    answer = {
        "seconds": time.perf_counter() - started,
        "backtests": len(values),
        "peak_mb": max(peak_mb(), largest_child_mb()),
        "values": [[int(fast), int(slow), float(value)] for (fast, slow, _), value in values.items()],
    }
    write_answer(answer_path, answer, ("backtesting", "numpy", "pandas"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
