"""Names from outside stay inside their folder, in the one place that all users share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from whatif import paths
from whatif.errors import StudyError, WhatIfError
from whatif.paths import bounded_text, broken_rule, inside, regular_file, written_whole
from whatif.texts import hidden_character

HOSTILE = {
    "/etc/x.py": "is absolute",
    "//host/x.py": "is absolute",
    "../x.py": "has '..'",
    "a/../../x.py": "has '..'",
    "a/..": "has '..'",
    "..": "has '..'",
    "./x.py": "empty part",
    "a//x.py": "empty part",
    "a/": "empty part",
    "": "is empty",
    "  ": "is empty",
    "a\0.py": "holds the character",
    "a\n.py": "holds the character",
    "a\x1b[2J.py": "holds the character",
    "a\u202epy.x": "holds the character",
    "a\udcff.py": "holds the character",
    "C:x.py": "path of Windows",
    "C:\\x.py": "path of Windows",
    "a\\..\\x.py": "path of Windows",
    "~/x.py": "begins with '~'",
    "~root/x.py": "begins with '~'",
    "%2e%2e/x.py": "has '..'",
    "..%2fx.py": "has '..'",
    "%252e%252e%252fx.py": "has '..'",
    "%2fetc%2fx.py": "is absolute",
    "a%00.py": "holds the character",
    "a%5c..%5cx.py": "path of Windows",
    "\uff0e\uff0e/x.py": "has '..'",  # full-width dots
    "a\uff0f..\uff0fx.py": "has '..'",  # full-width slashes
    "\u2025/x.py": "has '..'",  # two-dot leader
    "CON": "not every system can store",
    "own/nul.py": "not every system can store",
    "a./x.py": "not every system can store",
    "a /x.py": "not every system can store",
    "x" * 256: "more than 255 bytes",
    "\u00e9" * 128: "more than 255 bytes",
    "ab/" * 2000 + "x.py": "more than 4,000 bytes",
}

PLAIN = (
    "x.py",
    "own/mine.py",
    "a.b-c_d/e f.py",
    "100%.py",
    "...x.py",
    ".hidden",
    "\u00fc/\u65e5\u672c.py",
    "x" * 255,
)


@pytest.mark.parametrize(("name", "says"), HOSTILE.items())
def test_what_leaves_its_folder_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(StudyError, match=r"^thing .* would leave the folder") as caught:
        inside(tmp_path, name, "thing", StudyError)
    assert says in str(caught.value)
    assert not hidden_character(str(caught.value))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("name", PLAIN)
def test_plain_names_stay(tmp_path: Path, name: str) -> None:
    assert broken_rule(name) == ""
    assert inside(tmp_path, name, "thing", StudyError) == tmp_path / name


def test_links_out_of_the_folder_are_refused_and_those_inside_are_not(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    (home / "real").mkdir(parents=True)
    outside.mkdir()
    (outside / "x.py").write_text("")
    (home / "folder").symlink_to(outside)
    (home / "file.py").symlink_to(outside / "x.py")
    (home / "dangling.py").symlink_to(tmp_path / "new.py")
    (home / "itself.py").symlink_to(home / "itself.py")
    (home / "good").symlink_to(home / "real")
    for name in ("folder/x.py", "file.py", "dangling.py", "folder/new/deep.py"):
        with pytest.raises(StudyError, match=r"would leave the folder .* by a link"):
            inside(home, name, "thing", StudyError)
    with pytest.raises(StudyError, match="itself"):
        inside(home, "itself.py", "thing", StudyError)
    assert inside(home, "good/x.py", "thing", StudyError) == home / "good" / "x.py"


def test_a_folder_that_is_itself_a_link_holds_its_files(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "real")
    assert inside(tmp_path / "home", "x.py", "thing", StudyError) == tmp_path / "home" / "x.py"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a\r\nb")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    assert regular_file(tmp_path / "text", "thing", StudyError)
    assert not regular_file(tmp_path / "none", "thing", StudyError)
    assert not regular_file(tmp_path / "text" / "below", "thing", StudyError)
    for name, kind in (("pipe", "a device, pipe or socket"), ("device", "a device"), ("", "a folder")):
        with pytest.raises(StudyError, match=f"cannot be read: it is {kind}"):
            regular_file(tmp_path / name, "thing", StudyError)
    for path in ("a\0", "x" * 300):
        with pytest.raises(StudyError, match="give the path of a file"):
            regular_file(tmp_path / path, "thing", StudyError)
    assert bounded_text(tmp_path / "text", "thing", 4, StudyError) == "a\nb"
    with pytest.raises(StudyError, match="more than 3 bytes"):
        bounded_text(tmp_path / "text", "thing", 3, StudyError)
    with pytest.raises(FileNotFoundError):
        bounded_text(tmp_path / "none", "thing", 3, StudyError)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return an empty cache folder of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths.kept_in.cache_clear()
    yield tmp_path
    paths.kept_in.cache_clear()


def made_of(values):
    """Return what is kept under one name, made of the next value if it has to be."""
    return paths.kept("one", ["paths"], ["numpy"], lambda: next(values))


def test_what_was_made_once_is_kept(cache) -> None:
    values = iter([{"days": [1, 2]}, {"days": [3]}])
    assert made_of(values) == {"days": [1, 2]}
    assert made_of(values) == {"days": [1, 2]}
    (file,) = cache.rglob("*.json")
    file.write_text('{"days": [1', encoding="ascii")
    assert made_of(values) == {"days": [3]}, "half a file is none"
    assert not [path for path in cache.rglob("*") if path.is_file() and path != file]


def test_another_version_of_a_library_is_asked_anew(cache, monkeypatch) -> None:
    values = iter([1, 2])
    assert made_of(values) == 1
    monkeypatch.setattr(paths, "version", lambda _: "99.0")
    paths.kept_in.cache_clear()
    assert made_of(values) == 2


def test_where_nothing_can_be_kept_it_is_made_each_time(cache) -> None:
    Path(cache, "whatif").write_text("a file, where the folder would be", encoding="ascii")
    values = iter([1, 2])
    assert [made_of(values), made_of(values)] == [1, 2]


def test_what_cannot_be_made_is_not_kept(cache) -> None:
    with pytest.raises(StopIteration):
        made_of(iter([]))
    assert not list(cache.rglob("*"))


@pytest.mark.parametrize("name", ["", "there"])
def test_a_folder_is_not_written_over(tmp_path: Path, name: str, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    with pytest.raises(WhatIfError, match=r"is a folder.*give the path of a file"), written_whole(Path(name)):
        raise AssertionError("nothing should be written")
    assert [one.name for one in tmp_path.iterdir()] == ["there"]
