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


OHLC = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def lines_by_backtrader() -> Callable[..., dict[str, np.ndarray]]:
    """Return a function that runs several indicators of Backtrader on bars, and returns their lines."""

    def run(make: Callable[[Any], dict[str, Any]], bars: OHLC) -> dict[str, np.ndarray]:
        index = pd.date_range("1900-01-01", periods=len(bars[0]), freq="D")
        frame = pd.DataFrame(dict(zip(("open", "high", "low", "close"), bars, strict=True)), index=index)
        found: dict[str, Any] = {}

        class Probe(bt.Strategy):
            def __init__(self) -> None:
                found.update(make(self.data))

            def start(self) -> None:
                self.env.runstop()

        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame.assign(volume=0.0, openinterest=0.0)))
        cerebro.addstrategy(Probe)
        cerebro.run()
        return {name: np.array(line.array) for name, line in found.items()}

    return run


def _lean(path: Path) -> OHLC:
    rows = pd.read_csv(path, header=None)
    return tuple(rows[k].to_numpy(dtype=np.float64) / 10_000.0 for k in range(1, 5))  # type: ignore[return-value]


@pytest.fixture(scope="session")
def real_bars(data_dir: Path) -> Callable[[str], OHLC]:
    """Return a function that reads bars of the market: open, high, low, close."""

    def read(name: str) -> OHLC:
        if name == "estx50":
            rows = pd.read_csv(data_dir / "estx50" / "2006-01-02-volume-min-001.csv", skiprows=1, header=None)
            return tuple(rows[k].to_numpy(dtype=np.float64) for k in range(2, 6))  # type: ignore[return-value]
        if name == "2006":
            days = pd.read_csv(data_dir / "backtrader" / "2006-day-001.txt")
            return tuple(days[k].to_numpy(dtype=np.float64) for k in ("Open", "High", "Low", "Close"))  # type: ignore[return-value]
        return _lean(data_dir / "lean" / "equity" / "usa" / name)

    return read
