"""A job that writes down what Python, and whose modules, two executors run with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession


def look(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Run a backtest on both brokers and report on the process that did."""
    import importlib.util
    import json
    import os
    import sys

    import numpy as np

    import whatif
    from whatif.engines.compiled.folder import kernel_folder

    list(frames)
    ts = pd.date_range("2024-10-01 13:30", periods=300, freq="min", tz="UTC")
    close = 100.0 + np.cumsum(np.sin(np.arange(300) * 0.37))
    bars = pd.DataFrame({"symbol": "A", "ts": ts, "open": close, "high": close + 1, "low": close - 1})
    bars = bars.assign(close=close, volume=1000.0)
    params = {"fast": 3, "slow": 12, "size": 10.0}
    answers = [
        whatif.backtest(bars, "sma_crossover", params, engine=engine) for engine in ("compiled", "backtrader")
    ]
    kept = {
        value._cache.cache_path
        for name, module in list(sys.modules.items())
        if name.startswith("whatif.")
        for value in vars(module).values()
        if hasattr(getattr(value, "_cache", None), "cache_path")
    }
    found = {
        "folder": os.getcwd(),
        "prefix": sys.prefix,
        "executable": sys.executable,
        "whatif": whatif.__file__,
        "modules": sorted({m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)}),
        "variables": dict(os.environ),
        "pyspark in site-packages": any(
            importlib.util.find_spec(name)
            and str(importlib.util.find_spec(name).origin).startswith(sys.prefix)
            for name in ("pyspark", "py4j")
        ),
        "fills": len(answers[0].fills),
        "equal": answers[0].equity.equals(answers[1].equity) and answers[0].fills.equals(answers[1].fills),
        "kernels": [str(path) for path in kernel_folder().rglob("*.nbc")],
        "caches": sorted(kept),
        "cached": sum(len(list(Path(folder).glob("*.nbi"))) for folder in kept),
    }
    yield pd.DataFrame({"found": [json.dumps(found)]})


if __name__ == "__main__":
    spark = SparkSession.builder.appName("probe").getOrCreate()
    # a barrier: both tasks run at the same time, so on both executors
    rows = spark.range(0, 2, 1, 2).mapInPandas(look, "found string", barrier=True).collect()
    Path(sys.argv[1]).write_text("\n".join(row["found"] for row in rows))
    spark.stop()
