"""A work item's configurations by the compiled broker, one after the other on the same bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from whatif.domain import Account, period_rows
from whatif.engines import BacktestTask, run_engine
from whatif.engines.base import check_task
from whatif.engines.compiled.refusal import StepRaisedError
from whatif.engines.compiled.stage import Part, Stage
from whatif.errors import WhatIfError
from whatif.indicators import Expression
from whatif.runner.load import array_store, load_bars, strategy_of
from whatif.runner.plan import Plan, WorkItem
from whatif.search.configuration import Configuration
from whatif.stats import BuyAndHold, Holding
from whatif.strategies import BacktraderSpec, StrategySpec


@dataclass(frozen=True, eq=False)
class Swept:
    """What one configuration of a sweep gives: no series, all that metrics are made of."""

    account: Account
    benchmark: BuyAndHold
    rejected: int


class Sweep:
    """Runs the configurations of one item; bars, their checks and the holding of them are shared.

    Parameters
    ----------
    plan : Plan
        What all items share.
    item : WorkItem
        Its configurations, on one symbol.
    """

    def __init__(self, plan: Plan, item: WorkItem) -> None:
        self.plan, self.item = plan, item
        self.window = plan.windows[item.window]
        self._stages: dict[Any, Stage] = {}
        self._holdings: dict[Any, BuyAndHold] = {}
        spec = strategy_of(plan.strategy)
        assert isinstance(spec, StrategySpec)  # nothing else is compiled
        self._spec = spec
        self._bound = _bound(spec, item)
        self._once = _used_once(self._bound.values())

    def measure(self, configuration: Configuration) -> Swept:
        """Run one configuration.

        Raises
        ------
        WhatIfError
            Whatever is wrong with it, with the bar on which its step raised.
        """
        key = (configuration.timeframe, configuration.model, configuration.fold, configuration.market)
        stage = self._stage(key, configuration)
        try:
            found = stage.measure(
                Part(
                    configuration.params,
                    configuration.execution,
                    configuration.overlays,
                    self._bound.get(configuration.config_id),
                )
            )
        except StepRaisedError:
            # alone, and by an engine that says on which bar
            run_engine(self._task(configuration), "compiled", array_store(self.plan))
            raise
        return Swept(found.account, self._holding(key, configuration, stage), found.rejected)

    def _task(self, configuration: Configuration) -> BacktestTask:
        return task_of(self.plan, self.item, configuration)

    def _stage(self, key: Any, configuration: Configuration) -> Stage:
        if key not in self._stages:
            task = self._task(configuration)
            check_task(task)
            bars = task.bars[0]
            self._stages[key] = Stage(
                self._spec, bars, *task.rows(bars), self.window.periods, array_store(self.plan), self._once
            )
        return self._stages[key]

    def _holding(self, key: Any, configuration: Configuration, stage: Stage) -> BuyAndHold:
        execution = configuration.execution
        if (key, execution) not in self._holdings:
            bars, first = stage.bars, stage.first
            holding = Holding(
                float(bars.open[first]),
                float(bars.high[first]),
                bars.close[first : stage.stop],
                period_rows(stage.ts, self.window.periods),
                execution,
                self.window.periods,
            )
            self._holdings[key, execution] = holding.at(1.0)
        return self._holdings[key, execution]


def task_of(plan: Plan, item: WorkItem, configuration: Configuration) -> BacktestTask:
    """Return a configuration of an item as an engine takes it."""
    strategy = strategy_of(plan.strategy)
    return BacktestTask(
        bars=[load_bars(plan, symbol, item.window, configuration) for symbol in item.symbols],
        strategy=strategy,
        params=configuration.params,
        execution=configuration.execution,
        overlays=configuration.overlays,
        start=plan.windows[item.window].window.start_us,
        warmup=strategy.warmup(configuration.params) if isinstance(strategy, BacktraderSpec) else 0,
        bar_us=plan.slices[configuration.timeframe].bar_us,
    )


def _bound(spec: StrategySpec, item: WorkItem) -> dict[str, Mapping[str, Expression]]:
    """Return the inputs of each configuration by its id, but of those whose row will say what is wrong."""
    found: dict[str, Mapping[str, Expression]] = {}
    for configuration in item.configurations:
        with suppress(WhatIfError):
            found[configuration.config_id] = spec.bound_inputs(configuration.params)
    return found


def _used_once(bound: Iterable[Mapping[str, Expression]]) -> frozenset[str]:
    """Return the inputs that one configuration alone uses, which are not worth keeping."""
    uses = Counter(str(expression) for inputs in bound for expression in inputs.values())
    return frozenset(text for text, count in uses.items() if count == 1)
