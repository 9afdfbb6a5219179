"""HTML page that holds the whole answer and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from whatif.domain import METRICS, Metric, exposed
from whatif.paths import kept, kept_in, written_whole
from whatif.report import neighbourhood, verdict_text, words
from whatif.report.columns import axis_label, format_metric, metric
from whatif.report.data import WINDOWS, ReportData, texts
from whatif.report.embed import (
    MAX_ROWS,
    MAX_SYMBOLS,
    accounts_payload,
    board_payload,
    figures_payload,
    luck_payload,
    reliability_payload,
    spread_payload,
    stitched_payload,
    to_script,
)
from whatif.report.folds_page import fold_heads, fold_rows
from whatif.report.models_page import importance_tables, model_rows, models_left_out
from whatif.report.packing import packed
from whatif.report.regimes import regimes
from whatif.report.summary import summarize
from whatif.report.tearing import sheet_parts
from whatif.report.trials import importance, trials_payload

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

SOURCES = (
    ("Market, beta and alpha",
     "The one benchmark: what the configuration trades, bought with all of the cash at the window's first "
     "open and held long, the same whatever the configuration does. Beta is the slope of the "
     "configuration's returns on the market's: the share of it that it held, long less short, on average. "
     "What is left of its returns without the market times beta is what it earned over the market: a year "
     "of it is alpha, and its Sharpe ratio is the appraisal ratio, whose interval stands under over "
     "market. What merely drifts with the market, up or down, has none. Jensen (1968), "
     "Journal of Finance 23(2); Treynor and Black (1973), Journal of Business 46(1)."),
    ("Superior predictive ability (SPA)",
     "P-value of: no configuration tried beats zero (or the market times its own beta). It compares "
     "Sharpe ratios, whatever the objective, and knows that the best of many was looked at. A "
     "configuration that never trades is left out. The best of this study is compared with the maximum over "
     "everything tried on the same data, other studies' trials by their returns. Hansen (2005), Journal of "
     "Business & Economic Statistics 23(4); stationary "
     "bootstrap of Politis and Romano (1994), JASA 89(428)."),
    ("Probabilistic Sharpe ratio (PSR)",
     "Probability that the true Sharpe ratio is above zero, given length, skewness and fat tails; "
     "periods are taken as independent. Opened for k configurations, the test window must show k times "
     "as small a chance of error. Bailey and López de Prado (2012), Journal of Risk 15(2)."),
    ("Deflated Sharpe ratio (DSR)",
     "The same against the ratio to expect of the best of as many independent trials that are worth "
     "nothing, whose variance is that of sampling, not that across the trials at hand. Bailey "
     "and López de Prado (2014), Journal of Portfolio Management 40(5)."),
    ("Effective trials",
     "Independent ones whose best would show by luck what the best of all trials does, other studies' among "
     "them, in replications in which all of them are worth nothing. Copies count once."),
    ("Probability of backtest overfitting (PBO)",
     "Share of ways to split the validate window in two halves in which the best of one half is in the "
     "lower half of all on the other. By the study's objective where returns tell it, else by Sharpe. "
     "Those that never trade are left out; equal ones share their mean rank, and the first of them wins. "
     "Bailey, Borwein, López de Prado and Zhu (2017), Journal of Computational Finance 20(4)."),
    ("Interval",
     "Percentiles of the stationary bootstrap; it does not know that the configuration was chosen, so on "
     "validate it is too kind."),
    ("Length of record",
     "Periods after which a Sharpe ratio as seen would be told from zero: minimum track record length, "
     "Bailey and López de Prado (2012)."),
)  # fmt: skip


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
    shown = {*data.ranking.leaderboard, *data.series.comparison}
    payload = {"board": board_payload(data), "symbols": drawn, "spread": spread_payload(data), "top": TOP}
    worth = importance(data)
    payload |= {"stitched": stitched_payload(data), "reliability": reliability_payload(data)}
    payload |= {"trials": trials_payload(data, worth), "luck": luck_payload(data)}
    payload |= {"accounts": accounts_payload(data), "joined": data.accounts.joined}
    return environment().get_template("report.html.j2").render(
        data=data,
        verdict=verdict_view(data),
        told=summarize(data),
        fold_heads=fold_heads(data),
        fold_rows=fold_rows(data),
        stitched_text=words.stitched(data) if len(data.joined.folds) else "",
        answer=words.answer(data),
        question=words.question(data),
        short_question=words.short_question(data),
        span=words.span(data),
        caution=words.caution(data),
        rejected=words.rejected(data),
        idle=words.idle(data),
        axes=[words.axis_summary(data, axis) for axis in data.ranking.axes],
        tiles=_tiles(data),
        comparison=_comparison(data),
        exits=_exits(data),
        reached=words.reached(data),
        regimes=_regimes(data),
        **sheet_parts(data),
        worth=worth,
        summary=_summary(data),
        columns=_columns(data),
        board_rows=_board_rows(data),
        errors=_errors(data),
        model_rows=model_rows(data),
        models_left_out=models_left_out(data),
        has_reliability=payload["reliability"] is not None,
        importance=importance_tables(data),
        windows=[(name, words.instant(a), words.instant(b)) for name, (a, b) in data.origin.windows.items()],
        environment=list(_flat(data.origin.environment)),
        glossary=[metric(key) for key in METRICS if key in shown],
        drawn=drawn,
        symbols_left_out=max(0, len(data.series.symbols) - MAX_SYMBOLS),
        merged=_merged(drawn),
        sampled=len(data.ranking.leaderboard) > MAX_ROWS,
        top=TOP,
        band=payload["luck"],
        accounts=len(data.accounts.keys),
        payload=Markup(to_script(payload)),
        **page_parts("report.js", "report.css"),
    )  # fmt: skip


def page_parts(script_name: str, style_name: str) -> dict[str, Any]:
    """Return what a page of this room needs to draw with plotly.js, from its script and style by name."""
    own = _template(style_name) if style_name != "report.css" else ""
    return parts_of(_template("labels.js") + _template(script_name), _template("report.css") + own + _HEIGHTS)


def parts_of(script: str, style: str) -> dict[str, Any]:
    """Return what a page needs to draw with plotly.js: scripts, style and their digests."""
    library, script = _library(), _template("unpack.js") + script
    return {
        "plotly_js": Markup(library["packed"]),
        "report_js": Markup(script),
        "report_css": Markup(style),
        "plotly_styles": library["styles"],
        "script_hashes": Markup(f"{library['hash']} {_hash_source(script)}"),
        # plotly adds an empty style, whose rules it inserts one by one
        "style_hashes": Markup(" ".join(map(_hash_source, (style, "")))),
    }


@lru_cache(maxsize=1)
def _library() -> dict[str, Any]:
    """Return plotly.js as pages hold it: packed, the styles that it asks for, and its digest.

    To read and pack its megabytes takes as long as to make all else of a page, so it is kept.
    """
    begins = _template("style.js")
    name = f"plotly-{hashlib.sha256(begins.encode()).hexdigest()[:16]}"

    def make() -> dict[str, Any]:
        text = begins + plotly_js()
        return {
            "packed": packed(text),
            "styles": _STYLES_OF_MAPS.findall(text),
            "hash": _hash_source(text),
        }

    made: dict[str, Any] = kept(name, ("report/html", "report/packing"), ("plotly",), make)
    return made


def whole_page(title: str, body: str, script: str, style: str, payload: Mapping[str, Any]) -> str:
    """Return a page that is whole in itself: it draws with plotly.js, opens offline and loads nothing.

    Parameters
    ----------
    title : str
        Of the page; escaped.
    body : str
        HTML of the project's own, which stands in the page as it is.
    script, style : str
        Of the project's own too; their digests are all that the page's policy lets act. The script finds
        plotly.js and the payload packed, in `#plotly` and `#payload`, and `whatifUnpacked` to unpack them.
    payload : mapping
        What the script draws, as JSON has it; whatever names it holds, none of it is read as HTML.
    """
    return environment().get_template("whole.html.j2").render(
        title=title, body=Markup(body), payload=Markup(to_script(payload)), **parts_of(script, style)
    )  # fmt: skip


def write(data: ReportData, path: str | os.PathLike[str]) -> Path:
    """Write the report to `path`, whole or not at all, and return where it is."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as part:
        part.write_text(render(data), encoding="utf-8")
    return target


