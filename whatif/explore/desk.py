"""Desk of one study: its ranking, and runs of changed configurations on bars held in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from whatif.calendars import make_periods
from whatif.domain import METRIC_KEYS, EngineRun, account_metrics, account_of, timeframe_us
from whatif.engines import REFERENCE, get_engine, keep_in
from whatif.errors import StudyError, WhatIfError
from whatif.lake import RESULTS, writer_lock
from whatif.pins import LakeLocation, current_pin
from whatif.resolve import Resolved, replayed, resolve_study
from whatif.results import (
    NOTHING,
    Pending,
    ResultStore,
    choose_in_folds,
    count_trials,
    record_looks,
)
from whatif.runner import LocalRunner, Plan, WindowPlan, WorkItem, array_store, provenance, task_of
from whatif.search import Configuration, Space, make_grid
from whatif.searches import SEAM as SEARCHES
from whatif.splits import Window
from whatif.strategies import StrategySpec
from whatif.study import Study, load_study
from whatif.workflow import lazy_session, plan_of, prepare

PART = "part"
"""Name of a window that is a part of the validate window."""

_MAX_KEPT = 16
"""Runs that stay in memory: what a change starts from, what was pinned, what was run a moment ago."""


@dataclass(frozen=True)
class Change:
    """A configuration of a study's ranking, with something else in place of what it has.

    Attributes
    ----------
    config_id : str
        The configuration that it starts from.
    params, execution, overlays : mapping of str to scalar or None
        What is changed: parameters of the strategy, costs and switches of the broker, rules laid over the
        strategy, of which None turns one off.
    """

    config_id: str
    params: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)
    overlays: Mapping[str, Any] = field(default_factory=dict)

    def alone(self) -> dict[str, Change]:
        """Return each thing that is changed, by name, as the only change."""
        return {
            f"{section}.{name}": Change(self.config_id, **{section: {name: value}})
            for section in ("params", "execution", "overlays")
            for name, value in getattr(self, section).items()
        }


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a configuration did in a window.

    Attributes
    ----------
    configuration : Configuration
        What was run, under the name that the lake knows it by, or would.
    run : EngineRun
        Its arrays; `run.equity` is the broker's value at each bar's close.
    metrics : dict of str to number
        One value for each of `whatif.domain.METRIC_KEYS`.
    """

    configuration: Configuration
    run: EngineRun
    metrics: dict[str, float | int | bool]


