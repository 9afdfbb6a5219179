"""Options of an ingest of files, as the user gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from whatif.domain import broken_symbol, canonical_timeframe, duration_us
from whatif.errors import CalendarError, SourceError, StudyError, nearest
from whatif.exchanges import time_zone
from whatif.sources.numbers import NumberStyle, number_style
from whatif.sources.patterns import DAY_COUNTS, EPOCH_FORMATS, check_time_format
from whatif.sources.zones import check_timezone
from whatif.texts import shown

STAMPS = ("start", "end")
TARGETS: Mapping[str, tuple[str, ...]] = {
    "bars": (
        "ts",
        "symbol",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "vwap",
        "trade_count",
        "complete",
    ),
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
    timeframe : str, optional
        Length of a bar: "1min", "5min", "1h", "1d"; "60min" becomes "1h". Lean files name it in their path.
        Left out, a delivery's files tell it by their spacing and names, and 1min is taken where they do not.
    stamps : str, optional
        "start" or "end": which end of its bar a stamp marks. Days are dates either way. Left out, what the
        layout documents, or what the edges of sessions show; else start.
    columns : mapping of str to tuple of str
        Table column → names in the file; several are joined with a blank (`ts=Date+Time`),
        none means that the file has no such column (`volume=`: volumes are 0).
        Columns left out are found by their usual names, in any case.
    header : tuple of str
        Names of the file's columns, instead of its own header or where it has none.
    delimiter : str, optional
        One character; the most frequent of , ; tab | in the first line if left out.
    time_format : str, optional
        `strptime` format, or "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"; "days_1900", "days_1904",
        days as spreadsheets count them; ISO 8601 if left out.
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
    layout : str, optional
        Name of a documented layout (`whatif.sources.providers`), where a file does not show which it is.
    skip : int, optional
        Lines before the first row, a header among them; `header` then names the columns.
    shift : str, optional
        How far the clock of the stamps is ahead of `timezone`, such as "7h" or "-30min": servers of brokers
        that keep New York's time plus 7 hours.
    ambiguous : str, optional
        "order": a local time that occurs twice when clocks are set back is told by the order of rows, where
        stamps step back in it. Left out, such rows are refused.
    price_unit : float
        What prices are divided by: 1e9 of Databento's whole numbers.
    units : bool
        Whether numbers carry a currency's sign (`$187.15`), or K, M, B for thousands and more (`1.2K`).
    allow_nonpositive : bool
        Whether bars with a price at or below zero land, as spreads and power have; they are told and flagged
        by `whatif bars --check`, and a study that reads one is refused. Left out, such rows are refused.
    """

    format: str = "auto"
    symbol: str | None = None
    exchange: str | None = None
    timezone: str | None = None
    timeframe: str | None = None
    stamps: str | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    delimiter: str | None = None
    time_format: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    symbol_from: str | None = None
    accept: bool = False
    rows: str = "bars"
    layout: str | None = None
    skip: int | None = None
    shift: str | None = None
    ambiguous: str | None = None
    price_unit: float = 1.0
    units: bool = False
    allow_nonpositive: bool = False

    def __post_init__(self) -> None:
        if self.stamps is not None:
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
        if self.timeframe is not None:
            try:
                object.__setattr__(self, "timeframe", canonical_timeframe(self.timeframe))
            except StudyError as error:
                raise SourceError(str(error)) from error
        if self.timezone is not None:
            check_timezone(self.timezone)
        if self.exchange is not None:
            check_exchange(self.exchange)
        if self.time_format is not None and self.time_format not in (*EPOCH_FORMATS, *DAY_COUNTS):
            check_time_format(self.time_format)
        if self.symbol_from is not None:
            _one_of("symbol_from", self.symbol_from, ("file",))
            if self.symbol is not None:
                raise SourceError(
                    f"the symbol {self.symbol!r} is given, and --symbol-from as well: leave one out"
                )
        number_style(self.decimal, self.thousands, self.units)
        self._check_stated()

    def _check_stated(self) -> None:
        """Check the options that say what a file does not show."""
        if self.layout is not None:
            from whatif.sources.providers import layout_names

            _one_of("layout", self.layout, layout_names())
        if self.ambiguous is not None:
            _one_of("ambiguous", self.ambiguous, ("order",))
        if self.skip is not None and self.skip < 0:
            raise SourceError(f"skip {self.skip} is below 0: give how many lines come before the first row")
        if self.skip is not None and not self.header:
            raise SourceError("--skip leaves the header out: name the columns with --columns as well")
        if not self.price_unit > 0:
            raise SourceError(
                f"price unit {self.price_unit:g} is not above 0: give what prices are divided by"
            )
        if self.shift is not None and self.timezone is None and self.layout is None:
            raise SourceError(
                f"shift {self.shift} is of no clock: give the zone that it is ahead of, as in "
                "--timezone America/New_York"
            )
        if self.shift is not None:
            shift_us(self.shift)

    @property
    def numbers(self) -> NumberStyle:
        """Return how the files write numbers."""
        return number_style(self.decimal, self.thousands, self.units)


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


def shift_us(shift: str | None) -> int:
    """Return a shift in microseconds; 0 for none.

    Raises
    ------
    SourceError
        If it is no length of time such as "7h" or "-30min", or longer than a day.
    """
    if shift is None:
        return 0
    text = shift.strip()
    sign = -1 if text.startswith("-") else 1
    try:
        length = duration_us(text.lstrip("+-"))
    except StudyError as error:
        raise SourceError(f"shift {shown(shift)}: {error}") from error
    if length > 24 * 3_600_000_000:
        raise SourceError(f"shift {shown(shift)} is longer than a day: give hours, such as 7h")
    return sign * length


def check_exchange(name: str) -> None:
    """Raise SourceError unless `name` has a calendar."""
    try:
        time_zone(name)
    except CalendarError as error:
        raise SourceError(str(error)) from error


def _one_of(what: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise SourceError(f"{what} {value!r} is unknown: {nearest(value, valid)}")
