"""A compiled step is the step: what it takes from outside is what it is when it is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from whatif.engines import BacktestTask, run_engine
from whatif.strategies import StrategySpec, strategy, target
from whatif.testing import random_bars

REPOSITORY = Path(__file__).resolve().parents[3]
BARS = random_bars(3, 40)
LEVEL = 1


def held(spec: StrategySpec) -> float:
    """Return the position at the end, by the compiled broker; Backtrader's says the same."""
    params = spec.validate({})
    ends = [
        float(run_engine(BacktestTask([BARS], spec, params), e).position[0, -1])
        for e in ("compiled", "backtrader")
    ]
    assert ends[0] == ends[1]
    return ends[0]


def of(value: object) -> StrategySpec:
    @strategy()
    def step(i, x, p, s):
        return target(float(value))

    return step


def of_table(table: tuple[np.ndarray, ...]) -> StrategySpec:
    @strategy()
    def step(i, x, p, s):
        return target(table[1][1500])

    return step


def test_numpy_scalars_and_tuples_of_arrays() -> None:
    assert [held(of(k)) for k in np.arange(1, 3)] == [1.0, 2.0]
    a, b = np.zeros(3000), np.zeros(3000)
    b[1500] = 7.0
    assert [held(of_table((a, a))), held(of_table((a, b)))] == [0.0, 7.0]


@strategy()
def of_a_global(i, x, p, s):
    return target(float(LEVEL))


def test_a_global_that_changes_between_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert held(of_a_global) == 1.0
    monkeypatch.setitem(globals(), "LEVEL", 5)
    assert held(of_a_global) == 5.0


@pytest.mark.slow
def test_attributes_and_functions_of_a_module() -> None:
    cfg = types.ModuleType("cfg")
    exec("K = 2.0\ndef twice(a):\n    return K * a\n", cfg.__dict__)

    @strategy()
    def step(i, x, p, s):
        return target(cfg.twice(3.0) + cfg.K)

    assert held(step) == 8.0
    cfg.K = 3.0
    assert held(step) == 12.0


@pytest.mark.slow
def test_what_is_compiled_later_is_still_the_step() -> None:
    """New types of arguments are compiled when they come, by then the array may be another's."""
    array = np.full(3, 2.0)

    def made(taken: np.ndarray) -> StrategySpec:
        from whatif.strategies import Param

        @strategy(params={"by": Param(1.0)})
        def step(i, x, p, s):
            return target(taken[0] * p.by)

        return step

    assert (
        float(run_engine(BacktestTask([BARS], made(array), {"by": 1.0}), "compiled").position[0, -1]) == 2.0
    )
    array[0] = 9.0
    equal_to_before = made(np.full(3, 2.0))
    run = run_engine(BacktestTask([BARS], equal_to_before, {"by": 1}), "compiled")
    assert float(run.position[0, -1]) == 2.0


SCRIPT = """
import json, sys, numpy as np
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import resolve, strategy, target
from whatif.testing import random_bars
sys.path.insert(0, sys.argv[1])
import written_12 as written
written.step.step.__globals__["K"] = np.float64(sys.argv[2])
run = run_engine(BacktestTask([random_bars(3, 40)], written.step, {}), "compiled")
print(json.dumps(float(run.position[0, -1])))
"""


@pytest.mark.slow
def test_a_kernel_on_disk_that_froze_another_value_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "written_12.py").write_text(
        "from whatif.strategies import strategy, target\nK = 1.0\n@strategy()\ndef step(i, x, p, s):\n"
        "    return target(K)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "WHATIF_KERNELS": str(tmp_path / "kernels")}
    ends = []
    for value in ("3.0", "4.0"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), value],
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        ends.append(json.loads(done.stdout))
    assert ends == [3.0, 4.0]
    assert len(list((tmp_path / "kernels").glob("whatif_kernel_*.py"))) == 2
