"""Side of a comparison: a configuration of a study that ran, and runs of it and its like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from whatif.calendars import make_periods
from whatif.domain import (
    BacktestResult,
    EngineRun,
    Execution,
    Periods,
    account_metrics,
    account_of,
    max_drawdown,
    sharpe,
    timeframe_us,
)
from whatif.engines import REFERENCE, get_engine, keep_in
from whatif.errors import RunError, StudyError, nearest
from whatif.pins import LakeLocation, Pin, current_pin, open_table
from whatif.resolve import Resolved, replayed, resolve_study
from whatif.results import ResultStore, choose_in_folds
from whatif.runner import Plan, WindowPlan, WorkItem, array_store, provenance, task_of
from whatif.scenarios.versions import address_of
from whatif.search import Configuration, stitch_equity
from whatif.splits import Window
from whatif.study import Study, load_study
from whatif.typing import FloatArray
from whatif.workflow import lazy_session, plan_of, prepare

SCENARIO = "scenario"
"""Name of the window that sides run in."""

FIGURES = ("pnl_net", "return_pct", "sharpe", "max_drawdown_pct", "trades", "costs")
"""What is shown of a run."""


@dataclass(frozen=True, eq=False)
class Side:
    """A configuration of a study, ready to be run.

    Attributes
    ----------
    resolved : Resolved
        The study, as far as its search has come.
    plan : Plan
        Where its bars and predictions are.
    configuration : Configuration
        The configuration.
    groups : tuple of tuple of str
        Symbols that it trades, those of an account together.
    """

    resolved: Resolved
    plan: Plan
    configuration: Configuration
    groups: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """The study's name, and the configuration."""
        return f"{self.resolved.study.study} {self.configuration.config_id}"

    @property
    def window(self) -> Window:
        """The validate window that it is ranked on, the last one of several."""
        return self.resolved.timeline.last.validate[-1]

    @property
    def periods(self) -> Periods:
        """Periods of that window."""
        return self.resolved.periods[self.window.name]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a configuration did in a window.

    Attributes
    ----------
    figures : mapping of str to float
        `FIGURES`, over all accounts: money and trades added up, the others of the mean of their returns.
    returns : float64 array (periods,)
        The mean return of the accounts in each period.
    runs : tuple of EngineRun
        The run of each account.
    """

    figures: dict[str, float]
    returns: FloatArray
    runs: tuple[EngineRun, ...]

    @property
    def fills(self) -> pd.DataFrame:
        """Fills of all accounts, in order."""
        return pd.concat([BacktestResult({}, run).fills for run in self.runs], ignore_index=True)

    @property
    def trades(self) -> pd.DataFrame:
        """Closed trades of all accounts, in the order in which they were closed."""
        trades = pd.concat([BacktestResult({}, run).trades for run in self.runs], ignore_index=True)
        return trades.sort_values("closed_at", kind="stable", ignore_index=True)

    @property
    def traded(self) -> float:
        """Money that was traded: units times price, of all fills."""
        return float(sum(np.abs(r.fills.size * r.fills.price * r.fills.multiplier).sum() for r in self.runs))


def side_of(
    study: Study | str | Path,
    location: LakeLocation,
    config_id: str = "",
    known: dict[str, Side] | None = None,
) -> Side:
    """Return the configuration that a study chose, or another one of it.

    Parameters
    ----------
    study : Study, str or Path
        A study that ran; of a path, `path@bars#config_id` names other bars, see `bars_at`, and a
        configuration, by the beginning of its id.
    location : LakeLocation
        Where the lake is.
    config_id : str
        The same, apart.
    known : dict of str to Side, optional
        What studies chose, by their paths, as far as it was found: it is found once.

    Raises
    ------
    RunError
        If the study is not finished, or chose nothing.
    StudyError
        If it has no such configuration, or several.
    """
    path, at = "", ""
    if not isinstance(study, Study):
        path, at, after = address_of(study)
        config_id = config_id or after
    sides = {} if known is None else known
    side = sides.get(path) if path else None
    if side is None:
        side = _stored(study if isinstance(study, Study) else load_study(path), location, bool(config_id))
        if path and not config_id:
            sides[path] = side
    if config_id:
        one = _named(side.resolved, config_id)
        side = replace(side, configuration=one, groups=side.resolved.portfolios)
    return _on_bars(side, bars_at(location, at)) if at else side


def bars_at(location: LakeLocation, text: str) -> Pin:
    """Return the bars of a snapshot: "latest", its number, or those of a moment or date, UTC.

    Raises
    ------
    StudyError
        If it is none of these, or the table has no such snapshot.
    """
    if text == "latest":
        return current_pin(location, "bars")
    if text.isdecimal():
        table = open_table(location, "bars")
        if table.snapshot_by_id(int(text)) is None:
            known = [str(one.snapshot_id) for one in table.metadata.snapshots]
            raise StudyError(f"@{text}: there is no such snapshot of the bars: {nearest(text, known)}")
        return Pin("bars", int(text), table.metadata_location)
    try:
        moment = pd.Timestamp(text)
    except ValueError as error:
        raise StudyError(
            f"@{text} names no bars: give latest, the number of a snapshot, a date such as 2024-01-31, or "
            "whatif-VERSION on both sides"
        ) from error
    return current_pin(location, "bars", moment.tz_localize("UTC") if moment.tzinfo is None else moment)


def _on_bars(side: Side, bars: Pin) -> Side:
    """Return a side on the bars of another snapshot."""
    if side.configuration.model is not None:
        raise StudyError(
            f"{side.name} trades model {side.configuration.model!r}, which learnt of the bars that the study "
            "ran on: run the study on the other ones (--latest), and compare studies"
        )
    said = side.plan.bars
    bars = replace(bars, adjustment=said.adjustment, renames=said.renames)
    return replace(side, plan=replace(side.plan, bars=bars))


def _stored(study: Study, location: LakeLocation, any_of_it: bool) -> Side:
    """Return what a study chose; with `any_of_it` its first configuration, if it chose none."""
    if location.local and location.home.is_dir():
        keep_in(location.home)
    resolved, missing = replayed(resolve_study(study, location), location)
    name = resolved.study.study
    if missing:
        raise RunError(f"study {name} has {missing:,} backtests still to run: 'whatif run' it first")
    answer = None if any_of_it else choose_in_folds(ResultStore(location, resolved))[-1]
    groups = resolved.portfolios
    if answer is None:
        configuration = next(iter(resolved.every_configuration))
    elif answer.chosen is None:
        raise RunError(f"study {name}: {answer.reason}")
    else:
        configuration = resolved.configuration(answer.chosen.config_id)
        symbol = answer.chosen.symbol
        groups = groups if resolved.pooled else tuple(one for one in groups if "+".join(one) == symbol)
    prepared = prepare(lazy_session(location), location, resolved)
    plan = plan_of(resolved, prepared, location, provenance(), 0.0)
    return Side(resolved, plan, configuration, groups)


def _named(resolved: Resolved, config_id: str) -> Configuration:
    found = [one for one in resolved.every_configuration if one.config_id.startswith(config_id)]
    if len(found) == 1:
        return found[0]
    name = resolved.study.study
    if found:
        raise StudyError(
            f"study {name} has {len(found):,} configurations whose id begins with {config_id!r}: write more"
        )
    raise StudyError(
        f"study {name} has no configuration {config_id!r}: 'whatif leaderboard' lists them; an id is the "
        "column config_id"
    )


def in_window(side: Side, window: Window, periods: Periods | None = None) -> Plan:
    """Return the plan of a side with one window, and its periods; those of the side's kind if left out."""
    if periods is None:
        sessions = side.resolved.timeline.schedule.between(window.start_us, window.end_us)
        bar_us = timeframe_us(side.resolved.study.data.timeframe)
        periods = make_periods(side.periods.kind, sessions, window.start_us, window.end_us, bar_us)
    inside = Window(SCENARIO, window.start_us, window.end_us)
    return replace(side.plan, windows={SCENARIO: WindowPlan(inside, periods)})


