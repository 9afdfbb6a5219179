"""A lake in a bad state: what is found, and what a repair leaves."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.pins.conftest import bar, hadoop_bars  # noqa: F401
from whatif.errors import LakeDamagedError, LakeError
from whatif.lake.doctor import examine, repair
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow


def closes(lake: LakeLocation) -> list[float]:
    return sorted(read_arrow(current_pin(lake, "bars"), ["close"]).column("close").to_pylist())


def data_files(table) -> set[str]:
    return {task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()}


@pytest.fixture
def two(hadoop_bars, lake_home: LakeLocation) -> str:  # noqa: F811
    """A table of two snapshots; the path of the second one's own data file."""
    first = data_files(hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)]))
    (own,) = data_files(hadoop_bars([bar("SPY", "2013-10-07 13:31", 101.0)])) - first
    return own


def mended(lake: LakeLocation) -> list[str]:
    """Repair what is found, and return what was done; nothing is found any more."""
    done = repair(lake, examine(lake))
    assert examine(lake) == []
    return done


def test_a_sound_lake(two: str, lake_home: LakeLocation) -> None:
    assert examine(lake_home) == []


def test_no_lake(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="there is no lake in"):
        examine(LakeLocation(tmp_path / "nothing"))


def test_a_missing_data_file_goes_back_to_the_snapshot_without_it(two: str, lake_home: LakeLocation) -> None:
    Path(two).unlink()
    (finding,) = examine(lake_home)
    assert (finding.where, finding.problem) == ("bars", f"file://{two} is missing")
    assert "goes back to snapshot" in finding.remedy
    assert "ingest again" in finding.remedy
    with pytest.raises(LakeDamagedError):
        closes(lake_home)
    mended(lake_home)
    assert closes(lake_home) == [100.0]


def test_a_table_that_no_snapshot_is_whole_of_is_set_aside(two: str, lake_home: LakeLocation) -> None:
    for path in data_files(open_table(lake_home, "bars")):
        Path(path).write_bytes(b"PAR1")
    (finding,) = examine(lake_home)
    assert "no older snapshot does without it" in finding.remedy
    mended(lake_home)
    with pytest.raises(LakeError, match="does not exist"):
        current_pin(lake_home, "bars")
    (aside,) = (lake_home.home / "damaged").iterdir()
    assert (aside / "metadata" / "v2.metadata.json").is_file()


@pytest.mark.parametrize("text", ["", '{"format', "null"])
def test_unreadable_metadata_goes_on_from_the_version_before(
    two: str, lake_home: LakeLocation, text: str
) -> None:
    metadata = lake_home.table_folder("bars") / "metadata" / "v2.metadata.json"
    metadata.write_text(text)
    (finding,) = examine(lake_home)
    assert finding.problem == "metadata v2.metadata.json cannot be read"
    mended(lake_home)
    assert closes(lake_home) == [100.0]
    assert not metadata.exists()


@pytest.mark.parametrize("hint", ["9", "none", ""])
def test_a_wrong_hint_is_written_anew(two: str, lake_home: LakeLocation, hint: str) -> None:
    path = lake_home.table_folder("bars") / "metadata" / "version-hint.text"
    path.write_text(hint)
    (path.with_name(".version-hint.text.crc")).write_bytes(b"crc\0")
    mended(lake_home)
    assert path.read_text() == "2"
    assert not path.with_name(".version-hint.text.crc").exists()
    assert closes(lake_home) == [100.0, 101.0]


def test_a_clock_that_was_a_day_ahead(two: str, lake_home: LakeLocation) -> None:
    path = lake_home.table_folder("bars") / "metadata" / "v2.metadata.json"
    metadata = json.loads(path.read_text())
    tomorrow = int(time.time() * 1000) + 86_400_000
    metadata["last-updated-ms"] = metadata["snapshots"][-1]["timestamp-ms"] = tomorrow
    metadata["snapshot-log"][-1]["timestamp-ms"] = tomorrow
    path.write_text(json.dumps(metadata))
    (finding,) = examine(lake_home)
    assert "clock that was ahead, and cannot be written before 20" in finding.problem
    mended(lake_home)
    found = open_table(lake_home, "bars").metadata
    assert found.last_updated_ms <= time.time() * 1000
    assert all(s.timestamp_ms <= found.last_updated_ms for s in found.snapshots)
    assert closes(lake_home) == [100.0, 101.0]


@pytest.mark.parametrize("content", [b"garbage" * 100, b"SQLite format 3\0" + b"\0" * 50])
def test_mlflows_database_is_set_aside(two: str, lake_home: LakeLocation, content: bytes) -> None:
    database = lake_home.home / "mlflow.db"
    database.write_bytes(content)
    (finding,) = examine(lake_home)
    assert "MLflow's database" in finding.problem
    mended(lake_home)
    assert not database.exists()
    (aside,) = (lake_home.home / "damaged").iterdir()
    assert aside.read_bytes() == content


def test_a_file_in_the_place_of_the_tables(lake_home: LakeLocation) -> None:
    lake_home.home.mkdir(parents=True)
    lake_home.warehouse.write_text("?")
    (finding,) = examine(lake_home)
    assert "and is a file" in finding.problem
    mended(lake_home)
    assert not lake_home.warehouse.exists()


def test_a_repair_is_a_commit_that_others_read(two: str, lake_home: LakeLocation) -> None:
    Path(two).unlink()
    repair(lake_home, examine(lake_home))
    opened = open_table(lake_home, "bars")
    assert opened.metadata_location.endswith("v3.metadata.json")
    assert opened.metadata.snapshot_log[-1].snapshot_id == opened.metadata.current_snapshot_id
    assert opened.metadata.refs["main"].snapshot_id == opened.metadata.current_snapshot_id
    assert opened.metadata.metadata_log[-1].metadata_file.endswith("v2.metadata.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(two: str, lake_home: LakeLocation) -> None:
    lake_home.home.chmod(0o500)
    try:
        (finding,) = examine(lake_home)
    finally:
        lake_home.home.chmod(0o700)
    assert "may not write" in finding.problem
