"""Commands for the lake: bars in, listed and taken back, what was refused, and what is damaged."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperCommand

from whatif.errors import LakeError, SourceError
from whatif.pins import LakeLocation
from whatif.texts import visible

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

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
Options = Annotated[
    list[str] | None,
    typer.Option("--option", help="NAME=VALUE of a source that is none of files, such as symbols=SPY."),
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
    _say(console, report.summary())
    if report.faults:
        raise typer.Exit(1)
    _say(console, "next: whatif bars")


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
    texts = {"symbol": symbol, "exchange": exchange, "timezone": timezone, "timeframe": timeframe}
    given: dict[str, Any] = {name: value for name, value in texts.items() if value is not None}
    here, of = LakeLocation.from_environment(), _listed(symbols)
    bars = bars_of_files(paths, IngestSpec(**given)) if paths else bars_of_lake(here, of, timeframe)
    _say(Console(), f"{to.publish(bars):,} bars were put into {target}")


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
    spark = _writer(location, dry_run, "whatif ingest-news")
    report = ingest_items(_files_or_source(paths, options or ()), location, spark, timezone, accept, dry_run)
    _say(Console(), report.summary())


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
    spark = _writer(location, dry_run, "whatif ingest-ticks")
    report = ingest_them(paths, spec, location, spark, dry_run)
    _say(Console(), report.summary())
    if not dry_run and report.landed.get("trades"):
        _say(Console(), "next: whatif ingest trades --option symbols=SYMBOL, which makes bars of them")


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
    spark = _writer(location, dry_run, "whatif ingest-actions")
    _say(
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


def _writer(location: LakeLocation, dry_run: bool, name: str) -> SparkSession | None:
    """Return the session that writes to tables of a catalog service; None where none is needed."""
    from whatif.session import get_spark

    return None if location.local or dry_run else get_spark(location, name)


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
        _say(console, line)
    if not typer.confirm("Land them so?", default=True):
        _say(console, "nothing was written: say what is otherwise by the options above")
        raise typer.Exit(1)


def _explain(console: Console, what: Sequence[str] | BarSource, spec: IngestSpec) -> None:
    from whatif.sources import FetchedFiles, Source
    from whatif.workflow import explain

    if isinstance(what, FetchedFiles):
        for line in what.listed():
            _say(console, line)
        _say(console, "nothing was fetched or written: leave out --explain to ingest")
        return
    if isinstance(what, Source):
        raise SourceError(f"--explain is for files, and {what.label} reads none: leave it out")
    for line in explain(what, spec):
        _say(console, line)
    _say(console, "nothing was written: leave out --explain to ingest")


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


Day = Annotated[str | None, typer.Option(help="With --check or --plot: from this date or instant on, UTC.")]
Before = Annotated[str | None, typer.Option(help="With --check or --plot: before this date or instant, UTC.")]


def bars(
    symbols: Annotated[list[str] | None, typer.Argument(help="Only these symbols.")] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Hold them against calendar and neighbours; exit code 1 for an error."),
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a page with candles of one symbol.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only symbols with this tag or asset class.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Only bars of this length.")] = None,
    start: Day = None,
    end: Before = None,
    adjust: Annotated[str, typer.Option(help="With --plot: none, splits or all.")] = "none",
    page: Annotated[
        Path | None, typer.Option("--html", help="With --check: write a page with heat maps too.")
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=0, help="With --check: how many suspicious bars to print (20)."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the list, or what --check found, as well.")] = None,
) -> None:
    """List what the lake holds: symbols, timeframes, ranges, sessions, bars, missing minutes; or check it."""
    location, wanted = LakeLocation.from_environment(), _Wanted(tuple(symbols or ()), timeframe, start, end)
    if check + (plot is not None) > 1 or (plot is None and adjust != "none"):
        raise LakeError(
            "--check lists what is suspicious, and --plot with --adjust draws: ask for one of them"
        )
    if plot is not None:
        if len(wanted.symbols) != 1 or tag or csv or page or top is not None:
            raise LakeError(
                "--plot draws one symbol, without --tag, --csv, --html and --top: write whatif bars SYMBOL "
                "--plot FILE"
            )
        _plot(location, wanted, adjust, plot)
        return
    if not check and (page is not None or start or end or top is not None):
        raise LakeError("--html, --start, --end and --top are for --check: give it too")
    from whatif.lake import list_bars

    console = Console()
    frame = list_bars(location, symbols=wanted.symbols, timeframe=timeframe, tag=tag)
    if check:
        found = wanted if tag is None else replace(wanted, symbols=tuple(dict.fromkeys(frame["symbol"])))
        _check(location, found, page, _TOP if top is None else top, csv)
        return
    _table(console, frame[list(frame.columns[:_LISTED])], _HEADINGS)
    for line in _told(frame, bool(symbols)):
        _say(console, line)
    _write_safely(frame, csv)


_TOP = 20
"""Suspicious bars that --check prints where nobody says how many."""

_LISTED = 10
"""Columns of the list that a terminal has room for."""

_HEADINGS = {
    "timeframe": "length", "exchange": "market", "sessions": "days", "extended_bars": "outside",
    "missing_minutes": "missing",
}  # fmt: skip
"""What they are called there, where their names are too long for 80 characters."""


@dataclass(frozen=True)
class _Wanted:
    """Which bars a command is asked for."""

    symbols: tuple[str, ...]
    timeframe: str | None
    start: str | None
    end: str | None

    @property
    def between(self) -> tuple[int | None, int | None]:
        """The range of their starts, microseconds UTC."""
        from whatif.pins import moment_us

        return moment_us(self.start), moment_us(self.end)


def _told(frame: pd.DataFrame, always: bool) -> Iterator[str]:
    """Yield a line for each symbol of what is said of it, and what is known; of others only if asked."""
    from whatif.lake import About

    texts = ["description", "owner", "asset_class", "licence"]
    for symbol, rows in frame.groupby("symbol", sort=False) if "tags" in frame else ():
        row = rows.iloc[0]
        about = About(
            **{name: row[name] for name in texts}, tags=tuple(filter(None, row["tags"].split(", ")))
        )
        known = [
            f"{row[name]:,} {name.removesuffix('s' if row[name] == 1 else '')}"
            for name in ("splits", "dividends")
            if row[name]
        ]
        if not (about.line() or known or always):
            continue
        last = f"last delivery {rows['last_delivery'].max():%Y-%m-%d %H:%M} UTC"
        yield "; ".join(filter(None, (visible(f"{symbol}: {about.line()}".rstrip(": ")), *known, last)))


def _plot(location: LakeLocation, wanted: _Wanted, adjust: str, path: Path) -> None:
    import pandas as pd

    from whatif.domain import canonical_timeframe, timestamps
    from whatif.lake import check_quality, list_bars
    from whatif.pins import adjusted_pin, current_pin, read_bars_of
    from whatif.report import write_prices

    symbol, frames = wanted.symbols[0], []
    listed = list_bars(location, symbols=wanted.symbols, timeframe=wanted.timeframe)
    found = check_quality(location, wanted.symbols, wanted.timeframe, None, *wanted.between).found
    pin = adjusted_pin(location, current_pin(location, "bars"), adjust)
    for length in dict.fromkeys(map(canonical_timeframe, listed["timeframe"])):
        read = read_bars_of(pin, [symbol], length, *wanted.between)[symbol]
        names = ("open", "high", "low", "close", "volume")
        frame = pd.DataFrame({"ts": timestamps(read.ts), **{name: getattr(read, name) for name in names}})
        frames += [(length, frame)] if len(frame) else []
    said = next(iter(_told(listed, True)))
    said += "" if adjust == "none" else f"; adjusted for {adjust}"
    _say(Console(), f"written: {write_prices(symbol, said, frames, found, path)}")


def describe(
    symbols: Annotated[list[str] | None, typer.Argument(help="Symbols of which something is said.")] = None,
    source: Annotated[
        str | None, typer.Option(help="In place of symbols: a file, or a folder of files, of bars.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    asset_class: Annotated[str | None, typer.Option(help="Such as equity, future, fx, crypto.")] = None,
    licence: Annotated[str | None, typer.Option(help="What may be done with it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag to add; any number of times.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="A tag to take away.")] = None,
    service: Annotated[
        str | None, typer.Option("--from", help="A source that tells what symbols are: alphavantage.")
    ] = None,
    options: Options = None,
) -> None:
    """Say what symbols, or files that bars came from, are; 'whatif bars' shows it. "" takes a text away."""
    from whatif.lake import describe as say

    location = LakeLocation.from_environment()
    texts = {"description": description, "owner": owner, "asset_class": asset_class, "licence": licence}
    given = {name: text for name, text in texts.items() if text is not None}
    found = _overviews(service, symbols or (), source, options or ())
    spark = _writer(location, False, "whatif describe")
    several: list[tuple[list[str], dict[str, str], tuple[str, ...]]] = [
        ([name], {**own, **given}, (*tags, *(tag or ()))) for name, own, tags in found
    ]
    for names, said, tags in several or [(symbols or [], given, tuple(tag or ()))]:
        for name, about in say(location, names, source, said, tags, untag or (), spark).items():
            _say(Console(), visible(f"{name}: {about.line() or 'nothing is said of it any more'}"))


def _overviews(
    service: str | None, symbols: Sequence[str], source: str | None, options: Sequence[str]
) -> list[tuple[str, dict[str, str], tuple[str, ...]]]:
    """Return what a service tells of symbols: symbol, texts and tags; nothing where none is named."""
    from whatif.lake import list_bars
    from whatif.sources import make_source, named_source, parse_options

    own = parse_options(options)
    if service is None:
        if own:
            raise SourceError(f"--option {next(iter(own))} is of a service: name it with --from")
        return []
    kind = named_source([service])
    if kind is None:
        raise SourceError(f"{service!r} is no source: alphavantage tells what symbols are")
    if not symbols or source is not None:
        raise SourceError(f"--from {service} is for symbols: name some, and no --source")
    # one of which there are no bars is refused before another is asked for, and described
    list_bars(LakeLocation.from_environment(), symbols=symbols)
    return [
        (
            one["symbol"],
            {name: one[name] for name in ("description", "asset_class") if one[name]},
            one["tags"],
        )
        for one in make_source(kind, {**own, "symbols": ",".join(symbols)}).overviews()
    ]


def _check(location: LakeLocation, wanted: _Wanted, page: Path | None, top: int, csv: Path | None) -> None:
    from whatif.lake import QUALITY_RULES, check_quality

    console = Console()
    found = check_quality(location, wanted.symbols, wanted.timeframe, None, *wanted.between)
    summary = found.summary().drop(columns=["exchange", "rules"])
    for name in ("covered", "lowest"):
        summary[name] = [f"{value:8.2f} %" for value in summary[name]]
    _table(console, summary, {"covered": "     there", "without": "empty", "lowest": "    lowest"})
    counts = found.found["rule"].value_counts()
    for name, rule in QUALITY_RULES.items():
        if name in counts:
            word = "error" if rule.error else "warning"
            _say(console, f"{word} {name}, {counts[name]:,} of them (rule: {rule.text})")
    told = found.found.sort_values("error", ascending=False, kind="stable")
    for row in told.head(top).to_dict("records"):
        measure = QUALITY_RULES[row["rule"]].measure
        where = f"{visible(row['symbol'])} {row['timeframe']} {row['ts']:%Y-%m-%d %H:%M} UTC"
        _say(console, f"{where}: {row['rule']}: {row['value']:,.4g} {measure}")
    if len(told) > top:
        _say(console, f"… and {len(told) - top:,} more: --top, --html FILE, or --csv FILE for all")
    _write_safely(found.found, csv)
    if page is not None:
        from whatif.report import write_check

        _say(console, f"written: {write_check(found, page)}")
    if found.errors:
        raise typer.Exit(1)


def _table(console: Console, frame: pd.DataFrame, headings: dict[str, str]) -> None:
    """Print a frame, under its columns' names or those given."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in frame.columns:
        numeric = frame[name].dtype.kind in "iuf"
        heading = escape(visible(headings.get(name, str(name))))
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for row in frame.itertuples(index=False):
        table.add_row(*(escape(_cell(value)) for value in row))
    console.print(table)


