"""Rows in quarantine are told where their bars are missed. Starts no JVM."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from whatif.errors import LakeError
from whatif.lake import holdings as bars
from whatif.lake.holdings import refused_in, refused_rows
from whatif.pins import LakeLocation

ROWS = pa.RecordBatch.from_pylist(
    [
        {"symbol": "CL", "timeframe": "1d", "rule": "non_positive_price"},
        {"symbol": "CL", "timeframe": "1d", "rule": "non_positive_price"},
        {"symbol": "CL", "timeframe": "1d", "rule": "duplicate"},
        {"symbol": "ES", "timeframe": "1min", "rule": "no_session"},
    ]
)


@pytest.fixture
def quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "current_pin", lambda location, table: table)
    monkeypatch.setattr(bars, "batches", lambda pin, columns, row_filter: [ROWS.select(list(columns))])


def test_by_symbol_and_timeframe(quarantine: None, lake_home: LakeLocation) -> None:
    assert refused_rows(lake_home) == Counter({("CL", "1d"): 3, ("ES", "1min"): 1})


def test_in_a_slice_bars_that_came_again_are_not_missing(quarantine: None, lake_home: LakeLocation) -> None:
    assert "missing here: CL 2, ES 1 (bars_quarantine)" in refused_in(lake_home, ["CL", "ES"], 0, 1)


def test_a_lake_without_quarantine(monkeypatch: pytest.MonkeyPatch, lake_home: LakeLocation) -> None:
    def absent(location: LakeLocation, table: str) -> None:
        raise LakeError("no table")

    monkeypatch.setattr(bars, "current_pin", absent)
    assert refused_in(lake_home, ["CL"], 0, 1) == ""
    assert not refused_rows(lake_home)
