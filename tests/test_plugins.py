"""A kind of split, search, label, model, axis or source is one file, and nothing else names it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILES = {
    "my_splits": "splits/kinds/newest.py",
    "my_axes": "axes/kinds/shock.py",
    "my_searches": "searches/kinds/halves.py",
    "my_sources": "sources/kinds/service.py",
    "my_labels": "labels/kinds/excursion.py",
    "my_models": "models/kinds/penalised.py",
}
"""Examples of docs/extending.md, and where each is put."""

STUDY = """
study: all
data: {symbols: [SPY], timeframe: 1min, start: 2024-01-01, end: 2024-02-01}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
split: {kind: newest, validate: 8, test: 7}
axes: {fast: [3, 5], shock: {kind: shock, at: 2024-01-17T15:00:00Z, values: [0, -0.05]}}
search: {kind: halves, seed: 7}
label: {kind: excursion, horizon: 10}
"""

USE = """
import sys, whatif, whatif.testing
from whatif.axes import SEAM as AXES
from whatif.models import SEAM as MODELS
from whatif.sources import make_source, named_source
from whatif.study import parse_study
study = parse_study(sys.stdin.read())
assert type(study.axes["shock"]).__module__ == "whatif.axes.kinds.shock", study.axes
assert type(study.search).__module__ == "whatif.searches.kinds.halves", study.search
assert type(study.label).__module__ == "whatif.labels.kinds.excursion", study.label
whatif.testing.check_label(type(study.label), {"horizon": 3})
assert make_source(named_source(["service"]), {"symbols": "SPY"}).parts() == ["service:SPY"]
assert "penalised" in MODELS.built_in
first = ["execution", "model", "parameter"]
assert [name for name in AXES.built_in if name in first] == first
whatif.testing.check_split(type(study.split), {"validate": 3, "test": 3})
print(whatif.__file__)
"""


def test_a_new_kind_touches_one_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "whatif", tmp_path / "whatif", ignore=shutil.ignore_patterns("__pycache__"))
    document = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    for name, place in FILES.items():
        (code,) = re.findall(rf'```python\n("""{name}\.py: .*?)```', document, flags=re.S)
        (tmp_path / "whatif" / place).write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", USE],
        input=STUDY,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "whatif" / "__init__.py")
