"""All real bars that there are, by name."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whatif.domain.bars import Bars

from ..conftest import DAY, build_bars

_NEW_YORK = "America/New_York"


@pytest.fixture(scope="session")
def read_market(data_dir: Path, estx50: Bars) -> Callable[[str], Bars]:
    """Return a function from one of `MARKETS` to all its bars."""

    def read(name: str) -> Bars:
        if name == "estx50":
            return estx50
        if name.startswith("backtrader/"):
            return _backtrader(data_dir / name)
        return _lean(data_dir / "lean" / "equity" / "usa", name)

    return read


def _backtrader(path: Path) -> Bars:
    rows = pd.read_csv(path)
    ts = pd.DatetimeIndex(pd.to_datetime(rows["Date"])).as_unit("us").asi8
    return build_bars(rows[["Open", "High", "Low", "Close"]].to_numpy(), path.stem, ts)


def _lean(folder: Path, name: str) -> Bars:
    """Return bars of Lean: prices in 1/10,000 dollar, in sessions from 9:30 to 16:00 of New York."""
    kind, symbol = name.split("/")
    if kind == "minute":
        parts = list(_days(folder / "minute" / symbol))
        table, local = np.concatenate([p for p, _ in parts]), np.concatenate([t for _, t in parts])
    else:
        rows = pd.read_csv(folder / kind / f"{symbol}.zip", header=None)
        table = rows[[1, 2, 3, 4]].to_numpy(dtype=np.float64)
        local = pd.DatetimeIndex(pd.to_datetime(rows[0], format="%Y%m%d %H:%M")).as_unit("us").asi8
    day = local - local % DAY
    bars = build_bars(table / 10_000.0, symbol, _utc(local))
    session_open, session_close = (_utc(day + minutes * 60_000_000) for minutes in (570, 960))
    return Bars(
        **{
            key: getattr(bars, key)
            for key in ("symbol", "ts", "open", "high", "low", "close", "volume", "vwap")
        },
        session=day // DAY,
        session_open=session_open,
        session_close=session_close,
    )


def _days(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            rows = pd.read_csv(file, header=None)
        midnight = pd.DatetimeIndex([path.name[:8]]).as_unit("us").asi8[0]
        yield rows[[1, 2, 3, 4]].to_numpy(dtype=np.float64), midnight + rows[0].to_numpy(np.int64) * 1_000


def _utc(local: np.ndarray) -> np.ndarray:
    stamps = pd.DatetimeIndex(local.astype("datetime64[us]")).tz_localize(_NEW_YORK)
    return np.asarray(stamps.tz_convert("UTC").as_unit("us").asi8, dtype=np.int64)
