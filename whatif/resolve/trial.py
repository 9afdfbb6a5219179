"""Trial of a study's step on some hundred of its bars, before Spark starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from whatif.domain import DAY_US, Bars, Execution
from whatif.engines import REFERENCE, BacktestTask, differences, get_engine, load_all, make_ready
from whatif.errors import EngineError, LookAheadError, RunError, StrategyError
from whatif.indicators import Stored, with_needs
from whatif.pins import read_bars
from whatif.resolve.check import is_shared, kinds_of
from whatif.resolve.resolved import Resolved
from whatif.runner import OverLimitError, Signals, can_run_apart, done_ahead, rows_apart, time_limit
from whatif.search import Configuration
from whatif.splits import Window
from whatif.strategies import StrategySpec
from whatif.typing import FloatArray

TRIAL_BARS = 300
"""Bars that a step is tried on."""

MAX_TRIED = 6
"""Configurations that a step is tried with."""


TRIAL_FAILED = f"the step was tried on up to {TRIAL_BARS} bars before the run, and fails"

_CLOCK_SHARE = 6
"""Time that passes while an exchange is open a sixth of it, and for days that it is closed."""

TRIAL_SECONDS = 60.0
"""What a trial may take, compilation apart, before a few bars are tried instead."""

_FEW_BARS = 10


def try_strategy(resolved: Resolved) -> None:
    """Try a study's step with some configurations on the first bars of the first window that is backtested.

    A bounded slice of the pinned bars is read, by PyIceberg. Overlays and finer bars are left out: they are
    not the step's.

    Raises
    ------
    StrategyError, EngineError
        As `try_step`.
    """
    spec, checked = resolved.strategy, resolved.checked
    configurations = list(resolved.grid.configurations)
    if not isinstance(spec, StrategySpec) or not configurations:
        return
    # known to compile, it may not be in the process yet whose children would each do it
    kinds = list(kinds_of(resolved.grid, resolved.study.members is not None))
    ready = partial(make_ready, get_engine(checked.engine), spec, is_shared(resolved.study), kinds)
    if not done_ahead(ready):
        load_all()
        ready()
    chosen = [configurations[k] for k in outermost([dict(c.params) for c in configurations])[:MAX_TRIED]]
    window = resolved.timeline.backtested[0]
    for timeframe in dict.fromkeys(configuration.timeframe for configuration in chosen):
        mine = [configuration for configuration in chosen if configuration.timeframe == timeframe]
        bar_us = resolved.slices[timeframe].bar_us
        history = max(spec.history_us(configuration.params, bar_us) for configuration in mine)
        symbols = resolved.study.data.symbols
        if not spec.cross_sectional:
            # of an account, some may have no bars in the window
            symbols = tuple(one for one in symbols if resolved.window_bars[one, window.name])[:1]
        read = [
            with_drawn_inputs(spec, _bars(resolved, symbol, timeframe, window, history)) for symbol in symbols
        ]
        if not any(len(bars) and int(bars.ts[-1]) >= window.start_us for bars in read):
            continue
        tasks = [
            BacktestTask(read, spec, configuration.params, _on_its_bars(configuration), start=window.start_us)
            for configuration in mine
        ]
        # what is laid over a step, a universe too, has a kernel of its own
        overlaid = any(configuration.overlays.is_on for configuration in mine)
        overlaid = overlaid or resolved.study.members is not None
        try_within(tasks, REFERENCE.name if overlaid else checked.engine)


def _on_its_bars(configuration: Configuration) -> Execution:
    return replace(configuration.execution, fill_timeframe="")


def try_within(tasks: Sequence[BacktestTask], engine: str, seconds: float = TRIAL_SECONDS) -> None:
    """Try a step as `try_step` does, in a process that is ended when the step runs on and on.

    A step that is only slow, as one may be in Python that is fast in machine code, passes with a few bars.

    Raises
    ------
    StrategyError
        If even those take longer than `seconds`; and as `try_step`.
    """
    if not can_run_apart():
        try_step(tasks, engine)
        return
    if not _ended(tasks, engine, seconds) and not _ended([_of_few_bars(tasks[0])], engine, seconds):
        raise StrategyError(
            f"{TRIAL_FAILED}: strategy {tasks[0].strategy.name} takes longer than {seconds:g} s for "
            f"{_FEW_BARS} bars: look for a loop in it that never ends, or that goes over all bars at each "
            "of them"
        )


def try_step(tasks: Sequence[BacktestTask], engine: str) -> list[str]:
    """Run a step with each of some configurations on some hundred bars, and return what failed of it.

    In Python by Backtrader's broker, and by the engine that is to run it: both have to come to the same
    bytes.

    Parameters
    ----------
    tasks : sequence of BacktestTask
        One for each configuration, on the first `TRIAL_BARS` bars of a window.
    engine : str
        Name of the engine that will run it.

    Returns
    -------
    list of str
        What the step raised with some of the configurations.

    Raises
    ------
    LookAheadError
        If it looks ahead with one of them.
    StrategyError
        If it raises with all of them, answers with what is no intent, or is not the same on
        that engine.
    """
    failed: list[str] = []
    for task in tasks:
        try:
            _compare(task, engine)
        except LookAheadError as error:
            raise LookAheadError(f"{TRIAL_FAILED}: {error}") from error
        except EngineError as error:
            failed.append(str(error))
            if _is_no_intent(error) or len(failed) == len(tasks):
                raise StrategyError(f"{TRIAL_FAILED}: {error}") from error
    return failed


def _is_no_intent(error: EngineError) -> bool:
    return "must return an intent" in str(error) or "returned the intent" in str(error)


def _compare(task: BacktestTask, engine: str) -> None:
    plain = REFERENCE.checked_run(task)
    chosen = get_engine(engine)
    if chosen.is_reference:
        return
    found = differences(plain, chosen.checked_run(task))
    if found:
        shown = ", ".join(f"{name}={value}" for name, value in task.params.items())
        raise StrategyError(
            f"strategy {task.strategy.name} with {shown or 'no parameters'}: its step is not the same on "
            f"engine {engine} as in Python ({found[0]}): set engine: backtrader, which runs it in Python, "
            "and please report the step"
        )


def _ended(tasks: Sequence[BacktestTask], engine: str, seconds: float) -> bool:
    """Whether a trial came to its end in time."""
    make = partial(_trial, tasks, engine, seconds)
    try:
        (row,) = rows_apart(1, make, lambda *_: {"ended": False}, seconds)
    except RunError as error:
        raise StrategyError(
            f"{TRIAL_FAILED}: strategy {tasks[0].strategy.name} ends its own process, or needs more memory "
            f"than there is: {error}"
        ) from error
    return bool(row["ended"])


def _trial(
    tasks: Sequence[BacktestTask], engine: str, seconds: float, _: int, signals: Signals
) -> Iterator[dict[str, Any]]:
    """Try a step in a process of its own, and yield whether that came to its end in time."""
    signals.began()
    ended = True
    try:
        with time_limit(seconds, signals.busy):
            try_step(tasks, engine)
    except OverLimitError:
        ended = False
    yield {"ended": ended}


def _of_few_bars(task: BacktestTask) -> BacktestTask:
    """Return a task on the first bars of its window."""
    ranges = [task.rows(bars) for bars in task.bars]
    few = [
        bars.slice(0, min(stop, first + _FEW_BARS))
        for bars, (first, stop) in zip(task.bars, ranges, strict=True)
    ]
    return replace(task, bars=few)


def _bars(resolved: Resolved, symbol: str, timeframe: str, window: Window, history_us: int) -> Bars:
    """Return a symbol's first bars of a window, and about as much time before it as the inputs need."""
    part = resolved.slices[timeframe]
    before = history_us * _CLOCK_SHARE + 7 * DAY_US
    after = TRIAL_BARS * part.bar_us * _CLOCK_SHARE + 7 * DAY_US
    start = max(part.start_us, window.start_us - before)
    end = min(window.end_us, window.start_us + after)

    def stored(name: str) -> Stored:
        source = read_bars(resolved.bars, name, part.source_timeframe, start, end, part.hours)
        return Stored(source, part.source_us, part.bar_us)

    own = stored(symbol)
    needs, among = resolved.strategy.needs, part.symbols
    bars = with_needs(own.at(part.timeframe)[0], needs, own, part.exchange, stored, among=among)
    return bars.slice(0, int(np.searchsorted(bars.ts, window.start_us)) + TRIAL_BARS)


def with_drawn_inputs(spec: StrategySpec, bars: Bars) -> Bars:
    """Return bars with what a step needs from models, which there are none of yet, drawn."""
    missing = sorted(spec.external_inputs() - set(bars.inputs))
    rng = np.random.default_rng(0)
    return bars.with_inputs({name: _drawn(rng, name, len(bars)) for name in missing})


def _drawn(rng: np.random.Generator, name: str, count: int) -> FloatArray:
    return rng.uniform(0.0, 0.5, count) if name.startswith("prob_") else rng.normal(0.0, 0.002, count)


def outermost(params: Sequence[Mapping[str, object]]) -> list[int]:
    """Return which of many parameters differ most: the first, the last, and each one's least and greatest."""
    chosen = {0, len(params) - 1}
    for name in params[0]:
        values: list[Any] = [given[name] for given in params]
        if len(set(values)) > 1:
            chosen |= {values.index(min(values)), values.index(max(values))}
    return sorted(chosen)
