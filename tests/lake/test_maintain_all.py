"""Upkeep of a whole lake: small files joined, untagged snapshots and orphans gone, every row as it was."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from whatif.cli import main
from whatif.errors import LakeError
from whatif.lake import (
    BARS,
    TableSpec,
    append_rows,
    create_tables,
    examine,
    maintain,
    maintain_all,
    set_properties,
    tag_pin,
)
from whatif.lake.local_files import write_next
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow, tagged_pin, time_of_ms

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OWN = TableSpec("own", (("k", "string"), ("n", "int")), key=("k", "n"))
DAYS_AGO = time.time() - 2 * 86_400


def put_bars(location: LakeLocation, *minutes: int) -> None:
    for minute in minutes:
        ts = datetime(2024, 1, 2, 15, minute, tzinfo=UTC)
        opened, closed = ts.replace(hour=14, minute=30), ts.replace(hour=21, minute=0)
        texts = {"symbol": "S", "timeframe": "1min", "hours": "regular", "exchange": "XNYS", "source": "f"}
        prices = {"open": 1.0, "high": 2.0, "low": 1.0, "close": 1.0 + minute, "volume": 5.0, "vwap": 1.0}
        row = {
            **texts, **prices, "ts": ts, "session": date(2024, 1, 2), "session_open": opened,
            "session_close": closed, "trade_count": 1, "vwap_estimated": False, "ingested_at": ts,
        }  # fmt: skip
        append_rows(None, location, BARS, [row])


def closes(location: LakeLocation, pin: object = None) -> list[float]:
    return sorted(read_arrow(pin or current_pin(location, "bars"), ["close"])["close"].to_pylist())  # type: ignore[arg-type]


def orphan(folder: Path, name: str, modified: float) -> Path:
    path = folder / name
    path.write_bytes(b"PAR1 of a writer that was killed")
    os.utime(path, (modified, modified))
    return path


@pytest.fixture
def lake(lake_home: LakeLocation) -> LakeLocation:
    create_tables(None, lake_home, [BARS, OWN])
    put_bars(lake_home, 0)
    tag_pin(None, lake_home, current_pin(lake_home, "bars"), "study-early")
    put_bars(lake_home, *range(1, 25))
    append_rows(None, lake_home, OWN, [{"k": "a", "n": 1}])
    append_rows(None, lake_home, OWN, [{"k": "a", "n": 2}])
    return lake_home


def test_every_table_is_kept_up_and_no_row_changes(lake: LakeLocation) -> None:
    rows, first = [1.0 + minute for minute in range(25)], current_pin(lake, "own")
    data = lake.table_folder("own") / "data"
    old, new = orphan(data, "old.parquet", DAYS_AGO), orphan(data, "new.parquet", time.time())
    listed = orphan(lake.table_folder("bars") / "metadata", "snap-0.avro", DAYS_AGO)
    bars, own = maintain_all(lake)
    assert (bars.table, bars.files, bars.orphans) == ("bars", (25, 1), 1)
    # 25 appends and the joining; 20 newest stay, and the tagged one
    assert bars.snapshots == (25, 21)
    assert (own.table, own.files, own.snapshots, own.orphans) == ("own", (2, 2), (2, 2), 1)
    assert own.freed == len(b"PAR1 of a writer that was killed")
    # a file of today may be one that a writer is about to name
    assert (old.exists(), new.exists(), listed.exists()) == (False, True, False)
    assert closes(lake) == rows
    assert closes(lake, tagged_pin(lake, "bars", "study-early")) == [1.0]
    # what is pinned without a tag stays
    assert sorted(read_arrow(first, ["n"])["n"].to_pylist()) == [1, 2]
    assert examine(lake) == []
    again = maintain_all(lake)
    assert [(one.files, one.orphans) for one in again] == [((1, 1), 0), ((2, 2), 0)]
    assert closes(lake) == rows


def test_every_snapshot_that_is_left_can_be_read_though_all_looks_old(lake: LakeLocation) -> None:
    for path in lake.table_folder("bars").rglob("*"):
        os.utime(path, (DAYS_AGO, DAYS_AGO))
    maintain_all(lake, timedelta(0))
    table = open_table(lake, "bars")
    counts = [len(table.scan(snapshot_id=s.snapshot_id).to_arrow()) for s in table.metadata.snapshots]
    assert len(counts) == 21
    assert min(counts) == 1
    assert max(counts) == 25


def test_a_lake_under_another_name_loses_nothing(lake: LakeLocation, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(lake.home)
    for path in lake.table_folder("own").rglob("*"):
        os.utime(path, (DAYS_AGO, DAYS_AGO))
    by_link = LakeLocation(link)
    assert [one.orphans for one in maintain_all(by_link, timedelta(0))] == [0, 0]
    assert len(closes(by_link)) == 25


def test_a_lake_that_was_copied_loses_nothing(lake: LakeLocation, tmp_path: Path) -> None:
    """Its tables name the files of the first: what is an orphan here cannot be told."""
    other = tmp_path / "other"
    shutil.copytree(lake.home, other)
    kept = orphan(LakeLocation(other).table_folder("own") / "data", "old.parquet", DAYS_AGO)
    bars, own = maintain_all(LakeLocation(other), timedelta(0))
    assert (bars.files, bars.snapshots, bars.orphans, own.orphans) == ((25, 25), (25, 25), None, None)
    assert maintain(LakeLocation(other), (BARS,), 0, 1, timedelta(0)) == []  # as after an ingest
    assert "outside of its folder" in own.summary()
    assert kept.exists()
    assert len(open_table(lake, "bars").metadata.snapshots) == 25
    assert len(closes(lake)) == 25


def test_the_command(
    lake: LakeLocation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WHATIF_HOME", str(lake.home))
    assert main(["maintain"]) == 0
    assert "bars: 25 → 1 data files, 25 → 21 snapshots, 0 orphans removed" in capsys.readouterr().out
    monkeypatch.setenv("WHATIF_HOME", str(tmp_path / "empty"))
    assert main(["maintain"]) == 0
    assert "holds no table" in capsys.readouterr().out


def test_a_catalog_service_needs_a_session(lake_home: LakeLocation) -> None:
    with pytest.raises(LakeError, match=r"give a session, as .*jobs/maintain_tables\.py do"):
        maintain_all(replace(lake_home, local=False))


def ten_days_older(metadata: dict[str, Any]) -> dict[str, Any]:
    lists = (metadata["snapshots"], metadata["snapshot-log"], metadata["metadata-log"])
    for entry in (metadata, *(one for entries in lists for one in entries)):
        for name in ("timestamp-ms", "last-updated-ms"):
            if name in entry:
                entry[name] -= 10 * 86_400_000
    return metadata


def test_as_of_finds_a_snapshot_that_is_left_though_the_log_was_cut(lake: LakeLocation) -> None:
    """Iceberg's expire_snapshots clears the log before what it drops, of snapshots too that stay."""
    begun = datetime(2024, 3, 1, tzinfo=UTC)

    def cut(metadata: dict[str, Any]) -> dict[str, Any]:
        for k, (one, logged) in enumerate(zip(metadata["snapshots"], metadata["snapshot-log"], strict=True)):
            one["timestamp-ms"] = logged["timestamp-ms"] = int((begun.timestamp() + 60 * k) * 1000)
        del metadata["snapshots"][5], metadata["snapshot-log"][:6]
        return metadata

    kept = open_table(lake, "bars").metadata.snapshots
    write_next(lake.table_folder("bars"), cut)
    minute = timedelta(minutes=1)
    for at, expected in ((3.5, kept[3]), (5.5, kept[4]), (6.5, kept[6]), (90, kept[24])):
        assert current_pin(lake, "bars", begun + at * minute).snapshot_id == expected.snapshot_id
    with pytest.raises(LakeError, match="its first was written 2024-03-01T00:00:00"):
        current_pin(lake, "bars", begun - minute)


