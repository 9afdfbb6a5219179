"""The compiler's aliases, and what compiled code is known by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from whatif.domain.compile import sources_digest
from whatif.engines.compiled.loop import run_many


def test_a_kernel_is_known_by_every_source_that_may_be_a_part_of_it(tmp_path: Path) -> None:
    """Numba looks at the kernel's own file: what is called from another one could change unseen."""
    stamp = run_many._cache._impl.locator.get_source_stamp()
    assert sources_digest() in stamp

    room = tmp_path / "engines" / "compiled"
    room.mkdir(parents=True)
    (room / "loop.py").write_text("from book import fill\n")
    (room / "book.py").write_text("def fill(): return 1\n")
    before = sources_digest(tmp_path)
    sources_digest.cache_clear()
    assert sources_digest(tmp_path) == before
    sources_digest.cache_clear()
    (room / "book.py").write_text("def fill(): return 2\n")
    assert sources_digest(tmp_path) != before


def test_numba_is_imported_for_the_first_kernel_that_is_called() -> None:
    code = (
        "import sys; from whatif.domain import exact_sum; assert 'numba' not in sys.modules; "
        "import numpy as np; print(exact_sum(np.full(10, 0.1), 0, 10)[0]); assert 'numba' in sys.modules; "
        "print(exact_sum.py_func.__name__, exact_sum.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # by hand: ten times the double next to 0.1 is 1 + 5.55e-17, which rounds to 1
    assert done.stdout.splitlines() == ["1.0", "exact_sum_python whatif.domain.sums"]
