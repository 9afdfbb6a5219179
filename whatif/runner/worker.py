"""The worker: work items in, result rows out. Knows neither Spark nor MLflow."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain.bars import Bars
from whatif.domain.frames import timestamps
from whatif.domain.metrics import compute_metrics, period_returns
from whatif.domain.resample import resample
from whatif.domain.rows import EQUITY_ARRAYS, METRIC_COLUMNS, TRADE_ARRAYS, WORKER_COLUMNS
from whatif.domain.run import EngineRun
from whatif.engines import BacktestTask, run_engine
from whatif.errors import RunError, WhatIfError
from whatif.pins import PinnedCache, read_bars, read_predictions
from whatif.runner.arrays import ArrayStore
from whatif.runner.plan import ModelPin, Plan, WorkItem
from whatif.search.grid import Configuration
from whatif.search.windows import Window
from whatif.stats.benchmark import BuyAndHold, buy_and_hold
from whatif.strategies import AnyStrategy, PortableStrategy, from_portable

LOG = logging.getLogger("whatif.worker")

FRAME_ROWS = 100
FRAME_NUMBERS = 500_000
"""A worker sends what it has as soon as it holds so many rows, or so many numbers in their series."""

_rows: PinnedCache | None = None
_arrays: ArrayStore | None = None


def evaluate(plan: Plan, frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Run the work items in `frames` and yield their rows.

    Parameters
    ----------
    plan : Plan
        What all items share.
    frames : iterator of DataFrame
        Column `item`: a work item as JSON.

    Yields
    ------
    DataFrame
        Some rows, columns as in `WORKER_COLUMNS`: exactly one for each backtest. A backtest
        that raises is a row with status "error"; it does not stop the others.
    """
    for frame in frames:
        for text in frame["item"]:
            item = WorkItem.from_json(text)
            name, count = "+".join(item.symbols), len(item.configurations)
            LOG.info("item %s %s: %d configurations", name, item.window, count)
            yield from _frames(_backtest(plan, item, configuration) for configuration in item.configurations)


def _frames(rows: Iterable[dict[str, Any]]) -> Iterator[pd.DataFrame]:
    """Yield rows in frames of a bounded size, so that memory does not grow with a work item."""
    waiting: list[dict[str, Any]] = []
    numbers = 0
    for row in rows:
        waiting.append(row)
        numbers += sum(len(value) for value in row.values() if isinstance(value, (np.ndarray, list)))
        if numbers > FRAME_NUMBERS or len(waiting) >= FRAME_ROWS:
            yield pd.DataFrame(waiting, columns=list(WORKER_COLUMNS))
            waiting, numbers = [], 0
    if waiting:
        yield pd.DataFrame(waiting, columns=list(WORKER_COLUMNS))


def _backtest(plan: Plan, item: WorkItem, configuration: Configuration) -> dict[str, Any]:
    started = time.perf_counter()
    row = _identity(plan, item, configuration)
    try:
        row |= _measured(plan, item, configuration)
        row["status"] = "ok"
    except (Exception, SystemExit) as error:  # whatever a user's strategy raises becomes a row
        # not above info, which goes to the user's terminal, a traceback for each configuration
        LOG.info("configuration %s on %s failed", configuration.config_id, row["symbol"], exc_info=True)
        row["status"], row["error"] = "error", describe(error)
    row["wall_seconds"] = time.perf_counter() - started
    row["finished_at"] = datetime.now(UTC)
    return row


def describe(error: BaseException) -> str:
    """Return an error as one text: what whatif says, and what caused it."""
    text = str(error) if isinstance(error, WhatIfError) else f"{type(error).__name__}: {error}"
    cause = error.__cause__
    if cause is not None and str(cause) not in text:
        text += f" (caused by {type(cause).__name__}: {cause})"
    return text


def _identity(plan: Plan, item: WorkItem, configuration: Configuration) -> dict[str, Any]:
    window = plan.windows[item.window]
    row: dict[str, Any] = dict.fromkeys(WORKER_COLUMNS)
    return row | {
        "bars_snapshot": plan.bars.snapshot_id,
        "data_digest": plan.data_digest,
        "config_id": configuration.config_id,
        "symbol": "+".join(item.symbols),
        "window": item.window,
        "window_start": _instant(window.window.start_us),
        "window_end": _instant(window.window.end_us),
        "study": plan.study,
        "strategy": plan.strategy_name,
        "timeframe": configuration.timeframe,
        "model": configuration.model,
        "parameters": json.dumps(dict(configuration.params)),
        "execution": _settings(configuration),
        "period": window.periods.kind,
        "periods_per_year": window.periods.per_year,
        "pins": _pins(plan, configuration),
        "engine": plan.engine,
        "worker": f"{socket.gethostname()}:{os.getpid()}",
        **plan.provenance,
    }


