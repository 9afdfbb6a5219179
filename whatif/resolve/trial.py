"""Trial of a study's step on some hundred of its bars, before Spark starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from whatif.domain import DAY_US, Bars, resample
from whatif.engines import (
    MAX_TRIED,
    REFERENCE,
    TRIAL_BARS,
    TRIAL_FAILED,
    BacktestTask,
    outermost,
    try_step,
    with_drawn_inputs,
)
from whatif.errors import RunError, StrategyError
from whatif.pins import read_bars
from whatif.resolve.resolved import Resolved
from whatif.runner import OverLimitError, Signals, can_run_apart, rows_apart, time_limit
from whatif.splits import Window
from whatif.strategies import StrategySpec

_CLOCK_SHARE = 6
"""Time that passes while an exchange is open a sixth of it, and for days that it is closed."""

TRIAL_SECONDS = 60.0
"""What a trial may take, compilation apart, before a few bars are tried instead."""

_FEW_BARS = 10


def try_strategy(resolved: Resolved) -> None:
    """Try a study's step with some configurations on the first bars of the first window that is backtested.

    A bounded slice of the pinned bars is read, by PyIceberg. Overlays are left out: they are not the step's.

    Raises
    ------
    StrategyError, EngineError
        As `whatif.engines.trial.try_step`.
    """
    spec, checked = resolved.strategy, resolved.checked
    configurations = list(resolved.grid.configurations)
    if not isinstance(spec, StrategySpec) or not configurations:
        return
    chosen = [configurations[k] for k in outermost([dict(c.params) for c in configurations])[:MAX_TRIED]]
    window = resolved.timeline.backtested[0]
    for timeframe in dict.fromkeys(configuration.timeframe for configuration in chosen):
        mine = [configuration for configuration in chosen if configuration.timeframe == timeframe]
        warmup = max(spec.warmup(configuration.params) for configuration in mine)
        bars = with_drawn_inputs(spec, _bars(resolved, timeframe, window, warmup))
        if not len(bars) or int(bars.ts[-1]) < window.start_us:
            continue
        tasks = [
            BacktestTask([bars], spec, configuration.params, configuration.execution, start=window.start_us)
            for configuration in mine
        ]
        # what is laid over a step has a kernel of its own
        overlaid = any(configuration.overlays.is_on for configuration in mine)
        try_within(tasks, REFERENCE.name if overlaid else checked.engine)


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


def _ended(tasks: Sequence[BacktestTask], engine: str, seconds: float) -> bool:
    """Whether a trial came to its end in time."""

    def make(_: int, signals: Signals) -> Iterator[dict[str, Any]]:
        signals.began()
        ended = True
        try:
            with time_limit(seconds, signals.busy):
                try_step(tasks, engine)
        except OverLimitError:
            ended = False
        yield {"ended": ended}

    try:
        (row,) = rows_apart(1, make, lambda *_: {"ended": False}, seconds)
    except RunError as error:
        raise StrategyError(
            f"{TRIAL_FAILED}: strategy {tasks[0].strategy.name} ends its own process, or needs more memory "
            f"than there is: {error}"
        ) from error
    return bool(row["ended"])


def _of_few_bars(task: BacktestTask) -> BacktestTask:
    """Return a task on the first bars of its window."""
    (bars,) = task.bars
    first, stop = task.rows(bars)
    return replace(task, bars=[bars.slice(0, min(stop, first + _FEW_BARS))])


def _bars(resolved: Resolved, timeframe: str, window: Window, warmup: int) -> Bars:
    """Return the first bars of a window, and about as many before it as the inputs need."""
    part = resolved.slices[timeframe]
    before = warmup * part.bar_us * _CLOCK_SHARE + 7 * DAY_US
    after = TRIAL_BARS * part.bar_us * _CLOCK_SHARE + 7 * DAY_US
    start = max(part.start_us, window.start_us - before)
    end = min(window.end_us, window.start_us + after)
    symbol = resolved.study.data.symbols[0]
    bars = read_bars(resolved.bars, symbol, part.source_timeframe, start, end, part.hours)
    if part.resampled and len(bars):
        bars = resample(bars, part.bar_us, part.source_us)
    return bars.slice(0, int(np.searchsorted(bars.ts, window.start_us)) + TRIAL_BARS)
