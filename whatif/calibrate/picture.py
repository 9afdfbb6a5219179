"""Picture of power against edge as an SVG, drawn without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from whatif.calibrate.outcomes import Row, Share
from whatif.report import LOSS, STRATEGY

_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 46, 52
_MAX_SHARPE = 9.0
"""Sharpe ratio at the right end of the axis."""
_GREY = "#8b919b"
_FONT = 'font-family="system-ui, -apple-system, \'Segoe UI\', Roboto, sans-serif" font-size="12"'


def power_svg(rows: Sequence[Row]) -> str:
    """Return the share of markets called an edge against the Sharpe ratio planted, with 95 % intervals.

    Planted ones are counted as found only with a configuration of the planted family. The drifting
    noise stands a little right of the driftless, at 0. Markets that another family was swept on are not
    drawn.
    """
    rows = [row for row in rows if not row.kind.swept]
    noise = [(0.2 if row.kind.drift else 0.0, row.edge) for row in rows if not row.kind.edge]
    planted = [(row.kind.sharpe, row.found) for row in rows if row.kind.edge]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" {_FONT} role="img">',
        "<title>How often an edge is called one, against how strong it is</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        *_axes(),
        *_legend(),
    ]
    line = " ".join(f"{_x(at):.1f},{_y(share.value):.1f}" for at, share in planted)
    if len(planted) > 1:
        parts.append(f'<polyline points="{line}" fill="none" stroke="{STRATEGY}" stroke-width="2"/>')
    parts += [_point(at, share, LOSS) for at, share in noise]
    parts += [_point(at, share, STRATEGY) for at, share in planted]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes() -> list[str]:
    parts = []
    for percent in range(0, 101, 20):
        y = _y(percent / 100)
        parts.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#e5e7eb"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{_GREY}">{percent} %</text>'
        )
    for sharpe in range(0, 9, 2):
        x, y = _x(float(sharpe)), _HEIGHT - _BOTTOM + 18
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle" fill="{_GREY}">{sharpe}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    text, y = "annual Sharpe ratio of the planted edge, net of all costs", _HEIGHT - 12
    parts.append(f'<text x="{middle:.1f}" y="{y}" text-anchor="middle" fill="#4b5563">{text}</text>')
    return parts


def _legend() -> list[str]:
    found = [
        (_LEFT, STRATEGY, "planted edges found, by a configuration of their family"),
        (_LEFT + 375, LOSS, "noise called an edge"),
    ]
    return [
        f'<circle cx="{x + 5}" cy="20" r="4" fill="{colour}"/>'
        f'<text x="{x + 15}" y="24" fill="#4b5563">{escape(text)}</text>'
        for x, colour, text in found
    ]


def _point(at: float, share: Share, colour: str) -> str:
    x, (low, high) = _x(at), share.interval
    return (
        f'<line x1="{x:.1f}" y1="{_y(low):.1f}" x2="{x:.1f}" y2="{_y(high):.1f}" stroke="{colour}" '
        f'stroke-width="1.5"/><circle cx="{x:.1f}" cy="{_y(share.value):.1f}" r="4" fill="{colour}">'
        f"<title>{share.count} of {share.of}</title></circle>"
    )


def _x(sharpe: float) -> float:
    return _LEFT + 12 + (_WIDTH - _LEFT - _RIGHT - 12) * sharpe / _MAX_SHARPE


def _y(share: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)
