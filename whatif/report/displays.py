"""Results as a notebook shows them: a compact piece of HTML for each, and a line for a prompt.

A piece is whole in itself: no script, no style sheet, nothing that is loaded. Its text takes the notebook's
own colour on a background that is clear, so that it is readable on white and on black; what comes from
a study, a file or a strategy is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from whatif.report import verdict_text
from whatif.report.columns import axis_label, format_metric, metric
from whatif.report.data import ReportData
from whatif.report.html import environment
from whatif.report.judgement import Judgement
from whatif.report.summary import summarize
from whatif.report.tearing import DAYS, FALLS, MONTHS, fall_rows, figure_rows, month_rows
from whatif.report.terminal import account_values, ends, sparkline
from whatif.report.words import count, instant
from whatif.texts import shortened, visible

if TYPE_CHECKING:
    from whatif.domain import BacktestResult
    from whatif.report.performance import TearSheet
    from whatif.stats import Verdict

TOP = 5
"""Rows of a leaderboard that are shown."""

_SPARK = 60
_MAX_NOTES = 3
_LONGEST = 300
_COLOURS = {"edge": "#1e7041", "luck": "#855600", "unknown": "#1f5aa8", "failed": "#a32f26"}
"""Backgrounds of the verdict's word, which is white: each has a contrast of more than 4.5 to it."""
_UNJUDGED = "#5d6673"
_BOARD = ("return_pct", "max_drawdown_pct", "trades")
_BACKTEST = ("pnl_net", "return_pct", "sharpe", "max_drawdown_pct", "trades", "costs")

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""Title, heads, and rows of cells."""


@dataclass(frozen=True, eq=False)
class Display:
    """What a piece of HTML shows, from top to bottom; all of it plain text.

    Attributes
    ----------
    kicker : str
        What it is of.
    word, colour : str
        The verdict, and the background of its word; "" for none.
    sentences : sequence of str
        What it comes to.
    numbers : sequence of (str, str, str)
        Name, value and note.
    lines : sequence of (str, str)
        Name, and a line of bars.
    tables : sequence of Table
        Short ones.
    notes : sequence of str
        What a reader has to know beside it.
    """

    kicker: str
    word: str = ""
    colour: str = _UNJUDGED
    sentences: Sequence[str] = ()
    numbers: Sequence[tuple[str, str, str]] = ()
    lines: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()


def rendered(shown: Display) -> str:
    """Return a piece of HTML that shows it."""
    return environment().get_template("display.html.j2").render(shown=shown)


def study_line(data: ReportData) -> str:
    """Say in a line what a study came to: verdict, choice, the objective on each window, backtests."""
    told = summarize(data)
    figures = ", ".join(f"{one.name} {one.value}" for one in told.numbers)
    chosen = f"; {told.configuration}; {told.objective}: {figures}" if told.configuration else ""
    backtests = count(len(data.ranking.leaderboard), "backtest")
    return visible(
        f"{shortened(data.origin.study, 60)}: {told.word}{shortened(chosen, _LONGEST)}; {backtests}"
    )


def study_html(data: ReportData) -> str:
    """Return what a notebook shows of a finished study: verdict, four numbers, equity, the best rows."""
    told = summarize(data)
    which = [f"{told.configuration} ({told.config_id})"] if told.configuration else []
    numbers = [
        (one.name.capitalize(), one.value, f"{told.objective}; {one.note}" if k < 3 else one.note)
        for k, one in enumerate(told.numbers)
    ]
    failed = len(data.ranking.failed)
    notes = [f"{failed:,} failed: see .leaderboard()"] if failed else []
    return rendered(
        Display(
            kicker=f"Study {data.origin.study}",
            word=told.word,
            colour=_COLOURS.get(told.kind, _UNJUDGED),
            sentences=[told.sentence, *which],
            numbers=numbers if told.configuration else (),
            lines=[(f"equity, {name:<8}", _spark(money)) for name, money in account_values(data).items()],
            tables=[_best(data)] if len(data.ranking.ranked) else (),
            notes=[*(shortened(note, _LONGEST) for note in data.origin.notes[:_MAX_NOTES]), *notes],
        )
    )


def judgement_html(judgement: Judgement) -> str:
    """Return what a notebook shows of a verdict: its word, why, what would change it, and its figures."""
    verdict, figures = judgement.verdict, judgement.verdict.figures
    tables: list[Table] = []
    if figures is not None:
        rows = [astuple(line) for line in verdict_text.lines(figures)]
        tables.append(("", verdict_text.heads(figures), rows))
        tables.append(("Over everything tried", ("", ""), verdict_text.statistics(judgement, figures)))
    return rendered(
        Display(
            kicker=f"Verdict; it rests on {verdict.rests_on}",
            word=verdict_text.headline(judgement),
            colour=_COLOURS[verdict.word.name.lower()],
            sentences=verdict.reasons,
            tables=tables,
            notes=[*filter(None, [verdict_text.changes(judgement)]), *verdict_text.notes(judgement)],
        )
    )


def verdict_html(verdict: Verdict) -> str:
    """Return what a notebook shows of a verdict on returns that were given."""
    trials = 0 if verdict.figures is None else verdict.figures.trials
    return judgement_html(Judgement(verdict, scope="given", own_trials=trials))


def backtest_html(result: BacktestResult) -> str:
    """Return what a notebook shows of one backtest: its figures, account and last trades."""
    run = result.run
    when = [instant(int(run.ts[0])), instant(int(run.ts[-1]))] if len(run.ts) else []
    where = shortened(", ".join(run.symbols), _LONGEST)
    lines = [("equity", _spark(run.equity.tolist()))] if len(run.equity) else []
    last = result.trades.tail(TOP)
    held = ["A position is open at the end, valued at the last close: it is no closed trade."]
    notes = (held if result.metrics.get("open_at_end") else []) + list(run.notes[:_MAX_NOTES])
    return rendered(
        Display(
            kicker=f"Backtest of {where}: {count(len(run.ts), 'bar')}, {' to '.join(when)}, {run.engine}",
            numbers=[(metric(key).heading, format_metric(key, result.metrics[key]), "") for key in _BACKTEST],
            lines=lines,
            tables=[_trades(last, len(result.trades))] if len(last) else (),
            notes=[shortened(note, _LONGEST) for note in notes],
        )
    )


def comparison_html(
    sides: tuple[str, str],
    window: str,
    sentences: Sequence[str],
    figures: pd.DataFrame,
    differences: pd.DataFrame,
    equity: pd.DataFrame,
) -> str:
    """Return what a notebook shows of two configurations beside each other.

    Parameters
    ----------
    sides : (str, str)
        Names of A and B.
    window : str
        From when to when.
    sentences : sequence of str
        What it comes to, then what could not be told.
    figures : DataFrame
        A row for each side and their difference, a column for each metric.
    differences : DataFrame
        `name`, `a`, `b`, `from_a`, `from_b`, `shapley`, `pnl`: what they differ by, and what it is worth.
    equity : DataFrame
        Of a unit of cash after each period, columns a and b.
    """
    keys = [str(key) for key in figures.columns]
    rows = [[str(side), *(format_metric(k, figures.loc[side, k]) for k in keys)] for side in figures.index]
    tables: list[Table] = [("Figures", ("", *(metric(key).heading for key in keys)), rows)]
    if len(differences):
        worth = [
            [str(one["name"]), shortened(str(one["a"]), 40), shortened(str(one["b"]), 40)]
            + [_signed(one[name]) for name in ("from_a", "from_b", "shapley")]
            + [format_metric("pnl_net", one["pnl"])]
            for one in differences.to_dict("records")
        ]
        heads = ("differs by", "A", "B", "worth, A takes it", "B has it", "mean of all orders", "net profit")
        tables.append(("What the difference is worth", heads, worth))
    drawn = [str(name) for name in equity.columns] if len(equity) > 1 else []
    return rendered(
        Display(
            kicker=f"A: {sides[0]}; B: {sides[1]}; {window}",
            sentences=sentences[:1],
            lines=[(name.upper(), _spark(equity[name].tolist())) for name in drawn],
            tables=tables,
            notes=sentences[1:],
        )
    )


def sheet_html(sheet: TearSheet) -> str:
    """Return what a notebook shows of a tear sheet: figures beside the market's, drawdowns, months."""
    names = [str(name) for name in sheet.figures]
    rows = [[one.heading, *cells] for one, cells in figure_rows(sheet)]
    tables: list[Table] = [("Figures", ("", *names), rows)]
    if len(sheet.drawdowns):
        tables.append(("Worst drawdowns", FALLS, fall_rows(sheet)))
    tables.append(("Return by month, %", ("", *MONTHS, "year"), month_rows(sheet)))
    return rendered(Display(kicker=f"Tear sheet; {DAYS.format(sheet.days_per_year)}", tables=tables))


