"""Verdict in the terminal: a word, one paragraph, one table, and what would change it."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from whatif.report import neighbourhood, verdict_text
from whatif.report.data import ReportData
from whatif.report.judgement import Judgement
from whatif.stats import VerdictKind

if TYPE_CHECKING:
    from whatif.stats import VerdictStatistics

MAX_WIDTH = 100
BORDERS = 4
"""Columns that the panel takes for itself."""


def print_verdict(data: ReportData, judgement: Judgement, console: Console) -> None:
    """Print the verdict: a word, one paragraph, one table, and what would change it."""
    _print(verdict_text.paragraph(data, judgement), judgement, console)


def style_of(data: ReportData) -> str:
    """Return the colour of the verdict; that of one which cannot tell, where nobody judged."""
    word = VerdictKind.UNKNOWN if data.verdict is None else data.verdict.verdict.word
    return verdict_text.STYLES[word]


def print_given(chosen: str, judgement: Judgement, console: Console) -> None:
    """Print the verdict over returns that were given, of the choice of this name."""
    _print(verdict_text.told_of(chosen, judgement), judgement, console)


def _print(paragraph: str, judgement: Judgement, console: Console) -> None:
    style = verdict_text.STYLES[judgement.verdict.word]
    parts: list[RenderableType] = [Text(paragraph)]
    figures = judgement.verdict.figures
    if figures is not None:
        parts += [Text(), _fitting(figures, console), Text(), _statistics(judgement, figures)]
    change = verdict_text.changes(judgement)
    if change:
        parts += [Text(), Text(change)]
    for edge in neighbourhood.edges(judgement):
        parts += [Text(), Text(edge, style="yellow")]
    title = Text(verdict_text.headline(judgement), style=f"bold {style}")
    width = min(console.width, MAX_WIDTH)
    console.print(Panel(Group(*parts), title=title, title_align="left", border_style=style, width=width))


def _fitting(figures: VerdictStatistics, console: Console) -> Table:
    """Return the table of windows with as many columns as fit: the last ones give way, the first never."""
    room = min(console.width, MAX_WIDTH) - BORDERS
    heads = verdict_text.heads(figures)
    unbounded = console.options.update(width=10_000)
    for columns in range(len(heads), 2, -1):
        table = _windows(figures, columns)
        if Measurement.get(console, unbounded, table).maximum <= room:
            break
    return table


def _windows(figures: VerdictStatistics, columns: int) -> Table:
    table = _grid()
    for k, head in enumerate(verdict_text.heads(figures)[:columns]):
        table.add_column(head, justify="right" if k else "left", no_wrap=True)
    for line in verdict_text.lines(figures):
        table.add_row(*astuple(line)[:columns])
    return table


def _statistics(judgement: Judgement, figures: VerdictStatistics) -> Table:
    table = _grid()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in verdict_text.statistics(judgement, figures):
        table.add_row(Text(name, style="dim"), Text(value))
    return table


def _grid() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
