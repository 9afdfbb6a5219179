"""Answer and verdict as tables and sentences in the terminal."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from whatif.domain import METRICS
from whatif.report import words
from whatif.report.columns import axis_label, format_metric, metric
from whatif.report.data import WINDOWS, ReportData, texts
from whatif.report.folds_page import fold_heads, fold_rows
from whatif.texts import visible

if TYPE_CHECKING:
    from whatif.report.summary import Number

TOP = 10
_MAX_NOTES = 3
_SPARK_WIDTH = 79
_CENTS = 10_000.0
"""From here on a number that is no metric is written with two places."""

_BETWEEN = " │ "
_EIGHTHS = "▁▂▃▄▅▆▇█"
_BOARD = ("return_pct", "benchmark_return_pct", "max_drawdown_pct", "trades", "costs")
_SHORT = {
    "max_drawdown_pct": "max dd %",
    "benchmark_return_pct": "hold %",
    "benchmark_sharpe": "hold",
    "benchmark_max_drawdown_pct": "hold dd %",
}
_COMPARED = ("return_pct", "max_drawdown_pct", "trades")
_MAX_SYMBOLS = 20
_APART = 2
_RIGHT: Mapping[str, Any] = {"justify": "right"}


def print_answer(data: ReportData, console: Console) -> None:
    """Print the verdict, leaderboard, comparison and the answer."""
    console.print()
    for note in data.origin.notes:
        console.print(Panel(Text(note), border_style="yellow", title="read this first", title_align="left"))
    if data.verdict is not None:
        # imported here: a leaderboard is printed without statistics
        from whatif.report.verdict_panel import print_verdict

        print_verdict(data, data.verdict, console)
        console.print()
    if len(data.joined.folds):
        console.print(_folds(data))
        console.print(Text(words.stitched(data), style="bold"))
        console.print()
    print_leaderboard(data, console)
    if len(data.series.comparison):
        console.print()
        console.print(_comparison(data))
    console.print()
    sentences = words.answer(data)
    console.print(Text(sentences[0], style="bold"))
    for sentence in [*sentences[1:], words.caution(data)]:
        console.print(Text(sentence))
    _print_rejected(data, console)


def _print_rejected(data: ReportData, console: Console) -> None:
    if said := words.rejected(data):
        console.print(Text(said, style="yellow"))


def print_screen(data: ReportData, console: Console) -> None:
    """Print what fits a screen of 80 by 40: verdict, four numbers, equity, ten rows; see `print_answer`."""
    print_told(data, console)
    console.print()
    if len(data.joined.folds):
        console.print(Text(words.stitched(data)))
    print_leaderboard(data, console)


def print_told(data: ReportData, console: Console) -> None:
    """Print the verdict, what was chosen, its four numbers and its equity."""
    # imported here: a leaderboard is printed without statistics
    from whatif.report.summary import summarize
    from whatif.report.verdict_panel import style_of

    told = summarize(data)
    console.print()
    for note in data.origin.notes[:_MAX_NOTES]:
        _print_cut(Text(note, style="yellow"), console)
    if told.kind != "failed" and told.configuration:
        console.print(Text(told.word, style=f"bold {style_of(data)}"))
        console.print(Text(told.sentence))
        console.print()
        console.print(Text(f"{visible(told.configuration)}", style="bold"), Text(told.config_id, style="dim"))
        console.print(four_numbers(told.objective, told.numbers))
        account_line(data, console)
        _print_rejected(data, console)
    else:
        for sentence in words.answer(data):
            console.print(Text(sentence, style=f"bold {style_of(data)}"))


def print_written(console: Console, files: Iterable[Path | str], next_commands: Sequence[str] = ()) -> None:
    """Print what was written, the report first, and commands worth running now."""
    _print_list("Written", [str(path) for path in files], console)
    _print_list("Next", list(next_commands), console)


def print_frame(console: Console, title: str, frame: pd.DataFrame) -> None:
    """Print the rows of a frame, times in UTC; without a column of which no row says anything."""
    if not len(frame):
        console.print(Text(f"{title}: none"))
        return
    table, columns = _table(title), []
    for k, name in enumerate(map(str, frame.columns)):
        values = frame[frame.columns[k]]
        cells = [_cell(name, value) for value in values]
        if any(cells):
            number = pd.api.types.is_numeric_dtype(values)
            head = _head(name) if name in METRICS else name.replace("_", " ")
            # a number, and what stands over it, are never what gives way
            least = max(map(cell_len, (head, *cells))) if number else None
            side: Any = "right" if number else "left"
            table.add_column(escape(head), justify=side, overflow="fold", min_width=least)
            columns.append(cells)
    for row in zip(*columns, strict=True):
        table.add_row(*map(escape, row))
    console.print(table)


def _cell(name: str, value: Any) -> str:
    """Return a value of a frame: a metric as anywhere else, another number with six digits and the cents."""
    if name in METRICS:
        return format_metric(name, value)
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if not isinstance(value, float):
        return visible(str(value))
    many = abs(value) >= _CENTS
    return (f"{value:,.2f}" if many else axis_label(float(f"{value:.6g}"))).replace("-", "−")


def print_leaderboard(data: ReportData, console: Console, top: int = TOP) -> None:
    """Print the first `top` rows of the leaderboard, how many there are, and what failed."""
    console.print(_leaderboard(data, console, top))
    _print_counts(data, console, top)


@dataclass(frozen=True)
class _Column:
    """A column of the leaderboard: its head, its cells, and how rich lays it out."""

    head: str
    cells: tuple[str, ...]
    layout: Mapping[str, Any]

    @property
    def width(self) -> int:
        """Cells of the terminal that it takes, its distance to the next column among them."""
        natural = max(map(cell_len, (self.head, *self.cells)))
        least, most = self.layout.get("min_width", 0), self.layout.get("max_width", natural)
        return int(min(max(natural, least), most)) + _APART


def _leaderboard(data: ReportData, console: Console, top: int) -> Table:
    """Return the first rows with as many metrics as fit; rank, symbol and axes are never what gives way."""
    rows = data.ranking.ranked.head(top).to_dict("records")
    objective, board = data.ranking.objective, data.ranking.leaderboard
    wanted = dict.fromkeys((objective, f"benchmark_{objective}", *_BOARD))
    leading, metrics = _leading(data, rows), [_of_metric(key, rows) for key in wanted if key in board]
    named = _Column(
        "configuration",
        tuple(visible(str(row["config_id"])) for row in rows),
        {"overflow": "ellipsis", "no_wrap": True, "style": "dim", "max_width": 14},
    )
    room = console.width + _APART - sum(column.width for column in (*leading, named))
    fitting = bisect_right(list(accumulate(column.width for column in metrics)), room)
    # where not even one fits, the answer below names the configuration that matters
    shown = [*leading, *metrics[: max(fitting, 1)], *([named] if fitting else [])]
    table = _table(f"Leaderboard of {data.origin.study}, validate window")
    for column in shown:
        table.add_column(escape(column.head), **column.layout)
    chosen = (data.series.chosen.get("config_id"), data.series.chosen.get("symbol"))
    for k, row in enumerate(rows):
        first = (row["config_id"], row.get("symbol")) == chosen
        table.add_row(*(escape(column.cells[k]) for column in shown), style="bold" if first else "")
    return table


def _leading(data: ReportData, rows: Sequence[Mapping[Hashable, Any]]) -> list[_Column]:
    """Return the columns of rank, symbol and axes."""
    found = [_Column("rank", tuple(format_metric("trades", row.get("rank")) for row in rows), _RIGHT)]
    axes = data.ranking.axes
    for name in ("symbol", *axes):
        right = name in axes and pd.api.types.is_numeric_dtype(data.ranking.leaderboard[name])
        texts_of = (axis_label(row[name]) if name in axes else str(row.get(name, "")) for row in rows)
        layout = {"justify": "right" if right else "left", "overflow": "fold", "min_width": 3}
        found.append(_Column(name, tuple(map(visible, texts_of)), layout))
    return found


def _of_metric(key: str, rows: Sequence[Mapping[Hashable, Any]]) -> _Column:
    return _Column(
        _head(key), tuple(format_metric(key, row[key]) for row in rows), {**_RIGHT, "no_wrap": True}
    )


def _print_cut(text: Text, console: Console, lines: int = 2) -> None:
    """Print the first lines of a text; what is cut off stands in the report."""
    wrapped = text.wrap(console, console.width)
    for k, line in enumerate(wrapped[:lines]):
        if k == lines - 1 and len(wrapped) > lines:
            line.truncate(console.width - 2, overflow="ignore")
            line.append(" …")
        console.print(line)


def four_numbers(objective: str, numbers: Sequence[Number]) -> Table:
    """Return the four numbers as a row, each with its name above and a note below."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim", show_footer=True)
    table.add_column("", footer="", style="dim")
    for number in numbers:
        table.add_column(number.name, footer=Text(number.note, style="dim"), justify="right", no_wrap=True)
    table.add_row(escape(objective), *(Text(number.value, style="bold") for number in numbers))
    return table


