"""Rivals: other backtesters, run on the same bars and periods, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whatif.bench.setting import Setting
from whatif.bench.sweep import EXECUTION, SIZE
from whatif.conf_files import conf_dir
from whatif.domain import Bars

PYTHON = "WHATIF_BENCH_PYTHON"
"""Environment variable that names an interpreter for the rivals that this one lacks."""


@dataclass(frozen=True)
class Rival:
    """Another backtester.

    Attributes
    ----------
    name : str
        As people call it.
    program : str
        Its program in the folder `bench` of the configuration.
    module : str
        What must be importable for it to run.
    """

    name: str
    program: str
    module: str

    @property
    def remedy(self) -> str:
        """How to have it measured."""
        return (
            f"{self.name} is not installed, so it was not measured: `make bench-rivals` installs it for "
            f"`make bench`; elsewhere pip install whatif[bench], or let {PYTHON} name a Python that has it"
        )


OPTSTRATEGY = Rival("optstrategy", "backtrader_optstrategy.py", "backtrader")
VECTORBT = Rival("vectorbt", "vectorbt_sweep.py", "vectorbt")
BACKTESTING = Rival("backtesting.py", "backtesting_py.py", "backtesting")


@dataclass(frozen=True)
class RivalRun:
    """What a rival answered.

    Attributes
    ----------
    seconds : float
        Its sweep alone: neither imports nor reading a file.
    backtests : int
        Configurations that it ran.
    peak_mb : float
        Peak memory of its largest process, in 2**20 bytes.
    values : mapping of (int, int) to float
        Final value of the account by (fast, slow).
    versions : mapping of str to str
        Of the rival and what it is built on.
    detail : mapping
        What else it said.
    """

    seconds: float
    backtests: int
    peak_mb: float
    values: Mapping[tuple[int, int], float]
    versions: Mapping[str, str]
    detail: Mapping[str, Any]

    def rate(self, bars: int) -> float:
        """Return configuration-bars a second."""
        return self.backtests * bars / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the run for JSON, without the values."""
        own = {"seconds": self.seconds, "backtests": self.backtests, "peak_mb": self.peak_mb}
        return {**self.detail, **own, "versions": dict(self.versions)}


def run_rival(
    setting: Setting, rival: Rival, fast: Sequence[int], slow: Sequence[int], **more: int
) -> RivalRun | None:
    """Run all pairs of periods by a rival; return None if it is not installed.

    Parameters
    ----------
    setting : Setting
        Bars and cores.
    rival : Rival
        Who runs.
    fast, slow : sequence of int
        Periods.
    **more : int
        Wishes that only this rival understands.
    """
    python = find_python(rival)
    if python is None:
        return None
    home = setting.location.home
    request = request_of(setting.market.bars, home, fast, slow, setting.options.cores) | more
    (home / "request.json").write_text(json.dumps(request), encoding="utf-8")
    program = conf_dir() / "bench" / rival.program
    setting.run_child([program, home / "request.json", home / "answer.json"], python=python)
    return answer_of(json.loads((home / "answer.json").read_text(encoding="utf-8")))


def find_python(rival: Rival) -> str | None:
    """Return the interpreter that has the rival: this one, or the one WHATIF_BENCH_PYTHON names."""
    if importlib.util.find_spec(rival.module) is not None:
        return sys.executable
    given = os.environ.get(PYTHON)
    return given if given and _has(given, rival.module) else None


def _has(python: str, module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def request_of(
    bars: Bars, folder: Path, fast: Sequence[int], slow: Sequence[int], cores: int
) -> dict[str, Any]:
    """Write the bars to `folder` and return what a rival is asked for."""
    file = folder / "rival.npz"
    columns = {name: getattr(bars, name) for name in ("ts", "open", "high", "low", "close", "volume")}
    np.savez(file, **columns)
    return {
        "bars": str(file),
        "fast": list(fast),
        "slow": list(slow),
        "size": SIZE,
        "cash": EXECUTION.cash,
        "commission": EXECUTION.commission,
        "slippage": EXECUTION.slippage,
        "cores": cores,
    }


def answer_of(answer: Mapping[str, Any]) -> RivalRun:
    """Return a rival's answer; one that lacks something is a KeyError."""
    rest = dict(answer)
    return RivalRun(
        seconds=float(rest.pop("seconds")),
        backtests=int(rest.pop("backtests")),
        peak_mb=float(rest.pop("peak_mb")),
        values={(int(fast), int(slow)): float(value) for fast, slow, value in rest.pop("values")},
        versions=rest.pop("versions"),
        detail=rest,
    )


def rate_of(run: RivalRun | None, bars: int) -> float:
    """Return a run's configuration-bars a second; NaN if there was none."""
    return math.nan if run is None else run.rate(bars)


def peak_of(run: RivalRun | None) -> float:
    """Return a run's peak memory in 2**20 bytes; NaN if there was none."""
    return math.nan if run is None else run.peak_mb


def spread(values: Sequence[int], count: int) -> list[int]:
    """Return `count` of the values, evenly spaced from first to last; all if there are no more."""
    if count >= len(values):
        return list(values)
    step = (len(values) - 1) / max(count - 1, 1)
    return [values[round(k * step)] for k in range(count)]