def _write_safely(frame: pd.DataFrame, csv: Path | None) -> None:
    if csv is not None:
        from whatif.report import without_formulas

        _write(without_formulas(frame), csv)


def _cell(value: object) -> str:
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d"))
    return f"{value:,}" if isinstance(value, int) or hasattr(value, "item") else visible(str(value))


Csv = Annotated[Path | None, typer.Option(help="Write the list to this file as well.")]
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
    with whatif.tables(as_of=as_of) as opened:
        if query is None:
            rows = [(name, f"{one.name} {one.type}") for name in opened.names for one in opened.columns(name)]
            found = pd.DataFrame(rows, columns=["table", "column"])
            frame = found.groupby("table", sort=False)["column"].agg(", ".join).reset_index()
            for name, columns in frame.itertuples(index=False):
                console.print(Text.assemble((name, "bold"), f": {columns}"))
        else:
            frame = opened.sql(query)
            _rows_of_query(console, frame.head(top))
            if len(frame) > top:
                console.print(
                    f"the first {top:,} of {len(frame):,} rows: --top, or --csv for all", style="dim"
                )
    _write_safely(frame, csv)


def _rows_of_query(console: Console, frame: pd.DataFrame) -> None:
    """Print rows as a table; where a terminal is too narrow for it, each row with a line for each column.

    Nothing is cut off: a file or a pipe takes lines of any length.
    """
    texts = frame.astype(object).map(lambda value: "" if _is_missing(value) else visible(str(value)))
    widths = {name: max(map(cell_len, [str(name), *texts[name]])) for name in texts.columns}
    wide = sum(widths.values()) + len(widths)
    if wide <= console.width or not console.is_terminal:
        _table(Console(width=max(wide, console.width)), texts, {})
        return
    most = max(cell_len(str(name)) for name in texts.columns)
    for number, row in enumerate(texts.itertuples(index=False), 1):
        console.print(f"row {number:,}", style="bold")
        for name, text in zip(texts.columns, row, strict=True):
            _say(console, f"{visible(str(name)):<{most}}  {text}")


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
        _say(
            console,
            f"{row['delivery']}  {row['bars']:,} bars, {row['refused']:,} refused{gone}  {symbols}  {files}"
            f"{kind if row['kind'] else ''}",
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
    from whatif.sources import NEWS_RULES, RULES, TICK_RULES

    frame = list_refused(LakeLocation.from_environment(), source, symbol, rule)
    console = Console()
    if frame.empty:
        _say(
            console,
            "no row is in quarantine" + (" of what was asked for" if source or symbol or rule else ""),
        )
    known = {**NEWS_RULES, **TICK_RULES, **RULES}
    for name, count in frame["rule"].value_counts().items():
        _say(console, f"{count:,} {name} (rule: {known.get(str(name), 'of an older version')})")
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
        _say(Console(), f"{', '.join(f'{count:,} {name}' for name, count in gone.items())} {word}")
        return
    found = take_back(LakeLocation.from_environment(), symbol, source, delivery, dry_run=dry_run)
    console = Console()
    _say(console, found.summary())
    _say(console, "dry run: nothing was written" if dry_run else "next: whatif bars")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _write(frame: pd.DataFrame, path: Path | None) -> None:
    if path is not None:
        from whatif.paths import written_whole

        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part:
            frame.to_csv(part, index=False)


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
        _say(console, f"{location.described} is sound")
        return
    if mend:
        for done in repair(location, findings):
            _say(console, f"mended: {done}")
        findings = examine(location)
        if not findings:
            _say(console, f"{location.described} is sound now; run the command that failed again")
            return
    for finding in findings:
        _say(console, f"{finding.where}: {finding.problem}\n  remedy: {finding.remedy}")
    if not mend and any(finding.repair is not None for finding in findings):
        _say(console, "next: whatif doctor --repair")
    raise typer.Exit(1)


def maintain() -> None:
    """Join small files of the lake's tables, drop old snapshots and files that none names; no row changes."""
    from whatif.lake import maintain_all

    console, location = Console(), LakeLocation.from_environment()
    done = maintain_all(location, spark=_writer(location, False, "whatif maintain"))
    for one in done:
        _say(console, one.summary())
    if not done:
        _say(console, f"{location.described} holds no table: 'whatif ingest' brings bars")
