"""Kernels that come with the environment: taken as they are, in place of being compiled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from whatif.engines.compiled.shipped import ship

from .test_kernels import REPOSITORY

SCRIPT = """
import json, sys
from pathlib import Path
from whatif.engines.compiled import folder
folder.SHIPPED = Path(sys.argv[1])
from whatif.domain import Overlays
from whatif.engines.compiled.window import compile_ahead
from whatif.strategies import resolve

spec = resolve("sma_crossover")
for overlays in (Overlays(), Overlays(latency=1)):
    compile_ahead(spec, spec.defaults, overlays)
found = [module.ask_step.stats for name, module in sys.modules.items() if name.startswith("whatif_kernel_")]
print(json.dumps([sum(sum(kind.values()) for kind in (one.cache_hits, one.cache_misses)) for one in found]))
print(json.dumps([sum(one.cache_misses.values()) for one in found]))
"""


def answered(shipped: Path, kernels: Path) -> list[list[int]]:
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "WHATIF_KERNELS": str(kernels)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(shipped)], env=env, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_what_is_shipped_is_not_compiled_again(tmp_path: Path) -> None:
    shipped = tmp_path / "share" / "kernels"
    assert ship(shipped, ["sma_crossover"]) == 3
    assert ship(shipped, ["sma_crossover"]) == 3  # in place of the ones before
    assert len(list(shipped.glob("*.py"))) == 3
    # whoever runs the environment may read them, and copies them to a folder of its own
    assert {path.stat().st_mode & 0o777 for path in shipped.rglob("*") if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in (shipped, shipped / "__pycache__")} == {0o755}
    assert answered(shipped, tmp_path / "own") == [[1, 1], [0, 0]]
    own = list((tmp_path / "own" / "__pycache__").glob("*.nbc"))
    assert [path.stat().st_mode & 0o777 for path in own] == [0o600, 0o600]


@pytest.mark.slow
def test_damaged_ones_are_compiled_anew(tmp_path: Path) -> None:
    shipped = tmp_path / "share" / "kernels"
    ship(shipped, ["sma_crossover"])
    for path in (shipped / "__pycache__").glob("*.nb[ci]"):
        path.write_bytes(path.read_bytes()[:40])
    assert answered(shipped, tmp_path / "own") == [[1, 1], [1, 1]]
