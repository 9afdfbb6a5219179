"""Altered files are told, never read as other numbers."""

from __future__ import annotations

import os
import random
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.io.pyarrow import PyArrowFileIO

from whatif.errors import LakeDamagedError
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow, read_bars
from whatif.pins.integrity import checksum_fault, file_fault, local_parts, local_path, stored_fault

from .conftest import bar


def hadoop_checksums(path: Path, chunk: int = 512) -> None:
    """Write the checksum file that Hadoop's local file system writes beside `path`."""
    content = path.read_bytes()
    sums = [zlib.crc32(content[at : at + chunk]) for at in range(0, len(content), chunk)]
    path.with_name(f".{path.name}.crc").write_bytes(
        b"crc\0" + struct.pack(">i", chunk) + struct.pack(f">{len(sums)}I", *sums)
    )


def data_file(table) -> Path:
    (task,) = table.scan().plan_files()
    return Path(task.file.file_path.removeprefix("file://"))


def with_page_checksums(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table, path, write_page_checksum=True, compression="zstd", use_dictionary=False)


def flip(path: Path, at: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


@pytest.fixture
def many(hadoop_bars):
    """A table of 300 bars whose file has a checksum in every page."""
    minutes = [f"2013-10-07 {13 + k // 60}:{k % 60:02d}" for k in range(30, 330)]
    table = hadoop_bars([bar("SPY", ts, 100.0 + k) for k, ts in enumerate(minutes)])
    with_page_checksums(data_file(table))
    return table


def test_no_flipped_bit_is_another_price(many, lake_home: LakeLocation) -> None:
    """Of the pages; those of the footer are told by Hadoop's checksum file."""
    path, pin = data_file(many), current_pin(lake_home, "bars")
    good = read_bars(pin, "SPY", "1min")
    whole, rng = path.read_bytes(), random.Random(7)
    footer = pq.read_metadata(path).serialized_size + 8
    outcomes = [_outcome(path, whole, pin, good, rng.randrange(4, len(whole) - footer)) for _ in range(40)]
    assert "other" not in outcomes
    assert outcomes.count("told") > 30
    hadoop_checksums(path)
    outcomes = [_outcome(path, whole, pin, good, rng.randrange(len(whole))) for _ in range(40)]
    assert outcomes == ["told"] * 40


def _outcome(path: Path, whole: bytes, pin, good, at: int) -> str:
    flip(path, at, at % 8)
    try:
        found = read_bars(pin, "SPY", "1min")
    except LakeDamagedError as error:
        return "told" if str(path) in str(error) else str(error)
    finally:
        path.write_bytes(whole)
    same = found.close.tobytes() == good.close.tobytes() and found.ts.tobytes() == good.ts.tobytes()
    return "same" if same else "other"


def test_pages_without_a_checksum_are_read_as_before(hadoop_bars, lake_home: LakeLocation) -> None:
    hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)])
    assert read_arrow(current_pin(lake_home, "bars"), ["close"]).column("close").to_pylist() == [100.0]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "bytes instead of"),
        (lambda path: path.write_bytes(b""), "is empty"),
    ],
)
def test_a_harmed_data_file_is_named(hadoop_bars, lake_home: LakeLocation, harm, said: str) -> None:
    table = hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)])
    path = data_file(table)
    harm(path)
    with pytest.raises(LakeDamagedError, match=said) as caught:
        read_arrow(current_pin(lake_home, "bars"), ["close"])
    assert str(path) in str(caught.value)
    assert "whatif doctor" in str(caught.value)


def test_the_snapshot_that_still_works_is_named(hadoop_bars, lake_home: LakeLocation) -> None:
    first = hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)])
    old = {task.file.file_path for task in first.scan().plan_files()}
    whole = first.current_snapshot().snapshot_id
    second = hadoop_bars([bar("SPY", "2013-10-07 13:31", 101.0)])
    (new,) = {task.file.file_path for task in second.scan().plan_files()} - old
    Path(new.removeprefix("file://")).unlink()
    with pytest.raises(LakeDamagedError, match=f"snapshot {whole} of 20.* still works"):
        read_arrow(current_pin(lake_home, "bars"), ["close"])


def test_altered_metadata_is_told_by_hadoops_checksums(hadoop_bars, lake_home: LakeLocation) -> None:
    hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)])
    metadata = lake_home.table_folder("bars") / "metadata" / "v1.metadata.json"
    hadoop_checksums(metadata)
    at = metadata.read_bytes().index(b"last-sequence-number") + 4
    pin = current_pin(lake_home, "bars")
    flip(metadata, at)
    with pytest.raises(LakeDamagedError, match="does not match its checksum from byte"):
        open_table(lake_home, "bars")
    with pytest.raises(LakeDamagedError, match="does not match its checksum from byte"):
        read_arrow(pin, ["close"])


