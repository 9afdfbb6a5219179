"""Checks of a study that need no lake, before a lock is taken or Spark starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from whatif.calendars import choose_period, make_periods
from whatif.domain import DAY_US, MINUTE_US, Periods, timeframe_us
from whatif.engines import (
    RunInputs,
    check_bounds,
    check_execution,
    check_fill_timeframe,
    check_flat_by_schedule,
    choose_engine,
    shares_account,
)
from whatif.errors import IndicatorError, StrategyError, StudyError, nearest
from whatif.features import check_features, feature_spec, features_needs
from whatif.indicators import TIME_SERIES, check_place
from whatif.paths import regular_file
from whatif.pins import LakeLocation
from whatif.resolve.universe import join_universe
from whatif.resolve.windows import label_reach, resolve_timeline
from whatif.search import (
    BarSlice,
    Grid,
    PointIndex,
    Space,
    check_poolable,
    check_stitchable,
    forward_chains,
    make_grid,
)
from whatif.splits import Timeline, Window
from whatif.strategies import (
    AnyStrategy,
    BacktraderSpec,
    PortableStrategy,
    StrategySpec,
    strategy_file,
    to_portable,
)
from whatif.strategies import resolve as find_strategy
from whatif.study import Study
from whatif.training import target_of


@dataclass(frozen=True, eq=False)
class Checked:
    """A study that can be run if the lake has its bars.

    Attributes
    ----------
    study : Study
        As authored.
    strategy : StrategySpec or BacktraderSpec
        What it names.
    portable : PortableStrategy
        The same, as it travels to workers.
    timeline : Timeline
        Its folds as instants.
    periods : mapping of str to Periods
        Periods of each window that backtests run in.
    timeframes : tuple of str
        Lengths of bars that its configurations use.
    space : Space
        The points of its axes.
    points : tuple of PointIndex
        Those that are known before anything runs, see `whatif.search.space.Space.points`.
    grid : Grid or None
        The configurations of these points; None where they depend on models, and so on the lake.
    engine : str
        Name of the engine that runs it.
    not_compiled : str
        Why one before it does not, where the study left the choice; "" otherwise.
    """

    study: Study
    strategy: AnyStrategy
    portable: PortableStrategy
    timeline: Timeline
    periods: Mapping[str, Periods]
    timeframes: tuple[str, ...]
    space: Space
    points: tuple[PointIndex, ...]
    grid: Grid | None
    engine: str
    not_compiled: str = ""

    @property
    def fill_timeframes(self) -> tuple[str, ...]:
        """Lengths of the finer bars that orders are tried on, the shortest first."""
        found = {setting.execution.fill_timeframe for setting in self.space.settings} - {""}
        return tuple(sorted(found, key=timeframe_us))

    @property
    def named(self) -> frozenset[str]:
        """Symbols that the strategy's inputs name, or features that models learn from."""
        features = features_needs(self.study).symbols if self.study.models else frozenset()
        return self.strategy.needs.symbols | features


def check_study(study: Study, runs: bool = True, location: LakeLocation | None = None) -> Checked:
    """Return `study` with everything that can be known of it without its bars.

    Parameters
    ----------
    study : Study
        As authored.
    runs : bool
        Whether its backtests are about to run: its strategy is then compiled, or found on disk.
    location : LakeLocation, optional
        Where the lake is, of which only a table of the study's universe is read, and MLflow's registry where
        the study names a model of it; if left out, from the environment, and no model is looked for.

    Raises
    ------
    StudyError, StrategyError, IndicatorError, CalendarError, EngineError
        Naming the key, the value, the rule and the remedy.
    """
    study = join_universe(study, location)
    if study.models:
        # imported here: a study without models needs nothing of MLflow's
        from whatif.tracking import with_registered

        study = with_registered(study, location)
    if study.rank == "pooled":
        check_poolable(study.objective)
    if study.split.ranks_paths:
        check_stitchable(study.objective)
    strategy = find_named(study)
    timeline = resolve_timeline(study)
    _check_halving(study, timeline)
    space = Space(study, strategy)
    _check_portfolio(study, strategy)
    _check_inputs(study, strategy, space)
    check_features(study)  # of a study without models too, which would leave them unread
    # a model is part of a configuration's identity with its features, whose source the lake decides
    points = tuple(space.points())
    grid = make_grid(space, points, lambda name, timeframe: {"model": name, "timeframe": timeframe})
    for execution, overlays in dict.fromkeys((c.execution, c.overlays) for c in grid.configurations):
        check_execution(strategy, execution, overlays)
    _check_overlays(study, strategy, grid, timeline)
    _check_fills(study, strategy, grid)
    _check_warmup(strategy, grid)
    timeframes = tuple(dict.fromkeys(setting.timeframe for setting in space.settings))
    _check_places(study, strategy, timeframes)
    if study.models:
        _check_features(study, timeline, timeframes)
    engine, reason = _choose_engine(study, strategy, grid, runs)
    return Checked(
        study=study,
        engine=engine,
        not_compiled=reason,
        strategy=strategy,
        portable=to_portable(strategy),
        timeline=timeline,
        periods=_periods(study, timeline),
        timeframes=timeframes,
        space=space,
        points=points,
        grid=None if study.models else grid,
    )


