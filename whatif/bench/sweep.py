"""A crossover sweep over the market's bars, as the runner takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from whatif.bench.market import BenchMarket
from whatif.calendars import EPOCH, choose_period, make_periods, schedule
from whatif.domain import MINUTE_US, Execution
from whatif.results import Pending
from whatif.runner import Plan, WindowPlan
from whatif.search import BarSlice, Configuration
from whatif.splits import Window
from whatif.strategies import resolve, to_portable
from whatif.study import digest
from whatif.workflow.provenance import provenance

STRATEGY = "sma_crossover"
SIZE = 1.0
EXECUTION = Execution(cash=100_000.0, commission=0.0001, slippage=0.00005)
WINDOW = "validate"
COMPILED = "compiled"
"""The engine that everything but the crossover is measured with."""


def sweep_plan(market: BenchMarket, name: str, engine: str, first_row: int = 0) -> Plan:
    """Return the plan of a sweep by `engine` on the bars from `first_row` to the last.

    Rows of plans with different names never count as the same backtest.
    """
    bars = market.bars
    start, end = int(bars.ts[first_row]), int(bars.ts[-1]) + MINUTE_US
    days = (EPOCH + timedelta(days=int(bars.session[k])) for k in (first_row, -1))
    sessions = schedule(market.exchange, *days).between(start, end)
    kind = choose_period(sessions, start, end, MINUTE_US)
    periods = make_periods(kind, sessions, start, end, MINUTE_US)
    part = BarSlice((bars.symbol,), "1min", "1min", market.exchange, "extended", int(bars.ts[0]), end)
    return Plan(
        study="bench",
        data_digest=digest({"bench": name}),
        bars=market.pin,
        slices={"1min": part},
        models={},
        strategy=to_portable(resolve(STRATEGY)),
        strategy_name=STRATEGY,
        windows={WINDOW: WindowPlan(Window(WINDOW, start, end), periods)},
        engine=engine,
        provenance=provenance(),
    )


def crossovers(market: BenchMarket, fast: Sequence[int], slow: Sequence[int], bars: int) -> list[Pending]:
    """Return the configurations of all pairs of periods, to be run on a window of `bars` bars."""
    found = [_configuration(f, s) for f in fast for s in slow]
    return [Pending((market.bars.symbol,), WINDOW, tuple(found), bars)]


def _configuration(fast: int, slow: int) -> Configuration:
    strategy = resolve(STRATEGY)
    params = strategy.validate({"fast": fast, "slow": slow, "size": SIZE})
    identity = {"strategy": strategy.digest, "params": params, "execution": asdict(EXECUTION)}
    return Configuration(digest(identity), params, None, "1min", EXECUTION)
