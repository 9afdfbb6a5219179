"""Who may write to a folder whose content is run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from whatif.domain.private import exposed, make_private


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "b"
    make_private(folder)
    return folder


def test_what_is_made_is_for_this_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private(tmp_path / "x" / "y" / "z")
    finally:
        os.umask(before)
    for folder in ("x", "x/y", "x/y/z"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700
    assert exposed(tmp_path / "x/y/z") == ""
    make_private(tmp_path / "x")


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o770, 0o702, 0o720, 0o1777])
def test_a_folder_that_others_may_write_to(own: Path, mode: int) -> None:
    own.chmod(mode)

    assert exposed(own) == f"{own} has mode {mode:04o}, so that others may write to it: chmod go-w {own}"


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750, 0o711])
def test_a_folder_that_others_may_only_read(own: Path, mode: int) -> None:
    own.chmod(mode)

    assert exposed(own) == ""


def test_a_folder_above_that_others_may_write_to_unless_it_is_sticky(own: Path) -> None:
    above = own.parent
    above.chmod(0o777)
    assert exposed(own).startswith(f"{above} has mode 0777")
    above.chmod(0o1777)
    assert exposed(own) == ""


def test_a_link_counts_with_what_it_points_to_and_where_it_stands(own: Path, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir(mode=0o700)
    straight, loose = tmp_path / "closed" / "link", tmp_path / "open" / "link"
    straight.symlink_to(own)
    loose.symlink_to("../a/b")
    assert exposed(straight) == exposed(loose) == ""

    (tmp_path / "open").chmod(0o777)
    assert exposed(loose).startswith(f"{tmp_path / 'open'} has mode 0777")
    assert exposed(straight) == ""

    own.parent.chmod(0o777)
    assert exposed(straight).startswith(f"{own.parent} has mode 0777")
    assert exposed(straight / "..").startswith(f"{own.parent}")


def test_links_that_never_end(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")

    assert "more than 40 links" in exposed(tmp_path / "one")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives folders away")
def test_folders_of_other_users(own: Path) -> None:
    os.chown(own, 12345, -1)
    assert exposed(own) == f"{own} belongs to user 12345, and this is user 0"
    os.chown(own, 0, -1)
    os.chown(own.parent, 12345, -1)
    assert exposed(own).startswith(f"{own.parent} belongs to user 12345, who may put another folder")


def test_a_file(own: Path) -> None:
    file = own / "file"
    file.write_text("")
    file.chmod(0o644)
    assert exposed(file) == ""
    file.chmod(0o666)
    assert exposed(file).startswith(f"{file} has mode 0666")
