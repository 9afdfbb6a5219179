"""Benchmark of a universe: its sweep beside the least it can take, the whole answer, one symbol's bars."""

from __future__ import annotations

import json
import math
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import whatif
from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.market import BenchMarket
from whatif.bench.setting import Setting, wait_for
from whatif.calendars import EPOCH
from whatif.engines import RunInputs, WindowInputs, get_engine
from whatif.lake import create_tables
from whatif.pins import LakeLocation, current_pin, read_bars, read_bars_of
from whatif.results import Pending
from whatif.runner import LocalRunner, Plan, Runner, SparkRunner, run_waves
from whatif.search import Configuration
from whatif.session import task_slots
from whatif.sources import IngestSpec, SampleMarket, generate
from whatif.strategies import StrategySpec, from_portable
from whatif.workflow import ingest

_SAMPLE, _SESSIONS = "NOISE", 65
_SYMBOLS, _FULL_SYMBOLS, _QUICK_SYMBOLS = 200, 1_000, 20
_AT_ONCE = 200
"""Symbols in a file that is ingested."""

_SPEC = IngestSpec(exchange="XNYS", timezone="UTC", timeframe="1min", stamps="start")
_PRICES = ("open", "high", "low", "close")
_PERIODS = (5, 10), (50,)
_LOOK_SECONDS = 0.2
_HELD = 32
"""Symbols whose bars a process of the least holds at once."""

_READ = ("symbol", "session", "ts", "session_open", "session_close", *_PRICES, "volume", "vwap")
_barrier: Barrier | None = None
_NOTES = (
    "the bars are the sample market's, each symbol at another price; two crossovers on each symbol",
    "the least: one process a core reads its share of the table's files by PyArrow, the columns that a "
    "backtest needs, into memory; and then, of its share of the symbols, opens the window of bars that lie "
    "there and runs both configurations by the engine's one call. It is measured just before each sweep",
    "a sweep ends when its rows are stored; its processes have imported and compiled what they need",
    "the answer is what `whatif run` does by the local runner, in a process of its own: counts, sweep, test, "
    "verdict, report, MLflow; 1,000 symbols with --full",
    f"memory: the most that the answer's process held (VmHWM); its share of what it has in common with its "
    f"children counted (PSS) is looked at each {_LOOK_SECONDS} s",
)


@dataclass(frozen=True)
class _Universe:
    """A lake of many symbols, whose market is the first of them."""

    location: LakeLocation
    market: BenchMarket
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class _Spent:
    """Seconds that something took.

    Attributes
    ----------
    wall : float
        From beginning to end.
    cpu : float
        Of all processes together.
    """

    wall: float
    cpu: float


@dataclass(frozen=True)
class _Floor:
    """What nothing that reads the bars and runs the configurations can do without.

    Attributes
    ----------
    reading : _Spent
        Every file of the bars' table, by PyArrow, the columns of `_READ`, into memory.
    kernel : _Spent
        Of each symbol, `open_for_many` and the call that runs all configurations; its bars lie in memory.
    """

    reading: _Spent
    kernel: _Spent

    @property
    def wall(self) -> float:
        """Seconds that both take, one after the other."""
        return self.reading.wall + self.kernel.wall

    @property
    def cpu(self) -> float:
        """Seconds of processors that both take."""
        return self.reading.cpu + self.kernel.cpu


@dataclass(frozen=True)
class _Share:
    """What one process reads and runs."""

    files: tuple[Path, ...]
    plan: Plan
    symbols: tuple[str, ...]
    configurations: tuple[Configuration, ...]


