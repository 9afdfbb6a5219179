"""What the documents name is there: files, modules, tests, links, and the rooms with their order."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

PATH = re.compile(r"(?<![\w/.:<-])((?:conf|docs|infra|jobs|notebooks|tests|whatif)/[\w./*-]*)(?:::(\w+))?")
MODULE = re.compile(r"`(whatif(?:\.\w+)+)(?![\w-])")
IMPORT = re.compile(r"^(?:from (whatif[\w.]*) import (.+)|import (whatif[\w.]*))$", flags=re.M)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ARROW = re.compile(r"^ *(\w[\w &]*?)(?:\[.*?\])? --> ([\w &]+)$", flags=re.M)
HEADING = re.compile(r"^#+ (.+)$", flags=re.M)

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def missing_paths(text: str) -> list[str]:
    """Return the files and tests that a text names and that are not there."""
    found = []
    for path, test in PATH.findall(text):
        name = path.rstrip(".")
        there = any(ROOT.glob(name)) if "*" in name else (ROOT / name).exists()
        if there and test:
            there = re.search(rf"^ *def {test}\(", text_of(ROOT / name), flags=re.M) is not None
        if not there:
            found.append(f"{name}::{test}" if test else name)
    return found


def is_named(name: str) -> bool:
    """Return whether a dotted name is a module, or a name that a module's text knows."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:count])
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if file.exists():
            return count == len(parts) or re.search(rf"\b{parts[count]}\b", text_of(file)) is not None
    return False


def missing_modules(text: str) -> list[str]:
    """Return the dotted names in backticks, and in imports of code, that are nowhere."""
    names = set(MODULE.findall(text))
    for module, imported, plain in IMPORT.findall(text):
        names |= {f"{module}.{name.split()[0]}" for name in imported.split(",")} if module else {plain}
    return sorted(name for name in names if not is_named(name))


def anchors(text: str) -> set[str]:
    """Return what GitHub calls the headings of a text."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}


def broken_links(text: str, folder: Path, own: Path) -> list[str]:
    """Return the relative links of a text in `folder` that lead nowhere; `own` is the document itself."""
    found = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = folder / path if path else own
        known = file.exists() and (not anchor or anchor in anchors(text_of(file)))
        if not known:
            found.append(target)
    return found


@each_document
def test_every_path_and_test_exists(document: Path) -> None:
    assert missing_paths(text_of(document)) == []


@each_document
def test_every_module_and_its_names_exist(document: Path) -> None:
    assert missing_modules(text_of(document)) == []


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    assert broken_links(text_of(document), document.parent, document) == []


def test_what_is_not_there_is_found() -> None:
    """The tests above could otherwise pass for want of sight."""
    text = (
        "`whatif/nowhere.py`, whatif/engines/*.nothing, `tests/test_docs.py::test_that_is_none`, "
        "`whatif.nowhere`, `whatif.engines.nothing`, [a](nowhere.md) [b](#no-heading) [c](docs/lake.md#none)"
    )

    assert missing_paths(text) == [
        "whatif/nowhere.py",
        "whatif/engines/*.nothing",
        "tests/test_docs.py::test_that_is_none",
    ]
    assert missing_modules(text) == ["whatif.engines.nothing", "whatif.nowhere"]
    assert broken_links(text, ROOT, ROOT / "README.md") == ["nowhere.md", "#no-heading", "docs/lake.md#none"]


class TestRooms:
    """The rooms of docs/architecture.md are those of the contract that the linter holds."""

    text = text_of(ROOT / "docs" / "architecture.md")

    @staticmethod
    def layers() -> list[set[str]]:
        """Return the rooms of each layer of the linter's contract, from the top."""
        contracts = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
        order = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
        return [{room.strip() for room in layer.split("|")} for layer in order]

    def test_the_table_has_every_room_on_its_line(self) -> None:
        lines: dict[int, set[str]] = {}
        for number, rooms in re.findall(r"^\| (\d+) \| ([^|]+) \|", self.text, flags=re.M):
            names = re.findall(r"`whatif/(\w+)(?:/|\.py)`", rooms)
            lines.setdefault(int(number), set()).update(names)

        assert [lines[number] for number in sorted(lines)] == self.layers()

    def test_every_arrow_is_an_import_that_goes_down(self) -> None:
        height = {room: k for k, layer in enumerate(self.layers()) for room in layer}
        drawn = self.text.partition("```mermaid")[2].partition("```")[0]
        arrows = [
            (start.strip(), end.strip())
            for starts, ends in ARROW.findall(drawn)
            for start in starts.split("&")
            for end in ends.split("&")
        ]

        assert len(arrows) > 20
        assert [arrow for arrow in arrows if height[arrow[0]] >= height[arrow[1]]] == []
        assert [arrow for arrow in arrows if arrow[1] not in imported_by(arrow[0])] == []


@cache
def imported_by(room: str) -> set[str]:
    """Return the rooms that some module of a room imports."""
    home = ROOT / "whatif" / room
    files = home.rglob("*.py") if home.is_dir() else [home.with_suffix(".py")]
    imports = re.compile(r"^\s*(?:from|import) whatif\.(\w+)", flags=re.M)
    return {name for file in files for name in imports.findall(text_of(file))}