def account_line(data: ReportData, console: Console) -> None:
    """Print the account of the chosen configuration over validate and test, each from its own start."""
    drawn = account_values(data)
    if not drawn:
        return
    # a pooled ranking names no symbol: the first one's account stands for all
    lead = "equity " if data.series.chosen.get("symbol") else f"{visible(data.series.symbols[0])} "
    room = min(console.width, _SPARK_WIDTH) - cell_len(lead) - len(_BETWEEN)
    values = sum(map(len, drawn.values()))
    if room < len(drawn) * 8 or "utf" not in console.encoding.lower():
        return
    parts = [sparkline(ends(money, max(4, int(room * len(money) / values)))) for money in drawn.values()]
    console.print(Text(lead, style="dim"), Text(_BETWEEN.join(parts), style="bold blue"), sep="")


def account_values(data: ReportData) -> dict[str, list[float]]:
    """Return the values of the chosen account by window, in the order of time."""
    symbols, equity = data.series.symbols, data.series.equity
    rows = equity[equity["symbol"] == symbols[0]] if symbols else equity
    found = {name: rows.loc[rows["window"] == name].sort_values("ts")["equity"].tolist() for name in WINDOWS}
    return {name: money for name, money in found.items() if len(money) > 1}


def ends(values: Sequence[float], most: int) -> list[float]:
    """Return the last value of each of `most` equal stretches, or all of fewer."""
    count = min(most, len(values))
    return [values[(k + 1) * len(values) // count - 1] for k in range(count)]


def sparkline(values: Sequence[float]) -> str:
    """Return values as bars of eighths, the lowest and the highest finite one as bounds; " " for NaN."""
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    span = (high - low) or 1.0
    return "".join(
        _EIGHTHS[min(7, int(8 * (value - low) / span))] if math.isfinite(value) else " " for value in values
    )


def _comparison(data: ReportData) -> Table:
    keys = list(dict.fromkeys((data.ranking.objective, *_COMPARED)))
    table = _table("The chosen configuration, and the market held long (buy-and-hold)")
    for name in ("symbol", "window", "who"):
        table.add_column(name)
    for key in keys:
        table.add_column(escape(_head(key)), justify="right", no_wrap=True)
    symbols = [s for s in data.series.symbols if (data.series.comparison["symbol"] == s).any()]
    for symbol in symbols[:_MAX_SYMBOLS]:
        for name, who in product(WINDOWS, ("strategy", "buy_and_hold")):
            figures = [format_metric(key, words.figure_of(data, symbol, name, who, key)) for key in keys]
            own = who == "strategy"
            lead = [symbol if own and name == WINDOWS[0] else "", name if own else "", who.replace("_", "-")]
            table.add_row(*(escape(visible(cell)) for cell in [*lead, *figures]), style="" if own else "dim")
    if len(symbols) > _MAX_SYMBOLS:
        table.caption = f"{len(symbols) - _MAX_SYMBOLS} more symbols stand in the report"
    return table


def _folds(data: ReportData) -> Table:
    name = _head(data.ranking.objective)
    table = _table(f"Folds of {data.origin.study}: {name} on validate, where each chose, and on test")
    heads = fold_heads(data)
    for head in heads:
        left = head in ("symbol", *data.ranking.axes)
        table.add_column(
            escape(head),
            justify="left" if left else "right",
            no_wrap=head not in data.ranking.axes,
            overflow="fold",
            min_width=3,
        )
    for row in fold_rows(data):
        table.add_row(*(escape(visible(cell)) for cell in row))
    return table


def _table(title: str) -> Table:
    return Table(
        title=escape(title), title_justify="left", title_style="bold", header_style="bold", box=None,
        pad_edge=False, padding=(0, _APART, 0, 0),
    )  # fmt: skip


def _head(key: str) -> str:
    if key in _SHORT:
        return _SHORT[key]
    shown = metric(key)
    return f"{shown.label.lower()} %" if shown.unit.startswith("%") else shown.label.lower()


def _print_counts(data: ReportData, console: Console, top: int) -> None:
    ran, failed = len(data.ranking.ranked), len(data.ranking.failed)
    more = f"the first {top} of {ran:,}" if ran > top else words.count(ran, "backtest")
    idle = f"; {words.idle(data)}" if data.ranking.idle else ""
    gone = f"; {data.ranking.dropped:,} dropped on earlier windows" if data.ranking.dropped else ""
    console.print(Text(f"{more}{idle}{gone}" + (f"; {failed:,} failed" if failed else ""), style="dim"))
    if failed and ran:
        error = texts(data.ranking.failed["error"], "no message").value_counts()
        told = f"most frequent error ({int(error.iloc[0]):,} times): {error.index[0]}"
        _print_cut(Text(told, style="red"), console)
    if failed:
        console.print(Text("the same command with --retry-failed runs what failed again", style="dim"))
    for note in _most_frequent_note(data):
        console.print(Text(note, style="yellow"))


def _most_frequent_note(data: ReportData) -> list[str]:
    """Return what the rows say beside their figures: that a strategy ended its run, or set its own costs."""
    if "notes" not in data.ranking.ranked:
        return []
    said = data.ranking.ranked["notes"].dropna().astype(str).value_counts()
    return [f"most frequent note ({int(said.iloc[0]):,} times): {said.index[0]}"] if len(said) else []


def _print_list(title: str, lines: Sequence[str], console: Console) -> None:
    if not lines:
        return
    console.print()
    console.print(Text(title, style="bold"))
    for line in lines:
        console.print(Text(f"  {line}"), soft_wrap=True)  # a path or a command must survive copying