def measure(setting: Setting) -> Measurement:
    """Sweep a universe by both runners, answer a study of it, and read one symbol's bars."""
    with tempfile.TemporaryDirectory(prefix="whatif-bench-universe-", dir=setting.location.home) as folder:
        found = _ingested(setting, Path(folder))
        setting.say("universe: the least, the sweep, the answer, one symbol, the sweep through Spark")
        create_tables(None, found.location)
        cores = setting.options.cores
        floor = _floor(found, cores)
        local = _swept(found, LocalRunner(found.location, cores, short=True))
        answer = _answered(setting, found)
        one = _one_symbol(found)
        by_spark = SparkRunner(setting.spark, found.location, lambda: task_slots(setting.spark))
        before_spark = _floor(found, cores)
        spark = _swept(found, by_spark)
    bars = len(found.symbols) * len(found.market.bars)
    return Measurement(
        name="universe",
        title=f"{len(found.symbols):,} symbols, {bars:,} bars, {_configurations()} configurations on each",
        figures=(
            *_ratios(local, spark, floor, before_spark, answer),
            Figure("failed", "backtests that failed", answer["failed"], "", Goal("exactly", 0)),
            Figure("one_symbol", "one symbol's bars, warm", one, "s", Goal("at most", 0.1)),
            Figure("reading_seconds", "the least: reading the bars once", floor.reading.wall, "s"),
            Figure("kernel_seconds", "the least: the engine's calls", floor.kernel.wall, "s"),
            Figure("local_seconds", "sweep, local runner", local.wall, "s"),
            Figure("spark_seconds", "sweep, Spark", spark.wall, "s"),
            Figure("answer_seconds", "the whole answer", answer["seconds"], "s"),
        ),
        notes=_NOTES,
        detail={"answer": answer, "floor": asdict(floor), "floor_before_spark": asdict(before_spark)},
    )