def environment() -> jinja2.Environment:
    """Return what renders the templates of this room; what they are given is escaped."""
    folder = kept_in(("report/html",), ("jinja2",))
    compiled = None if folder.exists() and exposed(folder) else _Compiled(folder)
    env = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template), bytecode_cache=compiled,
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    env.filters["metric"] = lambda value, key: format_metric(key, value)
    env.filters["axis"] = axis_label
    return env


class _Compiled(jinja2.FileSystemBytecodeCache):
    """Compiled templates in a folder, which is made when there is one; none is kept where it cannot be."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), "%s.jinja")

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Take a kept template, if it can be read."""
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Keep a template; a lack of space or of rights keeps none."""
        with suppress(OSError):
            Path(self.directory).mkdir(mode=0o700, parents=True, exist_ok=True)
            super().dump_bytecode(bucket)


def _template(name: str) -> str:
    return (files("whatif.report") / "templates" / name).read_text("utf-8")


def _hash_source(text: str) -> str:
    """Return what lets this very script or style of a page act, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def plotly_js() -> str:
    """Return plotly.js, which may stand in a script element."""
    # read as plotly's `get_plotlyjs` does, whose import takes as long as all else of a page
    library = (files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")
    # A closing tag inside a string of the library would end the script element early.
    return re.sub(r"</(script)", r"<\\/\1", library, flags=re.IGNORECASE)


def _tiles(data: ReportData) -> list[dict[str, Any]]:
    """Return the objective, return, drawdown and trades of the chosen configuration, by window."""
    symbol = data.series.chosen.get("symbol")
    if data.ranking.ranked.empty or not (data.series.comparison["symbol"] == symbol).any():
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
        for key in dict.fromkeys((data.ranking.objective, *_SUMMARY))
    ]


