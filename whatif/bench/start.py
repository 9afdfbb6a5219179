"""Benchmark of a fresh worker up to its first result, by what compiled code there is on disk."""

from __future__ import annotations

import json
import pickle
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting
from whatif.runner import work_items

_FAST = (5, 10, 20, 40)
_SLOW = (60, 120, 240, 480)
_NOTES = (
    "from the start of a Python process to its first frame of rows: interpreter, imports, the pinned bars, "
    "indicators, backtests and metrics of 16 configurations; no Spark",
    "shipped: the user's own folder of kernels is empty, and the environment holds those that it was made "
    "with; warm: a second process on what the first one left there; cold: Numba's folder is empty, too, so "
    "everything that is compiled is compiled now",
)


@dataclass(frozen=True)
class Start:
    """One process, from its start to its first rows.

    Attributes
    ----------
    seconds : float
        All of it.
    imports : float
        Of that, interpreter and imports.
    failed : int
        Backtests that failed.
    """

    seconds: float
    imports: float
    failed: int


def measure(setting: Setting) -> Measurement:
    """Time a worker to its first rows: with shipped machine code, with all of it on disk, with none."""
    rounds = [_round(setting, k) for k in range(setting.options.repeats)]
    shipped, warm, cold = (
        statistics.median(one.seconds for one in found) for found in zip(*rounds, strict=True)
    )
    imports = statistics.median(found[1].imports for found in rounds)
    failed = sum(one.failed for found in rounds for one in found)
    bars = len(setting.market.bars)
    return Measurement(
        name="start",
        title=f"a fresh worker to its first result, {sweep.COMPILED} engine, {bars:,} bars",
        figures=(
            Figure("shipped", "compiled code that the environment ships", shipped, "s", Goal("at most", 2.0)),
            Figure("warm", "compiled code on disk", warm, "s", Goal("at most", 0.8)),
            Figure("cold", "nothing compiled", cold, "s"),
            Figure("failed", "backtests that failed", failed, "", Goal("exactly", 0)),
            Figure("imports", "of the warm start, interpreter and imports", imports, "s"),
        ),
        notes=_NOTES,
        detail={
            name: [vars(found[k]) for found in rounds] for k, name in enumerate(("shipped", "warm", "cold"))
        },
    )


def _round(setting: Setting, k: int) -> tuple[Start, Start, Start]:
    """Start three processes, one after the other; the first two share a folder of kernels of their own."""
    setting.say(f"start: {k + 1} of {setting.options.repeats}")
    with tempfile.TemporaryDirectory(prefix="whatif-bench-start-", dir=setting.location.home) as folder:
        own, empty = Path(folder, "own"), Path(folder, "empty")
        mine = {"WHATIF_KERNELS": str(own / "kernels"), "PYTHONDONTWRITEBYTECODE": ""}
        return _start(setting, mine), _start(setting, mine), _start(setting, compiled_code_in(empty))


def _start(setting: Setting, variables: Mapping[str, str]) -> Start:
    market, home = setting.market, setting.location.home
    request, answer = home / "start.pickle", home / "start.json"
    plan = sweep.sweep_plan(market, "start", sweep.COMPILED)
    # the first item, whose rows come in one frame
    (item, *_) = work_items(sweep.crossovers(market, _FAST, _SLOW, len(market.bars)), 1, plan.engine)
    request.write_bytes(pickle.dumps((plan, [item.to_json()])))
    started = time.time()
    setting.run_child(["-m", "whatif.bench.probe", "worker", request, answer], variables=variables)
    found = json.loads(answer.read_text(encoding="utf-8"))
    return Start(found["first_at"] - started, found["imported_at"] - started, found["failed"])


def compiled_code_in(folder: Path) -> dict[str, str]:
    """Return environment variables that keep all compiled code in `folder`: the engine's and Numba's.

    Python keeps its bytecode, as an installed package has it, whatever this process was told.
    """
    return {
        "WHATIF_KERNELS": str(folder / "kernels"),
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "PYTHONDONTWRITEBYTECODE": "",
    }
