"""Backtrader's engine: what it covers, and one task after the other."""

from __future__ import annotations

from whatif.domain import SPECIAL_SETTINGS, EngineRun
from whatif.engines.base import Engine
from whatif.engines.task import BacktestTask, check_task
from whatif.indicators import ArrayCache
from whatif.strategies import ORDER_FIELDS, AnyStrategy, StrategySpec


class BacktraderEngine(Engine):
    """Backtrader's own broker. It covers every strategy, and the others are checked by it."""

    name = "backtrader"
    is_reference = True
    order_fields = ORDER_FIELDS
    takes_costs = True
    takes_settings = SPECIAL_SETTINGS
    asks_across = True
    takes_members = True
    tells_notes = True

    def rate(self, strategy: AnyStrategy) -> float:
        """Return configuration-bars a second: a class of Backtrader's runs with its feeds and observers."""
        return 150_000.0 if isinstance(strategy, StrategySpec) else 20_000.0

    def load(self) -> None:
        """Import Backtrader."""
        import whatif.engines.backtrader.ordinary
        import whatif.engines.backtrader.steps  # noqa: F401

    def run(self, task: BacktestTask, cache: ArrayCache | None = None) -> EngineRun:
        """Run one task with Backtrader's broker.

        Raises
        ------
        EngineError
            If the bars cannot be traded on, an input is missing, the strategy raises (its exception
            is the cause), asks for a size that is no finite number, orders before the window, or
            overlays are given to an ordinary Backtrader strategy.
        """
        # imported here: checking a study needs no Backtrader
        from whatif.engines.backtrader.across import run_across
        from whatif.engines.backtrader.ordinary import run_ordinary
        from whatif.engines.backtrader.steps import run_steps

        check_task(task)
        if not isinstance(task.strategy, StrategySpec):
            return run_ordinary(task, task.strategy)
        if task.strategy.cross_sectional:
            return run_across(task, task.strategy, cache)
        return run_steps(task, task.strategy, cache)