def _best(data: ReportData) -> Table:
    """Return the first rows of the ranking, by what varies and the metrics that matter most."""
    ranking, objective = data.ranking, data.ranking.objective
    keys = [
        key for key in dict.fromkeys((objective, f"benchmark_{objective}", *_BOARD)) if key in ranking.ranked
    ]
    named = [name for name in ("symbol", *ranking.axes) if name in ranking.ranked]
    rows = [
        [format_metric("trades", row.get("rank"))]
        + [shortened(axis_label(row[name]), 40) for name in named]
        + [format_metric(key, row[key]) for key in keys]
        for row in ranking.ranked.head(TOP).to_dict("records")
    ]
    total = count(len(ranking.leaderboard), "backtest")
    title = f"The first {len(rows)} of {total} on validate" if len(rows) > 1 else f"{total} on validate"
    return title, ("rank", *named, *(metric(key).heading for key in keys)), rows


def _trades(last: pd.DataFrame, total: int) -> Table:
    columns: Mapping[str, Any] = {
        "closed_at": instant,
        "symbol": str,
        "size": lambda size: f"{size:,g}",
        "entry_price": lambda price: f"{price:,.7g}",
        "exit_price": lambda price: f"{price:,.7g}",
        "pnl_net": lambda money: format_metric("pnl_net", money),
    }
    rows = [[write(row[name]) for name, write in columns.items()] for row in last.to_dict("records")]
    title = f"The last {len(rows)} of {count(total, 'closed trade')}"
    return title, ("closed", "symbol", "size", "entry", "exit", "net profit"), rows


def _spark(values: Sequence[float]) -> str:
    return sparkline(ends(values, _SPARK))


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")
