"""Many small ingests leave a lake of few files and snapshots, with every bar and every tag."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.lake import maintenance, tag_pin
from whatif.pins import LakeLocation, current_pin, open_table, read_bars, tagged_pin
from whatif.sources import IngestSpec
from whatif.workflow import ingest

SPEC = IngestSpec(symbol="S", exchange="24/7", timeframe="1min")


def put(folder: Path, lake: LakeLocation, minute: int, day: str = "2024-01-02") -> None:
    path = folder / f"{minute}.csv"
    path.write_text(f"ts,open,high,low,close,volume\n{day}T00:{minute:02}:00Z,1,2,1,{1 + minute / 100},5\n")
    ingest([path], SPEC, lake, runner="local")


def test_files_are_joined_and_snapshots_thinned_out(
    lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BARS_COMMITS", 4)
    monkeypatch.setattr(maintenance, "BARS_SNAPSHOTS", 3)
    for minute in range(12):
        put(tmp_path, lake_home, minute)
        if minute == 1:
            tag_pin(None, lake_home, current_pin(lake_home, "bars"), "study-early")
    table = open_table(lake_home, "bars")
    assert len(list(table.scan().plan_files())) == 1
    # 3 newest, and the tagged one; the last of the day is among the newest
    assert len(table.metadata.snapshots) == 4
    early = tagged_pin(lake_home, "bars", "study-early")
    assert early is not None
    assert read_bars(early, "S", "1min").close.tolist() == [1.0, 1.01]
    whole = read_bars(current_pin(lake_home, "bars"), "S", "1min").close.tolist()
    assert whole == [1 + minute / 100 for minute in range(12)]
    # joined at the 8th and the 12th, the four between that the newest snapshots hold, and the two tagged
    assert len(list((lake_home.table_folder("bars") / "data").rglob("*.parquet"))) == 8


def test_a_month_of_one_file_keeps_it(
    lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What there is nothing to join with is not written again, however often other months are joined."""
    monkeypatch.setattr(maintenance, "BARS_COMMITS", 4)
    put(tmp_path, lake_home, 0, "2023-12-01")
    (before,) = open_table(lake_home, "bars").scan().plan_files()
    for minute in range(1, 9):
        put(tmp_path, lake_home, minute)
    after = {task.file.file_path for task in open_table(lake_home, "bars").scan().plan_files()}
    assert before.file.file_path in after
    assert len(after) < 9
