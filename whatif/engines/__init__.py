"""Engines: the seam, those that come along, and the choice of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.domain import EngineRun
    from whatif.engines.api import backtest
    from whatif.engines.base import (
        Engine,
        Measure,
        Measured,
        MeasuredRuns,
        MeasureRuns,
        RunInputs,
        shares_account,
    )
    from whatif.engines.closing import check_bounds, check_flat_by_schedule
    from whatif.engines.compare import differences
    from whatif.engines.exits import explained
    from whatif.engines.market import bars_of_frame
    from whatif.engines.orders import LARGEST_SIZE
    from whatif.engines.select import (
        ENGINES,
        REFERENCE,
        choose_engine,
        get_engine,
        keep_in,
        load_all,
        make_ready,
        run_engine,
    )
    from whatif.engines.sessions import date_of
    from whatif.engines.task import BacktestTask, WindowInputs, check_execution, check_fill_timeframe
    from whatif.engines.timeline import account_rows, bar_lengths

__getattr__, __dir__, __all__ = door(
    __name__,
    {
        "api": "backtest",
        "base": "Engine Measure MeasureRuns Measured MeasuredRuns RunInputs shares_account",
        "closing": "check_bounds check_flat_by_schedule",
        "compare": "differences",
        "exits": "explained",
        "market": "bars_of_frame",
        "orders": "LARGEST_SIZE",
        "select": "ENGINES EngineRun REFERENCE choose_engine get_engine keep_in load_all make_ready "
        "run_engine",
        "sessions": "date_of",
        "task": "BacktestTask WindowInputs check_execution check_fill_timeframe",
        "timeline": "account_rows bar_lengths",
    },
)
