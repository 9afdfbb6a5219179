"""`whatif plugins`: what can be plugged in, where it comes from, and what is broken."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from whatif import plugins
from whatif.cli import main
from whatif.cli.tools import SEAMS, _seam
from whatif.splits import Holdout


class Newest(Holdout):
    """The newest sessions tell.

    The second line is not shown.
    """


def entries(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str, str]) -> None:
    module = ModuleType("own_splits")
    module.Newest = Newest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_splits", module)
    monkeypatch.setattr(plugins, "_entries", lambda group: found if group == "whatif.splits" else ())
    monkeypatch.setenv("COLUMNS", "200")


def test_each_is_listed_with_its_origin(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    entries(monkeypatch, ("newest", "own_splits:Newest", "own-splits 1.2"))
    assert main(["plugins"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["seam", "name", "origin", "what", "it", "is"]
    assert ["split", "newest", "own-splits", "1.2", "The", "newest", "sessions", "tell."] in lines
    for seam in map(_seam, SEAMS):
        assert {line[1] for line in lines if line[0] == seam.noun} >= set(seam.built_in)


def test_a_broken_one_is_listed_with_its_error(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    entries(
        monkeypatch,
        ("gone", "no_module:Newest", "gone 1"),
        ("newest", "own_splits:Newest", "own 1"),
        ("newest", "own_splits:Newest", "other 2"),
    )
    assert main(["plugins"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "gone gone 1 error: split 'no_module:Newest' cannot be imported: ModuleNotFoundError" in said
    assert "newest own 1 The newest sessions tell." in said
    assert "newest other 2 error: split 'newest' is brought by both own 1 and other 2" in said
