"""Commands that bring bars, news, ticks and corporate actions into the lake, and publish bars."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from whatif.cli.listing import (
    Options,
    say,
    writing_session,
)
from whatif.errors import SourceError
from whatif.pins import LakeLocation
from whatif.texts import command

if TYPE_CHECKING:
    from whatif.sources import IngestSpec
    from whatif.sources import Source as BarSource

Exchange = Annotated[
    str | None,
    typer.Option(help="Calendar: XNYS, XEUR, FX, 24/7 …; needed where no layout says it (Lean, crypto)."),
]
Timezone = Annotated[
    str | None,
    typer.Option(help="IANA zone of the stamps, such as Europe/Berlin, unless they carry an offset."),
]
Timeframe = Annotated[
    str | None,
    typer.Option(help="Length of a bar: 1min, 5min, 1h, 1d; by spacing if left out, 1min if it shows none."),
]
Stamps = Annotated[
    str | None,
    typer.Option(help="start or end: which end of its bar a stamp marks; by session edges, else start."),
]
Accept = Annotated[
    bool, typer.Option("--accept", help="Take files of which much is refused or looks misread.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would land and what would be refused; write nothing.")
]
Audit = Annotated[
    bool,
    typer.Option(
        "--audit", help="Write to a branch, check the bars there, and land them if no error is new."
    ),
]
ReplaceRange = Annotated[
    bool,
    typer.Option("--replace-range", help="Remove bars between its first and last that it does not have."),
]
Runner = Annotated[
    str | None, typer.Option(help="local: by this process, no JVM; spark; auto: by what there is to read.")
]
Layout = Annotated[
    str | None,
    typer.Option(help="Documented layout, such as kibot, where a file does not show which it is."),
]
Shift = Annotated[
    str | None,
    typer.Option(help="How far the stamps' clock is ahead of --timezone: 7h of many MetaTrader servers."),
]
Ambiguous = Annotated[
    str | None,
    typer.Option(help="order: tell the hour that clocks repeat by the order of rows, not refuse it."),
]
Skip = Annotated[
    int | None, typer.Option(help="Lines before the first row, the header's too; with --columns.")
]
PriceUnit = Annotated[float, typer.Option(help="What prices are divided by.")]
Units = Annotated[
    bool, typer.Option("--units", help="Numbers carry a currency's sign, or K, M, B: $187.15, 1.2K.")
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask at a terminal whether what was concluded is right.")
]
AllowNonpositive = Annotated[
    bool,
    typer.Option("--allow-nonpositive", help="Land bars with prices at or below zero; studies refuse them."),
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Say what files are taken for and from what; show rows; write nothing."),
]
Mapping = Annotated[
    list[str] | None,
    typer.Option("--map", help="Column of the table = column(s) of the file, such as ts=Date+Time."),
]
Columns = Annotated[
    str | None, typer.Option(help="Names of the file's columns, a,b,c, instead of its header.")
]
TimeFormat = Annotated[
    str | None, typer.Option(help="strptime format, epoch_s, _ms, _us or _ns, days_1900 or days_1904.")
]
SymbolFrom = Annotated[
    str | None, typer.Option(help="file: each file's name, up to its first dot, is its symbol.")
]


class OfSources(TyperCommand):
    """A command whose first argument may be a source, the settings of which are options of the command then.

    `whatif ingest kinesis --stream bars` is `whatif ingest kinesis --option stream=bars`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Take the arguments apart."""
        from whatif.sources import named_source

        if args and not args[0].startswith("-") and named_source(args[:1]) is not None:
            args = [args[0], *self._own_options(args[1:])]
        return super().parse_args(ctx, args)

    def _own_options(self, given: Sequence[str]) -> Iterator[str]:
        """Yield arguments, an option that the command does not have as a setting of the source."""
        known = {name: p for p in self.params for name in (*p.opts, *p.secondary_opts)} | {"--help": None}
        waiting = list(given)
        while waiting:
            one = waiting.pop(0)
            name, equals, value = one.partition("=")
            if not one.startswith("--") or name in known:
                yield one
                flag = equals or getattr(known.get(name), "is_flag", True)
                if name in known and not flag and waiting:
                    yield waiting.pop(0)
                continue
            if not equals and (not waiting or waiting[0].startswith("--")):
                raise SourceError(f"{name} has no value: write {name} VALUE")
            setting = name.removeprefix("--").replace("-", "_")
            yield from ("--option", f"{setting}={value if equals else waiting.pop(0)}")


def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(help="Files, folders or globs: CSV, Parquet, Feather, JSON, zip; or a source."),
    ],
    file_format: Annotated[
        str,
        typer.Option("--format", help="csv, feather, json, lean, parquet, module:Name; auto: by name."),
    ] = "auto",
    symbol: Annotated[str | None, typer.Option(help="Symbol of all rows, where no column names it.")] = None,
    exchange: Exchange = None,
    timezone: Timezone = None,
    timeframe: Timeframe = None,
    stamps: Stamps = None,
    mapping: Mapping = None,
    columns: Columns = None,
    delimiter: Annotated[str | None, typer.Option(help="One character; found by itself if left out.")] = None,
    time_format: TimeFormat = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal sign of numbers: . or ,")] = None,
    thousands: Annotated[
        str | None, typer.Option(help="What stands between thousands: . , ' _ or a blank.")
    ] = None,
    symbol_from: SymbolFrom = None,
    options: Options = None,
    accept: Accept = False,
    dry_run: DryRun = False,
    runner: Runner = None,
    layout: Layout = None,
    shift: Shift = None,
    ambiguous: Ambiguous = None,
    skip: Skip = None,
    price_unit: PriceUnit = 1.0,
    units: Units = False,
    allow_nonpositive: AllowNonpositive = False,
    yes: Yes = False,
    explained: Explain = False,
    audit: Audit = False,
    replace_range: ReplaceRange = False,
) -> None:
    """Read bars into the lake, from files or a source of your own. The same bars twice add nothing."""
    from whatif.report import waits_on
    from whatif.workflow import ingest as ingest_bars

    given = _given(
        symbol=symbol, exchange=exchange, timezone=timezone, timeframe=timeframe, stamps=stamps,
        delimiter=delimiter, time_format=time_format, decimal=decimal, thousands=thousands,
        symbol_from=symbol_from, layout=layout, shift=shift, ambiguous=ambiguous,
    )  # fmt: skip
    files = _OfFiles(file_format, mapping or (), columns, skip, price_unit, units, allow_nonpositive)
    what, spec = _what_to_read(paths, files, given, options or (), accept)
    console = Console()
    if explained:
        _explain(console, what, spec)
        return
    _ask(console, what, spec, yes or dry_run)
    location, wait = LakeLocation.from_environment(), waits_on(console)
    report = ingest_bars(what, spec, location, None, dry_run, runner, audit, replace_range, wait)
    say(console, report.summary())
    if report.faults:
        raise typer.Exit(1)
    say(console, f"next: {command('bars')}")


def publish(
    target: Annotated[str, typer.Argument(help="Where bars are put: kinesis, or a source that takes some.")],
    paths: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, globs or s3:// addresses; else of the lake.")
    ] = None,
    symbols: Annotated[str | None, typer.Option(help="Bars of the lake, of these symbols: A,B.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Symbol of all rows, where no column names it.")] = None,
    exchange: Exchange = None,
    timezone: Timezone = None,
    timeframe: Timeframe = None,
    options: Options = None,
) -> None:
    """Load bars from files or the lake into a stream; 'whatif ingest' reads them from there."""
    from whatif.sources import (
        IngestSpec,
        bars_of_files,
        bars_of_lake,
        make_source,
        named_source,
        parse_options,
    )

    kind = named_source([target])
    if kind is None:
        raise SourceError(f"{target!r} is no source: bars are put into kinesis, or a source of your own")
    if bool(paths) == bool(symbols):
        raise SourceError("name files, or --symbols of the lake, and not both")
    to = make_source(kind, parse_options(options or ()))
    of_files, refused = _given(symbol=symbol, exchange=exchange, timezone=timezone), Counter[str]()
    if paths:
        bars = bars_of_files(paths, IngestSpec(**of_files, **_given(timeframe=timeframe)), refused)
    elif of_files:
        raise SourceError(
            f"--{next(iter(of_files))} is for files, and the lake's bars have theirs: leave it out"
        )
    else:
        bars = bars_of_lake(LakeLocation.from_environment(), _listed(symbols), timeframe)
    say(Console(), f"{to.publish(bars):,} bars were put into {target}")
    if refused:
        rules = ", ".join(f"{count:,} {rule}" for rule, count in refused.most_common())
        say(
            Console(), f"left out, rows that break a rule: {rules}; 'whatif ingest FILE --dry-run' shows them"
        )


def ingest_news(
    paths: Annotated[
        list[str],
        typer.Argument(help="Files, folders or globs: JSON, JSON lines or CSV of news; or a source."),
    ],
    timezone: Annotated[str, typer.Option(help="IANA zone of stamps that say none.")] = "UTC",
    options: Options = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take files of which more than 1 % is refused.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Read news sentiment, or how symbols are related, into the lake. The same items twice add nothing."""
    from whatif.sources import ingest_news as ingest_items

    location = LakeLocation.from_environment()
    spark = writing_session(location, dry_run, "whatif ingest-news")
    report = ingest_items(_files_or_source(paths, options or ()), location, spark, timezone, accept, dry_run)
    say(Console(), report.summary())


