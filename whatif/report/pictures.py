"""Charts as small pictures in SVG, beside the report and among a run's artifacts in MLflow.

The drawings are the report's, of plotly; here two kinds of them, lines and a heat map, are put on paper, in
10 ms and 8 kB each. No kept library takes plotly's figures to SVG without a browser (kaleido starts one,
for more than a second). What draws by itself would need each figure described a second time, and was
measured on a line of 600 points: Vega-Lite by vl-convert 0.6 s for the first, 93 MB of memory and 84 MB on
disk; matplotlib 1.0 s to be imported; pygal has no heat map, and drawsvg and svgwrite no charts, only the
shapes that are written here as text.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whatif.paths import written_whole
from whatif.report.columns import format_number
from whatif.report.data import ReportData
from whatif.report.embed import framed_map, lucky_account
from whatif.report.theme import BENCHMARK, GAIN, LOSS, STRATEGY, Drawing, Trace
from whatif.report.words import name_of
from whatif.texts import shortened, visible
from whatif.typing import FloatArray

WIDTH, HEIGHT = 900, 340
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 56, 44
_POINTS = 600
_MOST_LABELS = 14
_GRID = "#dddddd"
_CURVES = (BENCHMARK, STRATEGY, GAIN, "#c98a1b", LOSS)


def write_pictures(data: ReportData, folder: Path) -> list[Path]:
    """Write what `pictures` returns into a folder that is there, each whole or not at all."""
    written = []
    for name, text in pictures(data).items():
        with written_whole(folder / name) as part:
            part.write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written


def pictures(data: ReportData) -> dict[str, str]:
    """Return SVG by file name: `equity.svg` and `heatmap.svg`, each where there is something to draw.

    The account of the first symbol beside the market held long and what luck alone would give; the objective
    on validate over the study's first two axes, or its one, with the chosen configuration framed.
    """
    found, axes = {}, data.ranking.axes
    first, chosen = next(iter(data.series.symbols), ""), name_of(data)
    rows = data.series.equity[data.series.equity["symbol"] == first]
    if len(rows):
        found["equity.svg"] = lines_svg(lucky_account(data, rows, _POINTS), f"{data.origin.study}: {chosen}")
    if axes and len(data.ranking.ranked):
        drawn = framed_map(data, axes[0], axes[1] if len(axes) > 1 else None, data.ranking.objective)
        found["heatmap.svg"] = map_svg(drawn, f"{data.origin.study}: best of each cell on validate")
    return found


def curves_svg(curves: pd.DataFrame, title: str) -> str:
    """Return one line for each column of a frame over its rows, named by the column; at most five."""
    x = np.arange(len(curves), dtype=np.float64)
    traces = [
        {
            "x": x,
            "y": curves[name].to_numpy(dtype=np.float64),
            "name": str(name),
            "line": {"color": colour, "width": 1.8},
        }
        for name, colour in zip(curves.columns, _CURVES, strict=False)
    ]
    axis = {"range": [0.0, max(len(x) - 1.0, 1.0)], "tickvals": [], "ticktext": []}
    return lines_svg({"data": traces, "layout": {"xaxis": axis}}, title)


def lines_svg(drawn: Drawing, title: str) -> str:
    """Return lines, and bands between two of them, over the drawing's time axis.

    Parameters
    ----------
    drawn : Drawing
        Lines with `x` and `y`; a trace that fills to the next is the room between it and the one before. Its
        axis has ticks, and its windows are named by annotations.
    title : str
        Stands above.
    """
    layout, traces = drawn["layout"], drawn["data"]
    values = np.concatenate([np.asarray(trace["y"], dtype=np.float64) for trace in traces])
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    room = 0.04 * (high - low) or abs(high) * 0.01 or 1.0
    left, right = layout["xaxis"]["range"]

    def place(x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        across = LEFT + (np.asarray(x, dtype=np.float64) - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        up = (np.asarray(y, dtype=np.float64) - low + room) / (high - low + 2 * room)
        return across, HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts, ticks = [], nice_ticks(low, high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    digits = min(9, max(0, -math.floor(math.log10(step) + 1e-9)))
    for tick in ticks:
        at = float(place(left, tick)[1])
        said = f"{tick:,.{digits}f}".replace("-", "\N{MINUS SIGN}")
        parts += [_rule(LEFT, at, WIDTH - RIGHT, at), _text(LEFT - 6, at + 4, said, "end")]
    for at, label in zip(layout["xaxis"]["tickvals"], layout["xaxis"]["ticktext"], strict=True):
        x = float(place(at, low)[0])
        day, _, year = str(label).partition("<br>")
        parts += [_rule(x, TOP, x, HEIGHT - BOTTOM), _text(x, HEIGHT - BOTTOM + 16, day, "middle")]
        parts += [_text(x, HEIGHT - BOTTOM + 31, year, "middle")] if year else []
    before: Trace | None = None
    for trace in traces:
        if trace.get("fill") == "tonexty" and before is not None:
            parts.append(
                _band(place(before["x"], before["y"]), place(trace["x"], trace["y"]), trace["fillcolor"])
            )
        elif trace["line"].get("width"):
            parts.append(_line(place(trace["x"], trace["y"]), trace["line"]))
        before = trace
    for note in layout.get("annotations", ()):
        x = float(place(note["x"], low)[0])
        parts.append(_text(x, TOP - 5, str(note["text"]).replace("<b>", "").replace("</b>", ""), plain=False))
    return _svg(HEIGHT, title, [*parts, *_legend(traces)])


def map_svg(drawn: Drawing, title: str) -> str:
    """Return a heat map with its cells named, the numbers in them where there is room, and what is framed."""
    (trace,), layout = drawn["data"], drawn["layout"]
    z = np.asarray(trace["z"], dtype=np.float64)
    rows, columns = z.shape
    tall = min(max(26 * rows, 60), 560)
    wide, deep = (WIDTH - LEFT - 40 - RIGHT) / columns, tall / rows
    left, height = LEFT + 40, TOP + tall + BOTTOM
    parts = []
    for row, column in np.argwhere(np.isfinite(z)).tolist():
        value, x, y = float(z[row, column]), left + column * wide, TOP + tall - (row + 1) * deep
        fill, ink = colour_of(
            trace["colorscale"], (value - trace["zmin"]) / (trace["zmax"] - trace["zmin"] or 1.0)
        )
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.2f}" height="{deep:.2f}" fill="{fill}"/>')
        if wide >= 44 and deep >= 16:
            said = format_number(value, "ratio")
            parts.append(_text(x + wide / 2, y + deep / 2 + 4, said, "middle", colour=ink))
    for k in _some(columns):
        label = shortened(str(trace["x"][k]), max(4, int(wide * max(1, columns // _MOST_LABELS) / 7)))
        parts.append(_text(left + (k + 0.5) * wide, TOP + tall + 16, label, "middle"))
    for k in _some(rows):
        at = TOP + tall - (k + 0.5) * deep + 4
        parts.append(_text(left - 6, at, shortened(str(trace["y"][k]), 16), "end"))
    for one in layout.get("shapes", ()):
        x, y = left + (one["x0"] + 0.5) * wide, TOP + tall - (one["y1"] + 0.5) * deep
        size = f'width="{wide:.1f}" height="{deep:.1f}" fill="none" stroke="#111" stroke-width="2.5"'
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size}/>')
    names = [str(layout[axis]["title"].get("text", "")) for axis in ("yaxis", "xaxis")]
    said = str(trace["colorbar"]["title"]["text"])
    parts.append(
        _text(
            left,
            TOP + tall + 34,
            f"across: {names[1]}" + (f"; up: {names[0]}" if names[0] else ""),
            plain=False,
        )
    )
    parts.append(_text(WIDTH - RIGHT, TOP + tall + 34, said, "end", plain=False))
    return _svg(height, title, parts)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round values within bounds, about as many as asked: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(times * power for times in (1.0, 2.0, 5.0, 10.0) if times * power >= raw)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def colour_of(scale: Sequence[Sequence[Any]], share: float) -> tuple[str, str]:
    """Return the colour of a share from 0 to 1 of a scale, and black or white, whichever is read on it."""
    at = min(max(share, 0.0), 1.0)
    stops = [float(stop) for stop, _ in scale]
    channels = np.array([[int(str(colour)[k : k + 2], 16) for k in (1, 3, 5)] for _, colour in scale])
    red, green, blue = (round(float(np.interp(at, stops, channels[:, k]))) for k in range(3))
    return (
        f"#{red:02x}{green:02x}{blue:02x}",
        "#fff" if 0.3 * red + 0.6 * green + 0.1 * blue < 130 else "#222",
    )


def _some(count: int) -> range:
    return range(0, count, max(1, -(-count // _MOST_LABELS)))


def _path(x: FloatArray, y: FloatArray) -> str:
    """Return points as a path, which begins anew after one that is not a number."""
    commands, gap = [], True
    for across, up in zip(x.tolist(), y.tolist(), strict=True):
        known = math.isfinite(up)
        if known:
            commands.append(f"{'M' if gap else 'L'}{across:.1f} {up:.1f}")
        gap = not known
    return "".join(commands)


def _line(points: tuple[FloatArray, FloatArray], line: Trace) -> str:
    style = f'fill="none" stroke="{line["color"]}" stroke-width="{line["width"]}" stroke-linejoin="round"'
    return f'<path d="{_path(*points)}" {style}/>'


def _band(below: tuple[FloatArray, FloatArray], above: tuple[FloatArray, FloatArray], fill: str) -> str:
    x, y = np.append(below[0], above[0][::-1]), np.append(below[1], above[1][::-1])
    return f'<path d="{_path(x, y)}Z" fill="{fill}"/>'


def _rule(x0: float, y0: float, x1: float, y1: float) -> str:
    return f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{_GRID}"/>'


def _text(
    x: float, y: float, said: str, anchor: str = "start", colour: str = "#444", plain: bool = True
) -> str:
    """Return a text; one that is not plain was escaped by whoever drew it."""
    shown = visible(html.escape(said, quote=False) if plain else said)
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{shown}</text>'


def _legend(traces: Sequence[Trace]) -> list[str]:
    parts, x = [], float(LEFT)
    for trace in traces:
        if not trace.get("showlegend", True):
            continue
        name = str(trace["name"])
        colour = trace["fillcolor"] if trace.get("fill") == "tonexty" else trace["line"]["color"]
        parts.append(f'<rect x="{x:.1f}" y="30" width="18" height="6" fill="{colour}"/>')
        parts.append(_text(x + 24, 37, name))
        x += 44 + 7.0 * len(name)
    return parts


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    shown = html.escape(shortened(visible(title), 110))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" font-family="system-ui, sans-serif" font-size="12">'
        f'<title>{shown}</title><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{LEFT}" y="20" font-size="14" fill="#222">{shown}</text>{"".join(parts)}</svg>\n'
    )
