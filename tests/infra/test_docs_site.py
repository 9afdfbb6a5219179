"""What `make docs` makes: every page has its place, and the pages of the interface name what is public."""

from __future__ import annotations

import importlib.util
import inspect
import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

FOLDER = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("docs_site", FOLDER / "infra" / "docs_site.py")
assert _spec is not None
assert _spec.loader is not None
site = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(site)

CONFIG = (FOLDER / "mkdocs.yml").read_text(encoding="utf-8")
NAV = re.findall(r"^ +- (?:[^:\n]+: )?([\w./-]+\.md)$", CONFIG.partition("\nnav:\n")[2], flags=re.M)


def page_at(place: str) -> SimpleNamespace:
    return SimpleNamespace(file=SimpleNamespace(src_uri=place))


def test_every_page_has_its_place() -> None:
    pages = {path.relative_to(FOLDER / "docs").as_posix() for path in (FOLDER / "docs").rglob("*.md")}
    assert pages <= set(NAV)
    assert {name for name in pages if name.startswith("api/")} == {f"api/{room}.md" for room in site.ROOMS}


@pytest.mark.parametrize("room", ["whatif.splits", "whatif.stats", "whatif.strategies", "whatif.testing"])
def test_a_page_names_what_the_door_gives(room: str) -> None:
    door = import_module(room)
    told = [place.rpartition(".")[2] for place in site.exported(room)]
    assert told
    assert [name for name in told if not hasattr(door, name)] == []
    public = {name for name in door.__all__ if inspect.isclass(getattr(door, name)) and not name.isupper()}
    assert {name for name in public if getattr(door, name).__module__.startswith(room)} <= set(told)


def test_the_package_itself_has_a_page() -> None:
    assert {"whatif.workflow.run", "whatif.engines.api.backtest"} <= set(site.exported("whatif"))


def test_a_page_ends_with_docstrings() -> None:
    page = site.on_page_markdown("# whatif.splits\n\n[a](../study.md)", page_at("api/whatif.splits.md"))
    assert page.startswith("# whatif.splits\n\n[a](../study.md)\n::: whatif.splits.")
    assert "\n::: whatif.splits.kinds.holdout.Holdout\n" in page


@pytest.mark.parametrize(
    "loads",
    [
        '<script src="https://unpkg.com/x"></script>',
        "<link rel=stylesheet href=//fonts.example/css>",
        '<img alt="" src="http://a/b.png">',
    ],
)
def test_what_asks_another_host_is_seen(loads: str) -> None:
    assert site.LOADED.search(f"<p>{loads}</p>")


def test_links_of_a_text_ask_nobody() -> None:
    assert site.LOADED.search('<a href="https://example.org">x</a> <img src="notebooks/demo.png">') is None


def test_links_lead_to_the_site_s_places() -> None:
    assert site.linked("[a](docs/study.md#data) [b](CHANGELOG.md)") == "[a](study.md#data) [b](CHANGELOG.md)"
    page = site.on_page_markdown("[a](../README.md#why) [b](../notebooks/power.svg)", page_at("study.md"))
    assert page == "[a](index.md#why) [b](notebooks/power.svg)"
