"""Benchmark of a universe: its sweep beside reading its bars once, the whole answer, one symbol's bars."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import whatif
from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.market import BenchMarket
from whatif.bench.setting import Setting
from whatif.calendars import EPOCH
from whatif.lake import create_tables
from whatif.pins import LakeLocation, current_pin, read_bars
from whatif.results import Pending
from whatif.runner import LocalRunner, Runner, SparkRunner, run_waves
from whatif.session import task_slots
from whatif.sources import IngestSpec, SampleMarket, generate
from whatif.workflow import ingest

_SAMPLE, _SESSIONS = "NOISE", 65
_SYMBOLS, _FULL_SYMBOLS, _QUICK_SYMBOLS = 200, 1_000, 20
_AT_ONCE = 200
"""Symbols in a file that is ingested."""

_SPEC = IngestSpec(exchange="XNYS", timezone="UTC", timeframe="1min", stamps="start")
_PRICES = ("open", "high", "low", "close")
_READ = ("symbol", "session", "ts", "session_open", "session_close", *_PRICES, "volume", "vwap")
_PERIODS = (5, 10), (50,)
_NOTES = (
    "the bars are the sample market's, each symbol at another price; two crossovers on each symbol",
    "read once: every file of the table by PyArrow, the columns that a backtest needs, into memory; no loop",
    "a sweep ends when its rows are stored; its processes have imported and compiled what they need",
    "the answer is what `whatif run` does by the local runner, in a process of its own: counts, sweep, test, "
    "verdict, report, MLflow; 1,000 symbols with --full",
)


@dataclass(frozen=True)
class _Universe:
    """A lake of many symbols, whose market is the first of them."""

    location: LakeLocation
    market: BenchMarket
    symbols: tuple[str, ...]


def measure(setting: Setting) -> Measurement:
    """Sweep a universe by both runners, answer a study of it, and read one symbol's bars."""
    with tempfile.TemporaryDirectory(prefix="whatif-bench-universe-", dir=setting.location.home) as folder:
        found = _ingested(setting, Path(folder))
        bars = len(found.symbols) * len(found.market.bars)
        once = median(_read_once(found.location) for _ in range(setting.options.repeats))
        setting.say("universe: the sweep, the answer, one symbol, the sweep through Spark")
        create_tables(None, found.location)
        local = _swept(found, LocalRunner(found.location, setting.options.cores, short=True))
        answer = _answered(setting, found)
        one = _one_symbol(found)
        spark = _swept(found, SparkRunner(setting.spark, found.location, lambda: task_slots(setting.spark)))
    at_most = Goal("at most", 3.0)
    return Measurement(
        name="universe",
        title=f"{len(found.symbols):,} symbols, {bars:,} bars, {_configurations()} configurations on each",
        figures=(
            Figure("local", "sweep, local runner / reading the bars once", local / once, "x", at_most),
            Figure("spark", "sweep, Spark / reading the bars once", spark / once, "x", at_most),
            Figure(
                "answer",
                "the whole answer / the local sweep",
                answer["seconds"] / local,
                "x",
                Goal("at most", 2.0),
            ),
            Figure(
                "memory",
                "the answer, peak of its process",
                answer["python_mb"],
                "MB",
                Goal("at most", 1024.0),
            ),
            Figure("failed", "backtests that failed", answer["failed"], "", Goal("exactly", 0)),
            Figure("one_symbol", "one symbol's bars, warm", one, "s", Goal("at most", 0.1)),
            Figure("once_seconds", "reading the bars once", once, "s"),
            Figure("local_seconds", "sweep, local runner", local, "s"),
            Figure("spark_seconds", "sweep, Spark", spark, "s"),
            Figure("answer_seconds", "the whole answer", answer["seconds"], "s"),
        ),
        notes=_NOTES,
        detail={"answer": answer},
    )


def _configurations() -> int:
    fast, slow = _PERIODS
    return len(fast) * len(slow)


