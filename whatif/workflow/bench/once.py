"""Runs a study in a process that can be killed: `python -m whatif.workflow.bench.once STUDY ANSWER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from whatif.pins import LakeLocation
from whatif.workflow.run import RunOptions, run


def main(study: str, answer: str) -> None:
    """Run the study as `whatif run` does and write how many backtests were computed and resumed."""
    result = run(study, location=LakeLocation.from_environment(), options=RunOptions(console=Console()))
    counts = {"computed": result.computed, "resumed": result.resumed, "failed": result.failed}
    Path(answer).write_text(json.dumps(counts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
