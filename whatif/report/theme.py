"""Theme of all figures: colours, axes and traces, readable on white and on black."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.typing import FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from whatif.report.timeline import Timeline

Trace = dict[str, Any]
"""What plotly.js draws of one series, with numpy's arrays."""

Drawing = dict[str, Any]
"""A figure as plotly.js takes it, `data` and `layout`. Plotly's own classes look at each value of it and take
seconds to be imported, so that they are for notebooks alone."""

STRATEGY = "#3b7dd8"
BENCHMARK = "#8b919b"
GAIN = "#2a9d76"
LOSS = "#d0574f"
SHADE = "rgba(59,125,216,0.16)"
_CLEAR = "rgba(0,0,0,0)"
GRID = "rgba(128,128,128,0.18)"
DIVERGING = [[0.0, "#c0504a"], [0.25, "#e3a7a0"], [0.5, "#eceff1"], [0.75, "#94bbe6"], [1.0, "#2f6fc4"]]
SEQUENTIAL = [[0.0, "#e9eef5"], [0.5, "#7fa9dc"], [1.0, "#1f4f96"]]
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_TIME = "%{customdata|%a %d %b %Y %H:%M} UTC"
_NAMES = {"strategy": "strategy", "benchmark": "buy-and-hold"}


def escaped(text: str) -> str:
    """Return text that plotly shows as it is: it reads a subset of HTML in labels."""
    return html.escape(text, quote=False)


def drawing(y_title: str) -> Drawing:
    """Return an empty drawing in the report's style."""
    return dress({"xaxis": {}, "yaxis": {}}, y_title)


def two_drawings(y_title: str, below: str) -> Drawing:
    """Return an empty drawing of two panels over one time axis, the upper one the larger."""
    room, gap = 1.0 - 0.04, 0.04
    lower, upper = 0.18 * room, 0.18 * room + gap
    axes: dict[str, Any] = {
        "xaxis": {"anchor": "y", "domain": [0.0, 1.0], "matches": "x2", "showticklabels": False},
        "yaxis": {"anchor": "x", "domain": [upper, upper + 0.82 * room]},
        "xaxis2": {"anchor": "y2", "domain": [0.0, 1.0]},
        "yaxis2": {"anchor": "x2", "domain": [0.0, lower]},
    }
    drawn = dress(axes, y_title)
    drawn["layout"]["yaxis2"]["title"]["text"] = below
    drawn["layout"]["yaxis2"]["nticks"] = 4
    return drawn


def below_buttons(drawn: Drawing) -> Drawing:
    """Return a drawing whose legend is as long as it is wide, with it below the buttons, not under them."""
    layout, row = drawn["layout"], 24
    layout["margin"] = layout["margin"] | {"t": layout["margin"]["t"] + row}
    layout["height"] += row
    layout["legend"] = layout["legend"] | {"y": 1 - row / layout["height"]}
    return drawn


def dress(axes: dict[str, Any], y_title: str) -> Drawing:
    """Return an empty drawing with some axes in the report's style; the first has a title."""
    layout: dict[str, Any] = {
        "template": "none", "paper_bgcolor": _CLEAR, "plot_bgcolor": _CLEAR,
        "font": {"family": _FONT, "size": 12, "color": "#6b7280"},
        "margin": {"l": 72, "r": 12, "t": 46, "b": 40},
        "height": 340, "hovermode": "x unified", "dragmode": "zoom",
        "legend": {
            "orientation": "h", "x": 0, "y": 1, "yref": "container", "yanchor": "top", "bgcolor": _CLEAR
        },
        "title": {"font": {"size": 12}, "x": 1, "xanchor": "right", "y": 0.99, "yanchor": "top"},
        "modebar": {"bgcolor": _CLEAR, "color": "rgba(128,128,128,0.6)", "activecolor": STRATEGY},
    }  # fmt: skip
    for name, axis in axes.items():
        if name.startswith("x"):
            layout[name] = axis | {"gridcolor": GRID, "zeroline": False, "showline": False}
        else:
            layout[name] = axis | {
                "gridcolor": GRID, "zerolinecolor": GRID, "separatethousands": True, "exponentformat": "none",
                "title": {"standoff": 8}, "automargin": "left",
            }  # fmt: skip
    layout["yaxis"]["title"]["text"] = y_title
    return {"data": [], "layout": layout}


def as_figure(drawn: Drawing) -> go.Figure:
    """Return a drawing as plotly's figure, for notebooks."""
    import plotly.graph_objects as go

    return go.Figure(drawn)


