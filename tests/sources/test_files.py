"""Paths, globs and folders."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from whatif.errors import SourceError
from whatif.sources import find_files
from whatif.sources.files import kind_of, open_binary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.csv", "b/c.parquet", "b/d.zip", "b/readme.md", "b/.hidden.csv", "with [brackets].csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _names(files: tuple[str, ...], folder: Path) -> list[str]:
    return [str(Path(f).relative_to(folder)) for f in files]


def test_a_folder_gives_what_can_be_bars(folder: Path) -> None:
    found = find_files([folder])
    assert _names(found, folder) == ["a.csv", "b/c.parquet", "b/d.zip", "with [brackets].csv"]


def test_a_format_narrows_folders_and_not_files(folder: Path) -> None:
    assert _names(find_files([folder], "lean"), folder) == ["b/d.zip"]
    assert _names(find_files([folder / "b" / "readme.md"], "csv"), folder) == ["b/readme.md"]


def test_globs_and_repeats(folder: Path) -> None:
    found = find_files([f"{folder}/*.csv", folder / "a.csv", f"{folder}/with [brackets].csv"])
    assert _names(found, folder) == ["a.csv", "with [brackets].csv"]


def test_a_relative_path_becomes_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert find_files(["a.csv"]) == (str(folder / "a.csv"),)


@pytest.mark.parametrize("path", ["nowhere.csv", "*.nothing"])
def test_nothing_found(folder: Path, path: str) -> None:
    with pytest.raises(SourceError, match="no such file"):
        find_files([folder / path])


def test_a_name_that_says_nothing() -> None:
    with pytest.raises(SourceError, match="--format"):
        kind_of("/data/bars.dat", "auto")
    assert kind_of("/data/bars.dat", "csv") == "csv"
    assert kind_of("/data/BARS.CSV.GZ", "auto") == "csv"


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"hello"))
    with open_binary(str(tmp_path / "a.csv.gz")) as stream:
        assert stream.read() == b"hello"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_uri_is_read_as_a_path_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"hello") if name.endswith(".gz") else b"hello")
    (file,) = find_files([tmp_path.as_uri()])
    assert file == f"file://{tmp_path / name}"
    with open_binary(file) as stream:
        assert stream.read() == b"hello"
    with pytest.raises(SourceError, match="cannot be read"):
        open_binary(f"file://{tmp_path / 'other.csv'}")


def test_the_order_of_a_delivery(tmp_path: Path) -> None:
    for name in ("d/2024-2.csv", "d/2024-10.csv", "d/2024-1.csv", "d/b/1.csv", "z.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_files([tmp_path / "z.csv", tmp_path / "d", tmp_path / "z.csv"])
    assert _names(found, tmp_path) == ["z.csv", "d/2024-1.csv", "d/2024-2.csv", "d/2024-10.csv", "d/b/1.csv"]


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/stdin"])
def test_devices_are_no_files_of_bars(path: str) -> None:
    with pytest.raises(SourceError, match="name"):
        find_files([path])


def test_pipes_hidden_characters_and_unknown_addresses_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bars.csv")
    with pytest.raises(SourceError, match="device, pipe or socket"):
        find_files([tmp_path / "bars.csv"])
    with pytest.raises(SourceError, match="no file of bars in it"):
        find_files([tmp_path])
    for path in ("a\0.csv", "a\udcff.csv", "\x1b[2J"):
        with pytest.raises(SourceError, match="holds the character"):
            find_files([path])
    for path in (
        "http://x.invalid/bars.csv",
        "ftp://x.invalid/bars.csv",
        "gs://b/x.csv",
        "gcs://b/x",
        "s3:///x",
        "nowhere://x/y",
    ):
        with pytest.raises(SourceError, match="addresses of this kind are not read"):
            find_files([path])


def test_a_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "c.csv").symlink_to(tmp_path / "a" / "c.csv")
    with pytest.raises(SourceError, match="no file of bars in it"):
        find_files([tmp_path])
    (tmp_path / "x.csv").write_text("ts\n")
    assert find_files([tmp_path]) == (str(tmp_path / "x.csv"),)
