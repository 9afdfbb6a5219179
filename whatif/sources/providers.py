"""Documented layouts of files of bars, by the name of who writes them.

A layout states only what a file cannot show of itself: by which clock it writes, of which calendar its
sessions are, which end of a bar a stamp marks, what its columns are where it has no header. Everything else
is told by the file (`whatif.sources.conclude`). Each is from what its provider documents; tests write such
files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from whatif.sources.columns import bare_name

FX, ALWAYS, NEW_YORK = "FX", "24/7", "America/New_York"
EASTERN_STANDARD = "Etc/GMT+5"
"""Five hours behind UTC in summer too."""

_KLINE = (
    "open time", "open", "high", "low", "close", "volume", "close time", "quote volume", "trades",
    "taker base volume", "taker quote volume", "ignore",
)  # fmt: skip
_MINUTES = r"(?P<minutes>1|5|15|30|60|240|1440)"


@dataclass(frozen=True)
class Provider:
    """A documented layout.

    Attributes
    ----------
    name : str
        What `--layout` calls it.
    header : tuple of str
        Columns that its header has, as `bare_name` writes them, in any order among others.
    columns : tuple of str
        Names of all columns of files without a header.
    file : str
        Regular expression that matches the whole of a file's name, endings left out; "" for any name. Its
        groups: `symbol`, `timeframe` as `timeframe_in` reads it, `minutes`.
    above : str
        What stands above the header, in small letters.
    timezone, exchange, stamps, time_format, timeframe : str, optional
        As in `IngestSpec`.
    price_unit : float
        What prices are divided by where they are whole numbers.
    mapping : mapping of str to str
        Column of the table → name, as `bare_name` writes it, where the usual order is not right.
    by_name : bool
        Whether only `--layout` says that a file is of it: nothing in the file shows it.
    row : str
        Regular expression that matches the whole first row, commas between its fields; "" for any row.
    """

    name: str
    header: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    file: str = ""
    above: str = ""
    timezone: str | None = None
    exchange: str | None = None
    stamps: str | None = None
    time_format: str | None = None
    timeframe: str | None = None
    price_unit: float = 1.0
    mapping: Mapping[str, str] = field(default_factory=dict)
    by_name: bool = False
    row: str = ""

    def fits(self, stem: str, names: Sequence[str], width: int, above: str, row: Sequence[str]) -> bool:
        """Tell whether a file shows that it is of this layout.

        Parameters
        ----------
        stem : str
            Its name without endings.
        names : sequence of str
            Its header, as `bare_name` writes it; none if it has none.
        width : int
            Fields of a row.
        above : str
            The lines above the header.
        row : sequence of str
            Its first row.
        """
        if self.by_name or not (self.header or self.file or self.above or self.columns):
            return False
        if self.header and not set(self.header) <= set(names):
            return False
        if self.columns and not self.header and (names or len(self.columns) != width):
            return False
        if self.file and re.fullmatch(self.file, stem) is None:
            return False
        if self.row and re.fullmatch(self.row, ",".join(row)) is None:
            return False
        return not self.above or self.above in above.lower()


_OHLC = ("open", "high", "low", "close")
_FREQTRADE = r"(?P<symbol>[A-Z0-9]+_[A-Z0-9]+(_[A-Z0-9]+)?)-(?P<timeframe>\d+[mhd])(-(spot|futures))?"
_COUNTED = r"\d{10,16}(\.\d*)?,.*"
"""A row whose stamp counts from 1970."""

PROVIDERS = (
    Provider("binance", columns=_KLINE, exchange=ALWAYS, row=r"\d{10,16}(,[^,]*){5},\d{10,16}(,[^,]*){5}"),
    Provider("binance", header=("open time", "close time", "base asset volume"), exchange=ALWAYS,
             file=r"(?P<symbol>[A-Z0-9]+_[A-Z0-9]+)-(?P<timeframe>\d+[a-z])-[\d-]+"),
    Provider("binance", header=("open time", "close time", "quote volume"), exchange=ALWAYS),
    Provider("binance", header=("open time", "close time", "quote asset volume"), exchange=ALWAYS),
    Provider("cryptodatadownload", above="cryptodatadownload", exchange=ALWAYS, timezone="UTC"),
    Provider("cryptodatadownload", header=("unix", "date", "symbol", *_OHLC), exchange=ALWAYS,
             timezone="UTC"),
    Provider("histdata", file=r"DAT_(ASCII|MT|NT|XLSX)_(?P<symbol>[A-Z]{6})_(?P<timeframe>M1)_\d+",
             timezone=EASTERN_STANDARD, exchange=FX, timeframe="1min"),
    Provider("dukascopy", file=r"(?P<symbol>[\w.]+?)_Candlestick_(?P<timeframe>\d+_[A-Za-z]+)_(BID|ASK)_.*",
             timezone="UTC"),
    Provider("dukascopy", header=("gmt time", *_OHLC), timezone="UTC"),
    Provider("dukascopy", file=r"(?P<symbol>[a-z]{6}|[a-z0-9]+usd)-(?P<timeframe>[mhd]\d+)-(bid|ask)(-.*)?"),
    Provider("metatrader", header=("date", *_OHLC, "tickvol", "vol", "spread"),
             file=r"(?P<symbol>.+?)_(?P<timeframe>M\d+|H\d+|D1|Daily)(_\d+)*"),
    Provider("metatrader", header=("date", *_OHLC, "tickvol", "vol", "spread")),
    Provider("tradingview", header=("time", *_OHLC),
             file=r"[A-Z][A-Z0-9_]*?[_:]?(?<![A-Z0-9])(?P<symbol>[A-Z0-9.!]+), "
                  r"(?P<timeframe>\w+?)(_\w+)?( ?\(\d+\))?"),
    Provider("ib", header=("date", *_OHLC, "volume", "average", "bar count")),
    Provider("ib", header=("date", *_OHLC, "volume", "average", "barcount")),
    Provider("ninjatrader", file=r"(?P<symbol>.+)\.(Last|Bid|Ask)", stamps="end", timezone="UTC"),
    Provider("polygon", header=("ticker", "window start", "transactions"), mapping={"ts": "window start"}),
    Provider("alpaca", header=("timestamp", *_OHLC, "volume", "trade count", "vwap")),
    Provider("firstrate", timezone=NEW_YORK,
             file=r"(?P<symbol>[A-Z0-9.\-]+)(_(full|month|week|day|sample|continuous))*"
                  r"_(?P<timeframe>1min|5min|30min|1hour|1day)(_\w+)?"),
    Provider("kibot", time_format="%m/%d/%Y %H:%M", timezone=NEW_YORK, by_name=True),
    Provider("eodhd", header=("timestamp", "gmtoffset", "datetime"), mapping={"ts": "timestamp"}),
    Provider("alphavantage", timezone=NEW_YORK, exchange="XNYS",
             file=r"(intraday|daily|daily_adjusted)_(?P<timeframe>\d+min)?_?(?P<symbol>[A-Z.\-]+)"),
    Provider("nasdaq", header=("date", "close last", "volume", "open", "high", "low"), exchange="XNYS",
             time_format="%m/%d/%Y"),
    Provider("kdb", header=("date", "sym", "time"), mapping={"symbol": "sym"}),
    Provider("databento", header=("ts event", "rtype", "publisher id", "instrument id"), price_unit=1e9),
    Provider("freqtrade", header=("date", *_OHLC, "volume"), exchange=ALWAYS, file=_FREQTRADE),
    Provider("freqtrade", columns=("timestamp", *_OHLC, "volume"), exchange=ALWAYS, file=_FREQTRADE,
             row=_COUNTED),
    Provider("kraken", columns=("timestamp", *_OHLC, "volume", "trades"), exchange=ALWAYS,
             file=rf"(?P<symbol>[A-Z0-9]+)_{_MINUTES}", row=_COUNTED),
    Provider("bitmex", header=("timestamp", *_OHLC, "trades", "volume", "vwap", "last size", "turnover"),
             exchange=ALWAYS, stamps="end"),
    Provider("coinapi", header=("time period start", "price open", "volume traded"), exchange=ALWAYS),
    Provider("mt4", file=rf"(?P<symbol>[A-Z]{{6}}){_MINUTES}"),
    Provider("moex", header=("begin", "end", *_OHLC), timezone="Europe/Moscow"),
    Provider("finam", header=("ticker", "per", "date", "time", *_OHLC, "vol")),
)  # fmt: skip
"""Layouts, those that say more of themselves first."""


def layout_names() -> tuple[str, ...]:
    """Return the names of documented layouts, in order."""
    return tuple(sorted({one.name for one in PROVIDERS}))


def provider_of(
    named: str | None, stem: str, names: Sequence[str], width: int, above: str, row: Sequence[str] = ()
) -> Provider | None:
    """Return the layout that a user names or that a file shows; None if it shows none.

    Parameters
    ----------
    named : str or None
        As `--layout`.
    stem, width, above, row
        As in `Provider.fits`.
    names : sequence of str
        The file's header as it is.
    """
    bare = [bare_name(name) for name in names]
    every = [one for one in PROVIDERS if named is None or one.name == named]
    found = next((one for one in every if one.fits(stem, bare, width, above, row)), None)
    if found is None and named is not None:
        found = next((one for one in every if not one.columns or len(one.columns) == width), every[0])
    return found


_UNITS = {
    "m": 1, "min": 1, "mins": 1, "minute": 1, "minutes": 1, "t": 1, "h": 60, "hour": 60, "hours": 60,
    "hr": 60, "d": 1440, "day": 1440, "days": 1440, "daily": 1440,
}  # fmt: skip
_TIMEFRAME = re.compile(
    r"(?:(?P<n>\d+)[ _]?(?P<unit>[A-Za-z]+)|(?P<Unit>[A-Za-z]+)(?P<N>\d+)?|(?P<only>\d+))"
)


def timeframe_in(text: str) -> str | None:
    """Return the timeframe that a word such as 1m, M15, 1hour, 60, D or daily names; None if it names none.

    A capital M behind the number is a month, as crypto exchanges write it.
    """
    found = _TIMEFRAME.fullmatch(text.strip())
    if found is None:
        return None
    unit = found["unit"] or found["Unit"] or "min"
    if found["unit"] == "M" and "_" not in text:
        return None
    count = int(found["n"] or found["N"] or found["only"] or 1)
    if found["Unit"] and not found["N"] and unit.lower() not in ("d", "daily", "day", "hour", "minute"):
        return None
    minutes = _UNITS.get(unit.lower())
    return None if minutes is None or count == 0 else name_of_minutes(count * minutes)


def name_of_minutes(minutes: int) -> str | None:
    """Return the timeframe of a number of minutes; None if it divides no day."""
    if minutes == 1440:
        return "1d"
    if minutes > 1440 or 1440 % minutes:
        return None
    return f"{minutes}min" if minutes % 60 else f"{minutes // 60}h"
