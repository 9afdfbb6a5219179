"""Benchmark of a fresh worker up to its first result, with and without compiled code on disk."""

from __future__ import annotations

import json
import pickle
import statistics
import tempfile
import time
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
    "cold: WHATIF_KERNELS and NUMBA_CACHE_DIR are empty folders, so everything that is compiled is compiled "
    "now; warm: a second process on what the first one left there",
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
    """Time a worker to its first rows, without anything compiled and with it."""
    pairs = [_cold_and_warm(setting, k) for k in range(setting.options.repeats)]
    cold, warm = (statistics.median(pair[k].seconds for pair in pairs) for k in (0, 1))
    imports = statistics.median(pair[1].imports for pair in pairs)
    failed = sum(one.failed for pair in pairs for one in pair)
    bars = len(setting.market.bars)
    return Measurement(
        name="start",
        title=f"a fresh worker to its first result, {sweep.COMPILED} engine, {bars:,} bars",
        figures=(
            Figure("cold", "nothing compiled", cold, "s", Goal("under", 5.0)),
            Figure("warm", "compiled code on disk", warm, "s", Goal("under", 1.0)),
            Figure("failed", "backtests that failed", failed, "", Goal("exactly", 0)),
            Figure("imports", "of the warm start, interpreter and imports", imports, "s"),
        ),
        notes=_NOTES,
        detail={"cold": [vars(cold) for cold, _ in pairs], "warm": [vars(warm) for _, warm in pairs]},
    )


def _cold_and_warm(setting: Setting, k: int) -> tuple[Start, Start]:
    """Start two processes, one after the other, that share folders of compiled code of their own."""
    setting.say(f"start: {k + 1} of {setting.options.repeats}")
    with tempfile.TemporaryDirectory(prefix="whatif-bench-start-", dir=setting.location.home) as folder:
        return _start(setting, Path(folder)), _start(setting, Path(folder))


def _start(setting: Setting, folder: Path) -> Start:
    market, home = setting.market, setting.location.home
    request, answer = home / "start.pickle", home / "start.json"
    plan = sweep.sweep_plan(market, "start", sweep.COMPILED)
    # the first item, whose rows come in one frame
    (item, *_) = work_items(sweep.crossovers(market, _FAST, _SLOW, len(market.bars)), 1, plan.engine)
    request.write_bytes(pickle.dumps((plan, [item.to_json()])))
    variables = compiled_code_in(folder)
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