def ingest_ticks(
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders or globs: CSV, Parquet, Lean's zips of ticks.")
    ],
    rows: Annotated[
        str, typer.Option(help="trades or quotes: what a row is; paths of Lean's say so themselves.")
    ] = "trades",
    file_format: Annotated[
        str, typer.Option("--format", help="csv, parquet, lean, module:Name; auto goes by the file's name.")
    ] = "auto",
    symbol: Annotated[str | None, typer.Option(help="Symbol of all rows, where no column names it.")] = None,
    exchange: Exchange = None,
    timezone: Timezone = None,
    mapping: Mapping = None,
    columns: Columns = None,
    time_format: TimeFormat = None,
    symbol_from: SymbolFrom = None,
    accept: Accept = False,
    dry_run: DryRun = False,
) -> None:
    """Read trades or quotes into the lake. The same ticks twice add nothing."""
    from whatif.sources import IngestSpec, parse_mapping
    from whatif.sources import ingest_ticks as ingest_them

    location = LakeLocation.from_environment()
    spec = IngestSpec(
        rows=rows, format=file_format, symbol=symbol, exchange=exchange, timezone=timezone,
        columns=parse_mapping(mapping or ()), header=_listed(columns), time_format=time_format,
        symbol_from=symbol_from, accept=accept,
    )  # fmt: skip
    spark = writing_session(location, dry_run, "whatif ingest-ticks")
    report = ingest_them(paths, spec, location, spark, dry_run)
    say(Console(), report.summary())
    if not dry_run and report.landed.get("trades"):
        say(Console(), f"next: {command('ingest trades --option symbols=SYMBOL')}, which makes bars of them")


