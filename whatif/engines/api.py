"""One backtest by a single call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from whatif.calendars import choose_period, make_periods, schedule
from whatif.domain import (
    DAY_US,
    MINUTE_US,
    UNIVERSE_COLUMNS,
    BacktestResult,
    Bars,
    Execution,
    Overlays,
    Periods,
    check_options,
    compute_metrics,
    duration_us,
    execution_from_mapping,
    instant_us,
    overlays_from_mapping,
    periods_of,
    with_finer,
)
from whatif.engines.market import bars_of_frame
from whatif.engines.select import run_engine
from whatif.engines.sessions import (
    WEEK_US,
    date_of,
    never_closes,
    seen_sessions,
    sessions_a_year,
    share_covered,
    spacing,
    uncut,
    whole_days,
)
from whatif.engines.task import BacktestTask, check_execution, warmup_of
from whatif.errors import EngineError, nearest
from whatif.strategies import AnyStrategy, StrategySpec, resolve
from whatif.typing import IntArray


def backtest(
    bars: pd.DataFrame,
    strategy: str | Path | AnyStrategy | type,
    params: Mapping[str, object] | None = None,
    execution: Execution | Mapping[str, object] | None = None,
    engine: str = "auto",
    *,
    calendar: str | None = None,
    start: pd.Timestamp | None = None,
    warmup: int | None = None,
    overlays: Overlays | Mapping[str, object] | None = None,
    symbols: Sequence[str] | None = None,
    fill_bars: pd.DataFrame | None = None,
    universe: pd.DataFrame | None = None,
) -> BacktestResult:
    """Run one strategy once, without Spark.

    Parameters
    ----------
    bars : DataFrame
        Columns symbol, ts (tz-aware start of the bar), open, high, low, close, volume, and
        optionally vwap and session; further numeric columns are inputs by name (predictions,
        features). Several symbols share one account, unless `symbols` says which are traded.
    strategy : str, Path, step function or class
        A built-in name, ``package.module:Name``, ``path/file.py``, what `@strategy` made, or a
        subclass of `backtrader.Strategy`.
    params : mapping, optional
        Parameters; defaults where absent.
    execution : Execution or mapping, optional
        Cash, costs and the broker's switches.
    engine : str
        "auto", "compiled", "backtrader", or `module:Name` of one of your own.
    calendar : str, optional
        Code of an exchange such as "XNYS", for sessions and periods a year.
    start : Timestamp, optional
        First instant of the window (tz-aware); bars before it are history for indicators only.
    warmup : int, optional
        Bars before `start` that an ordinary Backtrader strategy is fed; what its class declares as
        `warmup` if absent, as in a study.
    overlays : Overlays or mapping, optional
        Exits, sizing and latency laid over a step function: ``{"stop_loss": 0.01, "latency": 1}``.
    symbols : sequence of str, optional
        Which symbols of the frame are traded, in this order; all of them if absent. The others are there
        for inputs that name them, such as ``SPY.close``.
    fill_bars : DataFrame, optional
        Shorter bars of the same symbol, columns as of `bars`, which are made of them: orders are tried on
        those, of the length that ``execution={"fill_timeframe": "1min"}`` names.
    universe : DataFrame, optional
        Columns symbol, from, to: since when a symbol is a member, and the first date or instant at which it
        is none any more, empty while it is one. A symbol is traded only while it is a member.

    Returns
    -------
    BacktestResult
        Returns are measured over the longest of session, hour and bar that leaves at least 160
        periods, from the first bar to the last one's end. A year has as many sessions as the bars'
        spacing and the share of days on which they stand say (252, 365, 52.18 weeks, 12 months, …),
        or as the calendar has; sessions of the calendar without a bar are no periods.

    Raises
    ------
    EngineError, StrategyError, StudyError, IndicatorError, CalendarError
        Saying what was given, the rule it broke, and the remedy.
    """
    if not isinstance(bars, pd.DataFrame):
        raise EngineError(f"bars is a {type(bars).__name__}; give a pandas DataFrame")
    found = resolve(strategy)
    if isinstance(found, StrategySpec):
        found = found.pinned()
    settings = execution if isinstance(execution, Execution) else execution_from_mapping(execution or {})
    laid_over = overlays if isinstance(overlays, Overlays) else overlays_from_mapping(overlays or {})
    if isinstance(overlays, Mapping):
        check_options(overlays)
    check_execution(found, settings, laid_over)
    if isinstance(found, StrategySpec):
        found.digest  # noqa: B018  # refuses clocks, files and chance, whichever engine runs it
    _check_sessions(bars, calendar, laid_over)
    traded = [symbols] if isinstance(symbols, str) else symbols
    market = _traded(bars_of_frame(bars, calendar, found.needs, among=traded), symbols)
    if fill_bars is not None:
        market = _with_fills(market, bars_of_frame(fill_bars, calendar), settings)
    if universe is not None:
        market = _with_members(market, universe)
    complete = found.validate(params or {})
    task = BacktestTask(
        bars=market,
        strategy=found,
        params=complete,
        execution=settings,
        start=None if start is None else _microseconds(start),
        warmup=_warmup(found, complete, warmup),
        overlays=laid_over,
    )
    run = run_engine(task, engine)
    window = [one.slice(*task.rows(one)) for one in market]
    return BacktestResult(compute_metrics(run, settings, _periods(window, calendar, run.ts)), run)


def _with_members(market: list[Bars], universe: pd.DataFrame) -> list[Bars]:
    """Return bars of symbols that may be traded only while they are members of a universe."""
    names = list(universe.columns) if isinstance(universe, pd.DataFrame) else []
    missing = [name for name in UNIVERSE_COLUMNS if name not in names]
    if missing:
        raise EngineError(
            f"universe has no column {' and '.join(missing)}: give a DataFrame with the columns "
            f"{', '.join(UNIVERSE_COLUMNS)}"
        )
    rows = [
        (f"row {k}", dict(zip(UNIVERSE_COLUMNS, map(_cell, row), strict=True)))
        for k, row in enumerate(universe[list(UNIVERSE_COLUMNS)].itertuples(index=False, name=None), 1)
    ]
    periods = periods_of(rows, "universe")
    for one in market:
        if one.symbol not in periods:
            raise EngineError(
                f"universe has no row of {one.symbol!r}, which is traded: {nearest(one.symbol, periods)}; "
                "add a row for it, or leave it out of symbols"
            )
    return [one.with_members(periods[one.symbol]) for one in market]


def _cell(value: object) -> object:
    """Return a cell of a universe: None if it is empty, and a date of a midnight without a zone."""
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return None
    if isinstance(value, pd.Timestamp) and value.tzinfo is None and value == value.normalize():
        return value.date()
    return value


def _with_fills(market: list[Bars], fill_bars: list[Bars], execution: Execution) -> list[Bars]:
    """Return the bars with the finer ones inside them."""
    names, finer_names = ([one.symbol for one in some] for some in (market, fill_bars))
    if len(market) != 1 or names != finer_names:
        raise EngineError(
            f"fill_bars are of {', '.join(finer_names)}, and bars of {', '.join(names)}: give both of one "
            "symbol, the same"
        )
    (own,), (finer,) = market, fill_bars
    finer_us, own_us = spacing(finer.ts), spacing(own.ts)
    asked = execution.fill_timeframe
    if asked and not duration_us(asked) == finer_us < own_us:
        raise EngineError(
            f"execution: fill_timeframe = {asked!r}, and fill_bars stand {finer_us / MINUTE_US:g} minutes "
            f"apart, bars {own_us / MINUTE_US:g}: give shorter bars of that length"
        )
    return [with_finer(own, finer, finer_us, own_us >= DAY_US)]


def _traded(market: list[Bars], symbols: Sequence[str] | None) -> list[Bars]:
    """Return the bars of those symbols that are traded."""
    if symbols is None:
        return market
    known = {one.symbol: one for one in market}
    chosen = [symbols] if isinstance(symbols, str) else list(symbols)
    for symbol in chosen:
        if symbol not in known:
            raise EngineError(f"symbols: the frame has no bar of {symbol!r}: {nearest(symbol, known)}")
    return [known[symbol] for symbol in chosen]


def _warmup(strategy: AnyStrategy, params: Mapping[str, object], given: int | None) -> int:
    """Return the bars before the window that a class is fed, as given or as it declares."""
    if given is None:
        return warmup_of(strategy, params)
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise EngineError(f"warmup = {given!r} must be a whole number of bars, 0 or more")
    return given


def _check_sessions(bars: pd.DataFrame, calendar: str | None, overlays: Overlays) -> None:
    """Refuse a rule about a session's close where nothing says when that is."""
    if overlays.flat_before_close is None or "session" in bars:
        return
    if calendar is None or calendar == "24/7":
        given = "no calendar was given" if calendar is None else "calendar 24/7 has none"
        raise EngineError(
            f"overlays: flat_before_close = {overlays.flat_before_close} minutes needs a session that ends, "
            f'and {given}: name the exchange (calendar="XNYS"), or give bars with a column session'
        )


