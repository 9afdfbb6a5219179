"""The worker: work items in, result rows out. Knows neither Spark nor MLflow."""

from __future__ import annotations

import json
import os
import pickle
import socket
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whatif.axes import MarketChange
from whatif.calendars import utc_instant
from whatif.domain import (
    EQUITY_ARRAYS,
    METRIC_COLUMNS,
    SEMANTICS,
    TRADE_ARRAYS,
    EngineRun,
    Execution,
    Overlays,
    account_metrics,
    worker_columns,
)
from whatif.engines import get_engine, keep_in
from whatif.errors import MachineError, WhatIfError, out_of_memory
from whatif.pins import schema_of
from whatif.results import stopped_for_memory, stopped_for_time, stopped_with_process
from whatif.runner.apart import ALONE, Signals, can_run_apart, rows_apart
from whatif.runner.batches import (
    BATCH_NUMBERS,
    BATCH_ROWS,
    batch_of,
    batch_of_runs,
    batches_of,
    in_order,
    parameters_of,
    parameters_of_many,
)
from whatif.runner.load import expecting, forget
from whatif.runner.plan import Plan, WorkItem
from whatif.runner.sweep import Sweep
from whatif.runner.watch import (
    LOG,
    OverLimitError,
    say_configuration,
    say_item,
    speak_to,
    time_limit,
)
from whatif.search import Configuration
from whatif.startup import freeze_imports, without_collecting
from whatif.stats import BuyAndHold

_FOLDERS_OF_OTHERS = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"))

MAX_TRACEBACKS = 10
"""Failures of a work item that are logged with a traceback; each of them is a row."""


def evaluate(plan: Plan, texts: Iterable[str], attempt: int = 0) -> Iterator[pa.RecordBatch]:
    """Run work items and yield their rows.

    Parameters
    ----------
    plan : Plan
        What all items share.
    texts : iterable of str
        Work items as JSON.
    attempt : int
        How often that was tried before; a worker says more where one has died.

    Yields
    ------
    RecordBatch
        Some rows, columns as in `worker_columns`: exactly one for each backtest. A backtest
        that raises is a row with status "error"; it does not stop the others.

    Raises
    ------
    MachineError
        If what a backtest needs cannot be read. That is no result: the item is to be tried again.
    """
    if plan.home:
        keep_in(plan.home)
    with without_collecting():
        get_engine(plan.engine).load()
        freeze_imports()
    speak_to(plan.log)
    for text in texts:
        item = WorkItem.from_json(text)
        say_item(plan, item, attempt)
        if plan.time_limit > 0 and can_run_apart():
            yield from batches_of(_rows_apart(plan, item, attempt), item.keep)
        elif plan.time_limit > 0 or attempt or item.keep or not get_engine(plan.engine).reuses_windows:
            # each for itself: it may be stopped, is told of, or keeps series
            yield from batches_of(_rows(plan, item, attempt), item.keep)
        else:
            yield from _runs(plan, item)


def _runs(plan: Plan, item: WorkItem) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an item whose engine runs many configurations by one call."""
    sweep = Sweep(plan, item)
    count = max(1, min(BATCH_ROWS, BATCH_NUMBERS // max(1, len(sweep.window.periods))))
    shared, pins = _shared(plan, item), lru_cache(lambda *key: _pins(plan, *key))
    for begin in range(0, len(item.configurations), count):
        started = time.perf_counter()
        some = item.configurations[begin : begin + count]
        found = sweep.measure_many(some)
        if found is None:
            yield from batches_of(_rows(plan, replace(item, configurations=some), 0), item.keep)
            continue
        parts, (runs, holdings) = [], found
        good, bad = np.flatnonzero(runs.good), np.flatnonzero(~runs.good)
        if len(good):
            same = shared | {
                "status": "ok",
                "bars": runs.bars,
                "wall_seconds": (time.perf_counter() - started) / len(some),
                "finished_at": datetime.now(UTC),
            }
            parts.append((good, batch_of_runs(same, _identities(plan, some, pins), runs, holdings, good)))
        if len(bad):
            failed = replace(item, configurations=tuple(some[k] for k in bad))
            parts.append((bad, batch_of(list(_rows(plan, failed, 0)), worker_columns(item.keep))))
        yield in_order(parts)


def _identities(plan: Plan, some: Sequence[Configuration], pins: Callable[..., str]) -> dict[str, list[Any]]:
    """Return what tells configurations apart as columns of `_identity`, made once for what many share."""
    accounts: dict[tuple[int, ...], tuple[str, str]] = {}
    told = []
    for one in some:
        # objects of an item, which holds few of them
        key = id(one.execution), id(one.overlays), id(one.market)
        if key not in accounts:
            accounts[key] = _semantics(plan, one), _settings(one.execution, one.overlays, one.market)
        told.append(accounts[key])
    return {
        "semantics": [semantics for semantics, _ in told],
        "config_id": [one.config_id for one in some],
        "timeframe": [one.timeframe for one in some],
        "model": [one.model for one in some],
        "parameters": parameters_of_many([one.params for one in some]),
        "execution": [execution for _, execution in told],
        "pins": [pins(one.model, one.timeframe, one.fold) for one in some],
    }


def _rows_apart(plan: Plan, item: WorkItem, attempt: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of an item, made in a process that is ended when a backtest runs on and on."""

    def make(first: int, signals: Signals) -> Iterator[dict[str, Any]]:
        yield from _rows(plan, replace(item, configurations=item.configurations[first:]), attempt, signals)

    def stopped(place: int, seconds: float) -> dict[str, Any]:
        configuration = item.configurations[place]
        LOG.info("config_id %s on %s was ended with its process", configuration.config_id, item.symbols)
        return _dead(plan, item, configuration, stopped_for_time(plan.time_limit), seconds)

    worker = _worker()
    for row in rows_apart(len(item.configurations), make, stopped, plan.time_limit):
        yield row | {"worker": worker}


