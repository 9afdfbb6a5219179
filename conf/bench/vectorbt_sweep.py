"""A rival of `whatif bench`: the crossover sweep as a careful user of vectorbt writes it.

vectorbt simulates a table of one column for each configuration, and keeps
several such tables, so its memory grows with the columns; a few columns at a time are also the
fastest, since they stay in the processor's cache. It is given what suits it: averages computed
once for each period, orders as target sizes, the Rust engine where it is installed, everything
compiled before the clock starts. Of the metrics it computes total return, Sharpe ratio and
maximum drawdown. It runs in one process, as it comes, and then in as many as there are cores;
the shorter time counts.
"""

import multiprocessing
import sys
import time
import warnings
from itertools import product

import numpy as np
import vectorbt as vbt
from rival import peak_mb, read_bars, read_request, write_answer
from vectorbt._engine import is_rust_available

COLUMNS = 8
"""Configurations that are simulated at a time unless the request says: the fastest of 4 to 400."""

ENGINE = "rust" if is_rust_available() else "numba"


class Sweep:
    """Bars and costs; what all configurations share."""

    def __init__(self, request):
        bars = read_bars(request)
        self.open, self.close = bars["open"], bars["close"]
        self.request = request

    def run(self, pairs):
        """Return final value, total return, Sharpe ratio and maximum drawdown of each pair of periods."""
        periods = sorted({period for pair in pairs for period in pair})
        table = vbt.MA.run(self.close, periods, engine=ENGINE).ma.to_numpy()
        averages = dict(zip(periods, table.T, strict=True))
        columns = self.request.get("columns", COLUMNS)
        found = []
        for start in range(0, len(pairs), columns):
            found += self._some(averages, pairs[start : start + columns])
        return found

    def _some(self, averages, pairs):
        fast = np.column_stack([averages[f] for f, _ in pairs])
        slow = np.column_stack([averages[s] for _, s in pairs])
        size = np.full(fast.shape, np.nan)  # NaN: no order
        # decided at a bar's close, filled at the next bar's open
        size[1:][vbt.generic.nb.crossed_above_nb(fast, slow)[:-1]] = self.request["size"]
        size[1:][vbt.generic.nb.crossed_above_nb(slow, fast)[:-1]] = -self.request["size"]
        book = vbt.Portfolio.from_orders(
            self.close,
            size=size,
            size_type="targetamount",
            price=self.open,
            fees=self.request["commission"],
            slippage=self.request["slippage"],
            init_cash=self.request["cash"],
            freq="1min",
            engine=ENGINE,
        )
        measured = (book.final_value(), book.total_return(), book.sharpe_ratio(), book.max_drawdown())
        return np.column_stack([np.atleast_1d(m) for m in measured]).tolist()


_sweep = None


def _start(request):
    global _sweep
    _sweep = Sweep(request)


def _share(pairs):
    return _sweep.run(pairs)


def main(request_path, answer_path):
    """Run the sweep that the request describes and write seconds, memory and values."""
    request = read_request(request_path)
    pairs = list(product(request["fast"], request["slow"]))
    _start(request)
    _sweep.run(pairs[: 2 * COLUMNS])
    started = time.perf_counter()
    found = _sweep.run(pairs)
    answer = {
        "seconds_one": time.perf_counter() - started,
        "backtests": len(found),
        "peak_mb": peak_mb(),
        "values": [[*pair, row[0]] for pair, row in zip(pairs, found, strict=True)],
        "engine": ENGINE,
    }
    answer["seconds_all"] = _in_processes(pairs, request["cores"])
    answer["seconds"] = min(answer["seconds_one"], answer["seconds_all"])
    packages = ("vectorbt", *(["vectorbt-rust"] if ENGINE == "rust" else []), "numpy", "numba", "pandas")
    write_answer(answer_path, answer, packages)


def _in_processes(pairs, cores):
    """Return the seconds of the sweep in warm processes, one for each core."""
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        pool.map(_share, [pairs[:COLUMNS]] * cores, chunksize=1)
        started = time.perf_counter()
        pool.map(_share, [pairs[k::cores] for k in range(cores)], chunksize=1)
        return time.perf_counter() - started


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
