"""Errors of backtests that had too little time or memory: how they are told, and known again."""

from __future__ import annotations

import re

STOPPED = "stopped: "
"""How the error begins of a backtest that had too little time or memory: another run tries it again."""

_NO_TIME = "it took longer than {seconds:g} s, the time limit of the run; one with more time tries it again"
_NO_MEMORY = (
    "it ran out of memory ({said}): give workers more (spark.executorEnv.PYSPARK_EXECUTOR_MEMORY_MB of each, "
    "or spark.executor.pyspark.memory of all that share an executor); the next run tries it again"
)

_PROCESS = (
    "its process ended each time that it was tried ({said}): for want of memory, or by something in the "
    "strategy that ends or breaks a process; the next run tries it again"
)


def stopped_with_process(said: str) -> str:
    """Return the error of a backtest that ended the process it ran in, with what is known of that."""
    return STOPPED + _PROCESS.format(said=said)


def stopped_for_time(seconds: float) -> str:
    """Return the error of a backtest that took too long."""
    return STOPPED + _NO_TIME.format(seconds=seconds)


def stopped_for_memory(said: str) -> str:
    """Return the error of a backtest that ran out of memory, with what it said itself."""
    return STOPPED + _NO_MEMORY.format(said=said)


def is_tried_again(error: str | None, time_limit: float) -> bool:
    """Whether a stored error is one that a run with this time limit (0 for none) tries again.

    Not one that had at least as much time: it would be stopped again.
    """
    if not isinstance(error, str) or not error.startswith(STOPPED):
        return False
    had = re.match(_NO_TIME.partition("{")[0] + r"(\S+) s", error.removeprefix(STOPPED))
    return had is None or time_limit == 0 or time_limit > float(had.group(1))