def _choose_engine(study: Study, strategy: AnyStrategy, grid: Grid, prepares: bool) -> tuple[str, str]:
    """Return the engine that runs a study, and why it is not one before it if the study leaves the choice.

    Where it `prepares`, kernels are made here, so that what cannot be is known before any task starts.

    Raises
    ------
    EngineError
        If the study asks for an engine that does not cover it.
    """
    kinds = kinds_of(grid, study.members is not None)
    engine, reason = choose_engine(study.engine, strategy, is_shared(study), kinds, prepares)
    return engine.name, reason


def is_shared(study: Study) -> bool:
    """Return whether several symbols share an account."""
    return study.portfolio == "shared" and len(study.data.symbols) > 1


def kinds_of(grid: Grid, members: bool) -> Iterator[RunInputs]:
    """Yield one configuration of each kind that an engine has to make something ready for.

    With `members`, bars will say on which of them a symbol may be traded.
    """
    seen: set[tuple[object, ...]] = set()
    for configuration in grid.configurations:
        texts = tuple(value for value in configuration.params.values() if isinstance(value, str))
        overlays, execution = configuration.overlays, configuration.execution
        charged = execution.costs is not None, execution.special
        kind = (overlays.is_on, overlays.exit_orders, charged, texts)
        if kind not in seen:
            seen.add(kind)
            yield RunInputs(configuration.params, configuration.execution, configuration.overlays, members)


def find_named(study: Study) -> AnyStrategy:
    """Return the strategy that the study names; a file is looked for beside the study, then here."""
    name, folder = study.strategy.name, study.folder
    file = strategy_file(name)
    if folder is not None and file and regular_file(folder / file, "strategy file", StrategyError):
        return find_strategy(name, folder)
    return find_strategy(name, Path())


def _check_halving(study: Study, timeline: Timeline) -> None:
    """Refuse to drop points on the way where there is no way, or each fold has its own."""
    if study.search.halving is None:
        return
    if len(timeline.ranked) < 2:
        raise StudyError(
            f"search.halving drops what is bad on the first windows that rank, and split.kind = "
            f"{study.split.kind!r} has one: take walk_forward or cpcv, or leave it out"
        )
    if study.search.learns and timeline.joins_tests:
        raise StudyError(
            f"search.halving runs the same points in one fold after the other, and with split.kind = "
            f"{study.split.kind!r} each fold of a search that learns ({study.search.kind!r}) has its own: "
            "take a search that does not, such as random, or cpcv, or leave it out"
        )


MIN_RETURNS = 2
"""Periods without which a ratio of mean and deviation has no value."""

PREDICTED = {"forecast": False, "prob_long": True, "prob_short": True}
"""Inputs that models give, and whether they are those that learn classes."""


def _check_portfolio(study: Study, strategy: AnyStrategy) -> None:
    """Refuse accounts of their own for symbols that a step decides on together, and a universe of a class."""
    if study.members is not None and not isinstance(strategy, StrategySpec):
        raise StudyError(
            f"data.universe says when symbols may be traded, and {strategy.name}, an ordinary Backtrader "
            "strategy, handles its own orders: leave it out, or write it as a step function"
        )
    if study.portfolio != "shared" and isinstance(strategy, StrategySpec) and strategy.cross_sectional:
        raise StudyError(
            f"portfolio: {study.portfolio} gives each symbol an account of its own, and {strategy.name} is a "
            "cross-sectional step, which decides on all symbols of one account: write portfolio: shared"
        )


