"""Bars to run on, and plain Backtrader as the reference that the engine must equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whatif.domain.bars import Bars
from whatif.domain.run import EngineRun
from whatif.engines import ENGINES, BacktestTask, run_engine
from whatif.errors import EngineError
from whatif.testing import task_differences

from ..plain import Plain, run_plain

MINUTE = 60_000_000
DAY = 1440 * MINUTE
START = 20_000 * DAY


def agreed_runs(tasks: Iterable[BacktestTask]) -> Iterator[tuple[BacktestTask, EngineRun]]:
    """Yield tasks with their runs, on which both brokers agree; those that both refuse are left out."""
    for k, task in enumerate(tasks):
        assert task_differences(task, "backtrader", "compiled") == [], f"case {k}"
        try:
            run = run_engine(task, "compiled")
        except EngineError:  # a size beyond what a float counts
            continue
        yield task, run


def build_bars(prices: Any, symbol: str = "X", ts: np.ndarray | None = None, **inputs: Any) -> Bars:
    """Return one-minute bars from rows of (open, high, low, close)."""
    table = np.asarray(prices, dtype=np.float64)
    stamps = (
        START + MINUTE * np.arange(len(table), dtype=np.int64) if ts is None else np.asarray(ts, np.int64)
    )
    session = stamps // DAY
    o, h, lo, c = (np.ascontiguousarray(table[:, k]) for k in range(4))
    return Bars(
        symbol=symbol,
        ts=stamps,
        open=o,
        high=h,
        low=lo,
        close=c,
        volume=np.full(len(table), 100.0),
        vwap=(h + lo + c) / 3.0,
        session=session,
        session_open=session * DAY,
        session_close=(session + 1) * DAY,
        inputs={name: np.asarray(values, dtype=np.float64) for name, values in inputs.items()},
    )


def walk(seed: int, n: int, symbol: str = "X", step: float = 0.004, **inputs: Any) -> Bars:
    """Return bars of a random walk with many digits."""
    rng = np.random.default_rng(seed)
    close = 80.0 * np.exp(np.cumsum(rng.normal(0.0, step, n)))
    opened = np.concatenate([[80.0], close[:-1]]) * np.exp(rng.normal(0.0, step / 2, n))
    high = np.maximum(opened, close) * (1.0 + rng.exponential(step / 2, n))
    low = np.minimum(opened, close) * (1.0 - rng.exponential(step / 4, n))
    return build_bars(np.column_stack([opened, high, low, close]), symbol, **inputs)


@pytest.fixture(params=[name for name in ENGINES if name != "auto"])
def engine(request: pytest.FixtureRequest) -> str:
    """Return the name of an engine; each in turn."""
    name: str = request.param
    return name


@pytest.fixture(name="build_bars", scope="session")
def _build_bars() -> Callable[..., Bars]:
    return build_bars


@pytest.fixture(name="walk", scope="session")
def _walk() -> Callable[..., Bars]:
    return walk


@pytest.fixture(scope="session")
def estx50(data_dir: Path) -> Bars:
    """Return 30,889 one-minute bars of a European index future."""
    rows = pd.read_csv(data_dir / "estx50" / "2006-01-02-volume-min-001.csv", skiprows=1, header=None)
    ends = pd.to_datetime(rows[0] + " " + rows[1]).dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC")
    ts = pd.DatetimeIndex(ends).as_unit("us").asi8 - MINUTE
    return build_bars(rows[[2, 3, 4, 5]].to_numpy(), "ESTX50", ts)


@pytest.fixture(scope="session")
def year_2006(data_dir: Path) -> Bars:
    """Return Backtrader's own 255 daily bars of 2006."""
    rows = pd.read_csv(data_dir / "backtrader" / "2006-day-001.txt")
    ts = pd.DatetimeIndex(pd.to_datetime(rows["Date"])).as_unit("us").asi8
    return build_bars(rows[["Open", "High", "Low", "Close"]].to_numpy(), "2006", ts)


@pytest.fixture(scope="session")
def plain() -> Callable[..., Plain]:
    return run_plain
