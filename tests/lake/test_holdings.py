"""The list of what the lake holds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from whatif.errors import LakeError
from whatif.lake.holdings import COLUMNS, list_bars
from whatif.lake.quality import check_quality
from whatif.pins import LakeLocation
from whatif.sources import IngestSpec
from whatif.workflow import ingest

from ..markets import put_bars, walk


def test_no_lake(lake_home: LakeLocation) -> None:
    with pytest.raises(LakeError, match="whatif ingest"):
        list_bars(lake_home)


def test_gaps_are_counted_by_the_calendar(lake_home, tmp_path: Path) -> None:
    """Wednesday 27 to Friday 29 November 2013: a full day, Thanksgiving, and a half day (09:30 to 13:00)."""
    rows = [f"2013-11-27T{9 + (30 + n) // 60:02}:{(30 + n) % 60:02}" for n in range(390) if n not in (5, 6)]
    rows += ["2013-11-27T16:05", "2013-11-29T09:30", "2013-11-29T12:59", "2013-11-29T13:00"]
    lines = ["ts,open,high,low,close,volume", *(f"{row},1,1,1,1,1" for row in rows)]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    spec = IngestSpec(symbol="SPY", exchange="XNYS", timezone="America/New_York")
    ingest([tmp_path / "a.csv"], spec, lake_home)
    table = list_bars(lake_home)
    assert tuple(table.columns) == COLUMNS
    (row,) = table.to_dict("records")
    assert (row["symbol"], row["timeframe"], row["exchange"]) == ("SPY", "1min", "XNYS")
    assert row["first"] == pd.Timestamp("2013-11-27 14:30", tz="UTC")
    assert row["last"] == pd.Timestamp("2013-11-29 18:00", tz="UTC")
    # 388 + 1 after hours, 2 + 1 after the early close; missing 2 of 390 and 208 of 210
    assert (row["sessions"], row["bars"], row["extended_bars"], row["missing_minutes"]) == (2, 392, 2, 210)


def test_a_session_without_any_bar_is_missing_whole(lake_home, tmp_path: Path) -> None:
    lines = [f"2013-10-{day:02},1,1,1,1,1" for day in (7, 8, 10)]
    (tmp_path / "d.csv").write_text("\n".join(["date,open,high,low,close,volume", *lines]) + "\n")
    ingest([tmp_path / "d.csv"], IngestSpec(symbol="A", exchange="XNYS", timeframe="1d"), lake_home)
    (row,) = list_bars(lake_home).to_dict("records")
    assert (row["sessions"], row["bars"], row["missing_minutes"]) == (3, 3, 1)


@pytest.mark.parametrize("name", ["AB", "ZZ", "[bold]x[/]", "Ü" * 200])
def test_a_symbol_that_no_file_can_hold_is_unknown_and_the_lake_not_damaged(lake_home, name: str) -> None:
    put_bars(lake_home, [walk("A", 1, minutes=60), walk("B", 2, minutes=60)])
    with pytest.raises(LakeError, match=r"holds no bars of .*(did you mean|valid)"):
        list_bars(lake_home, symbols=[name])
    for one in ("A", ["A"]):
        assert list_bars(lake_home, symbols=one)["symbol"].tolist() == ["A"]
        assert check_quality(lake_home, one).summary()["symbol"].tolist() == ["A"]
    with pytest.raises(LakeError, match="holds no 1d bars of A"):
        list_bars(lake_home, symbols=["A"], timeframe="1d")