class Desk:
    """One finished study, ready to be looked at and changed.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    resolved : Resolved
        The study, on its pinned bars.
    """

    def __init__(self, location: LakeLocation, resolved: Resolved) -> None:
        self.location, self.resolved = location, resolved
        self.store = ResultStore(location, resolved)
        self._session = lazy_session(location)
        self._origin = provenance()
        prepared = prepare(self._session, location, resolved)
        self._plan = plan_of(resolved, prepared, location, self._origin, 0.0)
        answer = choose_in_folds(self.store)[-1]
        self.board: pd.DataFrame = answer.board
        self.chosen = answer.chosen
        self.reason = answer.reason
        strategy = resolved.strategy
        self._strategy = strategy.pinned() if isinstance(strategy, StrategySpec) else strategy
        grid = resolved.grid
        pairs = zip(grid.configurations, grid.points, strict=True)
        self._points = {one.config_id: point for one, point in pairs}
        self._opened: set[tuple[str, str]] = set()
        self._runs: OrderedDict[tuple[str, str, int, int], Outcome] = OrderedDict()
        self._ranked: dict[str, Configuration] = {}
        self._counted: tuple[Any, int] | None = None

    @property
    def study(self) -> Study:
        """The study as authored."""
        return self.resolved.study

    @property
    def window(self) -> Window:
        """The validate window that is shown, the last one of several."""
        return self.resolved.timeline.last.validate[-1]

    @property
    def test(self) -> Window | None:
        """The test window; None where the split has none."""
        return self.resolved.timeline.last.test

    def is_ranked(self, config_id: str) -> bool:
        """Whether the study itself tried a configuration."""
        return config_id in self._points

    def is_stored(self, config_id: str, symbol: str) -> bool:
        """Whether a configuration has a row on the shown window: ranked by the study, or kept by eye."""
        return len(self.store.rows(RESULTS, self.window, ["config_id"], [config_id], [symbol])) > 0

    def configured(self, change: Change) -> Configuration:
        """Return a changed configuration, named as a study that has these values names it.

        Raises
        ------
        StudyError
            If there is no such configuration to start from.
        WhatIfError
            If a value breaks a rule, naming it.
        """
        if not change.alone() and change.config_id in self._ranked:
            return self._ranked[change.config_id]
        study = self._changed(change)
        space = Space(study, self._strategy)
        models, fold = self.resolved.models, self.resolved.timeline.last.number

        def identity(name: str, timeframe: str) -> Mapping[str, Any]:
            return models[name, timeframe, fold].identity

        found = make_grid(space, [(0,) * len(space.axes)], identity, fold).configurations[0]
        if not change.alone():
            self._ranked[change.config_id] = found
        return found

    def _changed(self, change: Change) -> Study:
        """Return the study with one value on each axis, and the changes put where they belong."""
        point = self._points.get(change.config_id)
        if point is None:
            raise StudyError(
                f"study {self.study.study} ranks no configuration {change.config_id!r}: "
                "choose one of the table"
            )
        space, study = self.resolved.checked.space, self.study
        absent = space.absent(point)
        axes: dict[str, Any] = {}
        left = {name: dict(getattr(change, name)) for name in ("params", "execution", "overlays")}
        for k, (name, axis) in enumerate(space.axes.items()):
            if k in absent:
                continue
            value = axis.values[point[k]]
            if name == "execution" and isinstance(value, Mapping):
                value, left["execution"] = {**value, **left["execution"]}, {}
            for section in ("params", "overlays"):
                if name in left[section]:
                    value = left[section].pop(name)
            axes[name] = axis.model_copy(update={"values": (value,), "when": ""})
        given = study.strategy
        return study.model_copy(
            update={
                "axes": axes,
                "strategy": given.model_copy(update={"params": {**given.params, **left["params"]}}),
                "execution": {**study.execution, **left["execution"]},
                "overlays": {**study.overlays, **left["overlays"]},
                "search": SEARCHES.section({}),
            }
        )

    def group(self, symbol: str) -> tuple[str, ...]:
        """Return the symbols of the account that a row of the ranking is of; of pooled ones the first."""
        groups = self.resolved.portfolios
        return next((one for one in groups if "+".join(one) == symbol), groups[0])

    def run(
        self, change: Change, symbol: str, start_us: int | None = None, end_us: int | None = None
    ) -> Outcome:
        """Run a changed configuration on the validate window, or on a part of it.

        Parameters
        ----------
        change : Change
            What is run.
        symbol : str
            The account, as the ranking names it.
        start_us, end_us : int, optional
            Part of the validate window, microseconds UTC; what is outside is cut off.

        Raises
        ------
        WhatIfError
            Whatever is wrong with it.
        """
        window = self.window
        start = max(window.start_us, window.start_us if start_us is None else start_us)
        end = min(window.end_us, window.end_us if end_us is None else end_us)
        configuration = self.configured(change)
        key = (configuration.config_id, symbol, start, end)
        found = self._runs.pop(key, None)
        if found is None:
            found = self._run(*self._windowed(start, end), configuration, symbol)
        self._runs[key] = found
        while len(self._runs) > _MAX_KEPT:
            self._runs.popitem(last=False)
        return found

    def warm(self) -> None:
        """Read bars, load the engine and count trials, so that the page's first answer waits for none."""
        first = self.board[self.board["status"] == "ok"].head(1)
        for row in first.itertuples():
            with suppress(WhatIfError):  # it is told where it is asked for
                self.run(Change(str(row.config_id)), str(row.symbol))
        _ = self.trials

    def _windowed(self, start: int, end: int) -> tuple[Plan, str]:
        """Return a plan that has a part of the validate window, and the name of that part."""
        window = self.window
        if (start, end) == (window.start_us, window.end_us):
            return self._plan, window.name
        sessions = self.resolved.timeline.schedule.between(start, end)
        if end <= start or not len(sessions):
            raise StudyError("these dates hold no session of the validate window: take a longer part of it")
        kind = self.resolved.periods[window.name].kind
        periods = make_periods(kind, sessions, start, end, timeframe_us(self.study.data.timeframe))
        return replace(self._plan, windows={PART: WindowPlan(Window(PART, start, end), periods)}), PART

    def _run(self, plan: Plan, window: str, configuration: Configuration, symbol: str) -> Outcome:
        task = task_of(plan, WorkItem(self.group(symbol), window, (configuration,)), configuration)
        task = replace(task, strategy=self._strategy)  # looked at once: 3 ms of each run
        engine = get_engine(plan.engine)
        engine = REFERENCE if engine.reasons_against_task(task) else engine
        run = engine.checked_run(task, array_store(plan))
        periods, execution = plan.windows[window].periods, configuration.execution
        metrics = account_metrics(account_of(run, execution, periods), execution, periods)
        return Outcome(configuration, run, {name: metrics[name] for name in METRIC_KEYS})

    def run_on_test(self, change: Change, symbol: str) -> Outcome:
        """Write down that the test window is opened for a configuration, and run it there.

        The row of `test_looks` is there before anything of the window is read; a verdict counts it.

        Raises
        ------
        StudyError
            If the split has no test window.
        LakeLockedError
            If another process writes to the lake: nothing was opened then.
        """
        window = self.test
        if window is None:
            raise StudyError(f"study {self.study.study} has no test window: give its split one")
        configuration, group = self.configured(change), self.group(symbol)
        if (configuration.config_id, symbol) not in self._opened:
            pending = [Pending(group, window.name, (configuration,))]
            with writer_lock(self.location, f"explore study {self.study.study}"):
                record_looks(self._session, self.store, pending, self._origin)
            self._opened.add((configuration.config_id, symbol))
        return self._run(self._plan, window.name, configuration, symbol)

    def keep(self, change: Change, symbol: str) -> tuple[Configuration, int]:
        """Store a changed configuration as a backtest of the study on its validate window.

        It is a row of `results` and of `returns` like any other: a verdict on these data counts it as a
        trial, and a study that takes its values later finds it there.

        Returns
        -------
        Configuration, int
            What was kept, and how many trials a verdict now counts.

        Raises
        ------
        StudyError
            If the lake is a service, on which Spark alone writes.
        LakeLockedError
            If another process writes to the lake: nothing was kept then.
        """
        if not self.location.local:
            raise StudyError("this lake is a service: add the value to the study, and run it")
        configuration = self.configured(change)
        if not self.is_ranked(configuration.config_id):
            item = WorkItem(self.group(symbol), self.window.name, (configuration,))
            runner = LocalRunner(self.location, processes=1, short=True)
            with writer_lock(self.location, f"explore study {self.study.study}"):
                rows = runner.compute(self._plan, [item]).rows
                runner.store(self._plan, [item], rows, NOTHING, frozenset())
        return configuration, self.trials

    @property
    def trials(self) -> int:
        """How many trials a verdict on the study's validate window counts, on results as they stand."""
        stands = current_pin(self.location, "results").snapshot_id
        if self._counted is not None and self._counted[0] == stands:
            return self._counted[1]
        good = self.board[self.board["status"] == "ok"]
        own = list(zip(good["config_id"].astype(str), good["symbol"].astype(str), strict=True))
        count = count_trials(self.store, list(self.resolved.timeline.last.validate), own).count
        self._counted = stands, count
        return count

    def added(self, change: Change) -> str:
        """Return the lines of the study's YAML that add the changed values to its axes."""
        given = self.configured(Change(change.config_id))
        execution = self._of_axis(change.config_id, "execution")
        base = {**given.params, **{name: getattr(given.overlays, name, None) for name in change.overlays}}
        return added_lines(self.study, change, base, execution)

    def _of_axis(self, config_id: str, name: str) -> Mapping[str, Any]:
        """Return what a configuration has on an axis of mappings; nothing where there is no such axis."""
        axes, point = self.resolved.checked.space.axes, self._points[config_id]
        value: Any = next(
            (axis.values[point[k]] for k, (key, axis) in enumerate(axes.items()) if key == name), {}
        )
        return value if isinstance(value, Mapping) else {}


