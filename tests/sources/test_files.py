"""Paths, globs and folders."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pandas as pd
import pytest

from whatif.errors import SourceError
from whatif.sources import files as files_module
from whatif.sources import find_files
from whatif.sources.kinds import file_kind
from whatif.sources.kinds.csv import Csv
from whatif.sources.opening import open_binary


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


def test_a_format_that_there_is_not_is_refused(folder: Path) -> None:
    for path in (folder, folder / "nothing.csv"):
        with pytest.raises(SourceError, match="did you mean 'csv'"):
            find_files([str(path)], "cvs")


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


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_not_this_folder(folder: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SourceError, match="a path is empty"):
        find_files([path])
    assert find_files(["."])


def test_a_name_that_says_nothing() -> None:
    with pytest.raises(SourceError, match="--format"):
        file_kind("/data/bars.dat", "auto")
    assert file_kind("/data/bars.dat", "csv") is Csv
    assert file_kind("/data/BARS.CSV.GZ", "auto") is Csv


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


@pytest.mark.parametrize("pattern", ["**/*.csv", "**", "**/**/x.csv", "a/**/*.csv", "[ab]/**/x.csv"])
def test_folders_that_link_to_each_other_end_in_a_glob(tmp_path: Path, pattern: str) -> None:
    """Followed, two links in a folder make 2**40 paths before the system's limit of links."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "here").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "x.csv").write_text("ts\n")
    assert find_files([f"{tmp_path}/{pattern}"]) == (str(tmp_path / "a" / "x.csv"),)
    assert find_files([tmp_path.as_uri()]) == (f"file://{tmp_path}/a/x.csv",)


def test_a_folder_that_is_linked_to_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "disk" / "spy").mkdir(parents=True)
    (tmp_path / "disk" / "spy" / "x.csv").write_text("ts\n")
    data = tmp_path / "data"
    data.mkdir()
    for name in ("one", "two"):
        (data / name).symlink_to(tmp_path / "disk")
    for given in (str(data), f"{data}/**/*.csv"):
        (found,) = find_files([given])
        assert Path(found).resolve() == tmp_path / "disk" / "spy" / "x.csv"


def test_what_a_glob_of_any_depth_names(folder: Path) -> None:
    (folder / "b" / "e" / "f").mkdir(parents=True)
    (folder / "b" / "e" / "f" / "g.csv").touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "h.csv").touch()
    assert _names(find_files([f"{folder}/**/*.csv"]), folder) == [
        "a.csv", "b/e/f/g.csv", "with [brackets].csv",
    ]  # fmt: skip
    assert _names(find_files([f"{folder}/b/**/f/*"]), folder) == ["b/e/f/g.csv"]
    assert _names(find_files([f"{folder}/**/e"]), folder) == ["b/e/f/g.csv"]


@pytest.mark.parametrize("pattern", ["", "/*", "/**/*.csv", "/**/*.nothing"])
def test_folders_without_an_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setattr(files_module, "MAX_ENTRIES", 20)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for k in range(7):
            (tmp_path / name / f"{k}.csv").touch()
    with pytest.raises(SourceError, match="more than 20 files and folders are in what is named"):
        find_files([f"{tmp_path}{pattern}"])
    assert len(find_files([tmp_path / "a", tmp_path / "b"])) == 14


def test_a_name_that_is_no_text_is_told_of(tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9.csv", os.O_CREAT | os.O_WRONLY))
    for path in (tmp_path, f"{tmp_path}/*.csv", tmp_path.as_uri()):
        with pytest.raises(SourceError, match=r"caf.udce9.csv' holds the character"):
            find_files([path])


def test_a_folder_that_may_not_be_read_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "x.csv").touch()
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError, match="shut': cannot be read: Permission denied"):
        find_files([tmp_path])


@pytest.mark.parametrize("path", ["s3://AKIA:hunter2@bucket/x.csv", "s3://bucket/x.csv?token=hunter2"])
def test_an_address_with_a_key_is_refused_without_saying_the_key(path: str) -> None:
    with pytest.raises(SourceError, match="carries a key") as refused:
        find_files([path])
    assert "hunter2" not in str(refused.value)


def test_how_large_a_file_is_as_text(tmp_path: Path) -> None:
    """Columns are reckoned by their rows, packed well or not: a time and five numbers are 36 bytes."""
    rows = 100_000
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({"ts": range(rows)} | dict.fromkeys(names, 1.0))
    packed, plain, old = (tmp_path / name for name in ("a.feather", "b.parquet", "old.feather"))
    frame.to_feather(packed, compression="zstd")
    frame.to_parquet(plain, compression=None, index=False)
    for path in (packed, plain):
        assert file_kind(str(path), "auto").text_bytes(str(path)) == 36 * rows
    old.write_bytes(b"FEA1 of the first version, or damaged")
    assert file_kind(str(old), "auto").text_bytes(str(old)) == 8 * old.stat().st_size
    text = tmp_path / "a.csv"
    text.write_text("ts,open\n1,2\n")
    assert file_kind(str(text), "auto").text_bytes(str(text)) == text.stat().st_size
