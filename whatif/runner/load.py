"""What a worker process keeps between work items: pinned bars, arrays, and the strategy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from whatif.domain.bars import Bars
from whatif.domain.resample import resample
from whatif.errors import RunError
from whatif.pins import PinnedCache, read_bars, read_predictions
from whatif.runner.arrays import ArrayStore
from whatif.runner.plan import ModelPin, Plan
from whatif.search.configuration import Configuration
from whatif.search.window import Window
from whatif.strategies import AnyStrategy, PortableStrategy, from_portable

_rows: PinnedCache | None = None
_arrays: ArrayStore | None = None


def load_bars(plan: Plan, symbol: str, window: str, configuration: Configuration) -> Bars:
    """Return the pinned bars of `symbol` up to the window's end, with the predictions as input `forecast`.

    Nothing after the window is read. The same arrays are returned while they are in the
    process's cache, and must not be written to.

    Raises
    ------
    RunError
        If the pin holds no bar of the symbol in the window.
    """
    interval = plan.windows[window].window
    model = model_of(plan, configuration)
    key = (plan.bars, plan.slices[configuration.timeframe], symbol, interval, model)
    return _row_cache(plan).get(key, lambda: _read(plan, symbol, interval, configuration.timeframe, model))


def _read(plan: Plan, symbol: str, window: Window, timeframe: str, model: ModelPin | None) -> Bars:
    part = plan.slices[timeframe]
    bars = read_bars(plan.bars, symbol, part.source_timeframe, part.start_us, window.end_us, part.hours)
    if part.resampled:
        bars = resample(bars, part.bar_us, part.source_us)
    first, stop = window.rows(bars, part.bar_us)
    if first == stop:
        raise RunError(
            f"{symbol} has no {timeframe} bar in {window} of the pinned snapshot {plan.bars.snapshot_id}: "
            "ingest bars for that time, or choose another slice"
        )
    bars = bars.slice(0, stop)
    return bars if model is None else bars.with_inputs({"forecast": _forecast(bars, model)})


def _forecast(bars: Bars, model: ModelPin) -> np.ndarray:
    """Predicted returns on the bars' own time; NaN where the model has none."""
    ts, values = read_predictions(
        model.pin, model.model_digest, bars.symbol, int(bars.ts[0]), int(bars.ts[-1]) + 1
    )
    forecast = np.full(len(bars), np.nan)
    at = np.minimum(np.searchsorted(bars.ts, ts), len(bars) - 1)
    known = bars.ts[at] == ts
    forecast[at[known]] = values[known]
    return forecast / bars.close - 1.0 if model.target == "level" else forecast


def model_of(plan: Plan, configuration: Configuration) -> ModelPin | None:
    """Return where the predictions are that a configuration trades, or None."""
    if configuration.model is None:
        return None
    return plan.models.get((configuration.model, configuration.timeframe, configuration.fold))


@lru_cache(maxsize=8)
def strategy_of(portable: PortableStrategy) -> AnyStrategy:
    """Return the strategy that travelled here."""
    return from_portable(portable)


def _row_cache(plan: Plan) -> PinnedCache:
    global _rows  # one cache for each process is the point
    if _rows is None or _rows.max_bytes != plan.cache_bytes:
        _rows = PinnedCache(plan.cache_bytes)
    return _rows


def array_store(plan: Plan) -> ArrayStore:
    """Return the arrays that this process keeps."""
    global _arrays
    if _arrays is None or _arrays.max_bytes != plan.array_bytes:
        _arrays = ArrayStore(plan.array_bytes)
    return _arrays


def forget() -> None:
    """Let go of all bars and arrays that this process keeps."""
    global _rows, _arrays
    _rows = _arrays = None
