"""Suite of the benchmarks, run one after the other in a lake that is thrown away."""

from __future__ import annotations

import os
import platform
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from whatif.bench.figures import BenchReport, Measurement, print_report, write_report
from whatif.bench.setting import BenchOptions, Setting
from whatif.errors import RunError, nearest
from whatif.pins import LakeLocation
from whatif.runner import versions

BENCHMARKS = {
    "answer": "whatif.bench.answer",
    "crossover": "whatif.bench.crossover",
    "sweep": "whatif.bench.compiled",
    "bracket": "whatif.bench.bracket",
    "portfolio": "whatif.bench.portfolio",
    "kernels": "whatif.bench.kernels",
    "start": "whatif.bench.start",
    "single": "whatif.bench.single",
    "luck": "whatif.bench.luck",
    "search": "whatif.bench.search",
    "prediction": "whatif.bench.prediction",
    "models": "whatif.bench.models",
    "timeseries": "whatif.bench.timeseries",
    "memory": "whatif.bench.memory",
    "ingests": "whatif.bench.ingests",
    "demo": "whatif.bench.demonstration",
    "resume": "whatif.bench.resume",
    "walk": "whatif.bench.walk",
    "cluster": "whatif.bench.cluster",
    "driver": "whatif.bench.driver",
    "explore": "whatif.bench.explore",
    "report": "whatif.bench.page",
    "universe": "whatif.bench.universe",
}
"""Name on the command line and module, whose `measure` takes a Setting, in the order in which they run."""

Benchmark = Callable[[Setting], Measurement]


def bench(options: BenchOptions, output: Path, console: Console) -> BenchReport:
    """Run benchmarks, print their figures beside the goals, and write them to `output` as JSON.

    Everything happens in a temporary folder, on at most `options.cores` cores. A benchmark
    that fails is reported and the others go on.

    Raises
    ------
    RunError
        If `options.only` names a benchmark that does not exist.
    SourceError
        If the file of bars is not there.
    """
    chosen = choose(options.only)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    with tempfile.TemporaryDirectory(prefix="whatif-bench-") as folder, _on_cores(options.cores) as cores:
        setting = Setting(LakeLocation(Path(folder)), replace(options, cores=cores), say)
        before = _conditions(setting)
        try:
            measurements = tuple(run_one(name, load(name), setting) for name in chosen)
        finally:
            setting.close()
    report = BenchReport(measurements, {**before, "load_after": _load()}, options.quick)
    print_report(report, console)
    write_report(report, output)
    say(f"written: {output}")
    return report


def choose(only: tuple[str, ...]) -> tuple[str, ...]:
    """Return the benchmarks to run, in their order; all of them if none is named."""
    for name in only:
        if name not in BENCHMARKS:
            raise RunError(f"benchmark {name!r} is unknown: {nearest(name, BENCHMARKS)}")
    return tuple(name for name in BENCHMARKS if not only or name in only)


def load(name: str) -> Benchmark:
    """Return the function that runs the benchmark `name`."""
    found: Benchmark = import_module(BENCHMARKS[name]).measure
    return found


def run_one(name: str, measure: Benchmark, setting: Setting) -> Measurement:
    """Run one benchmark and time it; if it raises, return what it raised."""
    started = time.perf_counter()
    try:
        found = measure(setting)
    except Exception as error:  # the other benchmarks are worth running all the same
        found = Measurement(name, name, error=f"{type(error).__name__}: {error}")
    return replace(found, seconds=time.perf_counter() - started)


@contextmanager
def _on_cores(wanted: int) -> Iterator[int]:
    """Keep this process and its children on `wanted` cores, where the system can; yield how many."""
    try:
        mine = os.sched_getaffinity(0)
    except AttributeError:  # not Linux: Spark is told how many, child processes are not
        yield min(wanted, os.cpu_count() or wanted)
        return
    os.sched_setaffinity(0, set(sorted(mine)[:wanted]))
    try:
        yield min(wanted, len(mine))
    finally:
        os.sched_setaffinity(0, mine)


def _conditions(setting: Setting) -> Mapping[str, Any]:
    return {
        "host": socket.gethostname(),
        "machine": platform.machine(),
        "processor": _processor(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "cores_used": setting.options.cores,
        "load_before": _load(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "bars": setting.source,
        "versions": versions(),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _load() -> float | None:
    """Return how many processes wanted a core in the last minute; None where the system does not say."""
    with suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 2)
    return None
