"""QuantConnect Lean's zipped trade bars: minute, hour and daily; and its ticks.

A minute's file holds milliseconds since local midnight, an hour's and a day's `YYYYMMDD HH:MM`; then
open, high, low, close and volume, without a header. Stamps are the bar's start. Extended hours are
included, minutes without trades are not.

Paths say where, in what unit and by which clock: `Data/TYPE/MARKET/minute/SYMBOL/YYYYMMDD_trade.zip`,
`Data/TYPE/MARKET/hour|daily/SYMBOL.zip` or `…/SYMBOL_trade.zip`. Rules by type and market are those of
Lean's own readmes and of its market-hours-database: prices of equities and options are in 1/10,000, all
others as they are. Ticks lie in `Data/TYPE/MARKET/tick/SYMBOL/YYYYMMDD_trade.zip` and `…_quote.zip`:
milliseconds with a fraction, price and size, or bid, bid size, ask and ask size, and of some types venue,
conditions and whether the tick is suspicious.
"""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from whatif.calendars import canonical_exchange
from whatif.errors import SourceError
from whatif.sources.bounded import open_archive, open_member, text_of
from whatif.sources.chunk import Chunk, Layout
from whatif.sources.delimited import CHUNK_ROWS, read_rows
from whatif.sources.file_source import FileSource
from whatif.sources.opening import MEMBER, open_binary
from whatif.sources.spec import IngestSpec

SCALED = 10_000.0
PRICE_UNITS = {
    "equity": SCALED,
    "option": SCALED,
    "indexoption": SCALED,
    "index": 1.0,
    "future": 1.0,
    "crypto": 1.0,
    "cryptofuture": 1.0,
}
"""What a price is divided by, of the types whose trades can be read."""

MARKETS = {
    ("equity", "usa"): ("XNYS", "America/New_York"),
    ("option", "usa"): ("XNYS", "America/New_York"),
    ("indexoption", "usa"): ("XNYS", "America/New_York"),
    ("index", "usa"): ("XNYS", "America/New_York"),
    ("equity", "india"): ("XBOM", "Asia/Kolkata"),
    ("future", "cme"): ("CMES", "UTC"),
    ("future", "cbot"): ("CMES", "UTC"),
    ("future", "nymex"): ("CMES", "UTC"),
    ("future", "comex"): ("CMES", "UTC"),
    ("future", "cfe"): ("XCBF", "UTC"),
    ("future", "ice"): ("IEPA", "UTC"),
}
"""Calendar and time zone of the stamps by security type and market; crypto is 24/7, UTC."""

TIMEFRAMES = {"minute": "1min", "hour": "1h", "daily": "1d"}
CONTRACTS = ("future", "option", "indexoption")
"""Types whose zips hold a file for each contract."""