def _check_overlays(study: Study, strategy: AnyStrategy, grid: Grid, timeline: Timeline) -> None:
    """Refuse overlays that cannot act, before each backtest fails of them."""
    given = next((c.overlays for c in grid.configurations if c.overlays.is_on), None)
    if given is not None and not isinstance(strategy, StrategySpec):
        raise StudyError(
            f"overlays {', '.join(given.active)} cannot be laid over {strategy.name}, an ordinary Backtrader "
            "strategy, which handles its own orders: leave them out, or write it as a step function"
        )
    others = next((c.overlays.by_symbol for c in grid.configurations if c.overlays.by_symbol), None)
    if others is not None and isinstance(strategy, StrategySpec) and strategy.cross_sectional:
        raise StudyError(
            f"overlays {', '.join(others)} cannot be laid over {strategy.name}, a cross-sectional "
            "step, which answers for all symbols at once: leave them out"
        )
    laid_over = dict.fromkeys((c.timeframe, c.overlays) for c in grid.configurations if c.overlays.is_on)
    shared = study.portfolio == "shared" and shares_account(strategy, len(study.data.symbols) > 1)
    for timeframe, overlays in laid_over:
        check_bounds(strategy, overlays, shared)
        check_flat_by_schedule(timeline.schedule, timeframe_us(timeframe), overlays)


def _check_fills(study: Study, strategy: AnyStrategy, grid: Grid) -> None:
    """Refuse finer bars on which no order could be tried."""
    shared = study.portfolio == "shared" and shares_account(strategy, len(study.data.symbols) > 1)
    for timeframe, execution in dict.fromkeys((c.timeframe, c.execution) for c in grid.configurations):
        fills = execution.fill_timeframe
        if not fills:
            continue
        check_fill_timeframe(strategy, execution, shared)
        length, longer = timeframe_us(fills), timeframe_us(timeframe)
        if length >= longer or longer % length:
            raise StudyError(
                f"execution: fill_timeframe = {fills!r} is to divide timeframe {timeframe!r} of the study, "
                "and be shorter: orders are tried on the bars inside those that the step decides on"
            )


def _check_inputs(study: Study, strategy: AnyStrategy, space: Space) -> None:
    if strategy.needs.news:
        raise StrategyError(
            f"strategy {study.strategy.name!r} has the input {min(strategy.needs.news)}, and news are for "
            "models: name it in features, and let the strategy trade what a model makes of it"
        )
    wanted = strategy.external_inputs()
    unknown = sorted(wanted - set(PREDICTED))
    if unknown:
        raise StrategyError(
            f"strategy {study.strategy.name!r} needs input {unknown[0]!r}, which a study cannot give it: "
            f"{nearest(unknown[0], [*PREDICTED, *TIME_SERIES])} or an indicator expression"
        )
    traded = {setting.model for setting in space.settings}
    if wanted and None in traded:
        declared, named = ", ".join(study.models) or "none", sorted(wanted)[0]
        raise StudyError(
            f"strategy {study.strategy.name!r} trades a model's {named}, and the study does not say which "
            f"(models: {declared}): declare models and add the axis model"
        )
    for name in sorted(name for name in traded if name is not None):
        _check_gives(study, name, wanted)


def _check_gives(study: Study, name: str, wanted: Collection[str]) -> None:
    """Refuse a model that does not give what the strategy trades."""
    assert study.label is not None  # models need one
    target = target_of(name, study.models[name], study.label)
    missing = sorted(one for one in wanted if PREDICTED[one] != (target == "class"))
    if missing:
        given = " and ".join(
            one for one, of_classes in PREDICTED.items() if of_classes == (target == "class")
        )
        other = "class" if PREDICTED[missing[0]] else "return"
        raise StudyError(
            f"strategy {study.strategy.name!r} needs input {missing[0]!r}, and model {name!r} learns target "
            f"{target!r}, which gives {given}: take a model and a label with target: {other}"
        )


def _check_places(study: Study, strategy: AnyStrategy, timeframes: Iterable[str]) -> None:
    """Refuse longer bars that are not longer than those of the study, or no multiple."""
    named = {f"strategy {study.strategy.name!r}": strategy.needs, "features": features_needs(study)}
    for (where, needs), timeframe in product(named.items(), timeframes):
        for place in sorted(needs.places):
            try:
                check_place(place, timeframe_us(timeframe))
            except IndicatorError as error:
                raise IndicatorError(f"{where}: {error}") from error


def _check_features(study: Study, timeline: Timeline, timeframes: Iterable[str]) -> None:
    if not all(fold.train for fold in timeline.every):
        raise StudyError("split.train leaves no bar to train the models on: give it a share above 0")
    for name, kind in study.models.items():
        assert study.label is not None  # models need one
        target_of(name, kind, study.label)
    for timeframe in timeframes:
        feature_spec(study, bar_slice(study, timeline, timeframe, timeframe), timeline)
        _check_labels(study, timeline, timeframe)