def on_timeline(drawn: Drawing, axis: Timeline) -> Drawing:
    """Label the time axis by sessions and mark the windows."""
    positions, labels = axis.ticks()
    low, high = axis.extent()
    layout = drawn["layout"]
    for name in [name for name in layout if name.startswith("xaxis")]:
        layout[name] |= {
            "range": [low, high],
            "tickmode": "array",
            "tickvals": positions,
            "ticktext": labels,
            "unifiedhovertitle": {"text": " "},
            "rangeslider": {"visible": False},
        }
    layout["shapes"] = [
        {
            "type": "rect", "xref": "x", "yref": "paper", "x0": first - 0.5, "x1": last + 0.5,
            "y0": 0, "y1": 1, "line": {"width": 0}, "layer": "below",
            "fillcolor": "rgba(128,128,128,0.08)" if place % 2 else _CLEAR,
        }
        for place, (_, first, last) in enumerate(axis.spans())
    ]  # fmt: skip
    layout["annotations"] = [
        {
            "text": f"<b>{escaped(name)}</b>", "xref": "x", "yref": "paper", "x": first, "y": 1,
            "xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}, "borderpad": 0,
        }
        for name, first, _ in axis.spans()
    ]  # fmt: skip
    return drawn


def band(x: FloatArray, low: FloatArray, high: FloatArray, first: bool) -> list[Trace]:
    """Return two traces with the room between them filled: what luck alone would give."""
    plain = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip"}
    shown = {"fill": "tonexty", "fillcolor": "rgba(217,164,65,0.28)", "name": "what luck would give"}
    return [
        plain | {"y": low, "showlegend": False, "legendgroup": "luck"},
        plain | shown | {"y": high, "showlegend": first, "legendgroup": "luck"},
    ]


def line(x: np.ndarray, y: FloatArray, who: str, when: list[str] | None, first: bool) -> Trace:
    """Return a line of the account or of buy-and-hold.

    Parameters
    ----------
    x : float64 or datetime64 array (n,)
        Positions on the time axis, or times.
    y : float64 array (n,)
        Values, in money or percent; the line has a gap where one is NaN.
    who : str
        "strategy" or "benchmark".
    when : list of n str, optional
        Time of each point as "2024-03-04 14:30", UTC.
    first : bool
        Whether the legend names it.
    """
    strategy = who == "strategy"
    head = f"<b>{_TIME}</b><br>" if strategy else ""
    return {
        "type": "scatter", "x": x, "y": y, "name": _NAMES[who],
        **({} if when is None else {"customdata": when}), "mode": "lines",
        "legendgroup": who, "showlegend": first,
        "line": {"color": STRATEGY if strategy else BENCHMARK, "width": 1.8 if strategy else 1.3},
        "hovertemplate": f"{head}{who.replace('benchmark', 'buy-and-hold')} %{{y:,.2f}}<extra></extra>",
    }  # fmt: skip


def in_percent(trace: Trace, filled: bool = False) -> Trace:
    """Return the line as one of percentages, the area to zero shaded if asked."""
    shaded = {"fill": "tozeroy", "fillcolor": SHADE} if filled else {}
    return trace | shaded | {"hovertemplate": trace["hovertemplate"].replace("<extra>", " %<extra>")}


def candles(x: FloatArray, bars: pd.DataFrame, when: list[str]) -> Trace:
    """Return candles.

    Parameters
    ----------
    x : float64 array (n,)
        Positions on the time axis.
    bars : pandas.DataFrame
        `open`, `high`, `low`, `close`; n rows.
    when : list of n str
        Time of each candle as "2024-03-04 14:30", UTC.
    """
    prices: dict[str, Any] = {c: bars[c].to_numpy(dtype=float) for c in ("open", "high", "low", "close")}
    return {
        "type": "candlestick", "x": x, **prices, "customdata": when, "name": "price", "showlegend": False,
        "increasing": {"line": {"color": GAIN, "width": 1}, "fillcolor": GAIN},
        "decreasing": {"line": {"color": LOSS, "width": 1}, "fillcolor": LOSS}, "opacity": 0.55,
        "hovertemplate": f"<b>{_TIME}</b><br>open %{{open:,.7~g}} high %{{high:,.7~g}}"
        "<br>low %{low:,.7~g} close %{close:,.7~g}<extra></extra>",
    }  # fmt: skip