def added_lines(study: Study, change: Change, base: Mapping[str, Any], execution: Mapping[str, Any]) -> str:
    """Return the lines of YAML of the axes that have the changed values, each value added to its axis.

    Parameters
    ----------
    study : Study
        The study as authored.
    change : Change
        What is changed.
    base, execution : mapping of str to scalar or None
        What the configuration has without the change: a new axis begins with that value, so that
        the study keeps what it ran.
    """
    axes: dict[str, Any] = {}
    for name, value in {**change.params, **change.overlays}.items():
        axis = study.axes.get(name)
        there = [base.get(name)] if axis is None else list(axis.values)
        if axis is None and value in there:  # nothing is changed
            continue
        values = [*there, *([] if value in there else [value])]
        axes[name] = {"values": values, "when": axis.when} if axis is not None and axis.when else values
    if change.execution:
        there = [dict(one) for one in study.axes["execution"].values] if "execution" in study.axes else [{}]
        value = {**execution, **change.execution}
        axes["execution"] = [*there, *([] if value in there else [value])]
    return str(yaml.safe_dump({"axes": axes}, sort_keys=False, default_flow_style=None)) if axes else ""


def open_desk(study: Study | str | Path, location: LakeLocation) -> Desk:
    """Return a study of the lake as it can be explored.

    Raises
    ------
    StudyError
        If no backtest of it is stored.
    WhatIfError
        If the study is refused.
    """
    if location.local and location.home.is_dir():
        keep_in(location.home)
    asked = study if isinstance(study, Study) else load_study(study)
    resolved, _ = replayed(resolve_study(asked, location), location)
    desk = Desk(location, resolved)
    if not len(desk.board):
        raise StudyError(f"study {asked.study} has no stored backtest: 'whatif run' it first")
    desk.warm()
    return desk
