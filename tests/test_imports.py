"""What travels to a worker brings in neither pyspark nor mlflow, and rooms import downward only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import whatif

REPOSITORY = Path(__file__).resolve().parent.parent

TRAVELS = (
    "whatif", "whatif.runner.worker", "whatif.runner.plan", "whatif.engines", "whatif.engines.api",
    "whatif.pins", "whatif.strategies", "whatif.indicators", "whatif.study", "whatif.search.grid",
    "whatif.search.ranking", "whatif.search.pooling", "whatif.search.slices",
    "whatif.stats.benchmark", "whatif.domain.metrics", "whatif.domain.resampling", "whatif.domain.rows",
    "whatif.calendars",
)  # fmt: skip

HEAVY = ("pyspark", "py4j", "mlflow")

UNUSED = {
    # what a help page or a refused argument waits for
    "import whatif.cli.app": {
        "numpy", "pandas", "pyarrow", "pyiceberg", "numba", "pydantic", "exchange_calendars", "sqlalchemy",
        "arch", "scipy.special", "plotly", "backtrader", "joblib", "concurrent.futures", "asyncio",
    },
    # whatif bars
    "from whatif.lake import list_bars": {
        "pyiceberg", "numba", "pydantic", "sqlalchemy", "arch", "scipy", "plotly", "backtrader", "joblib",
    },
    # whatif leaderboard
    "from whatif.workflow import stored_leaderboard; from whatif.report import print_leaderboard": {
        "sqlalchemy", "arch", "scipy.special", "plotly", "jinja2", "backtrader", "joblib", "asyncio", "numba",
        "whatif.engines.compiled.window", "whatif.workflow.train", "whatif.tracking", "whatif.stats.verdict",
        "whatif.stats.verdict_statistics",
    },
    # whatif run, before it is known whether there is something to run or to log
    "from whatif.workflow import run": {
        "sqlalchemy", "arch", "scipy.special", "backtrader", "joblib", "matplotlib", "statsmodels", "sklearn",
        "numba", "whatif.engines.compiled.window",
    },
    # its verdict
    "from whatif.stats import judge; import whatif.stats.resampling": {
        "matplotlib", "statsmodels", "scipy.stats._stats_py", "sqlalchemy", "plotly", "sklearn",
    },
}  # fmt: skip
"""What a command does not load, beside `HEAVY`, by the code that it begins with."""


def modules_after(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_nothing_that_travels_brings_in_spark_or_mlflow() -> None:
    # pyiceberg is imported when the first pin is read
    loaded = modules_after("\n".join(f"import {name}" for name in (*TRAVELS, "pyiceberg.table")))
    assert {"whatif", "numpy", "pyiceberg"} <= loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize(
    "code", [next(iter(UNUSED)), *(pytest.param(c, marks=pytest.mark.slow) for c in list(UNUSED)[1:])]
)
def test_a_command_loads_no_library_that_it_does_not_use(code: str) -> None:
    loaded = modules_after(code)
    assert {"whatif", *(name.split()[1] for name in code.split("; "))} <= loaded
    assert not loaded & {*HEAVY, *UNUSED[code]}


@pytest.mark.parametrize(
    "name",
    ["backtest", *(pytest.param(n, marks=pytest.mark.slow) for n in ("load_study", "read_bars", "Study"))],
)
def test_what_needs_no_spark_comes_without_it(name: str) -> None:
    assert not modules_after(f"import whatif; whatif.{name}") & set(HEAVY)


def test_the_bare_package_is_light_and_knows_its_names() -> None:
    loaded = modules_after("import whatif; assert {'run', 'backtest', 'load_study'} <= set(dir(whatif))")
    assert not loaded & {"pandas", "numpy", "numba", "backtrader", *HEAVY}
    with pytest.raises(AttributeError, match="nonsense"):
        whatif.nonsense  # noqa: B018


@pytest.mark.slow
def test_a_worker_looks_up_engines_and_axes_without_pydantic() -> None:
    loaded = modules_after("import whatif.runner.worker")
    assert "whatif" in loaded
    assert not loaded & {"pydantic", "pydantic_core", *HEAVY}


@pytest.mark.slow
def test_the_probe_sees_what_is_loaded() -> None:
    """The test above could otherwise pass for want of sight."""
    assert "mlflow" in modules_after("import mlflow.version")


def test_the_order_of_the_rooms() -> None:
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("import-linter is not installed: pip install import-linter")
    done = subprocess.run([linter, "--no-cache"], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