def ingest_actions(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files or folders: CSV of splits and dividends, Lean's factor and map files; or a source."
        ),
    ],
    symbol: Annotated[str | None, typer.Option(help="Symbol of all rows, where no column names it.")] = None,
    options: Options = None,
    dry_run: DryRun = False,
) -> None:
    """Read splits, dividends and changes of symbols into the lake. Twice adds nothing.

    data.adjust and data.renames of a study apply them.
    """
    from whatif.sources import ingest_actions as ingest_items

    location = LakeLocation.from_environment()
    spark = writing_session(location, dry_run, "whatif ingest-actions")
    say(
        Console(),
        ingest_items(_files_or_source(paths, options or ()), location, spark, symbol, dry_run).summary(),
    )


def _files_or_source(paths: list[str], options: Sequence[str]) -> Sequence[str] | BarSource:
    """Return files, or the source that is named in their place."""
    from whatif.sources import make_source, named_source, parse_options

    kind, own = named_source(paths), parse_options(options)
    if kind is None and own:
        raise SourceError(f"--option {next(iter(own))} is for other sources than files: leave it out")
    return paths if kind is None else make_source(kind, own)


def _listed(names: str | None) -> tuple[str, ...]:
    """Return names that stand with commas between them."""
    return tuple(name.strip() for name in names.split(",")) if names else ()


