"""Returns of holding what a study trades. Starts no JVM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from whatif.domain import period_rows
from whatif.results import ResolvedStudy
from whatif.runner import Plan, load_bars
from whatif.search import Configuration
from whatif.splits import Window
from whatif.stats import Holding
from whatif.typing import FloatArray


def market_returns(
    plan: Plan, resolved: ResolvedStudy, window: Window, configuration: Configuration, symbols: Sequence[str]
) -> FloatArray:
    """Return what holding some symbols with all of the account gives in each period of a window.

    The same market as `whatif.stats.benchmark.buy_and_hold` has, so that a page holds one of it.

    Parameters
    ----------
    plan : Plan
        Where the bars are.
    resolved : ResolvedStudy
        The study.
    window : Window
        The window.
    configuration : Configuration
        Its timeframe says which bars, its execution what the one purchase costs.
    symbols : sequence of str
        Held in equal shares: bought once in a shared portfolio; of separate accounts that are pooled,
        made equal again after each period, as their returns are.

    Returns
    -------
    float64 array (periods,)
        Simple returns, the first from the cash before the purchase; 0 where a symbol has no bar yet.
    """
    periods = resolved.periods[window.name]
    bar_us = resolved.slices[configuration.timeframe].bar_us
    plain = replace(configuration, model=None)  # bars alone, no predictions
    held = np.empty((len(symbols), len(periods)))
    for k, symbol in enumerate(symbols):
        bars = load_bars(plan, symbol, window.name, plain)
        first, _ = window.rows(bars, bar_us)
        ends = period_rows(bars.ts[first:], periods)
        opened, high = float(bars.open[first]), float(bars.high[first])
        close = bars.close[first:]
        held[k] = Holding(opened, high, close, ends, configuration.execution, periods).at(1.0).returns
    if resolved.study.portfolio != "shared":
        return np.asarray(held.mean(axis=0))
    levels = np.cumprod(np.column_stack([np.ones(len(symbols)), 1.0 + held]), axis=1).mean(axis=0)
    return np.asarray(levels[1:] / levels[:-1] - 1.0)
