"""Commands that look at what was ingested and take it back: deliveries, quarantine, forget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from whatif.pins import LakeLocation

if TYPE_CHECKING:
    import pandas as pd

Csv = Annotated[Path | None, typer.Option(help="Write the list to this file as well.")]
Symbol = Annotated[str | None, typer.Option(help="Only rows of this symbol.")]
Source = Annotated[str | None, typer.Option(help="Only rows of this file: its path, or the end of it.")]


def deliveries(csv: Csv = None) -> None:
    """List the ingests that brought what the lake holds, with the id that 'whatif forget' takes."""
    from whatif.lake import list_deliveries

    frame = list_deliveries(LakeLocation.from_environment())
    console = Console()
    for row in frame.to_dict("records"):
        first, symbol = row["first_file"], row["first_symbol"]
        files = first if row["files"] == 1 else f"{row['files']:,} files, first {first}"
        symbols = symbol if row["symbols"] == 1 else f"{row['symbols']:,} symbols"
        _say(
            console,
            f"{row['delivery']}  {row['bars']:,} bars, {row['refused']:,} refused  {symbols}  {files}",
        )
    if frame.empty:
        _say(console, "the lake holds no delivery: 'whatif ingest' brings one")
    _write(frame, csv)


def quarantine(
    source: Source = None,
    symbol: Symbol = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that broke this rule.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many rows to print.")] = 50,
    csv: Csv = None,
) -> None:
    """Show the rows that were refused: file, line, rule, and what stood there.

    Of a file that is no text the row, of which the first is 1.
    """
    import pandas as pd

    from whatif.lake import list_refused
    from whatif.sources import RULES

    frame = list_refused(LakeLocation.from_environment(), source, symbol, rule)
    console = Console()
    if frame.empty:
        _say(
            console,
            "no row is in quarantine" + (" of what was asked for" if source or symbol or rule else ""),
        )
    for name, count in frame["rule"].value_counts().items():
        _say(console, f"{count:,} {name} (rule: {RULES.get(str(name), 'of an older version')})")
    for row in frame.head(top).to_dict("records"):
        place = f"row {row['row']}" if pd.isna(row["line"]) else f"line {row['line']}"
        _say(console, f"{row['source']}: {place}: {row['rule']}: {row['raw']}")
    if len(frame) > top:
        _say(console, f"… and {len(frame) - top:,} more: --top, or --csv FILE for all")
    _write(frame, csv)


def forget(
    symbol: Symbol = None,
    source: Source = None,
    delivery: Annotated[
        str | None,
        typer.Option(help="Only what this ingest brought: its id, as 'whatif deliveries' lists it."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and write nothing.")
    ] = False,
) -> None:
    """Take an ingest back, as a new snapshot: remove its bars, and restore those that it corrected."""
    from whatif.workflow import forget as take_back

    found = take_back(LakeLocation.from_environment(), symbol, source, delivery, dry_run=dry_run)
    console = Console()
    _say(console, found.summary())
    _say(console, "dry run: nothing was written" if dry_run else "next: whatif bars")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _write(frame: pd.DataFrame, path: Path | None) -> None:
    if path is not None:
        frame.to_csv(path, index=False)
