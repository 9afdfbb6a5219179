"""The compiler's aliases, and what compiled code is known by."""

from __future__ import annotations

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
