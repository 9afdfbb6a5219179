"""Many small ingests leave a lake of few files and snapshots, with every bar and every tag."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from whatif.lake import create, maintenance, tag_pin
from whatif.lake.local_files import at_snapshot, write_next
from whatif.pins import LakeLocation, current_pin, open_table, read_bars, tagged_pin
from whatif.sources import Chunk, IngestSpec, Layout, Source
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


class Once(Source):
    """A source of one bar, which notes from where on it was asked."""

    asked: ClassVar[list[str | None]] = []

    def parts(self) -> list[str]:
        """Return the only part."""
        return ["once"]

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield the bar, if it is not there yet."""
        self.asked.append(checkpoint)
        rows = [] if checkpoint else [datetime(2024, 1, 2, 1, tzinfo=UTC)]
        columns = {"ts": pa.array(rows, pa.timestamp("us", "UTC"))}
        columns |= {name: pa.array([1.0] * len(rows), pa.float64()) for name in PRICES}
        yield Chunk(Layout(part, "1min", "24/7", symbol="ONCE"), pa.RecordBatch.from_pydict(columns), "1")


class Clock:
    """The time, which stands still."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self, _: Any) -> datetime:
        """Return it."""
        return self.at

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)


PRICES = ("open", "high", "low", "close", "volume")


def test_manifests_of_many_months_are_merged_and_no_row_is_lost(
    lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BARS_COMMITS", 4)
    monkeypatch.setattr(maintenance, "BARS_SNAPSHOTS", 3)
    monkeypatch.setitem(create._BOUNDED, "commit.manifest.min-count-to-merge", "5")
    for month in range(1, 13):
        for minute in (0, 1):
            put(tmp_path, lake_home, minute, f"2024-{month:02}-02")
    table = open_table(lake_home, "bars")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    # a file a month and some that came after files were joined; a manifest each if none were merged
    assert len(list(table.scan().plan_files())) >= 12
    assert len(snapshot.manifests(table.io)) <= 5
    rows = read_bars(current_pin(lake_home, "bars"), "S", "1min")
    assert rows.close.tolist() == [1.0, 1.01] * 12
    for past in table.metadata.snapshots:  # what was cleared away is of no snapshot that stayed
        assert table.scan(snapshot_id=past.snapshot_id).to_arrow().num_rows > 0


def test_a_source_goes_on_where_it_was_though_its_snapshot_is_gone(
    lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BARS_COMMITS", 4)
    monkeypatch.setattr(maintenance, "BARS_SNAPSHOTS", 3)
    monkeypatch.setattr(Once, "asked", [])
    ingest(Once(), location=lake_home, runner="local")
    early = current_pin(lake_home, "bars").snapshot_id
    for minute in range(8):
        put(tmp_path, lake_home, minute)
    assert early not in {one.snapshot_id for one in open_table(lake_home, "bars").metadata.snapshots}
    before = current_pin(lake_home, "bars").snapshot_id
    ingest(Once(), location=lake_home, runner="local")
    assert Once.asked == [None, "1"]
    # what was put back to before the snapshot that stands for it begins anew: rows may be gone
    for minute in range(8, 11):
        put(tmp_path, lake_home, minute)
    folder = lake_home.table_folder("bars")
    write_next(folder, lambda metadata: at_snapshot(metadata, before))
    ingest(Once(), location=lake_home, runner="local")
    assert Once.asked == [None, "1", None]


def test_of_old_snapshots_the_last_of_each_day_month_and_year_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand days, an ingest a day, leave 31 days, two years' months, years: metadata is bounded."""
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    monkeypatch.setattr(maintenance, "datetime", Clock(now))
    days = [now - timedelta(days=ago, minutes=late) for ago in range(1000, -1, -1) for late in (30, 0)]
    snapshots = [
        SimpleNamespace(snapshot_id=k, sequence_number=k, timestamp_ms=int(day.timestamp() * 1000))
        for k, day in enumerate(days)
    ]
    refs = {"main": SimpleNamespace(snapshot_id=2001), "study": SimpleNamespace(snapshot_id=4)}
    table: Any = SimpleNamespace(metadata=SimpleNamespace(snapshots=snapshots, refs=refs))
    gone = {one.snapshot_id for one in maintenance._outdated(table, 20, timedelta(0), daily=True)}
    stay = [days[k] for k in range(len(days)) if k not in gone]
    # 744 days back is 2024-11-15: the last before it stands for 2024. Then November 2024 to October 2026, the
    # last of each month; 31 days; ten of them twice; and the tagged one
    assert len(stay) == 1 + 1 + 24 + 31 + 10
    assert days[4] in stay
    assert stay[1].date().isoformat() == "2024-11-15"
    months = stay[2:26]
    assert [(one.year, one.month) for one in months] == [
        (year, month) for year in (2024, 2025, 2026) for month in range(1, 13)
    ][10:34]
    assert {one.minute for one in stay[1:37]} == {0}
