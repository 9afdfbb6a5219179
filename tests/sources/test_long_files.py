"""What a file shows only in many rows, or behind its first ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from whatif.errors import SourceError
from whatif.sources import IngestSpec
from whatif.sources.delivery import file_parts, read_part

HEADER = "ts,open,high,low,close,volume"


def rows_of(path: Path, **spec: object) -> list[dict]:  # type: ignore[type-arg]
    parts, _ = file_parts([path], IngestSpec(**spec))  # type: ignore[arg-type]
    return [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]


def crypto(path: Path, minutes: int, count: int) -> Path:
    first = datetime(2024, 1, 1)
    lines = [f"{first + k * timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ},1,2,1,2,5" for k in range(count)]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


# 5 ** 442, 60 ** 174 and 720 ** 108 are above the largest number of 64 bits
@pytest.mark.parametrize(("minutes", "count", "name"), [(5, 500, "5min"), (60, 200, "1h"), (720, 120, "12h")])
def test_the_length_of_many_bars_is_found(tmp_path: Path, minutes: int, count: int, name: str) -> None:
    rows = rows_of(crypto(tmp_path / "BTC.csv", minutes, count), exchange="24/7")
    assert {row["timeframe"] for row in rows} == {name}
    assert len(rows) == count


def test_many_bars_of_another_length_than_stated_are_refused(tmp_path: Path) -> None:
    path = crypto(tmp_path / "BTC.csv", 60, 400)
    with pytest.raises(SourceError, match="give --timeframe 1h"):
        rows_of(path, exchange="24/7", timeframe="1min")