@dataclass(frozen=True)
class _OfFiles:
    """Options of `whatif ingest` that no other source takes."""

    file_format: str
    mapping: Sequence[str]
    columns: str | None
    skip: int | None = None
    price_unit: float = 1.0
    units: bool = False
    allow_nonpositive: bool = False


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _at_a_terminal() -> bool:
    """Tell whether somebody can be asked: a script, a job and a pipe are not."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(console: Console, what: Sequence[str] | BarSource, spec: IngestSpec, silent: bool) -> None:
    """Show what was concluded of files, and ask; not where nothing was, or they are refused anyway."""
    from whatif.sources import Source
    from whatif.workflow import explain

    if silent or not _at_a_terminal() or isinstance(what, Source):
        return
    lines = list(explain(what, spec))
    concluded = any(line.startswith("  --") for line in lines)
    if not concluded or any(line.startswith(("  ambiguous:", "  would be refused")) for line in lines):
        return
    for line in lines:
        say(console, line)
    if not typer.confirm("Land them so?", default=True):
        say(console, "nothing was written: say what is otherwise by the options above")
        raise typer.Exit(1)


def _explain(console: Console, what: Sequence[str] | BarSource, spec: IngestSpec) -> None:
    from whatif.sources import FetchedFiles, Source
    from whatif.workflow import explain

    if isinstance(what, FetchedFiles):
        for line in what.listed():
            say(console, line)
        say(console, "nothing was fetched or written: leave out --explain to ingest")
        return
    if isinstance(what, Source):
        raise SourceError(f"--explain is for files, and {what.label} reads none: leave it out")
    for line in explain(what, spec):
        say(console, line)
    say(console, "nothing was written: leave out --explain to ingest")


def _what_to_read(
    paths: list[str], of_files: _OfFiles, given: dict[str, Any], options: Sequence[str], accept: bool
) -> tuple[Sequence[str] | BarSource, IngestSpec]:
    """Return files or a source, and how they are read."""
    from whatif.sources import (
        FetchedFiles,
        IngestSpec,
        make_source,
        named_source,
        parse_mapping,
        parse_options,
    )

    kind, own = named_source(paths), parse_options(options)
    fetched = None if kind is None or not issubclass(kind, FetchedFiles) else make_source(kind, own)
    if kind is None or fetched is not None:
        if own and fetched is None:
            raise SourceError(f"--option {next(iter(own))} is for other sources than files: leave it out")
        named, header = parse_mapping(of_files.mapping), _listed(of_files.columns)
        spec = IngestSpec(
            format=of_files.file_format, columns=named, header=header, accept=accept, skip=of_files.skip,
            price_unit=of_files.price_unit, units=of_files.units,
            allow_nonpositive=of_files.allow_nonpositive, **given,
        )  # fmt: skip
        return paths if fetched is None else fetched, spec
    if of_files != _OfFiles("auto", (), None):
        raise SourceError(
            "--map, --columns, --skip, --price-unit, --units, --allow-nonpositive and --format are for "
            f"files, and {paths[0]} reads none"
        )
    return make_source(kind, {**given, **own}), IngestSpec(accept=accept)
