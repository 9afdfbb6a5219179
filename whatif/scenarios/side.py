"""Side of a comparison: a configuration of a study that ran, runs of it and its like, and it as a script."""

from __future__ import annotations

import ast
import csv
import sys
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
    Overlays,
    Periods,
    account_metrics,
    account_of,
    max_drawdown,
    sharpe,
    timeframe_us,
    timestamps,
)
from whatif.engines import REFERENCE, BacktestTask, get_engine, keep_in
from whatif.errors import RunError, StudyError, nearest
from whatif.indicators import evaluate
from whatif.pins import LakeLocation, Pin, current_pin, open_table
from whatif.resolve import Resolved, replayed, resolve_study
from whatif.results import ResultStore, choose_in_folds
from whatif.runner import Plan, WindowPlan, WorkItem, array_store, provenance, task_of
from whatif.scenarios.versions import address_of
from whatif.search import Configuration, stitch_equity
from whatif.splits import Window
from whatif.strategies import NOTES, StrategySpec
from whatif.study import Study, load_study
from whatif.typing import FloatArray
from whatif.workflow import lazy_session, plan_of, prepare

NAME = "scenario"
"""Name of the window that sides run in."""

FIGURES = ("pnl_net", "return_pct", "sharpe", "max_drawdown_pct", "trades", "costs")
"""What is shown of a run."""

SCRIPT = "strategy.py"
"""Name of the script."""

_KNOWN = {"Param", "strategy", "Intent", "hold", "target", "buy", "sell", "close", "target_percent"}
_STATE = {"pending", "minute", "minutes_to_close", "scratch", *NOTES}
_INSTALLED = {*sys.stdlib_module_names, "numpy"}
_SWITCHES = ("slip_open", "slip_limit", "slip_match", "slip_out")
_BROKER = ("checksubmit", "shortcash")
_SETTINGS = ("cash", "commission", "slippage", "slippage_fixed", *_SWITCHES, *_BROKER)


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
    inside = Window(NAME, window.start_us, window.end_us)
    return replace(side.plan, windows={NAME: WindowPlan(inside, periods)})


def run_in(plan: Plan, configuration: Configuration, groups: Sequence[tuple[str, ...]]) -> Outcome:
    """Run a configuration in the window of a plan, by the plan's engine where that covers it.

    Raises
    ------
    WhatIfError
        Whatever is wrong with it.
    """
    periods, runs = plan.windows[NAME].periods, []
    for group in groups:
        task = task_of(plan, WorkItem(tuple(group), NAME, (configuration,)), configuration)
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


def export_side(
    side: Side, folder: Path, template: str, symbol: str = "", with_test: bool = True
) -> tuple[Path, ...]:
    """Write a configuration as a script of Backtrader's, and the bars of its windows.

    Parameters
    ----------
    side : Side
        The configuration.
    folder : Path
        Where to; made if it is not there. Files of the same names are replaced.
    template : str
        Text of the script, with names between @ where the configuration stands.
    symbol : str
        Which of those that it was chosen for; may be empty if there is one.
    with_test : bool
        Whether the test window is written too, beside the last validate window.

    Returns
    -------
    tuple of Path
        The script, then the bars: CSV with `ts` (start of the bar, UTC, without a zone), prices, volume and
        the series that the rule reads, as digits that read back as the same floats.

    Raises
    ------
    StudyError
        If the script would not have the same fills: the message says by what of the configuration.
    """
    groups = {"+".join(group): group for group in side.groups}
    if symbol not in groups and (symbol or len(groups) > 1):
        raise StudyError(f"--symbol {symbol!r}: {side.name} was chosen for others; {nearest(symbol, groups)}")
    group = groups[symbol] if symbol else next(iter(groups.values()))
    fold = side.resolved.timeline.last
    windows = {"validate": fold.validate[-1]}
    if with_test and fold.test is not None:
        windows["test"] = fold.test
    item = WorkItem(tuple(group), NAME, (side.configuration,))
    tasks = {
        name: task_of(in_window(side, window), item, side.configuration) for name, window in windows.items()
    }
    why = next(filter(None, map(_reason_against, tasks.values())), "")
    if why:
        raise StudyError(
            f"{side.name} cannot be exported: {why}, which a script of its own would not do alike"
        )
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / SCRIPT
    script.write_text(_script(side, tasks, template), encoding="utf-8")
    return (script, *(_write_bars(task, folder / f"bars-{name}.csv") for name, task in tasks.items()))


