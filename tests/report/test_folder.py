"""Whose report a folder holds."""

from __future__ import annotations

from pathlib import Path

from whatif.report.folder import make_own_folder


def test_the_same_study_replaces_its_report(tmp_path: Path) -> None:
    folder, moved = make_own_folder(tmp_path, "mine", "a" * 64)
    assert (folder, moved) == (tmp_path / "mine", None)
    (folder / "report.html").write_text("first")
    assert make_own_folder(tmp_path, "mine", "a" * 64) == (folder, None)
    assert (folder / "report.html").read_text() == "first"


def test_another_study_of_the_name_does_not_overwrite_it(tmp_path: Path) -> None:
    """The folder of the name holds the newest; what was there stays beside it, once for each study."""
    for turn, digest in enumerate(["a" * 64, "b" * 64, "a" * 64, "b" * 64]):
        folder, moved = make_own_folder(tmp_path, "mine", digest)
        assert moved == (None if not turn else tmp_path / f"mine-{'ba'[turn % 2] * 8}"), turn
        assert not (folder / "report.html").exists()
        (folder / "report.html").write_text(digest[0])
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "mine-aaaaaaaa", "mine-bbbbbbbb"}
    assert (tmp_path / "mine" / "report.html").read_text() == "b"
    assert (tmp_path / "mine-aaaaaaaa" / "report.html").read_text() == "a"


def test_a_folder_of_nobody_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".study").write_text("../../outside")
    folder, moved = make_own_folder(tmp_path, "mine", "a" * 64)
    assert (folder, moved) == (tmp_path / "mine", None)
