"""What `make test-bounds` stands on: with checks, machine code does not read behind an array."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whatif.engines.compiled.folder import kernel_folder

BEHIND = """
import numpy as np
from whatif.domain.compile import jit_lean
from whatif.domain.statistics import pick_levels, tally_array

equity, levels = np.arange(1.0, 4.0), np.empty(3)
assert tally_array(equity, 1.0) == (0.0, 0, 6.0)
pick_levels(equity, np.array([1, 3]), 1.0, levels)
assert levels.tolist() == [1.0, 1.0, 3.0]
try:
    # a period that ends behind the last bar
    pick_levels(equity, np.array([1, 5]), 1.0, levels)
except IndexError:
    print("refused")
else:
    print("read on")
"""


def test_kernels_go_where_the_run_says() -> None:
    """Their names do not tell whether they have checks, so this tier must not find those of another one."""
    assert kernel_folder() == Path(os.environ["WHATIF_KERNELS"])


@pytest.mark.parametrize(("checks", "said"), [("1", "refused"), ("0", "read on")])
def test_a_read_behind_an_array_is_found(tmp_path: Path, checks: str, said: str) -> None:
    folder = tmp_path / "numba"
    folder.mkdir(mode=0o700)
    own = {"NUMBA_BOUNDSCHECK": checks, "NUMBA_CACHE_DIR": str(folder)}

    done = subprocess.run(
        [sys.executable, "-c", BEHIND], env={**os.environ, **own}, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == said.split()
