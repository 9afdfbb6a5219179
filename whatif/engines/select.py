"""From an engine's name to the engine."""

from __future__ import annotations

from whatif.domain import EngineRun
from whatif.engines.base import BacktestTask, Engine
from whatif.engines.compiled.cover import not_covered
from whatif.errors import EngineError, nearest
from whatif.indicators import ArrayCache

ENGINES = ("auto", "backtrader", "compiled")
"""Names of the engines there are."""


def check_engine(name: str) -> None:
    """Refuse the name of no engine.

    Raises
    ------
    EngineError
        Naming the nearest.
    """
    if name not in ENGINES:
        raise EngineError(f"engine {name!r} is unknown; {nearest(name, ENGINES)}")


def get_engine(name: str) -> Engine:
    """Return the engine called `name`, "backtrader" or "compiled"; "auto" is a choice for each task.

    Raises
    ------
    EngineError
        If there is none of this name.
    """
    # imported here: both are heavy, and checking a study needs neither
    if name == "backtrader":
        from whatif.engines.backtrader.run import run as run_backtrader

        return run_backtrader
    if name == "compiled":
        from whatif.engines.compiled.run import run as run_compiled

        return run_compiled
    check_engine(name)
    return _run_auto


def run_engine(task: BacktestTask, engine: str = "auto", cache: ArrayCache | None = None) -> EngineRun:
    """Run one task with the engine called `engine`.

    Raises
    ------
    EngineError
        Whatever the engine refuses; also if what it gives back does not cover the window.
    """
    found = get_engine(engine)(task, cache)
    if len(task.bars) == 1:
        first, stop = task.rows(task.bars[0])
        if len(found.ts) != stop - first:
            raise EngineError(
                f"engine {found.engine}: {len(found.ts)} rows came of a window of {stop - first} bars: an "
                "engine gives a value for every bar of its window, or says where it ended"
            )
    return found


def _run_auto(task: BacktestTask, cache: ArrayCache | None) -> EngineRun:
    """Run with the compiled broker what it covers, and the rest with Backtrader's."""
    if not_covered(task.strategy, len(task.bars) > 1):
        return get_engine("backtrader")(task, cache)
    from whatif.engines.compiled.refusal import StepNotCompiledError

    try:
        return get_engine("compiled")(task, cache)
    except StepNotCompiledError:
        return get_engine("backtrader")(task, cache)
