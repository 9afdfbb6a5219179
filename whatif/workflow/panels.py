"""Returns of many configurations as a matrix, and those of holding what they trade.

Starts no JVM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from whatif.domain.metrics import period_rows
from whatif.lake.results import RETURNS
from whatif.pins import LakeLocation
from whatif.runner.load import load_bars
from whatif.runner.plan import Plan
from whatif.search.configuration import Configuration
from whatif.splits import Window
from whatif.stats.benchmark import Holding
from whatif.typing import FloatArray
from whatif.workflow.pending import slot
from whatif.workflow.resolve import Resolved
from whatif.workflow.stored import stream_rows

Key = tuple[str, str]
"""config_id, and symbol or symbols joined by "+"."""


def returns_panel(
    location: LakeLocation, resolved: Resolved, window: Window, wanted: Sequence[Key]
) -> tuple[FloatArray, list[Key]]:
    """Return the stored returns of some rows of the ranking on a window.

    Returns
    -------
    float64 array (periods, found)
        A column each in the order of `wanted`; the mean over symbols where these are pooled.
    list of (str, str)
        Those found: a large study does not keep all returns, and a failed backtest has none.
    """
    periods = len(resolved.periods[window.name])
    parts = ["+".join(group) for group in resolved.portfolios] if resolved.pooled else []
    column = {key: k for k, key in enumerate(dict.fromkeys(wanted))}
    places = (
        {(config_id, part): k for (config_id, _), k in column.items() for part in parts} if parts else column
    )
    # a row for each configuration: each is written whole
    sums, found = np.zeros((len(column), periods)), np.zeros(len(column), dtype=np.int64)
    ids = list(dict.fromkeys(config_id for config_id, _ in column))
    columns = ["config_id", "symbol", "returns"]
    for batch in stream_rows(location, RETURNS, columns, slot(resolved, window).matches(ids)):
        _add(batch, places, sums, found)
    shares = len(parts) or 1
    whole = found == shares
    keys = [key for key, k in column.items() if whole[k]]
    if not whole.all():
        sums = sums[whole]
    # these may be hundreds of megabytes: as few copies as can be
    panel = np.ascontiguousarray(sums.T)
    panel /= shares
    return panel, keys


def _add(batch: pa.RecordBatch, places: Mapping[Key, int], sums: FloatArray, found: np.ndarray) -> None:
    table = pa.Table.from_batches([batch]).combine_chunks()
    names = zip(table["config_id"].to_pylist(), table["symbol"].to_pylist(), strict=True)
    returns = table["returns"]
    for row, key in enumerate(names):
        place = places.get(key)
        values = None if place is None else returns[row].values
        if place is None or values is None:
            continue
        series = values.to_numpy(zero_copy_only=False).astype(np.float64)
        if len(series) == sums.shape[1]:
            sums[place] += series
            found[place] += 1


def market_returns(
    plan: Plan, resolved: Resolved, window: Window, configuration: Configuration, symbols: Sequence[str]
) -> FloatArray:
    """Return what holding some symbols with all of the account gives in each period of a window.

    The same market as `whatif.stats.benchmark.buy_and_hold` has, so that a page holds one of it.

    Parameters
    ----------
    plan : Plan
        Where the bars are.
    resolved : Resolved
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
