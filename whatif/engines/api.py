"""One backtest by a single call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from whatif.calendars import choose_period, make_periods, schedule
from whatif.domain.bars import Bars
from whatif.domain.execution import Execution, execution_from_mapping
from whatif.domain.metrics import compute_metrics
from whatif.domain.overlays import Overlays, overlays_from_mapping
from whatif.domain.periods import Periods
from whatif.domain.result import BacktestResult
from whatif.engines.base import BacktestTask
from whatif.engines.market import bars_of_frame
from whatif.engines.select import run_engine
from whatif.engines.sessions import bar_length, date_of, seen_sessions, usual_sessions_per_year
from whatif.errors import EngineError
from whatif.strategies import AnyStrategy, resolve


def backtest(
    bars: pd.DataFrame,
    strategy: str | Path | AnyStrategy | type,
    params: Mapping[str, object] | None = None,
    execution: Execution | Mapping[str, object] | None = None,
    engine: str = "auto",
    *,
    calendar: str | None = None,
    start: pd.Timestamp | None = None,
    warmup: int = 0,
    overlays: Overlays | Mapping[str, object] | None = None,
) -> BacktestResult:
    """Run one strategy once, without Spark.

    Parameters
    ----------
    bars : DataFrame
        Columns symbol, ts (tz-aware start of the bar), open, high, low, close, volume, and
        optionally vwap and session; further numeric columns are inputs by name (predictions,
        features). Several symbols share one account.
    strategy : str, Path, step function or class
        A built-in name, ``package.module:Name``, ``path/file.py``, what `@strategy` made, or a
        subclass of `backtrader.Strategy`.
    params : mapping, optional
        Parameters; defaults where absent.
    execution : Execution or mapping, optional
        Cash, costs and the broker's switches.
    engine : str
        "auto" or "backtrader".
    calendar : str, optional
        Code of an exchange such as "XNYS", for sessions and periods a year.
    start : Timestamp, optional
        First instant of the window (tz-aware); bars before it are history for indicators only.
    warmup : int
        Bars before `start` that an ordinary Backtrader strategy is fed.
    overlays : Overlays or mapping, optional
        Exits, sizing and latency laid over a step function: ``{"stop_loss": 0.01, "latency": 1}``.

    Returns
    -------
    BacktestResult
        Returns are measured over the longest of session, hour and bar that leaves at least 160
        periods. A year has 252 sessions, or 365 with weekends, unless a calendar says better.

    Raises
    ------
    EngineError, StrategyError, IndicatorError, CalendarError
        Saying what was given, the rule it broke, and the remedy.
    """
    if not isinstance(bars, pd.DataFrame):
        raise EngineError(f"bars is a {type(bars).__name__}; give a pandas DataFrame")
    found = resolve(strategy)
    settings = execution if isinstance(execution, Execution) else execution_from_mapping(execution or {})
    market = bars_of_frame(bars, calendar)
    task = BacktestTask(
        bars=market,
        strategy=found,
        params=found.validate(params or {}),
        execution=settings,
        start=None if start is None else _microseconds(start),
        warmup=warmup,
        overlays=overlays if isinstance(overlays, Overlays) else overlays_from_mapping(overlays or {}),
    )
    run = run_engine(task, engine)
    window = [one.slice(*task.rows(one)) for one in market]
    return BacktestResult(compute_metrics(run, settings, _periods(window, calendar)), run)


def _microseconds(start: pd.Timestamp) -> int:
    stamp = pd.Timestamp(start)
    if stamp.tzinfo is None:
        raise EngineError(f"start {start!r} has no time zone; use pd.Timestamp(..., tz='UTC')")
    return int(stamp.as_unit("us").asm8.astype(np.int64))


def _periods(bars: list[Bars], calendar: str | None) -> Periods:
    """Periods over the bars' whole time, by a calendar or by the sessions that the bars show."""
    held = [one for one in bars if len(one)]
    bar_us = min(bar_length(one.ts) for one in held)
    start = min(int(one.ts[0]) for one in held)
    sessions = seen_sessions(held, bar_us)
    end = int(sessions.close_us[-1])
    per_year: float | None = usual_sessions_per_year(sessions.session)
    if calendar:
        first, last = (date_of(sessions.session[k]) for k in (0, -1))
        sessions, per_year = schedule(calendar, first, last), None
        end = max(end, int(sessions.close_us[-1]))
    kind = choose_period(sessions, start, end, bar_us)
    return make_periods(kind, sessions, start, end, bar_us, per_year)