_TYPES = "equity|option|indexoption|index|future|futureoption|forex|cfd|crypto|cryptofuture"
_PATH = re.compile(
    rf"/(?P<kind>{_TYPES})/(?P<market>[^/]+)/(?P<resolution>tick|second|minute|hour|daily)/(?P<rest>.+)\.zip$",
    re.IGNORECASE,
)
_WITHIN_A_DAY = re.compile(r"(?P<symbol>[^/]+)/(?P<day>\d{8})_(?P<ticks>[a-z]+)(_\w+)?$", re.IGNORECASE)
_LONGER = re.compile(
    r"(?P<symbol>[^/]+?)(_\d{4})?(_(?P<ticks>trade|quote|openinterest)(_\w+)?)?$", re.IGNORECASE
)
_FUTURE = re.compile(r"_trade_(?P<expiry>\d{6,8})\.csv$", re.IGNORECASE)
_OPTION = re.compile(
    r"_trade_[a-z]+_(?P<right>call|put)_(?P<strike>\d+)_(?P<expiry>\d{8})\.csv$", re.IGNORECASE
)
_BESIDE = re.compile(
    r"/(factor_files|map_files|margins|universes|shortable|fundamental|symbol-properties|market-hours|"
    r"interest-rate|alternative)/",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class LeanPath:
    """What a path says.

    Attributes
    ----------
    kind, market : str
        Security type and market, such as "equity" and "usa"; small letters.
    resolution : str
        "minute", "hour", "daily", "second" or "tick".
    symbol : str
        In capitals.
    ticks : str
        "trade", "quote" or "openinterest".
    day : str or None
        YYYYMMDD, where a file holds one.
    """

    kind: str
    market: str
    resolution: str
    symbol: str
    ticks: str
    day: str | None = None

    def unread(self, spec: IngestSpec) -> str | None:
        """Return why such a file is not read, or None."""
        if self.kind in ("forex", "cfd") or self.ticks == "quote":
            return "quotes: bid and ask, and no trades"
        if self.ticks == "openinterest":
            return "open interest, and no trades"
        if self.resolution not in TIMEFRAMES:
            return "shorter than a minute"
        if self.kind not in PRICE_UNITS:
            return f"security type {self.kind} is not supported"
        if self.place(spec) is None:
            return f"market {self.kind}/{self.market} has no known hours: give --exchange and --timezone"
        return None

    def place(self, spec: IngestSpec) -> tuple[str, str] | None:
        """Return exchange and time zone: as the user says, else the market's; None if neither does."""
        around_the_clock = ("24/7", "UTC") if self.kind in ("crypto", "cryptofuture") else None
        known = MARKETS.get((self.kind, self.market), around_the_clock)
        exchange = spec.exchange or (known[0] if known else None)
        timezone = spec.timezone or (known[1] if known else None)
        return None if exchange is None or timezone is None else (exchange, timezone)


def lean_path(source: str) -> LeanPath | None:
    """Return what a path says, or None if it is none of Lean's."""
    found = _PATH.search(source.replace("\\", "/").partition(MEMBER)[0])
    if found is None:
        return None
    resolution = found["resolution"].lower()
    longer = resolution in ("hour", "daily")
    rest = (_LONGER if longer else _WITHIN_A_DAY).match(found["rest"])
    if rest is None:
        return None
    return LeanPath(
        kind=found["kind"].lower(),
        market=found["market"].lower(),
        resolution=resolution,
        symbol=rest["symbol"].upper(),
        ticks=(rest["ticks"] or "trade").lower(),
        day=None if longer else rest["day"],
    )


def contract_of(source: str) -> str | None:
    """Return the symbol of a contract from the name of its file in a zip: root, expiry, right and strike."""
    path, _, member = source.partition(MEMBER)
    said = lean_path(path)
    if said is None or not member:
        return None
    if option := _OPTION.search(member):
        strike = int(option["strike"]) / SCALED
        return f"{said.symbol} {option['expiry']} {option['right'][0].upper()} {strike:g}"
    future = _FUTURE.search(member)
    return None if future is None else f"{said.symbol} {future['expiry']}"


def sort_out(
    files: Sequence[str], zips: Sequence[str], spec: IngestSpec
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sources to read of a delivery, and notes on the files of Lean's that are not read.

    `zips` are those of the files that may be Lean's. A zip of several contracts is a source for each of
    them. Files that are not Lean's are returned as they are, but for those that lie beside the bars in
    Lean's folder.

    Raises
    ------
    SourceError
        If nothing is left to read, options would hold for several markets, or a symbol is in two.
    """
    said = {file: lean_path(file) for file in zips}
    if not any(said.values()):
        return tuple(files), ()
    kept: list[str] = []
    skipped: dict[str, list[str]] = defaultdict(list)
    for file in files:
        path = said.get(file)
        if path is not None and (reason := path.unread(spec)) is not None:
            skipped[reason].append(file)
        elif path is None and _BESIDE.search(file.replace("\\", "/")):
            skipped["not bars"].append(file)
        else:
            kept.append(file)
    notes = _notes(skipped)
    if not kept:
        raise SourceError("no file of the delivery holds bars of trades:\n  " + "\n  ".join(notes))
    paths = [path for file in kept if (path := said.get(file)) is not None]
    _check_one_market(paths, spec)
    sources, contracts = _contracts(kept, said)
    return sources, (*notes, *contracts)


def _notes(skipped: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(
        f"{len(files):,} file{'s' * (len(files) != 1)} skipped ({reason}), first {files[0]}"
        for reason, files in skipped.items()
    )


def _check_one_market(paths: Iterable[LeanPath], spec: IngestSpec) -> None:
    markets: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        markets[path.symbol].add(f"{path.kind}/{path.market}")
    every = sorted(set().union(*markets.values()))
    if len(every) > 1 and (spec.exchange or spec.timezone):
        raise SourceError(
            f"the delivery holds {', '.join(every)}, and --exchange and --timezone would hold for all: "
            "leave them out, or ingest one market at a time"
        )
    if spec.symbol is not None and set(markets) - {spec.symbol.strip().upper()}:
        raise SourceError(
            f"--symbol {spec.symbol}: Lean's files name their symbols in their paths "
            f"({', '.join(sorted(markets)[:4])}): leave it out"
        )
    for symbol, places in sorted(markets.items()):
        if len(places) > 1:
            raise SourceError(
                f"symbol {symbol} is in {' and in '.join(sorted(places))}, whose bars would take each "
                "other's place: ingest one market into a lake"
            )


def _contracts(
    files: Sequence[str], said: dict[str, LeanPath | None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return sources with zips of contracts opened, and notes on symbols that stand for one contract."""
    members = {
        file: _members(file)
        for file in files
        if (path := said.get(file)) is not None and path.kind in CONTRACTS
    }
    contracts: dict[str, set[str]] = defaultdict(set)
    for file, names in members.items():
        for name in names:
            symbol = contract_of(f"{file}{MEMBER}{name}")
            if symbol is None:
                raise SourceError(
                    f"{file}: {name} in it is not named as Lean names contracts: fetch it again"
                )
            contracts[symbol.partition(" ")[0]].add(symbol)
    sources: list[str] = []
    for file in files:
        path = said.get(file)
        if (
            file not in members
            or path is None
            or (path.kind == "future" and len(contracts[path.symbol]) == 1)
        ):
            sources.append(file)
        else:
            sources += [f"{file}{MEMBER}{name}" for name in members[file]]
    alone = sorted({path.symbol for file in members if (path := said[file]) and file in sources})
    notes = [
        f"{root} is the contract {next(iter(contracts[root]))}, the only one that came" for root in alone
    ]
    return tuple(sources), tuple(notes)


def _members(file: str) -> list[str]:
    try:
        with open_binary(file) as stream, open_archive(file, stream) as archive:
            return sorted(archive.namelist())
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise SourceError(f"{file}: is not a zip, or half-written ({error}): fetch it again") from error


NAMES = ("ts", "open", "high", "low", "close", "volume")


_TRADE, _QUOTE = ("ts", "price", "size"), ("ts", "bid", "bid_size", "ask", "ask_size")
_TOLD = ("venue", "conditions", "suspicious")

TICKS: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "trades": {3: _TRADE, 4: (*_TRADE, "suspicious"), 6: (*_TRADE, *_TOLD)},
    "quotes": {5: _QUOTE, 6: (*_QUOTE, "suspicious"), 8: (*_QUOTE, *_TOLD)},
}
"""Columns of ticks by the number of fields: crypto's have neither venue nor conditions."""


class Lean(FileSource):
    """Zipped trade bars of QuantConnect Lean, by the paths of its data folder."""

    endings: ClassVar[tuple[str, ...]] = (".zip",)

    @classmethod
    def claims(cls, path: str) -> bool:
        """Tell whether a path is one of Lean's data folder."""
        return lean_path(path) is not None

    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield the rows of a zip, or of one file in it: `ZIP::NAME`."""
        return read_lean(path, self.spec)

    @classmethod
    def rows_of(cls, path: str, spec: IngestSpec) -> str:
        """Return what a row of a file is: its path says so of ticks."""
        said = lean_path(path)
        return f"{said.ticks}s" if said is not None and f"{said.ticks}s" in TICKS else spec.rows

    @classmethod
    def sort_out(
        cls, files: Sequence[str], own: Sequence[str], spec: IngestSpec
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the parts of a delivery: bars of trades alone, zips of contracts opened."""
        return sort_out(files, own, spec)


def read_lean(source: str, spec: IngestSpec, chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Yield the rows of one of Lean's zip files, or of one file in it: `ZIP::NAME`.

    Raises
    ------
    SourceError
        If the path is not one of Lean's, or the file is not a whole zip of one CSV file.
    """
    layout = lean_layout(source, spec)
    path, _, wanted = source.partition(MEMBER)
    with open_binary(path) as stream:
        try:
            with open_archive(path, stream) as archive:
                members = [wanted] if wanted else archive.namelist()
                if len(members) != 1:
                    raise SourceError(
                        f"{source}: holds {len(members)} files, Lean's zips hold one: fetch it again"
                    )
                columns = _fitting(source, archive, members[0], spec)
                with open_member(source, archive, members[0]) as member:
                    yield from read_rows(layout, columns, text_of(source, member, "utf-8"), chunk_rows)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise SourceError(f"{source}: is not a zip, or half-written ({error}): fetch it again") from error


def _fitting(source: str, archive: zipfile.ZipFile, member: str, spec: IngestSpec) -> Sequence[str]:
    """Return the columns of a file; of ticks, those that its first line has."""
    if spec.rows == "bars":
        return NAMES
    names = TICKS[spec.rows]
    with open_member(source, archive, member) as opened:
        count = text_of(source, opened, "utf-8").readline().count(",") + 1
    if count not in names:
        known = " or ".join(str(number) for number in names)
        raise SourceError(
            f"{source}: rows have {count} fields, and Lean's ticks of this kind have {known}: fetch it again"
        )
    return names[count]


def lean_layout(source: str, spec: IngestSpec) -> Layout:
    """Return what a Lean path says: symbol, timeframe, day, unit of prices, calendar and time zone.

    Raises
    ------
    SourceError
        If it is none of Lean's paths, or one of what is not read.
    """
    path = lean_path(source)
    if path is not None and spec.rows != "bars":
        return _tick_layout(source, path, spec)
    if path is None:
        raise SourceError(
            f"{source}: is not a path of Lean's trade bars: expected TYPE/MARKET/minute/SYMBOL/"
            "YYYYMMDD_trade.zip, TYPE/MARKET/hour/SYMBOL.zip or TYPE/MARKET/daily/SYMBOL.zip, such as "
            "equity/usa/daily/spy.zip; unpack other archives and give --format csv"
        )
    reason = path.unread(spec)
    if reason is not None:
        raise SourceError(f"{source}: is not read: {reason}")
    return _layout(source, path, spec, TIMEFRAMES[path.resolution])


def _layout(source: str, path: LeanPath, spec: IngestSpec, timeframe: str) -> Layout:
    place, day = path.place(spec), path.day
    assert place is not None
    return Layout(
        source=source,
        symbol=contract_of(source) or path.symbol,
        timeframe=timeframe,
        exchange=canonical_exchange(place[0]),
        timezone=place[1],
        price_unit=PRICE_UNITS[path.kind],
        time_format="%Y%m%d %H:%M" if day is None else "lean_ms",
        day=None if day is None else f"{day[:4]}-{day[4:6]}-{day[6:]}",
        allow_nonpositive=spec.allow_nonpositive,
    )


def _tick_layout(source: str, path: LeanPath, spec: IngestSpec) -> Layout:
    reason = None
    if path.resolution != "tick":
        reason = "bars, and no ticks: 'whatif ingest' reads those of trades"
    elif f"{path.ticks}s" not in TICKS:
        reason = "open interest, and neither trades nor quotes"
    elif path.kind not in PRICE_UNITS:
        reason = f"security type {path.kind} is not supported"
    elif path.place(spec) is None:
        reason = f"market {path.kind}/{path.market} has no known hours: give --exchange and --timezone"
    if reason is not None:
        raise SourceError(f"{source}: is not read: {reason}")
    return _layout(source, path, spec, "1min")
