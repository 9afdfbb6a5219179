"""Charts, for the report and for notebooks alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from whatif.errors import WhatIfError
from whatif.report import theme
from whatif.report.columns import metric as metric_of
from whatif.report.heatmap import heat_grid
from whatif.report.timeline import Timeline, change_points, thin_bars, thin_lines, to_us
from whatif.typing import FloatArray, IntArray

MAX_POINTS = 4000
MAX_CANDLES = 2000
MAX_TRADES = 1500


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
    axis = timeline or Timeline.of(rows)
    figure = theme.figure("Account, money")
    for name, part, x in _windows(rows, axis):
        own, hold = _floats(part, "equity"), _floats(part, "benchmark")
        keep = thin_lines([own, hold], most_points)
        first = name == axis.windows[0]
        figure.add_trace(theme.line(x[keep], own[keep], "strategy", _when(part, keep), first))
        figure.add_trace(theme.line(x[keep], hold[keep], "benchmark", None, first))
    return theme.on_timeline(figure, axis)


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
    axis = timeline or Timeline.of(rows)
    figure = theme.figure("Below peak, %")
    for name, part, x in _windows(rows, axis):
        own, hold = _below_peak(_floats(part, "equity")), _below_peak(_floats(part, "benchmark"))
        keep = thin_lines([own, hold], most_points)
        first = name == axis.windows[0]
        strategy = theme.line(x[keep], own[keep], "strategy", _when(part, keep), first)
        figure.add_trace(theme.in_percent(strategy, filled=True))
        figure.add_trace(theme.in_percent(theme.line(x[keep], hold[keep], "benchmark", None, first)))
    figure.update_yaxes(rangemode="tozero")
    return theme.on_timeline(figure, axis)


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
    closed = _same_symbol(trades, rows)
    held = _same_symbol(equity, rows) if equity is not None and "position" in equity else None
    axis = timeline or Timeline.of(rows)
    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.82, 0.18], vertical_spacing=0.04)
    theme.dress(figure, "Price")
    merged = _add_candles(figure, rows, axis, most_candles)
    shown = _add_trades(figure, closed, axis)
    if held is not None:
        _add_position(figure, held, axis)
    figure.update_layout(meta={"merged": merged, "trades_shown": shown, "trades": len(closed)})
    figure.update_yaxes(title_text="Position", row=2, col=1, nticks=4)
    return theme.on_timeline(figure, axis)


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
    grid = heat_grid(leaderboard, x, y, metric, aggregate)
    shown = metric_of(metric)
    figure = theme.figure("")
    limit = float(np.nanmax(np.abs(grid.values))) if np.isfinite(grid.values).any() else 1.0
    figure.add_trace(
        go.Heatmap(
            x=grid.x, y=grid.y, z=grid.values, customdata=grid.counts,
            colorscale=theme.DIVERGING if shown.signed else theme.SEQUENTIAL,
            zmin=-limit if shown.signed else None, zmax=limit if shown.signed else None,
            colorbar={"title": {"text": shown.heading}, "thickness": 12, "outlinewidth": 0},
            hovertemplate="%{x}<br>%{y}<br>%{z:.4g}<br>%{customdata} backtests<extra></extra>",
            xgap=0 if len(grid.x) > 40 else 1, ygap=0 if len(grid.y) > 40 else 1,
        )
    )  # fmt: skip
    figure.update_xaxes(type="category", title_text=theme.escaped(x), showgrid=False)
    figure.update_yaxes(type="category", title_text=theme.escaped(y or ""), showgrid=False)
    return figure.update_layout(hovermode="closest")


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
    figure = theme.figure("Account, money")
    line = theme.line(when[keep].to_numpy(), equity[keep], "strategy", None, False)
    figure.add_trace(line.update(hovertemplate="%{y:,.2f}", name="test windows joined"))
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
    values = pd.to_numeric(leaderboard[metric], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    values = values[np.isfinite(values)]
    figure = theme.figure("Backtests")
    if len(values):
        counts, edges = np.histogram(values, bins=min(60, max(8, int(len(values) ** 0.5))))
        figure.add_trace(
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2, y=counts, width=np.diff(edges), marker_color=theme.BENCHMARK,
                marker_line_width=0, opacity=0.6, name="backtests", showlegend=False,
                customdata=np.column_stack([edges[:-1], edges[1:]]),
                hovertemplate="%{customdata[0]:.3g} to %{customdata[1]:.3g}: %{y} backtests<extra></extra>",
            )
        )  # fmt: skip
    if marked is not None and np.isfinite(marked):
        side = "top left" if len(values) and marked > np.median(values) else "top right"
        figure.add_vline(x=marked, line={"color": theme.STRATEGY, "width": 2},
                         annotation_text="first in rank ", annotation_position=side)  # fmt: skip
    figure.update_xaxes(title_text=metric_of(metric).heading)
    return figure.update_layout(hovermode="closest", bargap=0.05)


def _of_symbol(frame: pd.DataFrame, symbol: str | None) -> pd.DataFrame:
    symbols = [str(s) for s in frame["symbol"].unique()]
    if symbol is None and len(symbols) <= 1:
        return frame
    if symbol not in symbols:
        raise WhatIfError(f"symbol {symbol!r}: a figure shows one symbol; name one of: {', '.join(symbols)}")
    return frame[frame["symbol"] == symbol]


def _same_symbol(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["symbol"].isin(rows["symbol"].unique())]


def _windows(rows: pd.DataFrame, axis: Timeline) -> Iterator[tuple[str, pd.DataFrame, FloatArray]]:
    for name in axis.windows:
        part = rows[rows["window"] == name].sort_values("ts")
        if len(part):
            yield name, part, axis.positions(name, to_us(part["ts"])).astype(np.float64)


def _floats(part: pd.DataFrame, column: str) -> FloatArray:
    return np.asarray(part[column].to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _when(part: pd.DataFrame, keep: IntArray | slice = slice(None)) -> list[str]:
    """Return times as plotly reads them: it takes a bare number for a year."""
    times: list[str] = (
        pd.to_datetime(part["ts"], utc=True).dt.strftime("%Y-%m-%d %H:%M").to_numpy()[keep].tolist()
    )
    return times


def _below_peak(money: FloatArray) -> FloatArray:
    peak = np.fmax.accumulate(money) if len(money) else money
    with np.errstate(divide="ignore", invalid="ignore"):
        below = (money / peak - 1.0) * 100.0
    return np.asarray(np.where(peak > 0, below, np.nan))  # an account below zero has no meaningful peak


def _add_candles(figure: go.Figure, rows: pd.DataFrame, axis: Timeline, most: int) -> int:
    largest = 1
    for name, part, _ in _windows(rows, axis):
        candles, merged = thin_bars(part, most)
        largest = max(largest, merged)
        x = axis.positions(name, to_us(candles["ts"])).astype(np.float64) + (merged - 1) / 2
        figure.add_trace(theme.candles(x, candles, _when(candles)), row=1, col=1)
    if largest > 1:
        figure.update_layout(title_text=f"each candle covers up to {largest} bars")
    return largest


def _add_trades(figure: go.Figure, trades: pd.DataFrame, axis: Timeline) -> int:
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
    for trace in theme.trade_traces(placed):
        figure.add_trace(trace, row=1, col=1)
    return len(placed)


def _add_position(figure: go.Figure, held: pd.DataFrame, axis: Timeline) -> None:
    for _, part, x in _windows(held, axis):
        values = _floats(part, "position")
        keep = change_points(values)
        keep = keep if len(keep) <= MAX_POINTS else thin_lines([values], MAX_POINTS)
        figure.add_trace(theme.position(x[keep], values[keep]), row=2, col=1)
