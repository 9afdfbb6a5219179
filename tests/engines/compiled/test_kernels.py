"""Kernels on disk, and the same source without machine code."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from whatif.domain import Execution, Overlays
from whatif.engines import RunInputs, get_engine, make_ready, run_engine
from whatif.engines.compiled import window
from whatif.engines.compiled.book import Asking
from whatif.engines.compiled.folder import kernel_folder
from whatif.errors import EngineError
from whatif.strategies import Intent, hold, strategy
from whatif.testing import random_case, state_reader
from whatif.testing.golden import GOLDEN

REPOSITORY = Path(__file__).resolve().parents[3]

OWN = """
from whatif.strategies import Param, strategy, target

@strategy(params={"size": Param(1.0)}, lookback=3)
def own(i, x, p, s):
    return target(p.size if x.close[i] > x.close[i - 3] else -p.size)
"""
NEEDS_ARRAYS = OWN.replace("x.close[i - 3]", "sorted([x.close[i - 1], x.close[i - 3]])[0]")

SCRIPT = """
import json, sys
from whatif.engines import BacktestTask, run_engine
from whatif.engines.compiled import folder
from whatif.strategies import resolve
from whatif.testing import random_bars

bars = random_bars(3, 60)
spec = resolve(sys.argv[1])
run = run_engine(BacktestTask([bars], spec, spec.validate({})), "compiled")
stats = []
for name, module in sys.modules.items():
    if name.startswith("whatif_kernel_"):
        found = module.ask_step.stats
        stats.append([name, sum(found.cache_hits.values()), sum(found.cache_misses.values())])
print(json.dumps({"fills": run.fills.size.tolist(), "stats": stats, "folder": str(folder.kernel_folder())}))
"""


def start(path: Path, **environment: object) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), **{k: str(v) for k, v in environment.items()}}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found: dict = json.loads(out)
    return found


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def kernels(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("whatif_kernel_*.py")}


@pytest.mark.slow
def test_a_second_process_compiles_nothing_and_an_edited_strategy_is_another(
    own: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kernels"
    first, second = (answer(start(own, WHATIF_KERNELS=folder)) for _ in range(2))
    assert [stats[1:] for stats in first["stats"]] == [[0, 1]]
    assert [stats[1:] for stats in second["stats"]] == [[1, 0]]
    assert first["fills"] == second["fills"]
    before = kernels(folder)
    assert len(before) == 1

    own.write_text(OWN.replace("x.close[i] > ", "x.close[i] <= "))
    edited = answer(start(own, WHATIF_KERNELS=folder))
    assert [stats[1:] for stats in edited["stats"]] == [[0, 1]]
    assert edited["fills"] == [-size for size in first["fills"]]
    assert len(kernels(folder) - before) == 1

    own.write_text(OWN)
    assert answer(start(own, WHATIF_KERNELS=folder))["stats"] == second["stats"]


@pytest.mark.slow
def test_what_needs_memory_is_kept_too_and_not_tried_without_again(own: Path, tmp_path: Path) -> None:
    own.write_text(NEEDS_ARRAYS)
    first, second = (answer(start(own, WHATIF_KERNELS=tmp_path / "k")) for _ in range(2))
    assert len(first["stats"]) == 2
    assert [stats[1:] for stats in second["stats"]] == [[1, 0]]
    assert first["fills"] == second["fills"]


@pytest.mark.slow
def test_an_edited_helper_module_is_another_kernel(own: Path, tmp_path: Path) -> None:
    helpers = tmp_path / "lib"
    helpers.mkdir()
    source = OWN.replace("target(p.size", "target(helped.SIZE * doubled(p.size)")
    own.write_text("import helped_11 as helped\nfrom helped_11 import doubled\n" + source)
    paths = os.pathsep.join([str(REPOSITORY), str(helpers)])
    sizes = []
    for size, factor in [(1.0, 2.0), (3.0, 2.0), (3.0, 4.0)]:
        text = f"SIZE = {size}\ndef doubled(a):\n    return {factor} * a\n"
        (helpers / "helped_11.py").write_text(text)
        found = answer(start(own, WHATIF_KERNELS=tmp_path / "k", PYTHONPATH=paths, PYTHONDONTWRITEBYTECODE=1))
        sizes.append(max(found["fills"]))
    # from short 1 to long 2, 6, 12
    assert sizes == [3.0, 7.0, 13.0]


@pytest.mark.slow
def test_two_processes_that_start_at_once(own: Path, tmp_path: Path) -> None:
    both = [start(own, WHATIF_KERNELS=tmp_path / "kernels") for _ in range(2)]
    first, second = (answer(process) for process in both)
    assert first["fills"] == second["fills"]
    assert len(kernels(tmp_path / "kernels")) == 1
    assert not list((tmp_path / "kernels").glob("*.tmp.*"))


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_to(own: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "a_file"
    blocked.write_text("")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    found = answer(
        start(own, WHATIF_KERNELS=blocked / "kernels", WHATIF_HOME=blocked / "home", TMPDIR=temporary)
    )
    assert Path(found["folder"]).parent == temporary
    assert [stats[1:] for stats in found["stats"]] == [[0, 1]]


def test_no_folder_at_all_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "a_file"
    blocked.write_text("")
    for name in ("WHATIF_KERNELS", "WHATIF_HOME"):
        monkeypatch.setenv(name, str(blocked / name))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(blocked))
    monkeypatch.setattr("whatif.engines.compiled.folder._home", None)
    with pytest.raises(
        EngineError, match=r"no folder for compiled .*a_file/WHATIF_KERNELS.*set WHATIF_KERNELS"
    ):
        kernel_folder()


def digest_of_runs() -> str:
    """Return one digest of all golden cases and some random ones, run by the compiled broker."""
    digest = hashlib.sha256()
    tasks = [case.task for case in GOLDEN if not case.shares_account]
    tasks += [random_case(seed).task(state_reader) for seed in range(40)]
    for task in tasks:
        run = run_engine(task, "compiled")
        fills = run.fills
        columns = (fills.row, fills.closed, fills.opened, fills.price)
        for array in (*columns, fills.closed_commission, fills.opened_commission, run.equity, run.cash):
            digest.update(array.tobytes())
        digest.update(str((run.margin_rejected, len(run.trades.pnl))).encode())
    return digest.hexdigest()


@pytest.mark.slow
def test_without_machine_code_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    text = (
        "import numba, runpy; assert numba.config.DISABLE_JIT\n"
        f"print(runpy.run_path({__file__!r})['digest_of_runs']())"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest_of_runs()


@strategy(params={}, inputs={"mean": "sma(5)"})
def never_asked(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Raise on the first row that it is asked on."""
    if x.close[i] > 0.0:
        raise ValueError("asked")
    return hold()


@pytest.mark.parametrize("execution", [Execution(), Execution(coo=True)])
@pytest.mark.parametrize("overlays", [Overlays(), Overlays(stop_loss_intrabar=0.1)])
def test_ready_means_that_the_loop_has_run_and_no_step_was_asked(
    monkeypatch: pytest.MonkeyPatch, execution: Execution, overlays: Overlays
) -> None:
    looped, run = [], window.run_many

    def seen(first: int, stop: int, begin: int, asking: Asking, *rest: Any) -> int:
        looped.append((stop, asking.lookback))
        return run(first, stop, begin, asking, *rest)

    monkeypatch.setattr(window, "run_many", seen)
    make_ready(get_engine("compiled"), never_asked, False, [RunInputs({}, execution, overlays)])
    assert looped == [(2, 2)]
