"""What the user says about files of bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from whatif.calendars import time_zone
from whatif.domain.timeframe import canonical_timeframe
from whatif.errors import CalendarError, SourceError, StudyError, nearest

FORMATS = ("auto", "csv", "parquet", "lean")
STAMPS = ("start", "end")
TARGETS = ("ts", "symbol", "open", "high", "low", "close", "volume", "vwap", "trade_count")
EPOCH_FORMATS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": 0}
"""Time formats that count from 1970-01-01 UTC, and microseconds in their unit (0: below one)."""


@dataclass(frozen=True)
class IngestSpec:
    """How files of bars are to be read.

    Attributes
    ----------
    format : str
        "csv", "parquet", "lean", or "auto": by the file's name.
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

    def __post_init__(self) -> None:
        _one_of("format", self.format, FORMATS)
        _one_of("stamps", self.stamps, STAMPS)
        for target in self.columns:
            _one_of("column", target, TARGETS)
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise SourceError(f"delimiter {self.delimiter!r} is not one character: give one, such as ;")
        if self.symbol is not None and not self.symbol.strip():
            raise SourceError("the symbol is empty: name one, such as SPY")
        try:
            object.__setattr__(self, "timeframe", canonical_timeframe(self.timeframe))
        except StudyError as error:
            raise SourceError(str(error)) from error
        if self.timezone is not None:
            check_timezone(self.timezone)
        if self.exchange is not None:
            check_exchange(self.exchange)


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


def check_timezone(name: str) -> None:
    """Raise SourceError unless `name` is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SourceError(
            f"time zone {name!r} is unknown: use an IANA name such as Europe/Berlin; "
            f"{_nearest_or_nothing(name, available_timezones())}"
        ) from error


def check_exchange(name: str) -> None:
    """Raise SourceError unless `name` has a calendar."""
    try:
        time_zone(name)
    except CalendarError as error:
        raise SourceError(str(error)) from error


def _nearest_or_nothing(given: str, valid: Iterable[str]) -> str:
    hint = nearest(given, valid)
    return hint if hint.startswith("did you mean") else "see the tz database"


def _one_of(what: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise SourceError(f"{what} {value!r} is unknown: {nearest(value, valid)}")
