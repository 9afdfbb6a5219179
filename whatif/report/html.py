"""One HTML file that holds the whole answer and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from whatif.report import words
from whatif.report.columns import METRICS, Metric, axis_label, format_metric, metric
from whatif.report.data import WINDOWS, ReportData
from whatif.report.embed import (
    MAX_ROWS,
    MAX_SYMBOLS,
    board_payload,
    figures_payload,
    spread_payload,
    stitched_payload,
    to_script,
)
from whatif.report.folds_page import fold_heads, fold_rows
from whatif.report.verdict_page import verdict_view

TOP = 100
_COMPACT = (
    "return_pct",
    "benchmark_return_pct",
    "max_drawdown_pct",
    "trades",
    "win_rate",
    "costs",
    "exposure",
)
_STYLES_OF_MAPS = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
"""Names of styles that plotly adds for its maps unless an element has the name; this page has no map."""
_HEIGHTS = "".join(f".h{k} {{ --h: {k / 100} }}\n" for k in range(101))
"""How strongly a cell of the stability tables is coloured; the policy lets no style attribute say it."""
_SUMMARY = ("return_pct", "max_drawdown_pct", "trades")


def render(data: ReportData) -> str:
    """Write the report as one HTML page.

    Parameters
    ----------
    data : ReportData
        The finished study.

    Returns
    -------
    str
        A page with plotly.js, style, script and all data inside; it loads nothing from anywhere, and a
        content security policy in its head forbids it to, and lets the two scripts and the style alone act
        whose digests it names. Names, errors and the study file are escaped.
    """
    drawn = figures_payload(data)
    payload = {"board": board_payload(data), "symbols": drawn, "spread": spread_payload(data), "top": TOP}
    payload["stitched"] = stitched_payload(data)
    plotly, script = _template("style.js") + _plotly(), _template("report.js")
    style = _template("report.css") + _HEIGHTS
    return _environment().get_template("report.html.j2").render(
        data=data,
        verdict=verdict_view(data),
        fold_heads=fold_heads(data),
        fold_rows=fold_rows(data),
        stitched_text=words.stitched(data) if len(data.folds) else "",
        answer=words.answer(data),
        question=words.question(data),
        caution=words.caution(data),
        idle=words.idle(data),
        axes=[words.axis_summary(data, axis) for axis in data.axes],
        tiles=_tiles(data),
        comparison=_comparison(data),
        summary=_summary(data),
        columns=_columns(data),
        board_rows=_board_rows(data),
        errors=_errors(data),
        windows=[(name, words.instant(a), words.instant(b)) for name, (a, b) in data.windows.items()],
        environment=list(_flat(data.environment)),
        glossary=[metric(key) for key in METRICS if key in data.leaderboard or key in data.comparison],
        drawn=drawn,
        symbols_left_out=max(0, len(data.symbols) - MAX_SYMBOLS),
        merged=_merged(drawn),
        sampled=len(data.leaderboard) > MAX_ROWS,
        top=TOP,
        payload=Markup(to_script(payload)),
        plotly_js=Markup(plotly),
        report_js=Markup(script),
        report_css=Markup(style),
        plotly_styles=_STYLES_OF_MAPS.findall(plotly),
        script_hashes=Markup(" ".join(map(_hash_source, (plotly, script)))),
        # plotly adds an empty style, whose rules it inserts one by one
        style_hashes=Markup(" ".join(map(_hash_source, (style, "")))),
    )  # fmt: skip


def write(data: ReportData, path: str | os.PathLike[str]) -> Path:
    """Write the report to `path`, whole or not at all, and return where it is."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(render(data), encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    env.filters["metric"] = lambda value, key: format_metric(key, value)
    env.filters["axis"] = axis_label
    return env


def _template(name: str) -> str:
    return (files("whatif.report") / "templates" / name).read_text("utf-8")