def _ratios(
    local: _Spent, spark: _Spent, floor: _Floor, before_spark: _Floor, answer: Mapping[str, Any]
) -> tuple[Figure, ...]:
    """Return the figures that have a goal: a sweep beside its least, the answer beside the sweep, memory."""
    at_most, memory = Goal("at most", 3.0), Goal("at most", 1024.0)
    return (
        Figure("local", "sweep, local runner / the least", local.wall / floor.wall, "x", at_most),
        Figure("spark", "sweep, Spark / the least", spark.wall / before_spark.wall, "x", at_most),
        Figure(
            "answer",
            "the whole answer / the local sweep",
            answer["seconds"] / local.wall,
            "x",
            Goal("at most", 2.0),
        ),
        Figure("memory", "the answer, peak of its process", answer["python_mb"], "MB", memory),
        Figure("memory_own", "the same, shared pages by their share", answer["pss_mb"], "MB", memory),
        Figure("local_cpu", "sweep, local runner / the least, in CPU seconds", local.cpu / floor.cpu, "x"),
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


def _floor(found: _Universe, cores: int) -> _Floor:
    """Return the least that the sweep of all symbols can take."""
    plan, work = _work(found, found.symbols, "floor")
    files = sorted((found.location.table_folder("bars") / "data").rglob("*.parquet"))
    return _measure_floor(files, plan, found.symbols, work[0].configurations, cores)


def _swept(found: _Universe, runner: Runner) -> _Spent:
    """Return what a stored sweep of all symbols takes, behind one of the first few; CPU without a JVM's."""
    name, few = type(runner).__name__, found.symbols[:4]
    run_waves(runner, *_work(found, few, f"{name}-warm"))
    plan, work = _work(found, found.symbols, name)
    wall, cpu = time.perf_counter(), _cpu_seconds()
    run_waves(runner, plan, work)
    return _Spent(time.perf_counter() - wall, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    """Return what this process and those of its children that have ended took of processors."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def _work(found: _Universe, symbols: Sequence[str], name: str) -> tuple[Plan, list[Pending]]:
    """Return the plan of a sweep of some symbols, and what is to be run."""
    market = found.market
    plan = sweep.sweep_plan(market, f"universe-{name}", sweep.COMPILED)
    slices = {key: replace(part, symbols=tuple(symbols)) for key, part in plan.slices.items()}
    (pending,) = sweep.crossovers(market, *_PERIODS, len(market.bars))
    work = [Pending((symbol,), pending.window, pending.configurations, pending.bars) for symbol in symbols]
    return replace(plan, slices=slices), work


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
    process = setting.start_child(["-m", "whatif.bench.probe", "study", path, answer], home)
    most = 0.0
    while process.poll() is None:
        most = max(most, _pss_mb(process.pid))
        time.sleep(_LOOK_SECONDS)
    seconds = time.perf_counter() - started
    wait_for(process, "the answer", home)
    figures: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return figures | {"seconds": seconds, "pss_mb": most or math.nan}


def _pss_mb(pid: int) -> float:
    """Return what a process holds, of shared pages its share, in 2**20 bytes; 0 if that is not known."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _one_symbol(found: _Universe) -> float:
    """Return the seconds that the bars of a symbol in the middle take, the second time that bars are read."""
    symbols = found.symbols
    whatif.read_bars(symbols[0], location=found.location)
    started = time.perf_counter()
    whatif.read_bars(symbols[len(symbols) // 2], location=found.location)
    return time.perf_counter() - started


def _measure_floor(
    files: Sequence[Path],
    plan: Plan,
    symbols: Sequence[str],
    configurations: Sequence[Configuration],
    processes: int,
) -> _Floor:
    """Read files and run configurations by one process for each core, and nothing else.

    Parameters
    ----------
    files : sequence of Path
        Of the bars' table; each process reads its share of them.
    plan : Plan
        Of one window and one timeframe, as a sweep has it; by an engine that runs many by one call.
    symbols : sequence of str
        Each process runs its share of them; making their bars out of rows is not timed.
    configurations : sequence of Configuration
        What is run on each symbol.
    processes : int
        How many.
    """
    shares = [
        _Share(tuple(files[k::processes]), plan, tuple(symbols[k::processes]), tuple(configurations))
        for k in range(processes)
    ]
    context = get_context("spawn")
    with context.Pool(processes, _begin, (context.Barrier(processes),)) as pool:
        found = pool.map(_spent, shares, chunksize=1)
    reading, kernel = zip(*found, strict=True)
    return _Floor(_side_by_side(reading), _side_by_side(kernel))


def _side_by_side(parts: Sequence[_Spent]) -> _Spent:
    return _Spent(max(one.wall for one in parts), sum(one.cpu for one in parts))


def _begin(barrier: Barrier) -> None:
    global _barrier  # how processes of a pool wait for each other
    _barrier = barrier


def _spent(share: _Share) -> tuple[_Spent, _Spent]:
    """Return what reading and running took a process that begins each when the others do."""
    assert _barrier is not None
    _run(share, share.symbols[:1])  # which loads machine code
    _barrier.wait()
    wall, cpu = time.perf_counter(), time.process_time()
    for path in share.files:
        pq.ParquetFile(path).read(columns=list(_READ), use_threads=False)
    reading = _Spent(time.perf_counter() - wall, time.process_time() - cpu)
    _barrier.wait()
    return reading, _run(share, share.symbols)


def _run(share: _Share, symbols: Sequence[str]) -> _Spent:
    plan = share.plan
    engine, spec = get_engine(plan.engine), from_portable(plan.strategy)
    assert isinstance(spec, StrategySpec)
    (part,), (window,) = plan.slices.values(), plan.windows.values()
    pinned, many = spec.pinned(), [RunInputs(one.params, one.execution) for one in share.configurations]
    wall = cpu = 0.0
    for first in range(0, len(symbols), _HELD):
        bars = read_bars_of(
            plan.bars,
            symbols[first : first + _HELD],
            part.source_timeframe,
            part.start_us,
            part.end_us,
            part.hours,
        )
        for one in bars.values():
            began, worked = time.perf_counter(), time.process_time()
            run = engine.open_for_many(
                WindowInputs(
                    bars=[one],
                    strategy=pinned,
                    periods=window.periods,
                    start=window.window.start_us,
                    bar_us=part.bar_us,
                    cache={},
                    grid=[given.params for given in many],
                )
            )
            assert run is not None
            run(many)
            wall += time.perf_counter() - began
            cpu += time.process_time() - worked
    return _Spent(wall, cpu)