def rows_of_dead(plan: Plan, item: WorkItem, said: str) -> pa.RecordBatch:
    """Return the rows of an item whose process ended each time that it was tried, as `evaluate` would.

    Parameters
    ----------
    plan, item
        What was run.
    said : str
        What is known of how the process ended.
    """
    error = stopped_with_process(said)
    rows = [_dead(plan, item, configuration, error) for configuration in item.configurations]
    return batch_of(rows, worker_columns(item.keep))


def _dead(
    plan: Plan, item: WorkItem, configuration: Configuration, error: str, seconds: float | None = None
) -> dict[str, Any]:
    """Return the row of a backtest whose process is gone."""
    pins = _pins(plan, configuration.model, configuration.timeframe, configuration.fold)
    return (
        _shared(plan, item)
        | _identity(plan, configuration, pins)
        | {"status": "error", "error": error, "wall_seconds": seconds, "finished_at": datetime.now(UTC)}
    )


def _rows(plan: Plan, item: WorkItem, attempt: int, signals: Signals = ALONE) -> Iterator[dict[str, Any]]:
    shared, pins = _shared(plan, item), lru_cache(lambda *key: _pins(plan, *key))
    sweep: Sweep | None = None
    failures = 0
    for configuration in item.configurations:
        started = time.perf_counter()
        say_configuration(plan, item, configuration, attempt)
        mine = pins(configuration.model, configuration.timeframe, configuration.fold)
        row = shared | _identity(plan, configuration, mine)
        try:
            signals.began()
            with time_limit(plan.time_limit, signals.busy):
                sweep = sweep or Sweep(plan, item)
                row |= _measured(sweep, configuration)
            row["status"] = "ok"
        except MachineError:  # says nothing of the configuration: the item is tried again
            LOG.info("config_id %s on %s: the machine failed", configuration.config_id, row["symbol"])
            raise
        except (Exception, SystemExit, OverLimitError) as error:  # whatever a strategy raises becomes a row
            failures += 1
            traced = failures <= MAX_TRACEBACKS
            LOG.info("config_id %s on %s failed", configuration.config_id, row["symbol"], exc_info=traced)
            row |= {"status": "error", "error": _error(plan, error)}
            if out_of_memory(error) or isinstance(error, OverLimitError):
                # to make room, and since what was being filled may be half full
                sweep = None
                forget()
        row["wall_seconds"] = time.perf_counter() - started
        row["finished_at"] = datetime.now(UTC)
        yield row


def _error(plan: Plan, error: BaseException) -> str:
    if isinstance(error, OverLimitError):
        return stopped_for_time(plan.time_limit)
    return stopped_for_memory(describe(error)) if out_of_memory(error) else describe(error)


def describe(error: BaseException) -> str:
    """Return an error as one text: what whatif says, what caused it, and the line of the user's own."""
    text = str(error) if isinstance(error, WhatIfError) else f"{type(error).__name__}: {error}"
    cause = error.__cause__
    if cause is not None and str(cause) not in text:
        text += f" (caused by {type(cause).__name__}: {cause})"
    place = _own_line(error)
    return f"{text} ({place})" if place and place not in text else text


def _own_line(error: BaseException) -> str:
    """Return the innermost line that is neither the product's nor a library's; "" if there is none."""
    found = ""
    seen: BaseException | None = error
    while seen is not None:
        for frame, line in traceback.walk_tb(seen.__traceback__):
            path = frame.f_code.co_filename
            if not path.startswith((*_FOLDERS_OF_OTHERS, "<")) and "site-packages" not in path:
                found = f"{Path(path).name}, line {line}"
        seen = seen.__cause__
    return found