EXITS: Mapping[str, tuple[str, str, str]] = {
    "target": ("exit: target", "circle-open", GAIN),
    "stop": ("exit: stop", "x-thin-open", LOSS),
    "trailing_stop": ("exit: trailing stop", "cross-thin-open", LOSS),
    "time": ("exit: time", "hourglass-open", BENCHMARK),
    "session": ("exit: session", "square-open", BENCHMARK),
    "universe": ("exit: universe", "square-cross-open", BENCHMARK),
    "reversal": ("exit: reversal", "diamond-open", BENCHMARK),
    "step": ("exit: strategy", "x-thin-open", BENCHMARK),
    "": ("exit", "x-thin-open", BENCHMARK),
}
"""Name, mark and colour of exits by their reason; "" where it was not stored."""

_ORDERS = {
    "entry_order": ("entry order", BENCHMARK, "dot"),
    "stop_price": ("stop", LOSS, "dash"),
    "target_price": ("target", GAIN, "dash"),
}
"""Name, colour and dashes of the prices of orders around a trade."""


def trade_traces(placed: pd.DataFrame) -> list[Trace]:
    """Return entries, exits and the lines between them; `placed` has positions `opened` and `shut`."""
    won, way = placed["pnl_net"] > 0, ("entry_price", "exit_price")
    traces = [
        _segments(placed[won], way, "winners", color=GAIN, width=1.6),
        _segments(placed[~won], way, "losers", color=LOSS, width=1.6),
    ]
    long, are_few = placed["size"] > 0, len(placed) <= 150
    size = 9 if are_few else 5 if len(placed) <= 600 else 3  # or the marks hide the price
    traces.append(_marks(placed[long], "opened", "entry_price", "buy to open", "triangle-up", size))
    traces.append(_marks(placed[~long], "opened", "entry_price", "sell to open", "triangle-down", size))
    reasons = placed["exit_reason"].fillna("") if "exit_reason" in placed else pd.Series("", placed.index)
    for reason, (name, symbol, colour) in EXITS.items():
        traces.append(_marks(placed[reasons == reason], "shut", "exit_price", name, symbol, size, colour))
    for column, (name, colour, dash) in _ORDERS.items():
        if column in placed:
            rows = placed.dropna(subset=[column])
            level = _segments(rows, (column, column), name, color=colour, width=1.2, dash=dash)
            # of many trades, the lines would hide the price: a click on the legend shows them
            traces.append(level if are_few else level | {"visible": "legendonly"})
    return [trace for trace in traces if len(trace["x"])]


def _segments(rows: pd.DataFrame, prices: tuple[str, str], name: str, **line: Any) -> Trace:
    """Return a line for each trade, for as long as it was open, from one of its prices to another."""
    first, last = prices
    gap = np.full(len(rows), np.nan)
    return {
        "type": "scatter",
        "x": np.column_stack([rows["opened"], rows["shut"], gap]).ravel(),
        "y": np.column_stack([rows[first], rows[last], gap]).ravel(),
        "mode": "lines", "name": name, "line": line, "hoverinfo": "skip",
    }  # fmt: skip


def _marks(
    rows: pd.DataFrame, at: str, price: str, name: str, symbol: str, size: int, colour: str = "#e0a030"
) -> Trace:
    edge = {"width": 1.5, "color": colour} if at == "shut" else {"width": 0.6, "color": "#6b5316"}
    profit = "<br>net profit %{customdata[1]:,.2f}" if at == "shut" else ""
    return {
        "type": "scatter", "x": rows[at].to_numpy(), "y": rows[price].to_numpy(dtype=float),
        "mode": "markers", "name": name, "customdata": rows[["size", "pnl_net"]].to_numpy(dtype=float),
        "marker": {"symbol": symbol, "size": size, "color": colour, "line": edge},
        "hovertemplate": f"{name} %{{customdata[0]:,}} at %{{y:,.7~g}}{profit}<extra></extra>",
    }  # fmt: skip


def position(x: FloatArray, y: FloatArray) -> Trace:
    """Return the size held, `y` (n,), at positions `x` (n,) of the time axis, as a step line."""
    return {
        "type": "scatter", "x": x, "y": y, "mode": "lines", "name": "position", "showlegend": False,
        "line": {"color": STRATEGY, "width": 1, "shape": "hv"}, "fill": "tozeroy", "fillcolor": SHADE,
        "hovertemplate": "position %{y:,}<extra></extra>",
    }  # fmt: skip
