"""Flow charts of the site's pages: read, put into layers, drawn."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("docs_diagram", FOLDER / "infra" / "docs_diagram.py")
assert _spec is not None
assert _spec.loader is not None
diagram = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(diagram)

TEXT = """before

```mermaid
flowchart TD
    a["one <b>"] --> b & c
    b & c --> d
```

after
"""


def test_boxes_and_arrows_are_read() -> None:
    labels, arrows = diagram.read('a["one"] --> b & c\nb --> d')
    assert labels == {"a": "one", "b": "b", "c": "c", "d": "d"}
    assert arrows == [("a", "b"), ("a", "c"), ("b", "d")]


def test_each_box_is_below_all_that_point_to_it() -> None:
    arrows = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]
    assert [sorted(row) for row in diagram.layers(["c", "d", "a", "b"], arrows)] == [["a", "d"], ["b"], ["c"]]


def test_a_page_has_the_figure_in_place_of_the_text() -> None:
    page = diagram.drawn(TEXT)
    assert page.startswith("before\n\n<svg ")
    assert page.endswith("</svg>\n\n\nafter\n")
    assert (page.count("<rect"), page.count("<path")) == (4, 4)
    assert "one &lt;b&gt;</text>" in page
    assert "mermaid" not in page


@pytest.mark.parametrize("line", ["a -.-> b", "a", "a --> b --> c", "subgraph x"])
def test_a_line_that_would_be_missing_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="has lines as"):
        diagram.read(line)


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="no circle"):
        diagram.layers(["a", "b"], [("a", "b"), ("b", "a")])


def test_the_rooms_are_drawn() -> None:
    page = diagram.drawn((FOLDER / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert "```mermaid" not in page
    assert ">workflow</text>" in page
