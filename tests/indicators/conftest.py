"""Real and awkward series, and Backtrader's own indicators as the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

Reference = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def estx50_close(data_dir: Path) -> np.ndarray:
    """Return 30,889 closes of one-minute bars."""
    rows = pd.read_csv(data_dir / "estx50" / "2006-01-02-volume-min-001.csv", skiprows=1, header=None)
    return rows[5].to_numpy(dtype=np.float64)


@pytest.fixture(scope="session")
def random_walk() -> np.ndarray:
    """Return 5,000 prices with many digits, which no tick grid rounds."""
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(7).normal(0.0, 0.01, 5_000)))


@pytest.fixture(scope="session")
def by_backtrader() -> Reference:
    """Return a function that runs an indicator of Backtrader on series, in a real Cerebro."""

    def run(make: Callable[..., Any], *series: np.ndarray) -> np.ndarray:
        index = pd.date_range("2000-01-03", periods=len(series[0]), freq="D")
        found: list[Any] = []

        class Probe(bt.Strategy):
            def __init__(self) -> None:
                found.append(make(*(data.close for data in self.datas)))

            def start(self) -> None:
                # indicators are complete before the first bar; the bars themselves are not needed
                self.env.runstop()

        cerebro = bt.Cerebro(stdstats=False)
        for values in series:
            frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), values), index=index)
            cerebro.adddata(bt.feeds.PandasData(dataname=frame.assign(volume=0.0, openinterest=0.0)))
        cerebro.addstrategy(Probe)
        cerebro.run()
        return np.array(found[0].lines[0].array)

    return run
