"""What commands of the lake share: what they print and write, and the session that writes to a catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from whatif.pins import LakeLocation
from whatif.texts import visible

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

Csv = Annotated[Path | None, typer.Option(help="Write the list to this file as well.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", help="NAME=VALUE of a source that is none of files, such as symbols=SPY."),
]


def print_table(console: Console, frame: pd.DataFrame, headings: dict[str, str]) -> None:
    """Print a frame, under its columns' names or those given."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in frame.columns:
        numeric = frame[name].dtype.kind in "iuf"
        heading = escape(visible(headings.get(name, str(name))))
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for row in frame.itertuples(index=False):
        table.add_row(*(escape(cell_text(value)) for value in row))
    console.print(table)


def cell_text(value: object) -> str:
    """Return how a value stands in a table: a date by its day, a number with commas, a text made visible."""
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d"))
    return f"{value:,}" if isinstance(value, int) or hasattr(value, "item") else visible(str(value))


def say(console: Console, text: str) -> None:
    """Print a line of any length as it stands."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def write_list(frame: pd.DataFrame, path: Path | None) -> None:
    """Write a frame as CSV, whole or not at all; texts that a spreadsheet would run get a leading quote."""
    if path is None:
        return
    from whatif.paths import written_whole
    from whatif.report import without_formulas

    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        without_formulas(frame).to_csv(part, index=False)


def writing_session(location: LakeLocation, dry_run: bool, name: str) -> SparkSession | None:
    """Return the session that writes to tables of a catalog service; None where none is needed."""
    from whatif.session import get_spark

    return None if location.local or dry_run else get_spark(location, name)
