"""Page of a check of bars: coverage by symbol and session as a heat map, and what is suspicious."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whatif.lake import QUALITY_RULES, BarsCheck
from whatif.report.sides import write_page
from whatif.report.theme import LOSS, SEQUENTIAL, Drawing, drawing, escaped

MAX_COLUMNS = 1_500
"""Sessions that have a column each; of more, a month has one."""

MAX_SYMBOLS, MAX_FOUND = 400, 1_000
"""Symbols of a map, and rows of the list; those with errors first."""

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
        maps=[(length, _note(check.sessions, length)) for length in maps],
        summary=summary.to_dict("records"),
        rules=[(name, rule, int(counts.get(name, 0))) for name, rule in QUALITY_RULES.items()],
        found=[_row(row) for row in ordered.to_dict("records")],
        total=len(check.found),
    )


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