def stream_in_pool(sent: bytes, text: str, keep: bool, attempt: int) -> bytes:
    """Return the rows of an item as `row_stream` does, in a process of a pool, whose plan is pickled."""
    return row_stream(_plan(sent), text, keep, attempt)


def row_stream(plan: Plan, text: str, keep: bool, attempt: int, ahead: Sequence[str] = ()) -> bytes:
    """Return the rows of an item as an Arrow stream.

    Parameters
    ----------
    plan, text, attempt
        As in `evaluate`: a work item.
    keep : bool
        Whether its rows hold series.
    ahead : sequence of str
        The symbols that this process is asked for.
    """
    sink = pa.BufferOutputStream()
    with expecting(ahead), pa.ipc.new_stream(sink, schema_of(worker_columns(keep))) as writer:
        for batch in evaluate(plan, [text], attempt):
            writer.write_batch(batch)
    return bytes(sink.getvalue())


@lru_cache(maxsize=2)
def _plan(sent: bytes) -> Plan:
    plan: Plan = pickle.loads(sent)
    return plan


def _shared(plan: Plan, item: WorkItem) -> dict[str, Any]:
    """Return what all rows of an item have in common; every other column is there, without a value."""
    window = plan.windows[item.window]
    row: dict[str, Any] = dict.fromkeys(worker_columns(item.keep))
    return row | {
        "symbol": "+".join(item.symbols),
        "window": item.window,
        "window_start": utc_instant(window.window.start_us),
        "window_end": utc_instant(window.window.end_us),
        "period": window.periods.kind,
        "periods_per_year": window.periods.per_year,
        "engine": plan.engine,
        "worker": _worker(),
    }


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _identity(plan: Plan, configuration: Configuration, pins: str) -> dict[str, Any]:
    return {
        "semantics": _semantics(plan, configuration),
        "config_id": configuration.config_id,
        "timeframe": configuration.timeframe,
        "model": configuration.model,
        "parameters": parameters_of(configuration.params),
        "execution": _settings(configuration.execution, configuration.overlays, configuration.market),
        "pins": pins,
    }


def _semantics(plan: Plan, configuration: Configuration) -> str:
    """Return whose fills these are: the engine's, unless the execution asks for others."""
    asked = configuration.execution.semantics
    return get_engine(plan.engine).semantics if asked == SEMANTICS else asked


@lru_cache(maxsize=256)
def _settings(execution: Execution, overlays: Overlays, market: tuple[MarketChange, ...]) -> str:
    """Return costs and switches, the overlays that are on, and what is changed of the bars, as JSON."""
    more: dict[str, Any] = {"overlays": overlays.active} if overlays.is_on else {}
    if market:
        more["market"] = [change.identity for change in market]
    return json.dumps(execution.written | more)


def _pins(plan: Plan, model: str | None, timeframe: str, fold: int) -> str:
    pins = [plan.bars.written]
    found = plan.models.get((model, timeframe, fold)) if model else None
    if found is not None:
        pins.append({**found.pin.written, "model_digest": found.model_digest})
    return json.dumps(pins, sort_keys=True)


def _measured(sweep: Sweep, configuration: Configuration) -> dict[str, Any]:
    found, benchmark = sweep.measure(configuration)
    account, run = found.account, found.run
    metrics = account_metrics(account, configuration.execution, sweep.window.periods)
    row = _figures(metrics, benchmark) | {
        "orders_rejected": found.rejected,
        "bars": account.bars,
        "returns": account.returns.tolist(),
    }
    if run is None:
        return row
    row |= {"engine": run.engine, "notes": "; ".join(run.notes) or None}
    return row | (_series(run, benchmark) if sweep.item.keep else {})


def _figures(metrics: Mapping[str, float | int | bool], benchmark: BuyAndHold) -> dict[str, Any]:
    return {
        **{name: _plain(metrics[name]) for name in METRIC_COLUMNS},
        "benchmark_return_pct": benchmark.return_pct,
        "benchmark_sharpe": benchmark.sharpe,
        "benchmark_max_drawdown_pct": benchmark.max_drawdown_pct,
    }


def _series(run: EngineRun, benchmark: BuyAndHold) -> dict[str, Any]:
    trades, notes = run.trades, run.trade_notes
    opened, closed = run.traded_at
    kept = {
        "opened_at": _stamps(opened),
        "closed_at": _stamps(closed),
        "trade_symbol": [run.symbols[k] for k in trades.symbol],
        "size": trades.size,
        "entry_price": trades.entry_price,
        "exit_price": trades.exit_price,
        "pnl": trades.pnl,
        "pnl_net": trades.pnl_net,
        "exit_reason": list(notes.exit_reason),
        "entry_order": notes.entry_order,
        "stop_price": notes.stop_price,
        "target_price": notes.target_price,
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
