"""The trial of a study's step on some hundred of its bars, before Spark starts."""

from __future__ import annotations

import numpy as np

from whatif.domain.bars import Bars
from whatif.domain.resample import resample
from whatif.domain.timeframe import DAY_US
from whatif.engines import BacktestTask
from whatif.engines.trial import MOST_TRIED, TRIAL_BARS, outermost, try_step, with_drawn_inputs
from whatif.pins import read_bars
from whatif.search.window import Window
from whatif.strategies import StrategySpec
from whatif.workflow.resolve import Resolved

_CLOCK_SHARE = 6
"""Time that passes while an exchange is open a sixth of it, and for days that it is closed."""


def try_strategy(resolved: Resolved) -> None:
    """Try a study's step with some configurations on the first bars of the first window that is backtested.

    A bounded slice of the pinned bars is read, by PyIceberg. Overlays are left out: they are not the step's.

    Raises
    ------
    StrategyError, EngineError
        As `whatif.engines.trial.try_step`.
    """
    spec, checked = resolved.strategy, resolved.checked
    if not isinstance(spec, StrategySpec):
        return
    configurations = list(resolved.grid.configurations)
    chosen = [configurations[k] for k in outermost([dict(c.params) for c in configurations])[:MOST_TRIED]]
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
        try_step(tasks, "backtrader" if overlaid else checked.engine)


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
