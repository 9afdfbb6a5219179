"""A lake that was moved to another folder: nothing of it is damaged, and nothing is set aside."""

from __future__ import annotations

import pytest

from whatif.errors import LakeError
from whatif.lake import examine
from whatif.pins import LakeLocation, current_pin, read_arrow

from ..markets import put_bars, walk


def test_it_says_where_its_files_are_named_and_opens_again_by_a_link(tmp_path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    put_bars(LakeLocation(old), [walk("A", 1, minutes=5)])
    rows = len(read_arrow(current_pin(LakeLocation(old), "bars"), ["ts"]))
    old.rename(new)
    moved = LakeLocation(new)
    with pytest.raises(LakeError, match=rf"{old}/lake/whatif/bars, which is not there: the lake was moved"):
        read_arrow(current_pin(moved, "bars"), ["ts"])
    found = examine(moved)
    assert found
    assert all("the lake was moved" in one.problem and one.repair is None for one in found)
    old.symlink_to(new)
    assert len(read_arrow(current_pin(moved, "bars"), ["ts"])) == rows
    assert examine(moved) == []