def _settings(configuration: Configuration) -> str:
    """Return costs and switches, and the overlays that are on, as JSON."""
    overlays = configuration.overlays.active
    return json.dumps(asdict(configuration.execution) | ({"overlays": overlays} if overlays else {}))


@lru_cache(maxsize=64)
def _instant(us: int) -> pd.Timestamp:
    return timestamps(np.array([us]))[0]


def _pins(plan: Plan, configuration: Configuration) -> str:
    pins = [asdict(plan.bars)]
    model = _model(plan, configuration)
    if model is not None:
        pins.append({**asdict(model.pin), "model_digest": model.model_digest})
    return json.dumps(pins, sort_keys=True)


def _model(plan: Plan, configuration: Configuration) -> ModelPin | None:
    return plan.models.get((configuration.model, configuration.timeframe)) if configuration.model else None


def _measured(plan: Plan, item: WorkItem, configuration: Configuration) -> dict[str, Any]:
    data = [load_bars(plan, symbol, item.window, configuration) for symbol in item.symbols]
    window = plan.windows[item.window]
    task = BacktestTask(
        bars=data,
        strategy=_strategy(plan.strategy),
        params=configuration.params,
        execution=configuration.execution,
        overlays=configuration.overlays,
        start=window.window.start_us,
        warmup=plan.warmup,
    )
    run = run_engine(task, plan.engine, _array_store(plan))
    measured = measure(run, task, window.periods)
    row: dict[str, Any] = {name: _plain(measured.metrics[name]) for name in METRIC_COLUMNS}
    row |= {
        "benchmark_return_pct": measured.benchmark.return_pct,
        "benchmark_sharpe": measured.benchmark.sharpe,
        "benchmark_max_drawdown_pct": measured.benchmark.max_drawdown_pct,
        "orders_rejected": run.margin_rejected,
        "bars": len(run.ts),
        "engine": run.engine,
        "returns": measured.returns,
    }
    return row | (_series(run, measured.benchmark) if item.keep else {})


@dataclass(frozen=True, eq=False)
class Measured:
    """Metrics of a run, its returns by period, and what holding would have given."""

    metrics: Mapping[str, float | int | bool]
    returns: np.ndarray
    benchmark: BuyAndHold


def measure(run: EngineRun, task: BacktestTask, periods: Any) -> Measured:
    """Return everything that a result row says of a run."""
    benchmark = buy_and_hold(run, task.bars, task.execution, periods)
    returns = period_returns(run.equity, run.ts, periods, task.execution.cash)
    return Measured(compute_metrics(run, task.execution, periods), returns, benchmark)


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
    model = _model(plan, configuration)
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


def _series(run: EngineRun, benchmark: BuyAndHold) -> dict[str, Any]:
    trades = run.trades
    kept = {
        "opened_at": _stamps(run.ts[trades.opened]),
        "closed_at": _stamps(run.ts[trades.closed]),
        "trade_symbol": [run.symbols[k] for k in trades.symbol],
        "size": trades.size,
        "entry_price": trades.entry_price,
        "exit_price": trades.exit_price,
        "pnl": trades.pnl,
        "pnl_net": trades.pnl_net,
    }
    series = {
        "ts": _stamps(run.ts),
        "equity": run.equity,
        "benchmark": benchmark.equity,
        "position": run.position.sum(axis=0),
    }
    return {f"trades_{name}": kept[name] for name in TRADE_ARRAYS} | {
        f"equity_{name}": series[name] for name in EQUITY_ARRAYS
    }


def _stamps(ts: np.ndarray) -> np.ndarray:
    return np.asarray(ts, dtype="datetime64[us]")


def _plain(value: Any) -> Any:
    """Return a metric as Python's own type; NaN stays NaN and becomes null in the table."""
    return value.item() if isinstance(value, np.generic) else value


@lru_cache(maxsize=8)
def _strategy(portable: PortableStrategy) -> AnyStrategy:
    return from_portable(portable)


def _row_cache(plan: Plan) -> PinnedCache:
    global _rows  # one cache for each process is the point
    if _rows is None or _rows.max_bytes != plan.cache_bytes:
        _rows = PinnedCache(plan.cache_bytes)
    return _rows


def _array_store(plan: Plan) -> ArrayStore:
    global _arrays
    if _arrays is None or _arrays.max_bytes != plan.array_bytes:
        _arrays = ArrayStore(plan.array_bytes)
    return _arrays
