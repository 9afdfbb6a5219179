"""Answers to one question about several markets, side by side, as a page and in the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from rich.console import Console
from rich.text import Text

from whatif.paths import written_whole
from whatif.report.data import ReportData
from whatif.report.embed import side_payload, to_script
from whatif.report.html import environment, page_parts
from whatif.report.summary import summarize
from whatif.report.terminal import account_line, four_numbers
from whatif.report.verdict_panel import style_of
from whatif.texts import visible


@dataclass(frozen=True, eq=False)
class Side:
    """One of several answers.

    Attributes
    ----------
    lead : str
        A sentence that stands over it: what is known of its market.
    data : ReportData
        The answer.
    report : Path
        Its whole report.
    """

    lead: str
    data: ReportData
    report: Path


def write_sides(sides: Sequence[Side], path: str | os.PathLike[str], title: str) -> Path:
    """Write a page of answers side by side, whole in itself, which loads nothing; return where it is."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    payload = to_script({"sides": [side_payload(side.data) for side in sides]})
    text = environment().get_template("sides.html.j2").render(
        title=title,
        sides=[
            (side, summarize(side.data), os.path.relpath(side.report, target.parent).replace(os.sep, "/"))
            for side in sides
        ],
        payload=Markup(payload),
        **page_parts("sides.js", "sides.css"),
    )  # fmt: skip
    with written_whole(target) as part:
        part.write_text(text, encoding="utf-8")
    return target


def print_sides(sides: Sequence[Side], console: Console) -> None:
    """Print of each answer what is known, the verdict, what was chosen, four numbers and the account."""
    for side in sides:
        told = summarize(side.data)
        console.print()
        console.print(Text(side.lead))
        console.print(Text(told.word, style=f"bold {style_of(side.data)}"))
        console.print(Text(told.sentence))
        if told.configuration:
            console.print(Text(visible(told.configuration), style="bold"), Text(told.config_id, style="dim"))
            console.print(four_numbers(told.objective, told.numbers))
            account_line(side.data, console)
