"""Built-in strategies on real bars: the compiled broker equals Backtrader's, as bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from whatif.domain.bars import Bars
from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import BY_SYMBOL, StrategySpec, resolve
from whatif.testing import bars_of_prices, differences
from whatif.testing.conformance import draw_params
from whatif.testing.orders import random_execution

from .draws import random_overlays, random_size, that_act, windows, with_inputs

DAILY = tuple(f"daily/{name}" for name in ("aapl", "aig", "bac", "fb", "goog", "ibm", "iwm", "spy", "uso"))
HOURLY = tuple(f"hour/{name}" for name in ("aapl", "aig", "bac", "ibm", "spy"))
MINUTES = tuple(f"minute/{name}" for name in ("aapl", "aig", "bac", "goog", "ibm", "spy"))
BACKTRADER = tuple(f"backtrader/{name}-001.txt" for name in ("2005-2006-day", "2006-day", "2006-week"))
MARKETS = ("estx50", *DAILY, *HOURLY, *MINUTES, *BACKTRADER)

SETS = 50
LONGEST = 1_500
WAITING = 400
"""Parameter sets on each market, and bars of a longest window; together the windows cover all bars.
Orders may go unfilled, bar after bar, in windows of so many bars."""


@dataclass
class Tally:
    """What a comparison over many tasks found."""

    runs: int = 0
    fills: int = 0
    rejected: int = 0

    def compare(self, task: BacktestTask, cache: dict) -> list[str]:
        """Run a task on both engines and return where they differ."""
        first = run_engine(task, "backtrader", cache)
        second = run_engine(task, "compiled", cache)
        self.runs += 1
        self.fills += len(first.fills)
        self.rejected += first.margin_rejected
        return differences(first, second)


def random_task(
    spec: StrategySpec, bars: Bars, rows: tuple[int, int], rng: np.random.Generator
) -> BacktestTask:
    first, stop = rows
    execution = random_execution(rng, float(bars.close[first]))
    if stop - first > WAITING:
        # an order that never fits its bar waits for ever, and Backtrader tries all that wait on each bar
        execution = replace(execution, slip_match=True)
    size = random_size(rng, execution.cash / bars.close[first])
    overlays = that_act(random_overlays(rng), bars, rows)
    if spec.answers_orders:
        overlays = replace(overlays, latency=0)  # which acts on orders at the market
    return BacktestTask(
        [bars],
        spec,
        draw_params(spec, rng, {"size": size}),
        execution,
        start=int(bars.ts[first]),
        end=int(bars.ts[stop]) if stop < len(bars) else None,
        overlays=overlays,
    )


def compare_all(name: str, bars: Bars, seed: list[int], sets: int, longest: int, tally: Tally) -> list[str]:
    """Return the differences of `sets` random tasks of one strategy on one market."""
    rng = np.random.default_rng(seed)
    spec = resolve(name)
    assert isinstance(spec, StrategySpec)
    if spec.answers_orders:
        # where its price slips out of each bar, an overlay's exit waits too, and comes again on each of them
        spec = replace(spec, max_orders=2 * WAITING)
    market = with_inputs(spec, bars, rng)
    cache: dict = {}
    found = []
    for rows in windows(rng, len(bars), sets, longest):
        task = random_task(spec, market, rows, rng)
        for text in tally.compare(task, cache):
            found.append(f"{name} on {bars.symbol} rows {rows} {task.params} {task.execution}: {text}")
        cache.clear()
    return found


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "sma_crossover" else [pytest.mark.slow]) for name in BY_SYMBOL],
)
def test_a_sample_of_real_bars(read_market, name: str) -> None:
    tally, found = Tally(), []
    for k, market in enumerate(("minute/spy", "daily/aapl", "hour/bac", "backtrader/2006-day-001.txt")):
        bars = read_market(market)
        bars = bars.slice(0, min(len(bars), 2_400))
        found += compare_all(name, bars, [k, len(name)], 4, 600, tally)
    assert not found
    assert tally.fills > 50


def test_no_commission_at_a_price_below_zero() -> None:
    bars = bars_of_prices([(3.0, 4.0, 2.0, 3.0)] * 8)
    spec = resolve("forecast_threshold")
    forecast = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    task = BacktestTask(
        [bars.with_inputs({"forecast": forecast})],
        spec,
        spec.validate({"size": 1.0}),
        # a sale slips from 3 to -2
        Execution(slippage_fixed=5.0, slip_out=True),
    )
    tally = Tally()
    assert tally.compare(task, {}) == []
    run = run_engine(task, "compiled")
    assert run.fills.price.min() == -2.0
    assert not np.signbit(run.fills.closed_commission).any()


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", BY_SYMBOL)
def test_all_real_bars(read_market, name: str, capsys) -> None:
    tally, found = Tally(), []
    for k, market in enumerate(MARKETS):
        found += compare_all(name, read_market(market), [7, k], SETS, LONGEST, tally)
    with capsys.disabled():
        print(f"\n{name}: {tally}, {len(found)} differences")  # noqa: T201
    assert not found
    assert tally.runs == SETS * len(MARKETS)
    assert tally.fills > 10 * tally.runs
    assert tally.rejected > 0
