"""Commands for bars: ingest them, list them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from whatif.paths import visible
from whatif.pins import LakeLocation


def ingest(
    paths: Annotated[list[str], typer.Argument(help="Files, folders or globs: CSV, Parquet, Lean zips.")],
    file_format: Annotated[
        str, typer.Option("--format", help="auto, csv, parquet or lean; auto goes by the file's name.")
    ] = "auto",
    symbol: Annotated[str | None, typer.Option(help="Symbol of all rows, where no column names it.")] = None,
    exchange: Annotated[
        str | None, typer.Option(help="Calendar: XNYS, XEUR, 24/7 …; needed, except for Lean files.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(help="IANA zone of the stamps, such as Europe/Berlin, unless they carry an offset."),
    ] = None,
    timeframe: Annotated[str, typer.Option(help="Length of a bar: 1min, 5min, 1h, 1d.")] = "1min",
    stamps: Annotated[str, typer.Option(help="start or end: which end of its bar a stamp marks.")] = "start",
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="Column of the table = column(s) of the file, such as ts=Date+Time."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Names of the file's columns, a,b,c, instead of its header.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="One character; found by itself if left out.")] = None,
    time_format: Annotated[
        str | None, typer.Option(help="strptime format, or epoch_s, epoch_ms, epoch_us, epoch_ns.")
    ] = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal sign of numbers: . or ,")] = None,
    thousands: Annotated[
        str | None, typer.Option(help="What stands between thousands: . , ' _ or a blank.")
    ] = None,
    symbol_from: Annotated[
        str | None, typer.Option(help="file: each file's name, up to its first dot, is its symbol.")
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Take files of which much is refused or looks misread."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would land and what would be refused; write nothing.")
    ] = False,
) -> None:
    """Read files of bars into the lake. The same file twice adds nothing."""
    from whatif.sources import IngestSpec, parse_mapping
    from whatif.workflow.ingest import ingest as ingest_files

    spec = IngestSpec(
        format=file_format,
        symbol=symbol,
        exchange=exchange,
        timezone=timezone,
        timeframe=timeframe,
        stamps=stamps,
        columns=parse_mapping(mapping or ()),
        header=tuple(name.strip() for name in columns.split(",")) if columns else (),
        delimiter=delimiter,
        time_format=time_format,
        decimal=decimal,
        thousands=thousands,
        symbol_from=symbol_from,
        accept=accept,
    )
    console = Console()
    report = ingest_files(paths, spec, LakeLocation.from_environment(), dry_run=dry_run)
    console.print(report.summary(), highlight=False, markup=False, soft_wrap=True)
    if report.faults:
        raise typer.Exit(1)
    console.print("next: whatif bars", highlight=False)


def bars(
    csv: Annotated[Path | None, typer.Option(help="Write the list to this file as well.")] = None,
) -> None:
    """List what the lake holds: symbols, timeframes, ranges, sessions, bars, missing minutes."""
    from whatif.lake import list_bars

    frame = list_bars(LakeLocation.from_environment())
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in frame.columns:
        numeric = frame[name].dtype.kind in "iuf"
        heading = {"extended_bars": "extended", "missing_minutes": "missing"}.get(name, name)
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for row in frame.itertuples(index=False):
        table.add_row(*(escape(_cell(value)) for value in row))
    Console().print(table)
    if csv is not None:
        from whatif.report import without_formulas

        without_formulas(frame).to_csv(csv, index=False)


def _cell(value: object) -> str:
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d"))
    return f"{value:,}" if isinstance(value, int) or hasattr(value, "item") else visible(str(value))