@pytest.mark.parametrize("kind", ["manifest_list", "manifest_path"])
def test_an_altered_list_of_files_is_told(hadoop_bars, lake_home: LakeLocation, kind: str) -> None:
    table = hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)])
    snapshot = table.current_snapshot()
    listed = (
        snapshot.manifest_list if kind == "manifest_list" else snapshot.manifests(table.io)[0].manifest_path
    )
    path = local_path(listed)
    assert path is not None
    hadoop_checksums(path)
    flip(path, path.stat().st_size - 40)
    with pytest.raises(LakeDamagedError, match="does not match its checksum") as caught:
        read_arrow(current_pin(lake_home, "bars"), ["close"])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"format-version": 2}', "\0" * 100])
def test_metadata_that_is_no_metadata(hadoop_bars, lake_home: LakeLocation, text: str) -> None:
    hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)])
    (lake_home.table_folder("bars") / "metadata" / "v1.metadata.json").write_text(text)
    with pytest.raises(LakeDamagedError, match=r"v1\.metadata\.json .*whatif doctor --repair"):
        open_table(lake_home, "bars")


@pytest.mark.parametrize("hint", ["7", "1\n", "", "x", "-1", "99999999999999999999"])
def test_a_wrong_hint(hadoop_bars, lake_home: LakeLocation, hint: str) -> None:
    hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)])
    (lake_home.table_folder("bars") / "metadata" / "version-hint.text").write_text(hint)
    if hint == "7":
        with pytest.raises(LakeDamagedError, match=r"version hint names .*v7\.metadata\.json"):
            open_table(lake_home, "bars")
    else:
        assert open_table(lake_home, "bars").metadata_location.endswith("v1.metadata.json")


def test_stray_names_are_passed_over(hadoop_bars, lake_home: LakeLocation) -> None:
    hadoop_bars([bar("SPY", "2013-10-07 13:30", 100.0)])
    folder = lake_home.table_folder("bars") / "metadata"
    for name in ("vold.metadata.json", "v2.metadata.json.bak", "v.metadata.json", "v1x.metadata.json"):
        (folder / name).write_text("stray")
    (folder / "version-hint.text").unlink()
    assert open_table(lake_home, "bars").metadata_location.endswith("v1.metadata.json")


def test_data_without_metadata_are_not_an_empty_lake(lake_home: LakeLocation) -> None:
    data = lake_home.table_folder("bars") / "data"
    data.mkdir(parents=True)
    pq.write_table(pa.table({"close": [1.0]}), data / "a.parquet")
    with pytest.raises(LakeDamagedError, match="no metadata file, though there are data"):
        open_table(lake_home, "bars")


def test_checksums_of_a_file_longer_than_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(random.Random(1).randbytes(5_000))
    assert checksum_fault(path) == ""
    hadoop_checksums(path)
    assert checksum_fault(path) == ""
    flip(path, 4_999)
    assert checksum_fault(path) == "does not match its checksum from byte 4,608 on"
    path.write_bytes(path.read_bytes()[:4_000])
    assert "is cut off or too long" in checksum_fault(path)


def test_bytes_that_are_put_back_with_their_old_time_are_whole_again(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(random.Random(1).randbytes(5_000))
    hadoop_checksums(path)
    whole, about = path.read_bytes(), path.stat()
    flip(path, 100)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert "does not match its checksum" in stored_fault(str(path))
    path.write_bytes(whole)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert stored_fault(str(path)) == ""


def test_a_damaged_page_is_found_without_a_checksum_file(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"x": [float(k) for k in range(2_000)]}),
        path,
        write_page_checksum=True,
        use_dictionary=False,
    )
    assert file_fault(PyArrowFileIO(), str(path), path.stat().st_size) == ""
    flip(path, 2_000)
    assert "cannot be decoded" in file_fault(PyArrowFileIO(), str(path), path.stat().st_size)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/a b/c", "/a b/c"),
        ("file:/a b/c", "/a b/c"),
        ("file:///a/c", "/a/c"),
        ("file:/a%20b/c#1?d", "/a%20b/c#1?d"),  # as Iceberg names a file that is called so
        ("a/c", "a/c"),
        ("s3://bucket/a", None),
        ("hdfs://host/a", None),
    ],
)
def test_a_path_stands_behind_its_scheme_as_it_is(location: str, path: str | None) -> None:
    assert local_path(location) == (None if path is None else Path(path))
    parts = local_parts(location)
    assert (parts is None) == (path is None)
    assert parts is None or "".join(parts) == location