@pytest.mark.slow
@pytest.mark.spark
def test_procedures_of_iceberg_do_the_same(lake: LakeLocation, spark: SparkSession) -> None:
    """As on a catalog service. What is older than five days stays too, which the procedures would drop."""
    write_next(lake.table_folder("bars"), ten_days_older)
    early = tagged_pin(lake, "bars", "study-early")
    assert early is not None
    place = {"whatif.checkpoints.walk": json.dumps({"snapshot": early.snapshot_id, "parts": {"a": ["7", 7]}})}
    set_properties(None, lake, "bars", place)
    first = current_pin(lake, "own")
    old = orphan(lake.table_folder("own") / "data", "old.parquet", DAYS_AGO)
    new = orphan(lake.table_folder("own") / "data", "new.parquet", time.time())
    bars, own = maintain_all(lake, spark=spark)
    assert (bars.table, bars.files, bars.snapshots, bars.orphans) == ("bars", (25, 1), (25, 21), 0)
    assert (own.files, own.snapshots, own.orphans, own.freed) == ((2, 2), (2, 2), 1, None)
    assert own.summary() == "own: 2 → 2 data files, 2 → 2 snapshots, 1 orphans removed"
    assert (old.exists(), new.exists()) == (False, True)
    rows = [1.0 + minute for minute in range(25)]
    assert closes(lake) == rows
    assert closes(lake, tagged_pin(lake, "bars", "study-early")) == [1.0]
    at = open_table(lake, "bars").snapshot_by_id(early.snapshot_id).timestamp_ms
    assert current_pin(lake, "bars", time_of_ms(at)).snapshot_id == early.snapshot_id
    assert sorted(read_arrow(first, ["n"])["n"].to_pylist()) == [1, 2]
    # the checkpoint names the oldest snapshot that the newest is made of without a gap: 20 newest
    table = open_table(lake, "bars")
    stored = json.loads(table.properties["whatif.checkpoints.walk"])
    newest = sorted(table.metadata.snapshots, key=lambda s: s.sequence_number)[-20:]
    assert stored == {"snapshot": newest[0].snapshot_id, "parts": {"a": ["7", 7]}}
    assert maintain_all(lake, spark=spark)[0].files == (1, 1)