def _comparison(data: ReportData) -> list[dict[str, Any]]:
    """Return one table per symbol: a row per metric; strategy and buy-and-hold on validate, then test."""
    keys = [key for key in METRICS if key in data.series.comparison and not key.startswith("benchmark_")]
    keys.sort(key=lambda key: key != data.ranking.objective)
    symbols = [s for s in data.series.symbols if (data.series.comparison["symbol"] == s).any()]
    pairs = [(name, who) for name in WINDOWS for who in ("strategy", "buy_and_hold")]
    return [
        {
            "symbol": symbol,
            "chosen": symbol == data.series.chosen.get("symbol"),
            "rows": [(metric(k), [words.figure_of(data, symbol, n, w, k) for n, w in pairs]) for k in keys],
        }
        for symbol in symbols
    ]


def _exits(data: ReportData) -> list[tuple[str, list[tuple[str, int, float, float]]]]:
    """Return why positions were left, by window: in words, how often, mean and total of their net profit."""
    found = data.series.exits()
    return [
        (
            name,
            [
                (words.EXITS.get(reason, reason), times, mean, total)
                for _, reason, times, mean, total in found[found["window"] == name].itertuples(index=False)
            ],
        )
        for name in WINDOWS
        if (found["window"] == name).any()
    ]


def _regimes(data: ReportData) -> list[tuple[str, list[tuple[str, list[dict[str, Any]]]]]]:
    """Return the rows of each regime by what tells them apart, by window."""
    found = regimes(data)
    return [
        (
            str(window),
            [
                (
                    str(by),
                    [{str(name): value for name, value in row.items()} for row in part.to_dict("records")],
                )
                for by, part in rows.groupby("by", sort=False)
            ],
        )
        for window, rows in found.groupby("window", sort=False)
    ]


def _summary(data: ReportData) -> dict[str, Any]:
    """Return the table of all symbols: objective and return against buy-and-hold, drawdown, trades."""
    keys = list(dict.fromkeys((data.ranking.objective, *_SUMMARY)))
    cells = [(k, w) for k in keys for w in _who(k)]
    rows = [
        (s, [[(k, words.figure_of(data, s, name, w, k)) for k, w in cells] for name in WINDOWS])
        for s in data.series.symbols
        if (data.series.comparison["symbol"] == s).any()
    ]
    return {"columns": [(metric(k), w) for k, w in cells], "rows": rows}


def _who(key: str) -> tuple[str, ...]:
    return ("strategy",) if key in ("trades", "max_drawdown_pct") else ("strategy", "buy_and_hold")


def _columns(data: ReportData) -> list[tuple[Metric, bool]]:
    """Return the leaderboard's metrics and whether each belongs to the short table, which comes first."""
    wanted = dict.fromkeys((data.ranking.objective, f"benchmark_{data.ranking.objective}", *_COMPACT))
    short = [key for key in wanted if key in data.ranking.metrics]
    return [(metric(key), True) for key in short] + [
        (metric(k), False) for k in data.ranking.metrics if k not in wanted
    ]


def _board_rows(data: ReportData) -> list[dict[str, Any]]:
    return [
        {str(name): value for name, value in row.items()}
        for row in data.ranking.leaderboard.head(TOP).to_dict("records")
    ]


def _errors(data: ReportData) -> list[tuple[str, int, str]]:
    """Return failures by message: how often, and one configuration that shows it; the most frequent first."""
    failed = data.ranking.failed
    if failed.empty:
        return []
    text = texts(failed["error"], "no message").str.slice(0, 2000)
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


def verdict_view(data: ReportData) -> dict[str, Any] | None:
    """Return what the templates of the verdict need; None if nobody judged."""
    judgement = data.verdict
    if judgement is None:
        return None
    verdict, figures = judgement.verdict, judgement.verdict.figures
    return {
        "kind": verdict.word.name.lower(),
        "headline": verdict_text.headline(judgement),
        "reasons": verdict.reasons,
        "paragraph": verdict_text.paragraph(data, judgement),
        "changes": verdict_text.changes(judgement),
        "heads": verdict_text.heads(figures) if figures is not None else [],
        "lines": [astuple(line) for line in verdict_text.lines(figures)] if figures is not None else [],
        "statistics": verdict_text.statistics(judgement, figures) if figures is not None else [],
        "conditions": verdict_text.condition_rows(judgement),
        "notes": verdict_text.notes(judgement),
        "sources": SOURCES,
        "seed": verdict.seed,
        "reps": verdict.thresholds.reps,
        "neighbourhood": neighbourhood.sentences(judgement, data.ranking.objective),
        "edges": neighbourhood.edges(judgement),
        "strips": neighbourhood.strips(judgement, data.ranking.objective),
        "sheets": neighbourhood.sheets(judgement, data.ranking.objective),
    }
