"""A work item's configurations, one after the other in the windows that its engine opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from whatif.domain import period_rows
from whatif.engines import BacktestTask, Measure, Measured, RunInputs, WindowInputs, get_engine
from whatif.errors import WhatIfError
from whatif.indicators import Expression
from whatif.runner.load import array_store, load_bars, renew, strategy_of
from whatif.runner.plan import Plan, WorkItem
from whatif.search import Configuration
from whatif.stats import BuyAndHold, Holding, buy_and_hold
from whatif.strategies import AnyStrategy, StrategySpec


class Sweep:
    """Runs the configurations of one item in windows that its engine opens, and shares what they share.

    Parameters
    ----------
    plan : Plan
        What all items share.
    item : WorkItem
        Its configurations, on one symbol or on those that share an account.
    """

    def __init__(self, plan: Plan, item: WorkItem) -> None:
        self.plan, self.item = plan, item
        self.window = plan.windows[item.window]
        # series are asked of few backtests, each of which is then run for itself
        self._reuses = get_engine(plan.engine).reuses_windows and not item.keep
        self._opened: dict[Any, tuple[WindowInputs, Measure]] = {}
        self._holdings: dict[Any, BuyAndHold] = {}
        self._bound = _bound(strategy_of(plan.strategy), item) if self._reuses else {}
        self._once = _used_once(self._bound.values())

    def measure(self, configuration: Configuration) -> tuple[Measured, BuyAndHold]:
        """Run one configuration; return what came of it, and what holding would have given.

        Raises
        ------
        WhatIfError
            Whatever is wrong with it, with the bar on which its step raised.
        """
        bound = self._bound.get(configuration.config_id)
        key = (configuration.timeframe, configuration.model, configuration.fold, configuration.market)
        if key not in self._opened:
            self._opened[key] = self._open(configuration)
        window, run = self._opened[key]
        try:
            found = run(_inputs_of(configuration, bound))
        finally:
            if not self._reuses:
                self._opened.clear()
                renew(self.plan.strategy)
        return found, self._holding(key, configuration, window, found)

    def _open(self, configuration: Configuration) -> tuple[WindowInputs, Measure]:
        window = replace(
            window_of(self.plan, self.item, configuration),
            cache=array_store(self.plan),
            once=self._once,
            series=self.item.keep,
        )
        return window, get_engine(self.plan.engine).open(window)

    def _holding(
        self, key: Any, configuration: Configuration, window: WindowInputs, found: Measured
    ) -> BuyAndHold:
        """Return the benchmark: of a run with its series, on those; one for many where there are none."""
        execution, periods = configuration.execution, window.periods
        if found.run is not None:
            return buy_and_hold(found.run, window.bars, execution, periods)
        if (key, execution) not in self._holdings:
            (bars,) = window.bars
            first, stop = window.task(RunInputs()).rows(bars)
            holding = Holding(
                float(bars.open[first]),
                float(bars.high[first]),
                bars.close[first:stop],
                period_rows(bars.ts[first:stop], periods),
                execution,
                periods,
            )
            self._holdings[key, execution] = holding.at(1.0)
        return self._holdings[key, execution]


def window_of(plan: Plan, item: WorkItem, configuration: Configuration) -> WindowInputs:
    """Return an item's window as an engine opens it, with the bars that a configuration runs on."""
    return WindowInputs(
        bars=[load_bars(plan, symbol, item.window, configuration) for symbol in item.symbols],
        strategy=strategy_of(plan.strategy),
        periods=plan.windows[item.window].periods,
        start=plan.windows[item.window].window.start_us,
        bar_us=plan.slices[configuration.timeframe].bar_us,
    )


def task_of(plan: Plan, item: WorkItem, configuration: Configuration) -> BacktestTask:
    """Return a configuration of an item as an engine takes it."""
    return window_of(plan, item, configuration).task(_inputs_of(configuration))


def _inputs_of(configuration: Configuration, bound: Mapping[str, Expression] | None = None) -> RunInputs:
    return RunInputs(configuration.params, configuration.execution, configuration.overlays, bound)


def _bound(spec: AnyStrategy, item: WorkItem) -> dict[str, Mapping[str, Expression]]:
    """Return the inputs of each configuration by its id, but of those whose row will say what is wrong."""
    found: dict[str, Mapping[str, Expression]] = {}
    if not isinstance(spec, StrategySpec):
        return found
    for configuration in item.configurations:
        with suppress(WhatIfError):
            found[configuration.config_id] = spec.bound_inputs(configuration.params)
    return found


def _used_once(bound: Iterable[Mapping[str, Expression]]) -> frozenset[str]:
    """Return the inputs that one configuration alone uses, which are not worth keeping."""
    uses = Counter(str(expression) for inputs in bound for expression in inputs.values())
    return frozenset(text for text, count in uses.items() if count == 1)
