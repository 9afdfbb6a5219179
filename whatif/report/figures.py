"""Charts, for the report and for notebooks alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.errors import WhatIfError
from whatif.report import theme
from whatif.report.columns import metric as metric_of
from whatif.report.heatmap import heat_grid
from whatif.report.timeline import Timeline, below_peak, change_points, thin_bars, thin_lines, to_us
from whatif.startup import special_functions
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_POINTS = 4000
MAX_CANDLES = 2000
MAX_TRADES = 1500
_BAND_POINTS = 41
_STRETCHES = 200


def equity_figure(
    equity: pd.DataFrame,
    symbol: str | None = None,
    timeline: Timeline | None = None,
    most_points: int = MAX_POINTS,
) -> go.Figure:
    """Draw the account against the market held long, all windows side by side.

    Parameters
    ----------
    equity : pandas.DataFrame
        `symbol`, `window`, `ts` (UTC), `equity`, `benchmark` (money at the bar's close).
    symbol : str, optional
        Which symbol; may be left out where the frame holds one only.
    timeline : Timeline, optional
        Axis shared with other figures; by default that of the rows given.
    most_points : int
        Points drawn per window; peaks and troughs are always among them.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    WhatIfError
        If `symbol` is left out and there are several, or is not in the frame.
    """
    rows = _of_symbol(equity, symbol)
    return theme.as_figure(draw_equity(rows, timeline or Timeline.of(rows), most_points))


def draw_equity(rows: pd.DataFrame, axis: Timeline, most_points: int = MAX_POINTS) -> theme.Drawing:
    """Return what `equity_figure` shows of one symbol's rows, drawn without plotly."""
    drawn = theme.drawing("Account, money")
    for name, part, x in _windows(rows, axis):
        own, hold = _floats(part, "equity"), _floats(part, "benchmark")
        keep = thin_lines([own, hold], most_points)
        first = name == axis.windows[0]
        drawn["data"].append(theme.line(x[keep], own[keep], "strategy", _when(part, keep), first))
        drawn["data"].append(theme.line(x[keep], hold[keep], "benchmark", None, first))
    return theme.on_timeline(drawn, axis)


def draw_luck(rows: pd.DataFrame, axis: Timeline, trials: float) -> list[theme.Trace]:
    """Return a band for each window: where 90 % of what luck alone gives would lie.

    Parameters
    ----------
    rows : pandas.DataFrame
        One symbol's `window`, `ts` and `equity`.
    axis : Timeline
        Of the chart below which the bands lie.
    trials : float
        Independent trials of which the best was chosen on validate; on other windows it is one.
    """
    drawn: list[theme.Trace] = []
    for name, part, x in _windows(rows, axis):
        money = _floats(part, "equity")
        if len(money) < 2 or not money[0] > 0:
            continue
        at = np.unique(np.linspace(0, len(money) - 1, _BAND_POINTS).astype(np.int64))
        low, high = luck_band(money, at, trials if name == "validate" else 1.0)
        drawn += theme.band(x[at], low, high, first=name == axis.windows[0])
    return drawn


def luck_band(money: FloatArray, at: IntArray, trials: float) -> tuple[FloatArray, FloatArray]:
    """Return between which values 90 % of accounts that are worth nothing would be.

    Parameters
    ----------
    money : float64 array (bars,)
        Account whose start and ups and downs they have.
    at : int64 array (k,)
        Rows at which the bounds are wanted, the first and last among them.
    trials : float
        Independent ones of which the best at the end is looked at, at least 1.

    Returns
    -------
    float64 array (k,), float64 array (k,)
        The 5 % and 95 % quantile at each row of a Brownian motion of the logarithm, without drift, that ends
        at the maximum of `trials` normal variables: a bridge to that end.
    """
    some = money[np.unique(np.linspace(0, len(money) - 1, _STRETCHES + 1).astype(np.int64))]
    moves = np.diff(np.log(some[np.isfinite(some) & (some > 0)]))
    spread = float(moves.std() * np.sqrt(len(moves))) if len(moves) > 1 else 0.0
    bounds = money[0] * np.exp(spread * _luck_quantiles(tuple(at.tolist()), max(trials, 1.0)))
    return bounds[:, 0], bounds[:, 1]


@lru_cache(maxsize=16)
def _luck_quantiles(at: tuple[int, ...], trials: float) -> FloatArray:
    """Return the quantiles of `luck_band` at k rows for a spread of 1, (k, 2), which nobody may change."""
    special = special_functions()
    ends = special.ndtri(((np.arange(100) + 0.5) / 100.0) ** (1.0 / trials))
    share = (np.array(at) / at[-1])[:, None]
    grid = np.linspace(-5.0, 7.0, 481)
    width = np.maximum(np.sqrt(share * (1.0 - share)), 1e-3)
    below = np.mean([special.ndtr((grid - share * end) / width) for end in ends], axis=0)
    found = np.array([np.interp((0.05, 0.95), one, grid) for one in below])
    return np.asarray(np.where(share > 0, found, 0.0))


def drawdown_figure(
    equity: pd.DataFrame,
    symbol: str | None = None,
    timeline: Timeline | None = None,
    most_points: int = MAX_POINTS,
) -> go.Figure:
    """Draw how far account and buy-and-hold are below their earlier peaks, in percent, by window.

    Parameters and Raises are those of `equity_figure`. Each window starts at its own peak.
    """
    rows = _of_symbol(equity, symbol)
    return theme.as_figure(draw_drawdown(rows, timeline or Timeline.of(rows), most_points))


def draw_drawdown(rows: pd.DataFrame, axis: Timeline, most_points: int = MAX_POINTS) -> theme.Drawing:
    """Return what `drawdown_figure` shows of one symbol's rows, drawn without plotly."""
    drawn = theme.drawing("Below peak, %")
    for name, part, x in _windows(rows, axis):
        own, hold = below_peak(_floats(part, "equity")), below_peak(_floats(part, "benchmark"))
        keep = thin_lines([own, hold], most_points)
        first = name == axis.windows[0]
        strategy = theme.line(x[keep], own[keep], "strategy", _when(part, keep), first)
        drawn["data"].append(theme.in_percent(strategy, filled=True))
        drawn["data"].append(theme.in_percent(theme.line(x[keep], hold[keep], "benchmark", None, first)))
    drawn["layout"]["yaxis"]["rangemode"] = "tozero"
    return theme.on_timeline(drawn, axis)


def trades_figure(
    bars: pd.DataFrame,
    trades: pd.DataFrame,
    symbol: str | None = None,
    equity: pd.DataFrame | None = None,
    timeline: Timeline | None = None,
    most_candles: int = MAX_CANDLES,
) -> go.Figure:
    """Draw prices with entries and exits, and the position below.

    Parameters
    ----------
    bars : pandas.DataFrame
        `symbol`, `window`, `ts`, `open`, `high`, `low`, `close`.
    trades : pandas.DataFrame
        Closed trades (see `ChosenSeries.trades`); may be empty.
    symbol : str, optional
        Which symbol; may be left out where the frame holds one only.
    equity : pandas.DataFrame, optional
        Gives the position; without it, or without its `position`, the lower panel is left out.
    timeline : Timeline, optional
        Axis shared with other figures.
    most_candles : int
        Candles drawn per window: longer series are merged (first open, highest high, lowest low, last
        close), and the figure's title says so.

    Raises
    ------
    WhatIfError
        If `symbol` is left out and there are several, or is not in the frame.
    """
    rows = _of_symbol(bars, symbol)
    axis = timeline or Timeline.of(rows)
    return theme.as_figure(draw_trades(rows, trades, equity, axis, most_candles))


def draw_trades(
    rows: pd.DataFrame,
    trades: pd.DataFrame,
    equity: pd.DataFrame | None,
    axis: Timeline,
    most_candles: int = MAX_CANDLES,
) -> theme.Drawing:
    """Return what `trades_figure` shows of one symbol's bars, drawn without plotly."""
    closed = _same_symbol(trades, rows)
    drawn = theme.below_buttons(theme.two_drawings("Price", "Position"))
    merged = _add_candles(drawn, rows, axis, most_candles)
    shown = _add_trades(drawn, closed, axis)
    if equity is not None and "position" in equity:
        _add_position(drawn, _same_symbol(equity, rows), axis)
    drawn["layout"]["meta"] = {"merged": merged, "trades_shown": shown, "trades": len(closed)}
    return theme.on_timeline(drawn, axis)


def heatmap_figure(
    leaderboard: pd.DataFrame,
    x: str,
    y: str | None,
    metric: str,
    aggregate: str = "best",
) -> go.Figure:
    """Draw a metric over two axes, the best or the median over all others.

    Parameters
    ----------
    leaderboard : pandas.DataFrame
        Rows with `status`, the axis columns and the metric; failed rows are left out.
    x, y : str
        Axis columns; without `y` the map has one row. An axis of more than 120 numbers is cut into bins.
    metric : str
        Column to colour by.
    aggregate : str
        "best" (the lowest, for a metric where less is better) or "median". NaN is skipped; a cell without
        a number stays empty.

    Raises
    ------
    WhatIfError
        If a column is not in the leaderboard, or `aggregate` is neither.
    """
    return theme.as_figure(draw_heatmap(leaderboard, x, y, metric, aggregate))


def draw_heatmap(
    leaderboard: pd.DataFrame,
    x: str,
    y: str | None,
    metric: str,
    aggregate: str = "best",
    orders: Mapping[str, Sequence[Any]] | None = None,
) -> theme.Drawing:
    """Return what `heatmap_figure` shows, drawn without plotly; `orders` as `heatmap.levels` takes them."""
    grid = heat_grid(leaderboard, x, y, metric, aggregate, orders)
    shown = metric_of(metric)
    drawn = theme.drawing("")
    # a few extremes would leave all else pale
    known = grid.values[np.isfinite(grid.values)]
    low, high = np.quantile(known, (0.02, 0.98)).tolist() if len(known) else (0.0, 1.0)
    limit = max(abs(low), abs(high))
    drawn["data"].append(
        {
            "type": "heatmap", "x": grid.x, "y": grid.y, "z": grid.values, "customdata": grid.counts,
            "colorscale": theme.DIVERGING if shown.signed else theme.SEQUENTIAL,
            "zmin": -limit if shown.signed else low, "zmax": limit if shown.signed else high,
            "colorbar": {"title": {"text": shown.heading}, "thickness": 12, "outlinewidth": 0},
            "hovertemplate": "%{x}<br>%{y}<br>%{z:.4g}<br>%{customdata} backtests<extra></extra>",
            "xgap": 0 if len(grid.x) > 40 else 1, "ygap": 0 if len(grid.y) > 40 else 1,
        }
    )  # fmt: skip
    category = {"type": "category", "showgrid": False}
    drawn["layout"]["xaxis"] |= category | {"title": {"text": theme.escaped(x)}}
    drawn["layout"]["yaxis"] |= category | {"title": {"text": theme.escaped(y or "")}}
    drawn["layout"]["hovermode"] = "closest"
    return drawn


def stitched_figure(series: pd.DataFrame, most_points: int = MAX_POINTS) -> go.Figure:
    """Draw the account over the test windows of all folds joined, and where each fold begins.

    Parameters
    ----------
    series : pandas.DataFrame
        `fold`, `ts` (UTC, end of the period) and `equity` (money) after it.
    most_points : int
        Points drawn; peaks and troughs are always among them.
    """
    equity = _floats(series, "equity")
    keep = thin_lines([equity], most_points)
    when = pd.DatetimeIndex(series["ts"])
    figure = theme.as_figure(theme.drawing("Account, money"))
    line = theme.line(when[keep].to_numpy(), equity[keep], "strategy", None, False)
    figure.add_trace(line | {"hovertemplate": "%{y:,.2f}", "name": "test windows joined"})
    folds = series["fold"].to_numpy()
    for begin in when[np.flatnonzero(np.diff(folds, prepend=folds[:1] - 1))]:
        figure.add_vline(x=begin, line={"color": theme.GRID, "width": 1})
    return figure


def distribution_figure(leaderboard: pd.DataFrame, metric: str, marked: float | None = None) -> go.Figure:
    """Draw how a metric spreads over everything that was tried, with one value marked.

    Parameters
    ----------
    leaderboard : pandas.DataFrame
        Rows with the metric; NaN and infinite values are left out.
    metric : str
        Column to count.
    marked : float, optional
        Value to mark, such as that of the chosen configuration.
    """
    return theme.as_figure(draw_distribution(leaderboard, metric, marked))


def draw_distribution(leaderboard: pd.DataFrame, metric: str, marked: float | None = None) -> theme.Drawing:
    """Return what `distribution_figure` shows, drawn without plotly."""
    values = pd.to_numeric(leaderboard[metric], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    values = values[np.isfinite(values)]
    drawn = theme.drawing("Backtests")
    layout = drawn["layout"]
    if len(values):
        counts, edges = np.histogram(values, bins=min(60, max(8, int(len(values) ** 0.5))))
        drawn["data"].append(
            {
                "type": "bar", "x": (edges[:-1] + edges[1:]) / 2, "y": counts, "width": np.diff(edges),
                "marker": {"color": theme.BENCHMARK, "line": {"width": 0}}, "opacity": 0.6,
                "name": "backtests", "showlegend": False,
                "customdata": np.column_stack([edges[:-1], edges[1:]]),
                "hovertemplate": "%{customdata[0]:.3g} to %{customdata[1]:.3g}: %{y} backtests"
                "<extra></extra>",
            }
        )  # fmt: skip
    if marked is not None and np.isfinite(marked):
        left = len(values) and marked > np.median(values)
        layout["shapes"] = [
            {
                "type": "line", "x0": marked, "x1": marked, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain",
                "line": {"color": theme.STRATEGY, "width": 2},
            }
        ]  # fmt: skip
        layout["annotations"] = [
            {
                "text": "first in rank ", "x": marked, "xref": "x", "xanchor": "right" if left else "left",
                "y": 1, "yref": "y domain", "yanchor": "top", "showarrow": False,
            }
        ]  # fmt: skip
    layout["xaxis"]["title"] = {"text": metric_of(metric).heading}
    layout |= {"hovermode": "closest", "bargap": 0.05}
    return drawn


def indicator_figure(bars: pd.DataFrame, values: pd.DataFrame, texts: Sequence[str]) -> go.Figure:
    """Draw indicators on the newest bars of a symbol: on the prices where they are of their size, else below.

    Parameters
    ----------
    bars : pandas.DataFrame
        `ts` (UTC), `open`, `high`, `low`, `close`; at most the last `MAX_CANDLES` are drawn, without the gaps
        between sessions.
    values : pandas.DataFrame
        A column for each text, on the same rows.
    texts : sequence of str
        Expressions.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    return theme.as_figure(draw_indicators(bars, values, texts))


def draw_indicators(bars: pd.DataFrame, values: pd.DataFrame, texts: Sequence[str]) -> theme.Drawing:
    """Return the drawing of `indicator_figure`."""
    rows, shown = bars.tail(MAX_CANDLES), values.tail(MAX_CANDLES)
    drawn = theme.two_drawings("Price", ", ".join(texts) if len(texts) < 3 else "")
    x, when = np.arange(len(rows), dtype=np.float64), _when(rows)
    drawn["data"].append(theme.candles(x, rows, when) | _UPPER)
    for text in texts:
        y = _floats(shown, text)
        known = y[np.isfinite(y)]
        middle = float(np.median(known)) if len(known) else 0.0
        among_prices = rows["low"].min() <= middle <= rows["high"].max()
        line = theme.line(x, y, "strategy", when, first=True) | {"name": text}
        drawn["data"].append(line | (_UPPER if among_prices else _LOWER))
    at = np.linspace(0, max(len(rows) - 1, 0), 6).astype(int)
    ticks = {"tickvals": at.tolist(), "ticktext": [when[k] for k in at] if when else []}
    for name in ("xaxis", "xaxis2"):
        drawn["layout"][name] |= ticks | {"rangeslider": {"visible": False}}
    drawn["layout"]["height"] = 460
    return drawn


def _of_symbol(frame: pd.DataFrame, symbol: str | None) -> pd.DataFrame:
    symbols = [str(s) for s in frame["symbol"].unique()]
    if symbol is None and len(symbols) <= 1:
        return frame
    if symbol not in symbols:
        raise WhatIfError(f"symbol {symbol!r}: a figure shows one symbol; name one of: {', '.join(symbols)}")
    return frame[frame["symbol"] == symbol]


def _same_symbol(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what is of the symbol of the rows; trades of an account of several name each their own."""
    own = frame["trade_symbol"] if "trade_symbol" in frame else frame["symbol"]
    return frame[own.isin(rows["symbol"].unique())]


def _windows(rows: pd.DataFrame, axis: Timeline) -> Iterator[tuple[str, pd.DataFrame, FloatArray]]:
    for name in axis.windows:
        part = rows[rows["window"] == name].sort_values("ts")
        if len(part):
            yield name, part, axis.positions(name, to_us(part["ts"])).astype(np.float64)


def _floats(part: pd.DataFrame, column: str) -> FloatArray:
    return np.asarray(part[column].to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _when(part: pd.DataFrame, keep: IntArray | slice = slice(None)) -> list[str]:
    """Return times as plotly reads them: it takes a bare number for a year."""
    times: list[str] = pd.to_datetime(part["ts"].iloc[keep], utc=True).dt.strftime("%Y-%m-%d %H:%M").tolist()
    return times


def _add_candles(drawn: theme.Drawing, rows: pd.DataFrame, axis: Timeline, most: int) -> int:
    largest = 1
    for name, part, _ in _windows(rows, axis):
        candles, merged = thin_bars(part, most)
        largest = max(largest, merged)
        x = axis.positions(name, to_us(candles["ts"])).astype(np.float64) + (merged - 1) / 2
        drawn["data"].append(theme.candles(x, candles, _when(candles)) | _UPPER)
    if largest > 1:
        drawn["layout"]["title"]["text"] = f"each candle covers up to {largest} bars"
    return largest


_UPPER, _LOWER = {"xaxis": "x", "yaxis": "y"}, {"xaxis": "x2", "yaxis": "y2"}


def _add_trades(drawn: theme.Drawing, trades: pd.DataFrame, axis: Timeline) -> int:
    closed = trades[trades["window"].isin(axis.windows)].dropna(subset=["opened_at", "closed_at"])
    if len(closed) > MAX_TRADES:
        closed = closed.loc[closed["pnl_net"].abs().nlargest(MAX_TRADES).index]
    if closed.empty:
        return 0
    parts = []
    for name, rows in closed.groupby("window", sort=False, observed=True):
        opened, shut = (axis.positions(str(name), to_us(rows[c])) for c in ("opened_at", "closed_at"))
        parts.append(rows.assign(opened=opened, shut=shut))
    placed = pd.concat(parts)
    drawn["data"] += [trace | _UPPER for trace in theme.trade_traces(placed)]
    return len(placed)


def _add_position(drawn: theme.Drawing, held: pd.DataFrame, axis: Timeline) -> None:
    for _, part, x in _windows(held, axis):
        values = _floats(part, "position")
        keep = change_points(values)
        keep = keep if len(keep) <= MAX_POINTS else thin_lines([values], MAX_POINTS)
        drawn["data"].append(theme.position(x[keep], values[keep]) | _LOWER)