def _ingested(setting: Setting, folder: Path) -> _Universe:
    options = setting.options
    count = _QUICK_SYMBOLS if options.quick else _FULL_SYMBOLS if options.full else _SYMBOLS
    setting.say(f"universe: ingesting {count:,} symbols")
    symbols = tuple(f"U{k:04d}" for k in range(count))
    location = setting.location
    sample = pa.Table.from_pandas(
        generate(SampleMarket(sessions=3 if options.quick else _SESSIONS), _SAMPLE), preserve_index=False
    )
    for first in range(0, count, _AT_ONCE):
        path = folder / "bars.parquet"
        with pq.ParquetWriter(path, sample.schema) as writer:
            for k in range(first, min(count, first + _AT_ONCE)):
                writer.write_table(_at_another_price(sample, symbols[k], 1.0 + k / count))
        ingest([path], _SPEC, location, runner="local")
        path.unlink()
    pin = current_pin(location, "bars")
    market = BenchMarket(
        "sample market", "XNYS", pin, read_bars(pin, symbols[0], "1min", None, None, "extended")
    )
    return _Universe(location, market, symbols)


def _at_another_price(sample: pa.Table, symbol: str, factor: float) -> pa.Table:
    frame = sample.to_pandas()
    frame["symbol"] = symbol
    prices = [name for name in (*_PRICES, "vwap") if name in frame]
    frame[prices] = (frame[prices] * factor).round(4)
    return pa.Table.from_pandas(frame, schema=sample.schema, preserve_index=False)


def _read_once(location: LakeLocation) -> float:
    """Return the seconds that PyArrow takes to read the bars' files into memory."""
    files = sorted((location.table_folder("bars") / "data").rglob("*.parquet"))
    started = time.perf_counter()
    for path in files:
        pq.ParquetFile(path).read(columns=list(_READ))
    return time.perf_counter() - started


def _swept(found: _Universe, runner: Runner) -> float:
    """Return the seconds of a stored sweep of all symbols, behind one of the first few."""
    name, few = type(runner).__name__, found.symbols[:4]
    _run(found, runner, few, f"{name}-warm")
    return _run(found, runner, found.symbols, name)


def _run(found: _Universe, runner: Runner, symbols: Sequence[str], name: str) -> float:
    market = found.market
    plan = sweep.sweep_plan(market, f"universe-{name}", sweep.COMPILED)
    slices = {key: replace(part, symbols=tuple(symbols)) for key, part in plan.slices.items()}
    (pending,) = sweep.crossovers(market, *_PERIODS, len(market.bars))
    work = [Pending((symbol,), pending.window, pending.configurations, pending.bars) for symbol in symbols]
    started = time.perf_counter()
    run_waves(runner, replace(plan, slices=slices), work)
    return time.perf_counter() - started


def _answered(setting: Setting, found: _Universe) -> dict[str, Any]:
    """Run a study of all symbols in a process of its own; return what it counted, with `seconds`."""
    bars, home = found.market.bars, found.location.home
    first, last = (EPOCH + timedelta(days=int(bars.session[k])) for k in (0, -1))
    study = {
        "study": "universe",
        "data": {
            "symbols": list(found.symbols),
            "timeframe": "1min",
            "start": first,
            "end": last + timedelta(days=1),
        },
        "calendar": {"exchange": "XNYS", "session": "regular"},
        "strategy": {"name": sweep.STRATEGY, "params": {"size": 10}},
        "axes": {"fast": list(_PERIODS[0]), "slow": list(_PERIODS[1])},
        "split": {"kind": "holdout", "train": 0, "validate": 0.9, "test": 0.1},
        "engine": sweep.COMPILED,
    }
    path, answer = home / "universe.yaml", home / "universe.json"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    started = time.perf_counter()
    setting.run_child(["-m", "whatif.bench.probe", "study", path, answer], home)
    seconds = time.perf_counter() - started
    figures: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return figures | {"seconds": seconds}


def _one_symbol(found: _Universe) -> float:
    """Return the seconds that the bars of a symbol in the middle take, the second time that bars are read."""
    symbols = found.symbols
    whatif.read_bars(symbols[0], location=found.location)
    started = time.perf_counter()
    whatif.read_bars(symbols[len(symbols) // 2], location=found.location)
    return time.perf_counter() - started
