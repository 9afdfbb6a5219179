"""Runner: backtests as work items, computed in waves by Spark or by processes of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.runner.ahead import done_ahead, drop_forker, forking_ahead
    from whatif.runner.apart import Begun, Signals, can_run_apart, cores, done_apart, nothing, rows_apart
    from whatif.runner.in_flight import MAX_AT_ONCE
    from whatif.runner.load import array_store, expecting, load_bars
    from whatif.runner.local import LocalRunner, spread
    from whatif.runner.origin import answer_key, certify, provenance, versions
    from whatif.runner.plan import MEBIBYTE, ModelPin, Plan, WindowPlan, WorkItem
    from whatif.runner.run import Runner, WaveDone, run_waves
    from whatif.runner.spark import SparkRunner, backtests, run_unstored, spread_on_spark
    from whatif.runner.sweep import market_returns, task_of, unadjusted
    from whatif.runner.warm import warm_up
    from whatif.runner.watch import OverLimitError, time_limit
    from whatif.runner.waves import total_cost, work_items
    from whatif.runner.worker import evaluate
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "ahead": "done_ahead drop_forker forking_ahead",
            "apart": "Begun Signals can_run_apart cores done_apart nothing rows_apart",
            "load": "array_store expecting load_bars",
            "plan": "MEBIBYTE ModelPin Plan WindowPlan WorkItem",
            "origin": "answer_key certify provenance versions",
            "local": "LocalRunner spread",
            "run": "Runner WaveDone run_waves",
            "spark": "SparkRunner backtests run_unstored spread_on_spark",
            "sweep": "market_returns task_of unadjusted",
            "in_flight": "MAX_AT_ONCE",
            "warm": "warm_up",
            "watch": "OverLimitError time_limit",
            "waves": "total_cost work_items",
            "worker": "evaluate",
        },
    )