def _check_labels(study: Study, timeline: Timeline, timeframe: str) -> None:
    """Refuse a train window in which no bar could have its label."""
    reach = label_reach(study, timeline.schedule, timeframe)
    needed, daily = reach.us + timeframe_us(timeframe), timeframe_us(timeframe) == DAY_US
    if study.calendar.hours != "regular" and not reach.sessions:
        return
    for windows in (*(fold.train for fold in timeline.every), *_tuned_on(study, timeline, timeframe)):
        if reach.sessions:
            _check_sessions(timeline, windows, reach.sessions)
            continue
        longest = max((_longest_stretch(timeline, window) for window in windows), default=0)
        if longest < needed and not daily:
            raise StudyError(
                f"split: no bar of {windows[0]} can have a label, which is known {needed // MINUTE_US} "
                f"minutes after its bar begins: no session inside lasts longer than {longest // MINUTE_US}; "
                "lengthen the window or shorten label.horizon"
            )


def _check_sessions(timeline: Timeline, windows: Sequence[Window], beyond: int) -> None:
    """Refuse windows none of which holds as many sessions as a label reaches into."""
    most = max(len(timeline.schedule.between(one.start_us, one.end_us)) for one in windows)
    if most <= beyond:
        raise StudyError(
            f"split: no bar of {windows[0]} can have a label, which reaches {beyond} sessions ahead: the "
            f"window has {most}; lengthen it or shorten label.horizon"
        )


def _tuned_on(study: Study, timeline: Timeline, timeframe: str) -> Iterator[tuple[Window, ...]]:
    """Yield the windows inside of train windows that models learn from, and look at."""
    folds = sorted({count for model in study.models.values() for count in model.folds})
    for fold in timeline.every:
        for count in folds:
            for chain in forward_chains(timeline.schedule, fold.train, count, timeframe_us(timeframe)):
                yield chain.train
                yield chain.validate


def _longest_stretch(timeline: Timeline, window: Window) -> int:
    """Return the longest part of one session that lies in a window, microseconds."""
    inside = timeline.schedule.between(window.start_us, window.end_us)
    parts = np.minimum(inside.close_us, window.end_us) - np.maximum(inside.open_us, window.start_us)
    return int(parts.max(initial=0))


def bar_slice(study: Study, timeline: Timeline, source_timeframe: str, timeframe: str) -> BarSlice:
    """Return the study's slice at `timeframe`, made of bars of `source_timeframe`."""
    return BarSlice(
        symbols=study.data.symbols,
        source_timeframe=source_timeframe,
        timeframe=timeframe,
        exchange=study.calendar.exchange,
        hours=study.calendar.hours,
        start_us=timeline.start_us,
        end_us=timeline.end_us,
    )


def _periods(study: Study, timeline: Timeline) -> dict[str, Periods]:
    bar_us = timeframe_us(study.data.timeframe)

    def of(window: Window, kind: str) -> Periods:
        sessions = timeline.schedule.between(window.start_us, window.end_us)
        return make_periods(kind, sessions, window.start_us, window.end_us, bar_us)

    kind: str = study.period
    if kind == "auto":
        kind = _longest_period(timeline, bar_us)
    periods = {window.name: of(window, kind) for window in timeline.backtested}
    _check_periods(study, timeline, periods)
    return periods


def _check_periods(study: Study, timeline: Timeline, periods: Mapping[str, Periods]) -> None:
    """Refuse a window on which the objective has no value, whatever is traded."""
    if study.objective not in ("sharpe", "sortino") or timeline.ranks_paths:
        return
    for window in timeline.ranked:
        count = len(periods[window.name])
        if count < MIN_RETURNS:
            raise StudyError(
                f"objective {study.objective!r} needs {MIN_RETURNS} periods and {window} has {count} "
                f"({periods[window.name].kind}): lengthen the window, or choose a shorter period"
            )


def _longest_period(timeline: Timeline, bar_us: int) -> str:
    """Return the longest period that leaves enough of them in whatever is ranked on its own."""
    spans = [(window.start_us, window.end_us) for window in timeline.ranked]
    if timeline.ranks_paths:  # ranked on all of its windows, joined
        spans = [(min(start for start, _ in spans), max(end for _, end in spans))]
    kinds = [choose_period(timeline.schedule.between(*span), *span, bar_us) for span in spans]
    return max(kinds, key=("session", "hour", "bar").index)


def _check_warmup(strategy: AnyStrategy, grid: Grid) -> None:
    """Ask an ordinary Backtrader strategy for its `warmup`, with each configuration's parameters."""
    if isinstance(strategy, BacktraderSpec):
        for configuration in grid.configurations:
            strategy.warmup(configuration.params)
