"""Engines: the seam, those that come along, and the choice of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.domain import EngineRun
    from whatif.engines.base import Engine, Measure, Measured, RunInputs
    from whatif.engines.select import (
        ENGINES,
        REFERENCE,
        choose_engine,
        get_engine,
        keep_in,
        load_all,
        run_engine,
    )
    from whatif.engines.task import BacktestTask, WindowInputs

__getattr__, __dir__, __all__ = door(
    __name__,
    {
        "base": "Engine Measure Measured RunInputs",
        "select": "ENGINES EngineRun REFERENCE choose_engine get_engine keep_in load_all run_engine",
        "task": "BacktestTask WindowInputs",
    },
)
