"""Notebooks run from top to bottom, define nothing, import what is public, and are stored as they ran."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
_spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "infra" / "run_notebooks.py")
assert _spec is not None
assert _spec.loader is not None
run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run)

FIGURES = {
    "crossover": 3,
    "finspace_timeseries": 2,
    "finspace_whatif": 5,
    "kinesis_replay": 0,
    "ml_long_short": 1,
    "news_sentiment": 1,
    "own_strategy": 2,
    "verdict_tour": 0,
}
"""Figures that a notebook draws."""

ON_SPARK = ("finspace_whatif",)
"""Those whose story needs a JVM, which the Spark tier runs; the fast tier runs the others."""

MAX_KILOBYTES = 600
"""Of a notebook with its outputs."""

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def code_of(path: Path) -> ast.Module:
    lines = "\n".join(cell.source for cell in cells_of(path)).splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith("%")))


def test_every_notebook_is_known() -> None:
    assert sorted(FIGURES) == [path.stem for path in NOTEBOOKS]


@each
def test_a_notebook_defines_nothing(path: Path) -> None:
    found = ast.walk(code_of(path))
    assert [one for one in found if isinstance(one, (ast.FunctionDef, ast.ClassDef, ast.Lambda))] == []


@each
def test_a_notebook_imports_doors_alone(path: Path) -> None:
    """Names that a package exports, and no module behind it."""
    named = [
        name
        for one in ast.walk(code_of(path))
        if isinstance(one, (ast.Import, ast.ImportFrom))
        for name in ([one.module or ""] if isinstance(one, ast.ImportFrom) else [a.name for a in one.names])
    ]
    assert [name for name in named if name.startswith("whatif.") and name.count(".") > 1] == []


@each
def test_a_notebook_is_stored_as_it_ran(path: Path) -> None:
    assert path.stat().st_size < MAX_KILOBYTES * 1000
    outputs = [one for cell in cells_of(path) for one in cell.outputs]
    assert [one for one in outputs if one.output_type == "error" or one.get("name") == "stderr"] == []
    assert all(cell.execution_count for cell in cells_of(path))
    pictures = [one for one in outputs if "image/png" in one.get("data", {})]
    assert len(pictures) == FIGURES[path.stem]
    said = "".join(
        str(one.get("text", "")) + str(one.get("data", {}).get("text/html", "")) for one in outputs
    )
    assert re.findall(r"<script|https?://|/(?:tmp|work|root|home/\w+)/", said) == []


def test_names_of_temporary_folders_are_left_out() -> None:
    assert (
        run.without_paths("written: /tmp/abc1/home/reports/a.html, /tmp/x")
        == "written: …/home/reports/a.html, …"
    )


MARKS = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.spark] if path.stem in ON_SPARK else [])
    for path in NOTEBOOKS
]


@pytest.mark.parametrize("path", MARKS)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WHATIF_HOME", "PLOTLY_RENDERER"):
        monkeypatch.setenv(name, "")  # so that what is set while it runs is taken back
    notebook = nbformat.read(path, 4)
    with run.emulated():
        run.execute(notebook, tmp_path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    figures = [one for cell in cells for one in cell.outputs if run.PLOTLY in one.get("data", {})]
    assert len(figures) == FIGURES[path.stem]
