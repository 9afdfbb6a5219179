"""Commands for the lake: SQL, deliveries and what they lost, taking back, mending and maintaining."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console

from whatif.cli.listing import (
    Csv,
    print_table,
    say,
    write_list,
    writing_session,
)
from whatif.pins import LakeLocation
from whatif.texts import command, visible

if TYPE_CHECKING:
    import pandas as pd


Symbol = Annotated[str | None, typer.Option(help="Only rows of this symbol.")]
Source = Annotated[str | None, typer.Option(help="Only rows of this file: its path, or the end of it.")]


def sql(
    query: Annotated[str | None, typer.Argument(help="DuckDB's SQL; without it, tables are listed.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Read the lake as it stood then, UTC.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many rows to print.")] = 40,
    csv: Annotated[Path | None, typer.Option(help="Write all rows to this file as well.")] = None,
) -> None:
    """Ask the lake's tables, and views of studies and backtests, with SQL; needs DuckDB, and no JVM."""
    import pandas as pd
    from rich.text import Text

    import whatif

    console = Console()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        opened = whatif.tables(as_of=as_of)
    with opened:
        for note in opened.notes:
            say(Console(stderr=True), f"note: {note}")
        if query is None:
            rows = [(name, f"{one.name} {one.type}") for name in opened.names for one in opened.columns(name)]
            found = pd.DataFrame(rows, columns=["table", "column"])
            frame = found.groupby("table", sort=False)["column"].agg(", ".join).reset_index()
            for name, columns in frame.itertuples(index=False):
                console.print(Text.assemble((name, "bold"), f": {columns}"))
        else:
            opened.check_alone(query)
            frame = opened.sql(query)
            _rows_of_query(console, frame.head(top))
            if len(frame) > top:
                console.print(
                    f"the first {top:,} of {len(frame):,} rows: --top, or --csv for all", style="dim"
                )
    write_list(frame, csv)


def _rows_of_query(console: Console, frame: pd.DataFrame) -> None:
    """Print rows as a table; where a terminal is too narrow for it, each row with a line for each column.

    Nothing is cut off: a file or a pipe takes lines of any length.
    """
    texts = frame.astype(object).map(lambda value: "" if _is_missing(value) else visible(str(value)))
    widths = {name: max(map(cell_len, [str(name), *texts[name]])) for name in texts.columns}
    wide = sum(widths.values()) + len(widths)
    if wide <= console.width or not console.is_terminal:
        print_table(Console(width=max(wide, console.width)), texts, {})
        return
    most = max(cell_len(str(name)) for name in texts.columns)
    for number, row in enumerate(texts.itertuples(index=False), 1):
        console.print(f"row {number:,}", style="bold")
        for name, text in zip(texts.columns, row, strict=True):
            say(console, f"{visible(str(name)):<{most}}  {text}")


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def deliveries(csv: Csv = None) -> None:
    """List the ingests that brought what the lake holds, with the id that 'whatif forget' takes."""
    import pandas as pd

    from whatif.lake import list_deliveries

    frame = list_deliveries(LakeLocation.from_environment())
    console = Console()
    for row in frame.to_dict("records"):
        first, symbol = row["first_file"], row["first_symbol"]
        files = first if row["files"] == 1 else f"{row['files']:,} files, first {first}"
        kind = f"  {row['kind']}" + (f" sha256:{row['digest'][:12]}" if row["digest"] else "")
        symbols = symbol if row["symbols"] == 1 else f"{row['symbols']:,} symbols"
        gone = "" if pd.isna(row["removed"]) or not row["removed"] else f", {row['removed']:,} removed"
        say(
            console,
            f"{row['delivery']}  {row['bars']:,} bars, {row['refused']:,} refused{gone}  {symbols}  {files}"
            f"{kind if row['kind'] else ''}",
        )
    if frame.empty:
        say(console, "the lake holds no delivery: 'whatif ingest' brings one")
    write_list(frame, csv)


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
    from whatif.sources import NEWS_RULES, RULES, TICK_RULES

    frame = list_refused(LakeLocation.from_environment(), source, symbol, rule)
    console = Console()
    if frame.empty:
        say(
            console,
            "no row is in quarantine" + (" of what was asked for" if source or symbol or rule else ""),
        )
    known = {**NEWS_RULES, **TICK_RULES, **RULES}
    for name, count in frame["rule"].value_counts().items():
        say(console, f"{count:,} {name} (rule: {known.get(str(name), 'of an older version')})")
    for row in frame.head(top).to_dict("records"):
        place = f"row {row['row']}" if pd.isna(row["line"]) else f"line {row['line']}"
        say(console, f"{row['source']}: {place}: {row['rule']}: {row['raw']}")
    if len(frame) > top:
        say(console, f"… and {len(frame) - top:,} more: --top, or --csv FILE for all")
    write_list(frame, csv)


def forget(
    symbol: Symbol = None,
    source: Source = None,
    delivery: Annotated[
        str | None,
        typer.Option(help="Only what this ingest brought: its id, as 'whatif deliveries' lists it."),
    ] = None,
    ticks: Annotated[
        bool, typer.Option("--ticks", help="Take back trades and quotes, and leave the bars.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and write nothing.")
    ] = False,
) -> None:
    """Take an ingest back, as a new snapshot: remove its bars, and restore those that it corrected."""
    from whatif.sources import forget_ticks
    from whatif.workflow import forget as take_back

    if ticks:
        gone = forget_ticks(LakeLocation.from_environment(), symbol, source, delivery, dry_run)
        word = "would be removed; nothing was written" if dry_run else "removed"
        say(Console(), f"{', '.join(f'{count:,} {name}' for name, count in gone.items())} {word}")
        return
    found = take_back(LakeLocation.from_environment(), symbol, source, delivery, dry_run=dry_run)
    console = Console()
    say(console, found.summary())
    say(console, "dry run: nothing was written" if dry_run else f"next: {command('bars')}")


def doctor(
    mend: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; nothing is deleted, but set aside.")
    ] = False,
) -> None:
    """Check every file of the lake, say what is wrong and how to mend it; exit code 1 if something is."""
    from whatif.lake import examine, repair

    console, location = Console(), LakeLocation.from_environment()
    findings = examine(location)
    if not findings:
        say(console, f"{location.described} is sound")
        return
    if mend:
        for done in repair(location, findings):
            say(console, f"mended: {done}")
        findings = examine(location)
        if not findings:
            say(console, f"{location.described} is sound now; run the command that failed again")
            return
    for finding in findings:
        say(console, f"{finding.where}: {finding.problem}\n  remedy: {finding.remedy}")
    if not mend and any(finding.repair is not None for finding in findings):
        say(console, f"next: {command('doctor --repair')}")
    raise typer.Exit(1)


def maintain() -> None:
    """Join small files of the lake's tables, drop old snapshots and files that none names; no row changes."""
    from whatif.lake import maintain_all

    console, location = Console(), LakeLocation.from_environment()
    done = maintain_all(location, spark=writing_session(location, False, "whatif maintain"))
    for one in done:
        say(console, one.summary())
    if not done:
        say(console, f"{location.described} holds no table: 'whatif ingest' brings bars")
