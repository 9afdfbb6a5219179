"""Pages of docs/api: each says what its room is for, and its example runs and prints what it says."""

from __future__ import annotations

import os
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from whatif.pins import LakeLocation
from whatif.workflow import RunOptions, run

from .markets import put_bars, walk
from .workflow.conftest import STUDY as MADE
from .workflow.conftest import study_text

PAGES = sorted((Path(__file__).resolve().parent.parent / "docs" / "api").glob("*.md"))
STUDY = "my-study.yaml"
SPLIT = {"train": 0, "validate": 0.5, "test": 0.5}


def parts(page: Path) -> tuple[str, str]:
    """Return what a page says, and its example."""
    found = re.fullmatch(r"# (\S+)\n\n(.*)\n\n```python\n(.*?)```\n", page.read_text(encoding="utf-8"), re.S)
    assert found is not None, f"{page.name}: a heading, a paragraph and one example"
    assert found[1] == page.stem
    return found[2], found[3]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a study that has run, and beside it its lake."""
    folder = tmp_path_factory.mktemp("pages")
    location = LakeLocation(folder / "home")
    put_bars(location, [walk("MINE", 1, minutes=120)])
    axes = {"fast": [3, 4], "slow": [15, 30]}
    text = study_text(study="my-study", data={**MADE["data"], "symbols": ["MINE"]}, split=SPLIT, axes=axes)
    (folder / STUDY).write_text(text, encoding="utf-8")
    options = RunOptions(track=False, report=False, certify=False, runner="local")
    run(folder / STUDY, None, location, options)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_its_room_is_for(page: Path) -> None:
    said, code = parts(page)
    sentences = re.findall(r"[^.]{20,}?[.](?=\s|$)", re.sub(r"`[^`]*`|\([^)]*\)", "x", said))
    assert 2 <= len(sentences) <= 6, sentences
    assert re.search(rf"^(from {re.escape(page.stem)}|import whatif$)", code, re.M), "an example imports it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_example_prints_what_it_says(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    _, code = parts(page)
    if STUDY in code:
        folder = request.getfixturevalue("desk")
        monkeypatch.setenv("WHATIF_HOME", str(folder / "home"))
        monkeypatch.chdir(folder)
    file = tmp_path / "example.py"
    file.write_text(code, encoding="utf-8")
    runpy.run_path(os.fspath(file))
    printed = capsys.readouterr().out.splitlines()
    said = re.findall(r"^print\(.*\)(?:  # (.+))?$", code, re.M)
    assert said
    shown = printed[-len(said) :]
    assert [line or other for line, other in zip(said, shown, strict=True)] == shown
