"""Benchmark of `whatif demo` in a fresh home, as a user runs it after installation."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting

_MAIN = "import sys; from whatif.cli import main; sys.exit(main(sys.argv[1:]))"
_NOTES = ("wall time of a process of its own: imports, sample market, ingest, two studies, their reports",)
_QUICK_SESSIONS = 1000


def measure(setting: Setting) -> Measurement:
    """Time `whatif demo`."""
    setting.say("demo: whatif demo in a fresh home")
    arguments = ["demo", *(["--sessions", str(_QUICK_SESSIONS)] if setting.options.quick else [])]
    with tempfile.TemporaryDirectory(prefix="whatif-bench-demo-", dir=setting.location.home) as folder:
        started = time.perf_counter()
        setting.run_child(["-c", _MAIN, *arguments], Path(folder))
        seconds = time.perf_counter() - started
        reports = len(list(Path(folder).glob("demo/reports/*/report.html")))
    return Measurement(
        name="demo",
        title=f"whatif {' '.join(arguments)}, in a fresh home",
        figures=(
            Figure("seconds", "from start to report", seconds, "s", Goal("at most", 45.0)),
            Figure("reports", "reports written", reports, "", Goal("exactly", 2)),
        ),
        notes=_NOTES,
    )
