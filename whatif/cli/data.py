"""Commands for bars: ingest them, list them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from whatif.errors import SourceError
from whatif.paths import visible
from whatif.pins import LakeLocation

if TYPE_CHECKING:
    from whatif.sources import Source


def ingest(
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders or globs: CSV, Parquet, Lean zips; or one source.")
    ],
    file_format: Annotated[
        str, typer.Option("--format", help="csv, parquet, lean, module:Name; auto goes by the file's name.")
    ] = "auto",
    symbol: Annotated[str | None, typer.Option(help="Symbol of all rows, where no column names it.")] = None,
    exchange: Annotated[
        str | None, typer.Option(help="Calendar: XNYS, XEUR, 24/7 …; needed, except for Lean files.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(help="IANA zone of the stamps, such as Europe/Berlin, unless they carry an offset."),
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option(help="Length of a bar: 1min, 5min, 1h, 1d; 1min if left out.")
    ] = None,
    stamps: Annotated[
        str | None, typer.Option(help="start or end: which end of its bar a stamp marks; start if left out.")
    ] = None,
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
    options: Annotated[
        list[str] | None,
        typer.Option("--option", help="NAME=VALUE of a source that is none of files, such as symbols=SPY."),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Take files of which much is refused or looks misread."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would land and what would be refused; write nothing.")
    ] = False,
) -> None:
    """Read bars into the lake, from files or a source of your own. The same bars twice add nothing."""
    from whatif.sources import IngestSpec, make_source, named_source, parse_mapping, parse_options
    from whatif.workflow import ingest as ingest_bars

    texts = {
        "symbol": symbol, "exchange": exchange, "timezone": timezone, "timeframe": timeframe,
        "stamps": stamps, "delimiter": delimiter, "time_format": time_format, "decimal": decimal,
        "thousands": thousands, "symbol_from": symbol_from,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in texts.items() if value is not None}
    kind, own = named_source(paths), parse_options(options or ())
    what: Sequence[str] | Source = paths
    if kind is None:
        if own:
            raise SourceError(f"--option {next(iter(own))} is for other sources than files: leave it out")
        named = parse_mapping(mapping or ())
        header = tuple(name.strip() for name in columns.split(",")) if columns else ()
        spec = IngestSpec(format=file_format, columns=named, header=header, accept=accept, **given)
    else:
        if mapping or columns or file_format != "auto":
            raise SourceError(f"--map, --columns and --format are for files, and {paths[0]} reads none")
        what, spec = make_source(kind, {**given, **own}), IngestSpec(accept=accept)
    console = Console()
    report = ingest_bars(what, spec, LakeLocation.from_environment(), dry_run=dry_run)
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
