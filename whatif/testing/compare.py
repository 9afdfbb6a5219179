"""Comparison of two runs to the last bit."""

from __future__ import annotations

import numpy as np

from whatif.domain import EngineRun
from whatif.engines import LARGEST_SIZE, BacktestTask, differences, run_engine
from whatif.errors import EngineError


def task_differences(task: BacktestTask, first: str, second: str) -> list[str]:
    """Return in words where two engines differ on a task; empty if they agree.

    A size beyond 2**53, where Backtrader counts on in whole numbers and floats cannot, is out of
    the comparison: an engine may refuse it.
    """
    one, other = _outcome(task, first), _outcome(task, second)
    if isinstance(one, EngineRun) and isinstance(other, EngineRun):
        return differences(one, other) if within_whole_units(one) else []
    if is_too_large(one) or is_too_large(other):
        # a position can outgrow the bound by orders within it, so one of them may go on
        return []
    failed = first if isinstance(one, EngineError) else second
    return [] if str(one) == str(other) else [f"{failed} fails: {one if failed == first else other}"]


def _outcome(task: BacktestTask, engine: str) -> EngineRun | EngineError:
    try:
        return run_engine(task, engine)
    except EngineError as error:
        return error


def is_too_large(error: object) -> bool:
    """Return whether an engine refused a size for which floats have no room."""
    return isinstance(error, EngineError) and "beyond which whole units" in str(error)


def within_whole_units(run: EngineRun) -> bool:
    """Return whether no position is so large that Backtrader's integers outrun floats."""
    return bool((np.abs(run.position) < LARGEST_SIZE).all())


def assert_same(first: EngineRun, second: EngineRun, note: str = "") -> None:
    """Refuse two runs that are not equal as bytes.

    Raises
    ------
    AssertionError
        With every difference, after `note`.
    """
    found = differences(first, second)
    if found:
        head = f"{first.engine} and {second.engine} differ" + (f": {note}" if note else "")
        raise AssertionError("\n  ".join([head, *found]))
