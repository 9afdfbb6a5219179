"""Options of an ingest of files, as the user gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from whatif.domain import broken_symbol, canonical_timeframe
from whatif.errors import CalendarError, SourceError, StudyError, nearest
from whatif.exchanges import time_zone
from whatif.sources.numbers import NumberStyle, number_style
from whatif.sources.patterns import EPOCH_FORMATS, check_time_format
from whatif.sources.zones import check_timezone
from whatif.texts import shown

STAMPS = ("start", "end")
TARGETS: Mapping[str, tuple[str, ...]] = {
    "bars": ("ts", "symbol", "open", "high", "low", "close", "volume", "vwap", "trade_count"),
    "trades": ("ts", "symbol", "price", "size", "conditions", "venue"),
    "quotes": ("ts", "symbol", "bid", "bid_size", "ask", "ask_size", "conditions", "venue"),
}
"""Columns that files may have, by what a row of theirs is."""


@dataclass(frozen=True)
class IngestSpec:
    """How files of bars are to be read.

    Attributes
    ----------
    format : str
        "csv", "parquet", "lean", one of a user's own, or "auto": by the file's name.
    symbol : str, optional
        The symbol of all rows, where no column names it. Lean files name it in their path.
    exchange : str, optional
        Calendar code, such as "XNYS", "XEUR" or "24/7". Required, but for Lean (XNYS).
    timezone : str, optional
        IANA zone of the stamps. Required unless stamps carry an offset, are days, count
        from 1970, or the file is Lean's (America/New_York).
    timeframe : str
        Length of a bar: "1min", "5min", "1h", "1d"; "60min" becomes "1h". Lean files name it in their path.
    stamps : str
        "start" or "end": which end of its bar a stamp marks. Days are dates either way.
    columns : mapping of str to tuple of str
        Table column → names in the file; several are joined with a blank (`ts=Date+Time`),
        none means that the file has no such column (`volume=`: volumes are 0).
        Columns left out are found by their usual names, in any case.
    header : tuple of str
        Names of the file's columns, instead of its own header or where it has none.
    delimiter : str, optional
        One character; the most frequent of , ; tab | in the first line if left out.
    time_format : str, optional
        `strptime` format, or "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"; ISO 8601 if left out.
    decimal, thousands : str, optional
        Decimal sign, and what stands between thousands; a dot and nothing if left out. With a
        comma for decimals, dots between thousands are understood.
    symbol_from : str, optional
        "file": each file's name, up to its first dot, is the symbol of its rows. A folder such as
        `symbol=SPY` names it without being told.
    accept : bool
        Whether files are taken of which much is refused or looks as if it were read the wrong way.
    rows : str
        What a row is: "bars", "trades" or "quotes".
    """

    format: str = "auto"
    symbol: str | None = None
    exchange: str | None = None
    timezone: str | None = None
    timeframe: str = "1min"
    stamps: str = "start"
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    delimiter: str | None = None
    time_format: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    symbol_from: str | None = None
    accept: bool = False
    rows: str = "bars"

    def __post_init__(self) -> None:
        if self.format != "auto":
            from whatif.sources.kinds import file_kinds

            file_kinds(self.format)
        _one_of("stamps", self.stamps, STAMPS)
        _one_of("rows", self.rows, tuple(TARGETS))
        for target in self.columns:
            _one_of("column", target, TARGETS[self.rows])
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise SourceError(f"delimiter {self.delimiter!r} is not one character: give one, such as ;")
        if self.symbol is not None and not self.symbol.strip():
            raise SourceError("the symbol is empty: name one, such as SPY")
        if self.symbol is not None and (broken := broken_symbol(self.symbol)):
            raise SourceError(f"the symbol {shown(self.symbol)} {broken}")
        try:
            object.__setattr__(self, "timeframe", canonical_timeframe(self.timeframe))
        except StudyError as error:
            raise SourceError(str(error)) from error
        if self.timezone is not None:
            check_timezone(self.timezone)
        if self.exchange is not None:
            check_exchange(self.exchange)
        if self.time_format is not None and self.time_format not in EPOCH_FORMATS:
            check_time_format(self.time_format)
        if self.symbol_from is not None:
            _one_of("symbol_from", self.symbol_from, ("file",))
            if self.symbol is not None:
                raise SourceError(
                    f"the symbol {self.symbol!r} is given, and --symbol-from as well: leave one out"
                )
        number_style(self.decimal, self.thousands)

    @property
    def numbers(self) -> NumberStyle:
        """Return how the files write numbers."""
        return number_style(self.decimal, self.thousands)


def parse_mapping(entries: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the column mapping of entries such as `ts=Date+Time`, `open=Open`, `volume=`.

    Raises
    ------
    SourceError
        If an entry has no =, or names a table column twice.
    """
    mapping: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        target, equals, names = entry.partition("=")
        target = target.strip()
        if not equals:
            raise SourceError(f"column mapping {entry!r} has no '=': write open=Open or ts=Date+Time")
        if target in mapping:
            raise SourceError(
                f"column {target!r} is mapped twice: join file columns with +, as in ts=Date+Time"
            )
        mapping[target] = tuple(name.strip() for name in names.split("+") if name.strip())
    return mapping


def check_exchange(name: str) -> None:
    """Raise SourceError unless `name` has a calendar."""
    try:
        time_zone(name)
    except CalendarError as error:
        raise SourceError(str(error)) from error


def _one_of(what: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise SourceError(f"{what} {value!r} is unknown: {nearest(value, valid)}")
