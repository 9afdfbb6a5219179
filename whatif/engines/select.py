"""From an engine's name to the engine."""

from __future__ import annotations

from whatif.domain.run import EngineRun
from whatif.engines.base import BacktestTask, Engine
from whatif.errors import EngineError, nearest
from whatif.indicators import ArrayCache

ENGINES = ("auto", "backtrader")
"""Names of the engines there are."""


def get_engine(name: str) -> Engine:
    """Return the engine called `name`; "auto" takes the fastest that covers everything.

    Raises
    ------
    EngineError
        If there is none of this name, or it is not available.
    """
    if name in ("auto", "backtrader"):
        # imported here: Backtrader is heavy, and checking a study does not need it
        from whatif.engines.backtrader import run as run_backtrader

        return run_backtrader
    if name == "compiled":
        raise EngineError("engine 'compiled' is not available in this version; use auto or backtrader")
    raise EngineError(f"engine {name!r} is unknown; {nearest(name, ENGINES)}")


def run_engine(task: BacktestTask, engine: str = "auto", cache: ArrayCache | None = None) -> EngineRun:
    """Run one task with the engine called `engine`."""
    return get_engine(engine)(task, cache)
