"""Pages of bars: coverage by symbol and session as a heat map, what is suspicious, and prices as candles."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whatif.lake import QUALITY_RULES, BarsCheck
from whatif.report.figures import MAX_CANDLES as INDICATOR_CANDLES
from whatif.report.figures import draw_indicators
from whatif.report.sides import write_page
from whatif.report.theme import (
    BENCHMARK,
    LOSS,
    SEQUENTIAL,
    Drawing,
    below_buttons,
    candles,
    drawing,
    escaped,
    two_drawings,
)

MAX_COLUMNS = 1_500
"""Sessions that have a column each; of more, a month has one."""

MAX_SYMBOLS, MAX_FOUND = 400, 1_000
"""Symbols of a map, and rows of the list; those with errors first."""

MAX_CANDLES = 3_000
"""Candles of a chart; of more bars, each stands for several."""

_MARKS = {"errors": ("error", "x", LOSS, 7), "suspicious": ("warning", "circle-open", "#d9a441", 5)}


def write_check(check: BarsCheck, path: str | os.PathLike[str]) -> Path:
    """Write a check of bars as a page, whole in itself, which loads nothing; return where it is.

    A map for each timeframe: a row for each symbol, a column for each session (above `MAX_COLUMNS`, each
    month), coloured by the share of the expected bars that are there; errors and warnings are marked. Below
    it the first `MAX_FOUND` things that break a rule, errors first, and all rules.
    """
    summary = check.summary()
    maps = {
        str(length): _map(rows, _shown(summary[summary["timeframe"] == length]))
        for length, rows in check.sessions.groupby("timeframe", sort=False)
    }
    ordered = check.found.sort_values("error", ascending=False, kind="stable").head(MAX_FOUND)
    counts = check.found["rule"].value_counts()
    return write_page(
        path,
        "bars",
        {"maps": list(maps.values())},
        title="Check of bars",
        said="",
        maps=[(length, _note(check.sessions, length)) for length in maps],
        summary=summary.to_dict("records"),
        rules=[(name, rule, int(counts.get(name, 0))) for name, rule in QUALITY_RULES.items()],
        found=[_row(row) for row in ordered.to_dict("records")],
        total=len(check.found),
    )


def write_prices(
    symbol: str,
    said: str,
    charts: Sequence[tuple[str, pd.DataFrame]],
    found: pd.DataFrame,
    path: str | os.PathLike[str],
) -> Path:
    """Write the bars of a symbol as a page, whole in itself, which loads nothing; return where it is.

    Parameters
    ----------
    symbol, said : str
        Whose bars, and what is said of it.
    charts : sequence of (str, DataFrame)
        Timeframe, and `ts open high low close volume`, oldest first, at least a row. Above `MAX_CANDLES` rows
        a candle stands for several bars, and the page says so.
    found : DataFrame
        What is suspicious, as `BarsCheck.found` has it.
    path : str or path
        Where the page goes.
    """
    drawn = [_candles(rows, found[found["timeframe"] == length]) for length, rows in charts]
    notes = [
        f"{len(rows):,} bars, {rows['ts'].iloc[0]:%Y-%m-%d} to {rows['ts'].iloc[-1]:%Y-%m-%d}"
        + (f"; {many:,} in a candle" if many > 1 else "")
        for (_, rows), (_, many) in zip(charts, drawn, strict=True)
    ]
    return write_page(
        path,
        "bars",
        {"maps": [one for one, _ in drawn]},
        title=symbol,
        said=said,
        maps=[(length, note) for (length, _), note in zip(charts, notes, strict=True)],
        summary=[],
        rules=[],
        found=[_row(row) for row in found.head(MAX_FOUND).to_dict("records")],
        total=len(found),
    )


def write_indicators(
    bars: pd.DataFrame, values: pd.DataFrame, texts: Sequence[str], title: str, path: str | os.PathLike[str]
) -> Path:
    """Write indicators on the newest bars as a page, which loads nothing; return where it is.

    Parameters
    ----------
    bars, values, texts
        As `whatif.report.indicator_figure` takes them.
    title : str
        Of the page, such as the symbol.
    path : str or path
        Where the page goes.
    """
    drawn = _lists(below_buttons(draw_indicators(bars, values, texts)))
    many, last = min(len(bars), INDICATOR_CANDLES), bars["ts"].iloc[-1]
    note = f"the last {many:,} of {len(bars):,} bars, to {last:%Y-%m-%d}"
    empty: dict[str, Any] = {"summary": [], "rules": [], "found": [], "total": 0, "said": ""}
    maps = [(", ".join(texts), note)]
    return write_page(path, "bars", {"maps": [drawn]}, title=title, maps=maps, **empty)


def _candles(rows: pd.DataFrame, found: pd.DataFrame) -> tuple[Drawing, int]:
    """Return candles with their volumes below, and how many bars each stands for."""
    many = -(-len(rows) // MAX_CANDLES)
    joined = rows.groupby(np.arange(len(rows)) // many).agg(
        ts=("ts", "first"), open=("open", "first"), high=("high", "max"), low=("low", "min"),
        close=("close", "last"), volume=("volume", "sum"),
    )  # fmt: skip
    daily = joined["ts"].dt.normalize().is_unique
    when = joined["ts"].dt.strftime("%Y-%m-%d" if daily else "%Y-%m-%d %H:%M").tolist()
    x = np.arange(len(joined), dtype=float)
    drawn = two_drawings("Price", "Volume")
    drawn["data"] += [
        candles(x, joined, when) | {"hovertemplate": None},
        {
            "type": "bar", "x": x, "y": joined["volume"].to_numpy(), "yaxis": "y2", "xaxis": "x2",
            "name": "volume", "showlegend": False, "marker": {"color": BENCHMARK},
            "hovertemplate": "volume %{y:,}<extra></extra>",
        },
    ]  # fmt: skip
    for error, name in ((False, "suspicious"), (True, "errors")):
        word, sign, colour, size = _MARKS[name]
        told = found[found["error"] == error]
        at = np.clip(np.searchsorted(joined["ts"], told["ts"], side="right") - 1, 0, len(joined) - 1)
        drawn["data"].append(
            {
                "type": "scatter", "mode": "markers", "name": word, "x": x[at],
                "y": joined["high"].to_numpy()[at], "text": told["rule"].tolist(),
                "hovertemplate": "%{text}<extra></extra>",
                "marker": {"symbol": sign, "color": colour, "size": size + 2, "line": {"width": 1}},
            }
        )  # fmt: skip
    ticks = np.unique(np.linspace(0, len(x) - 1, min(len(x), 9)).astype(int))
    words = {"tickmode": "array", "tickvals": ticks, "ticktext": [when[k] for k in ticks]}
    for name in ("xaxis", "xaxis2"):
        drawn["layout"][name] |= words | {"rangeslider": {"visible": False}}
    drawn["layout"]["yaxis2"] |= {"tickformat": "~s", "nticks": 3, "rangemode": "nonnegative"}
    drawn["layout"] |= {"height": 460, "hovermode": "closest"}
    return _lists(below_buttons(drawn) if len(found) else drawn), many


def _lists(value: Any) -> Any:
    """Return a drawing with arrays as lists, as JSON has them: what is no number is null."""
    if isinstance(value, dict):
        return {key: _lists(one) for key, one in value.items() if one is not None}
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return [float(one) if np.isfinite(one) else None for one in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_lists(one) for one in value] if isinstance(value, list) else value


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    rule = QUALITY_RULES[row["rule"]]
    shown = f"{row['value']:,.0f}" if row["value"] >= 100 else f"{row['value']:.3g}"
    return {**row, "told": f"{shown} {rule.measure}", "when": f"{row['ts']:%Y-%m-%d %H:%M}"}


def _shown(summary: pd.DataFrame) -> list[str]:
    """Return the symbols of a map by name; of too many those with most errors, warnings and missing bars."""
    worst = summary.sort_values(
        ["errors", "warnings", "covered"], ascending=[False, False, True], kind="stable"
    )
    return sorted(worst["symbol"].head(MAX_SYMBOLS))


def _note(sessions: pd.DataFrame, length: str) -> str:
    rows = sessions[sessions["timeframe"] == length]
    count = rows["symbol"].nunique()
    parts = ["each column a month"] if _by_month(rows) else []
    parts += [f"the {MAX_SYMBOLS} of {count:,} symbols with most to tell"] if count > MAX_SYMBOLS else []
    return "; ".join(parts)


def _by_month(rows: pd.DataFrame) -> bool:
    return bool(rows["session"].nunique() > MAX_COLUMNS)


def _map(rows: pd.DataFrame, symbols: list[str]) -> Drawing:
    """Return the heat map of one timeframe."""
    rows = rows[rows["symbol"].isin(symbols)]
    days = rows["session"].dt.strftime("%Y-%m" if _by_month(rows) else "%Y-%m-%d")
    figures = ["expected", "missing", "suspicious", "errors"]
    cells = rows[figures].groupby([rows["symbol"], days]).sum().unstack()
    table = {name: cells[name].reindex(symbols[::-1]).to_numpy(dtype=float) for name in figures}
    x, y = [str(day) for day in cells[figures[0]].columns], [escaped(symbol) for symbol in symbols[::-1]]
    drawn = drawing("")
    hidden = np.isnan(table["expected"])
    with np.errstate(divide="ignore", invalid="ignore"):
        covered = np.round(100.0 * (1.0 - table["missing"] / table["expected"]), 2)
    drawn["data"].append(
        {
            "type": "heatmap", "x": x, "y": y, "z": _plain(covered), "zmin": 0, "zmax": 100,
            "customdata": np.nan_to_num(np.stack(list(table.values()), axis=-1)).astype(int).tolist(),
            "colorscale": SEQUENTIAL, "xgap": 0 if len(x) > 80 else 1, "ygap": 1 if len(y) < 80 else 0,
            "colorbar": {"title": {"text": "% there"}, "thickness": 12, "outlinewidth": 0},
            "hovertemplate": "%{y} %{x}<br>%{z:.4g} % there, %{customdata[1]:,} of %{customdata[0]:,} missing"
            "<br>%{customdata[3]} errors, %{customdata[2]} warnings<extra></extra>",
        }
    )  # fmt: skip
    for name in ("suspicious", "errors"):
        word, sign, colour, size = _MARKS[name]
        down, across = np.nonzero(~hidden & (np.nan_to_num(table[name]) > 0))
        drawn["data"].append(
            {
                "type": "scatter", "mode": "markers", "name": word, "hoverinfo": "skip",
                "x": [x[k] for k in across], "y": [y[k] for k in down],
                "marker": {"symbol": sign, "color": colour, "size": size, "line": {"width": 1}},
            }
        )  # fmt: skip
    axis = {"type": "category", "showgrid": False}
    drawn["layout"]["xaxis"] |= axis | {"categoryorder": "array", "categoryarray": x, "nticks": 12}
    drawn["layout"]["yaxis"] |= axis | {"categoryorder": "array", "categoryarray": y, "nticks": 60}
    drawn["layout"] |= {"hovermode": "closest", "height": 120 + min(max(len(y), 3), 60) * 18}
    return drawn


def _plain(table: np.ndarray[Any, Any]) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in table]
