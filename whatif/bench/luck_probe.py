"""One statistic alone: `python -m whatif.bench.luck_probe pbo 2000 10000 answer.json`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import arch.bootstrap  # noqa: F401 (so that its import is not timed)
import numpy as np

from whatif.bench.probe import peak_mb
from whatif.stats import probability_of_backtest_overfitting, superior_predictive_ability

BLOCKS = 16
REPS = 1_000


def main(name: str, periods: str, configurations: str, answer: str) -> None:
    """Time `pbo` or `spa` on random returns and write seconds and peak memory."""
    returns = np.random.default_rng(0).normal(0.0001, 0.01, (int(periods), int(configurations)))
    started = time.perf_counter()
    if name == "pbo":
        count = probability_of_backtest_overfitting(returns, BLOCKS).splits
    else:
        count = superior_predictive_ability(returns, 0.0, REPS, seed=0).reps
    found = {"seconds": time.perf_counter() - started, "count": count, "peak_mb": peak_mb()}
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
