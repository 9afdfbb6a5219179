"""Commands for what the lake holds: bars listed, checked and drawn, and symbols described."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from whatif.cli.listing import (
    Options,
    print_table,
    say,
    write_list,
    writing_session,
)
from whatif.errors import LakeError, SourceError
from whatif.pins import LakeLocation
from whatif.texts import visible

if TYPE_CHECKING:
    import pandas as pd


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
    print_table(console, frame[list(frame.columns[:_LISTED])], _HEADINGS)
    for line in _told(frame, bool(symbols)):
        say(console, line)
    write_list(frame, csv)


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
    say(Console(), f"written: {write_prices(symbol, said, frames, found, path)}")


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
    from whatif.lake import describe as keep

    location = LakeLocation.from_environment()
    texts = {"description": description, "owner": owner, "asset_class": asset_class, "licence": licence}
    given = {name: text for name, text in texts.items() if text is not None}
    found = _overviews(service, symbols or (), source, options or ())
    spark = writing_session(location, False, "whatif describe")
    several: list[tuple[list[str], dict[str, str], tuple[str, ...]]] = [
        ([name], {**own, **given}, (*tags, *(tag or ()))) for name, own, tags in found
    ]
    for names, said, tags in several or [(symbols or [], given, tuple(tag or ()))]:
        for name, about in keep(location, names, source, said, tags, untag or (), spark).items():
            say(Console(), visible(f"{name}: {about.line() or 'nothing is said of it any more'}"))


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
    print_table(console, summary, {"covered": "     there", "without": "empty", "lowest": "    lowest"})
    counts = found.found["rule"].value_counts()
    for name, rule in QUALITY_RULES.items():
        if name in counts:
            word = "error" if rule.error else "warning"
            say(console, f"{word} {name}, {counts[name]:,} of them (rule: {rule.text})")
    told = found.found.sort_values("error", ascending=False, kind="stable")
    for row in told.head(top).to_dict("records"):
        measure = QUALITY_RULES[row["rule"]].measure
        where = f"{visible(row['symbol'])} {row['timeframe']} {row['ts']:%Y-%m-%d %H:%M} UTC"
        say(console, f"{where}: {row['rule']}: {row['value']:,.4g} {measure}")
    if len(told) > top:
        say(console, f"… and {len(told) - top:,} more: --top, --html FILE, or --csv FILE for all")
    write_list(found.found, csv)
    if page is not None:
        from whatif.report import write_check

        say(console, f"written: {write_check(found, page)}")
    if found.errors:
        raise typer.Exit(1)
