"""Backtrader's engine: one task after the other."""

from __future__ import annotations

from whatif.domain import EngineRun
from whatif.engines.backtrader.ordinary import run_ordinary
from whatif.engines.backtrader.steps import run_steps
from whatif.engines.base import BacktestTask, check_task
from whatif.indicators import ArrayCache
from whatif.strategies import StrategySpec


def run(task: BacktestTask, cache: ArrayCache | None = None) -> EngineRun:
    """Run one task with Backtrader's broker.

    Parameters
    ----------
    task : BacktestTask
        What to run.
    cache : mutable mapping, optional
        Holds arrays that tasks on the same bars share.

    Raises
    ------
    EngineError
        If the bars cannot be traded on, an input is missing, the strategy raises (its exception
        is the cause), asks for a size that is no finite number, orders before the window, or
        overlays are given to an ordinary Backtrader strategy.
    """
    check_task(task)
    if isinstance(task.strategy, StrategySpec):
        return run_steps(task, task.strategy, cache)
    return run_ordinary(task, task.strategy)