def _microseconds(start: pd.Timestamp) -> int:
    stamp = pd.Timestamp(start)
    if stamp.tzinfo is None:
        raise EngineError(f"start {start!r} has no time zone; use pd.Timestamp(..., tz='UTC')")
    return instant_us(stamp)


def _periods(bars: list[Bars], calendar: str | None, rows: IntArray | None = None) -> Periods:
    """Periods from the first bar to the last row's end, by a calendar or by the days that the bars show."""
    held = [one for one in bars if len(one)]
    bar_us = min(spacing(one.ts) for one in held)
    ts, session = _stamps(held)
    start, last = int(ts[0]), int(ts[-1]) if rows is None else int(max(ts[-1], rows[-1]))
    end = last + bar_us
    seen = seen_sessions(held, bar_us)
    per_year: float | None = sessions_a_year(ts, session, bar_us)
    if not calendar:
        sessions = whole_days(seen) if never_closes(ts, bar_us) else seen
        kind = choose_period(sessions, start, end, bar_us)
        return make_periods(kind, sessions, start, end, bar_us, per_year, uncut(sessions))
    every = schedule(calendar, date_of(seen.session[0]), date_of(seen.session[-1]))
    there = np.isin(every.session, seen.session)
    sessions = every.take(there) if there.any() else every
    kind = choose_period(sessions, start, end, bar_us)
    if bar_us >= WEEK_US - DAY_US and there.any():  # its sessions are counted by the bars' distance
        return make_periods(kind, sessions, start, end, bar_us, per_year)
    found = make_periods(kind, sessions, start, end, bar_us)
    return replace(found, per_year=found.per_year * share_covered(every, there))


def _stamps(bars: list[Bars]) -> tuple[IntArray, IntArray]:
    """Return start and session of every bar of all symbols, in time order."""
    if len(bars) == 1:
        return bars[0].ts, bars[0].session
    ts = np.concatenate([one.ts for one in bars])
    order = np.argsort(ts, kind="stable")
    return ts[order], np.concatenate([one.session for one in bars])[order]
