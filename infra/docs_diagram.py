"""Flow charts of pages, drawn as SVG where the site is built: no page loads a program to draw them."""

from __future__ import annotations

import re
from html import escape

BOX, ROW, GAP = 30, 76, 18
"""Height of a box, from one layer to the next, and between two boxes; pixels."""

_BLOCK = re.compile(r"^```mermaid\nflowchart TD\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"""(\w+)(?:\["([^"]*)"\])?""")


def drawn(markdown: str) -> str:
    """Return a page in which each `flowchart TD` of boxes and arrows, and nothing else, is a figure."""
    return _BLOCK.sub(lambda found: svg(*read(found[1])), markdown)


def read(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the boxes, name to label, and the arrows of lines such as `a["one"] & b --> c & d`.

    Raises
    ------
    ValueError
        If a line is another one: it would be missing in the figure.
    """
    labels: dict[str, str] = {}
    arrows = []
    for line in filter(None, map(str.strip, text.splitlines())):
        sides = [[_NAME.fullmatch(one.strip()) for one in side.split(" & ")] for side in line.split(" --> ")]
        if len(sides) != 2 or not all(one for side in sides for one in side):
            raise ValueError(f"{line!r}: a flow chart of the site has lines as 'a & b --> c'")
        names = [[(one[1], one[2]) for one in side if one] for side in sides]
        for name, label in [*names[0], *names[1]]:
            labels[name] = label or labels.get(name, name)
        arrows += [(a, b) for a, _ in names[0] for b, _ in names[1]]
    return labels, arrows


def layers(names: list[str], arrows: list[tuple[str, str]]) -> list[list[str]]:
    """Return the boxes by layer, each below all that point to it, and near those in its layer."""
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for a, b in arrows:
            depth[b] = max(depth[b], depth[a] + 1)
        if max(depth.values()) >= len(names):
            raise ValueError("a flow chart of the site has no circle")
    rows = [[name for name in names if depth[name] == k] for k in range(max(depth.values()) + 1)]
    for _ in range(8):
        at = {name: k - len(row) / 2 for row in rows for k, name in enumerate(row)}
        for row in rows:
            near = {
                n: [at[a] for a, b in arrows if b == n] + [at[b] for a, b in arrows if a == n] for n in row
            }
            row.sort(key=lambda name: sum(near[name]) / max(1, len(near[name])))
    return rows


def svg(labels: dict[str, str], arrows: list[tuple[str, str]]) -> str:
    """Return the figure, in the colours of the page."""
    rows = layers(list(labels), arrows)
    wide = {name: 22 + 8 * len(label) for name, label in labels.items()}
    spans = [sum(wide[name] for name in row) + GAP * (len(row) - 1) for row in rows]
    width, height = max(spans) + 2 * GAP, ROW * (len(rows) - 1) + BOX + 2 * GAP
    place, boxes = {}, []
    for k, (row, span) in enumerate(zip(rows, spans, strict=True)):
        x, y = (width - span) / 2, GAP + k * ROW
        for name in row:
            place[name] = (x + wide[name] / 2, y)
            boxes.append(
                f'<rect x="{x:g}" y="{y}" width="{wide[name]}" height="{BOX}" rx="5"'
                ' fill="var(--md-code-bg-color)" stroke="currentColor"/>'
                f'<text x="{place[name][0]:g}" y="{y + 20}" text-anchor="middle">'
                f"{escape(labels[name])}</text>"
            )
            x += wide[name] + GAP
    lines = []
    for a, b in arrows:
        (x0, y0), (x1, y1) = place[a], place[b]
        y0 += BOX
        bend = (y1 - y0) / 2
        lines.append(f'<path d="M{x0:g} {y0} C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1}"/>')
    told = "; ".join(f"{labels[a]} to {labels[b]}" for a, b in arrows)
    return (
        f'<svg viewBox="0 0 {width:g} {height}" role="img" aria-label="Arrows: {escape(told)}"'
        ' style="width:100%;font:14px sans-serif;fill:currentColor">'
        f'<g fill="none" stroke="currentColor" opacity=".45">{"".join(lines)}</g>{"".join(boxes)}</svg>\n'
    )