def _hash_source(text: str) -> str:
    """Return what lets this very script or style of a page act, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _plotly() -> str:
    # A closing tag inside a string of the library would end the script element early.
    return re.sub(r"</(script)", r"<\\/\1", get_plotlyjs(), flags=re.IGNORECASE)


def _tiles(data: ReportData) -> list[dict[str, Any]]:
    """Return the objective, return, drawdown and trades of the chosen configuration, by window."""
    symbol = data.chosen.get("symbol")
    if data.ranked.empty or not (data.comparison["symbol"] == symbol).any():
        return []
    return [
        {
            "metric": metric(key),
            "windows": [
                (
                    name,
                    *(words.figure_of(data, symbol, name, who, key) for who in ("strategy", "buy_and_hold")),
                )
                for name in WINDOWS
            ],
        }
        for key in dict.fromkeys((data.objective, *_SUMMARY))
    ]


def _comparison(data: ReportData) -> list[dict[str, Any]]:
    """Return one table per symbol: a row per metric; strategy and buy-and-hold on validate, then test."""
    keys = [key for key in METRICS if key in data.comparison and not key.startswith("benchmark_")]
    keys.sort(key=lambda key: key != data.objective)
    symbols = [s for s in data.symbols if (data.comparison["symbol"] == s).any()]
    pairs = [(name, who) for name in WINDOWS for who in ("strategy", "buy_and_hold")]
    return [
        {
            "symbol": symbol,
            "chosen": symbol == data.chosen.get("symbol"),
            "rows": [(metric(k), [words.figure_of(data, symbol, n, w, k) for n, w in pairs]) for k in keys],
        }
        for symbol in symbols
    ]


def _summary(data: ReportData) -> dict[str, Any]:
    """Return the table of all symbols: objective and return against buy-and-hold, drawdown, trades."""
    keys = list(dict.fromkeys((data.objective, *_SUMMARY)))
    cells = [(k, w) for k in keys for w in _who(k)]
    rows = [
        (s, [[(k, words.figure_of(data, s, name, w, k)) for k, w in cells] for name in WINDOWS])
        for s in data.symbols
        if (data.comparison["symbol"] == s).any()
    ]
    return {"columns": [(metric(k), w) for k, w in cells], "rows": rows}


def _who(key: str) -> tuple[str, ...]:
    return ("strategy",) if key in ("trades", "max_drawdown_pct") else ("strategy", "buy_and_hold")


def _columns(data: ReportData) -> list[tuple[Metric, bool]]:
    """Return the leaderboard's metrics and whether each belongs to the short table, which comes first."""
    wanted = dict.fromkeys((data.objective, f"benchmark_{data.objective}", *_COMPACT))
    short = [key for key in wanted if key in data.metrics]
    return [(metric(key), True) for key in short] + [
        (metric(k), False) for k in data.metrics if k not in wanted
    ]


def _board_rows(data: ReportData) -> list[dict[str, Any]]:
    return [
        {str(name): value for name, value in row.items()}
        for row in data.leaderboard.head(TOP).to_dict("records")
    ]


def _errors(data: ReportData) -> list[tuple[str, int, str]]:
    """Return failures by message: how often, and one configuration that shows it; the most frequent first."""
    failed = data.failed
    if failed.empty:
        return []
    text = failed["error"].fillna("no message").astype(str).str.slice(0, 2000)
    grouped = failed.assign(error=text).groupby("error", sort=False)["config_id"].agg(["size", "first"])
    grouped = grouped.sort_values("size", ascending=False, kind="stable").head(50)
    return [(str(error), int(row["size"]), str(row["first"])) for error, row in grouped.iterrows()]


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} · ")
        elif isinstance(value, pd.Timestamp):
            yield name, words.instant(value)
        else:
            yield name, axis_label(value)


def _merged(drawn: Mapping[str, Any]) -> int:
    return max(
        (one["price"]["layout"]["meta"]["merged"] for one in drawn.values() if "price" in one), default=1
    )