def _reason_against(task: BacktestTask) -> str:
    """Return what of a task the script does not cover; "" if it covers all."""
    spec, execution = task.strategy, task.execution
    if not isinstance(spec, StrategySpec):
        return "it is a Backtrader strategy already"
    plain = Execution(**{name: getattr(execution, name) for name in _SETTINGS})
    if execution != plain:
        differ = [name for name, value in execution.written.items() if plain.written.get(name) != value]
        return f"its execution sets {', '.join(differ)}"
    if task.overlays != Overlays(percent_of_equity=task.overlays.percent_of_equity):
        return "it has overlays beside percent_of_equity"
    if len(task.bars) != 1 or spec.cross_sectional or task.bars[0].member is not None:
        return "its account trades several symbols, or members of a universe"
    if spec.answers_orders:
        return "its rule answers with orders that name prices"
    tree = ast.parse(spec.source)
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & _STATE
    if read or spec.scratch:
        return f"its rule reads {', '.join(sorted(read)) or 'scratch'} of its state"
    return _reason_in_file(tree, spec.step.__name__)


def _reason_in_file(tree: ast.Module, step: str) -> str:
    """Return what of a strategy's file the script does not cover; "" if it covers all."""
    if not any(isinstance(node, ast.FunctionDef) and node.name == step for node in tree.body):
        return "its rule is not a function of its file"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        module = "" if isinstance(node, ast.Import) else f"{'.' * node.level}{node.module or ''}"
        for alias in node.names:
            top = (module or alias.name).partition(".")[0]
            known = alias.name in _KNOWN and not alias.asname and node in tree.body
            if not (known if top == "whatif" else top in _INSTALLED):
                return f"its rule's file imports {' '.join(filter(None, (module, alias.name)))}"
    return ""


def _of_whatif(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] == "whatif" for alias in node.names)
    return isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "whatif"


def _declares(node: ast.expr) -> bool:
    named = node.func if isinstance(node, ast.Call) else node
    return isinstance(named, ast.Name) and named.id == "strategy"


def _script(side: Side, tasks: dict[str, BacktestTask], text: str) -> str:
    task = next(iter(tasks.values()))
    spec, execution = task.strategy, task.execution
    assert isinstance(spec, StrategySpec)
    values = {
        "header": f"{side.name} on {task.bars[0].symbol!r}, as a plain Backtrader strategy",
        "file": SCRIPT,
        "parameters": repr(dict(task.params)),
        "first": repr({name: one.rows(one.bars[0])[0] for name, one in tasks.items()}),
        "lookback": repr(spec.lookback),
        "share": repr(task.overlays.percent_of_equity),
        **{name: repr(getattr(execution, name)) for name in _SETTINGS},
        "switches": repr({name: getattr(execution, name) for name in _SWITCHES}),
        "broker": repr({name: getattr(execution, name) for name in _BROKER}),
        "step": spec.step.__name__,
        "rule": _rule(spec.source),  # last: what it holds is not looked through
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _rule(source: str) -> str:
    """Return a strategy's file without its imports of whatif and its declaration."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if future or _of_whatif(node):
            drop = [(node.lineno, node.end_lineno or node.lineno)]
        elif isinstance(node, ast.FunctionDef):
            drop = [
                (one.lineno, one.end_lineno or one.lineno) for one in node.decorator_list if _declares(one)
            ]
        else:
            continue
        for first, last in drop:
            lines[first - 1 : last] = [""] * (last - first + 1)
    kept = [line for k, line in enumerate(lines) if line.strip() or (k and lines[k - 1].strip())]
    return "\n".join(kept).strip()


def _write_bars(task: BacktestTask, path: Path) -> Path:
    """Write the bars of a task up to its window's end, with what its rule reads."""
    (bars,), spec = task.bars, task.strategy
    assert isinstance(spec, StrategySpec)
    _, stop = task.rows(bars)
    names = ["open", "high", "low", "close", "volume", "vwap"]
    columns = {name: getattr(bars, name)[:stop] for name in names}
    for name, expression in spec.bound_inputs(task.params).items():
        columns[name] = evaluate(expression, bars, {})[:stop]
    stamps = [one.isoformat() for one in timestamps(bars.ts[:stop]).tz_localize(None)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ts", *columns])
        writer.writerows(zip(stamps, *(map(repr, one.tolist()) for one in columns.values()), strict=True))
    return path
