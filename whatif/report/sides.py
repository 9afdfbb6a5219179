"""Answers to one question about several markets, side by side, as a page and in the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    folder = Path(path).parent
    reports = [os.path.relpath(side.report, folder).replace(os.sep, "/") for side in sides]
    told = [(side, summarize(side.data), report) for side, report in zip(sides, reports, strict=True)]
    payload = {"sides": [side_payload(side.data) for side in sides]}
    return write_page(path, "sides", payload, title=title, sides=told)


def write_page(path: str | os.PathLike[str], name: str, payload: Mapping[str, Any], **parts: Any) -> Path:
    """Write a page with charts, whole in itself, which loads nothing; return where it is.

    Parameters
    ----------
    path : str or path
        Where it goes; folders are made.
    name : str
        Of its template, script and style: `NAME.html.j2`, `NAME.js`, `NAME.css`.
    payload : mapping
        What its script draws, as JSON.
    **parts
        What its template shows.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    text = environment().get_template(f"{name}.html.j2").render(
        **parts, payload=Markup(to_script(payload)), **page_parts(f"{name}.js", f"{name}.css")
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
