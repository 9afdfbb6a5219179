"""Tear sheet drawn: account, drawdown, months and figures, one below the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from whatif.report import theme
from whatif.report.columns import format_number
from whatif.report.data import ReportData
from whatif.report.performance import FIGURES, Figure, TearSheet, study_sheets
from whatif.report.timeline import below_peak
from whatif.report.words import instant
from whatif.typing import FloatArray

DAYS = "{:.5g} days a year; days' returns, no risk-free rate"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ROW = 22


FALLS = ("from", "lowest", "recovered", "depth, %", "days")
"""Heads of the worst drawdowns."""


def sheet_parts(data: ReportData) -> dict[str, Any]:
    """Return what the page's template of the chosen configuration's tear sheets needs."""
    sheets = [
        (window, sheet, figure_rows(sheet), fall_rows(sheet), month_rows(sheet))
        for window, sheet in study_sheets(data).items()
    ]
    symbol = next(iter(data.series.symbols), "")
    return {"sheets": sheets, "sheet_symbol": symbol, "fall_heads": FALLS, "month_heads": [*MONTHS, "year"]}


def figure_rows(sheet: TearSheet) -> list[tuple[Figure, list[str]]]:
    """Return each figure with its texts, one for each column of the sheet."""
    figures = sheet.figures.T
    return [(one, [format_number(value, one.kind) for value in figures[one.key].tolist()]) for one in FIGURES]


def fall_rows(sheet: TearSheet) -> list[list[str]]:
    """Return the worst drawdowns as texts, the deepest first, by `FALLS`."""
    return [
        [
            *(instant(one[name]) for name in ("peak", "trough", "recovered")),
            format_number(one["depth_pct"], "percent"),
            format_number(one["days"], "count"),
        ]
        for one in sheet.drawdowns.to_dict("records")
    ]


def month_rows(sheet: TearSheet) -> list[list[str]]:
    """Return the returns of months and years as texts, a row for each year, its number first."""
    return [
        [str(year), *(format_number(one, "percent") for one in sheet.months.loc[year])]
        for year in sheet.months.index
    ]


def draw_sheet(sheet: TearSheet) -> theme.Drawing:
    """Return a tear sheet as plotly draws it: growth of one, drawdown by days, months, and a table."""
    years, figures = len(sheet.months), len(FIGURES)
    heights = {
        "grown": 230,
        "below": 110,
        "months": 60 + _ROW * max(years, 1),
        "table": 40 + _ROW * (figures + 1),
    }
    total, gap = sum(heights.values()), 64
    height = total + gap * (len(heights) - 1) + 90
    share = 1.0 / (total + gap * (len(heights) - 1))
    spans, top = {}, 1.0
    for name, tall in heights.items():
        spans[name] = [max(0.0, top - tall * share), top]
        top -= (tall + gap) * share
    axes: dict[str, Any] = {
        "xaxis": {"anchor": "y", "matches": "x2", "showticklabels": False},
        "yaxis": {"anchor": "x", "domain": spans["grown"]},
        "xaxis2": {"anchor": "y2"},
        "yaxis2": {"anchor": "x2", "domain": spans["below"]},
        "xaxis3": {"anchor": "y3", "type": "category", "side": "top", "showgrid": False},
        "yaxis3": {"anchor": "x3", "domain": spans["months"], "type": "category", "showgrid": False},
    }
    drawn = theme.dress(axes, "Growth of 1")
    drawn["layout"]["yaxis2"]["title"]["text"] = "Below peak, %"
    drawn["layout"]["height"] = height
    for who in map(str, sheet.returns):
        drawn["data"] += _lines(sheet, who)
    drawn["data"] += [_months(sheet), _table(sheet, spans["table"])]
    return drawn


def _lines(sheet: TearSheet, name: str) -> list[theme.Trace]:
    moves = np.append(1.0, 1.0 + sheet.returns[name].to_numpy(dtype=np.float64))
    grown: FloatArray = np.cumprod(moves, dtype=np.float64)
    days = sheet.returns.index.to_numpy()
    who = "strategy" if name == "strategy" else "benchmark"
    upper = theme.line(days, grown[1:], who, None, True) | {"hovertemplate": "%{y:.4f}"}
    below = theme.line(days, below_peak(grown)[1:], who, None, False) | {"hovertemplate": "%{y:.2f} %"}
    lower = below | ({"fill": "tozeroy", "fillcolor": theme.SHADE} if who == "strategy" else {})
    return [upper, lower | {"xaxis": "x2", "yaxis": "y2"}]


def _months(sheet: TearSheet) -> theme.Trace:
    table = sheet.months.to_numpy(dtype=np.float64)
    known = np.abs(table[np.isfinite(table)])
    limit = float(np.quantile(known, 0.98)) if len(known) else 1.0
    texts = [["" if np.isnan(one) else format_number(one, "percent") for one in row] for row in table]
    return {
        "type": "heatmap", "x": [*MONTHS, "year"], "y": [str(year) for year in sheet.months.index],
        "z": table, "text": texts, "texttemplate": "%{text}",
        "colorscale": theme.DIVERGING, "zmin": -limit, "zmax": limit,
        "showscale": False, "xgap": 1, "ygap": 1, "xaxis": "x3", "yaxis": "y3",
        "hovertemplate": "%{y} %{x}: %{z:.2f} %<extra></extra>",
    }  # fmt: skip


def _table(sheet: TearSheet, span: list[float]) -> theme.Trace:
    rows = figure_rows(sheet)
    columns = [[one.heading for one, _ in rows], *zip(*(cells for _, cells in rows), strict=True)]
    plain = {"align": ["left", "right"], "fill": {"color": "rgba(0,0,0,0)"}, "line": {"color": theme.GRID}}
    return {
        "type": "table", "domain": {"x": [0.0, 1.0], "y": span},
        "header": {"values": ["", *map(str, sheet.figures)], "height": _ROW} | plain,
        "cells": {"values": columns, "height": _ROW} | plain,
    }  # fmt: skip
