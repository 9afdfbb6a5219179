"""Runs a study in a process of its own: `python -m whatif.bench.once STUDY ANSWER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark import SparkContext
from rich.console import Console

from whatif.bench.probe import peak_mb
from whatif.pins import LakeLocation
from whatif.workflow.run import RunOptions, run


def main(study: str, answer: str) -> None:
    """Run the study as `whatif run` does; write what it counted, and the most memory that it held."""
    result = run(study, location=LakeLocation.from_environment(), options=RunOptions(console=Console()))
    found = {
        "computed": result.computed,
        "resumed": result.resumed,
        "failed": result.failed,
        "rows": len(result.data.leaderboard),
        "verdict": result.verdict.verdict.word if result.verdict else "",
        "python_mb": peak_mb(),
        "jvm_mb": _jvm_mb(),
    }
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


def _jvm_mb() -> float:
    """Return the most memory that the driver's JVM has held, in 2**20 bytes; NaN without one."""
    if SparkContext._jvm is None:
        return float("nan")
    return peak_mb(int(SparkContext._jvm.java.lang.ProcessHandle.current().pid()))


if __name__ == "__main__":
    main(*sys.argv[1:])