def run_in(plan: Plan, configuration: Configuration, groups: Sequence[tuple[str, ...]]) -> Outcome:
    """Run a configuration in the window of a plan, by the plan's engine where that covers it.

    Raises
    ------
    WhatIfError
        Whatever is wrong with it.
    """
    periods, runs = plan.windows[SCENARIO].periods, []
    for group in groups:
        task = task_of(plan, WorkItem(tuple(group), SCENARIO, (configuration,)), configuration)
        engine = get_engine(plan.engine)
        engine = REFERENCE if engine.reasons_against_task(task) else engine
        runs.append(engine.checked_run(task, array_store(plan)))
    return _outcome(runs, configuration.execution, periods)


def _outcome(runs: Sequence[EngineRun], execution: Execution, periods: Periods) -> Outcome:
    accounts = [account_of(run, execution, periods) for run in runs]
    returns = np.mean([one.returns for one in accounts], axis=0)
    every = [account_metrics(one, execution, periods) for one in accounts]
    figures = {name: float(sum(float(one[name]) for one in every)) for name in FIGURES}
    if len(every) > 1:
        equity = stitch_equity(returns)
        figures |= {
            "return_pct": 100.0 * float(equity[-1] - 1.0),
            "sharpe": sharpe(returns, periods.per_year),
            "max_drawdown_pct": max_drawdown(equity)[0],
        }
    return Outcome(figures, returns, tuple(runs))
