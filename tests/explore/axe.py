"""What axe-core finds wrong with a page that is open in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.bench.browser import Page

axe = pytest.importorskip("axe_core_python", reason="axe-core is not installed: make install")

SOURCE = (Path(axe.__path__[0]) / "axe.min.js").read_text(encoding="utf-8")
CHECK = """
    const found = await axe.run(document, { resultTypes: ['violations'] });
    return {
      checked: found.passes.length,
      faults: found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}`)),
    };
    """


def faults_of(page: Page) -> list[str]:
    """Return rule and place of each fault."""
    if not page.run("return 'axe' in window"):
        page.run(SOURCE)
    found = page.run(CHECK)
    assert found["checked"] > 5
    return list(found["faults"])
