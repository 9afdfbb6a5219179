"""A worker without Spark, to see how much memory it needs: `python -m whatif.bench.probe`."""

from __future__ import annotations

import json
import math
import pickle
import resource
import sys
import time
from pathlib import Path

import pandas as pd

from whatif.runner import evaluate


def main(request: str, answer: str) -> None:
    """Evaluate the pickled plan and work items of `request`; write counts and memory as JSON.

    The rows are taken and dropped one frame at a time, as Spark takes them.
    """
    plan, items = pickle.loads(Path(request).read_bytes())
    before = peak_mb()
    started = time.perf_counter()
    rows = failed = 0
    for frame in evaluate(plan, iter([pd.DataFrame({"item": items})])):
        rows += len(frame)
        failed += int((frame["status"] != "ok").sum())
    seconds = time.perf_counter() - started
    answered = {
        "rows": rows, "failed": failed, "seconds": seconds, "imports_mb": before, "peak_mb": peak_mb(),
    }  # fmt: skip
    Path(answer).write_text(json.dumps(answered), encoding="utf-8")


def peak_mb(pid: int | None = None) -> float:
    """Return the most memory that a process (this one) has held, in 2**20 bytes; NaN if it does not say.

    Linux's own high-water mark of the address space where there is one: `ru_maxrss` also
    counts what the parent held when it started this process.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    if pid is not None:
        return math.nan
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main(*sys.argv[1:])
