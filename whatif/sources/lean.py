"""QuantConnect Lean's zipped trade bars: minute, hour and daily.

`…/minute/SYMBOL/YYYYMMDD_trade.zip` holds milliseconds since local midnight;
`…/hour/SYMBOL.zip` and `…/daily/SYMBOL.zip` hold `YYYYMMDD HH:MM`. Then open, high, low,
close in 1/10,000 dollar and volume, without a header. Stamps are the bar's start,
America/New_York. Extended hours are included, minutes without trades are not.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace

from whatif.errors import SourceError
from whatif.sources.bounded import open_archive, open_member, text_of
from whatif.sources.chunk import Layout, RawChunk
from whatif.sources.delimited import CHUNK_ROWS, read_rows
from whatif.sources.files import open_binary
from whatif.sources.spec import IngestSpec

NAMES = ("ts", "open", "high", "low", "close", "volume")
PRICE_UNIT = 10_000.0
_MINUTE = re.compile(r"/minute/(?P<symbol>[^/]+)/(?P<day>\d{8})_trade\.zip$", re.IGNORECASE)
_LONGER = re.compile(r"/(?P<timeframe>hour|daily)/(?P<symbol>[^/]+)\.zip$", re.IGNORECASE)
_TIMEFRAMES = {"hour": "1h", "daily": "1d"}


def read_lean(source: str, spec: IngestSpec, chunk_rows: int = CHUNK_ROWS) -> Iterator[RawChunk]:
    """Yield the rows of one of Lean's zip files.

    Raises
    ------
    SourceError
        If the path is not one of Lean's, or the file is not a whole zip of one CSV file.
    """
    layout = lean_layout(source, spec)
    with open_binary(source) as stream:
        try:
            with open_archive(source, stream) as archive:
                members = archive.namelist()
                if len(members) != 1:
                    raise SourceError(
                        f"{source}: holds {len(members)} files, Lean's zips hold one: fetch it again"
                    )
                with open_member(source, archive, members[0]) as member:
                    yield from read_rows(layout, NAMES, text_of(source, member, "utf-8"), chunk_rows)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise SourceError(f"{source}: is not a zip, or half-written ({error}): fetch it again") from error


def lean_layout(source: str, spec: IngestSpec) -> Layout:
    """Return what a Lean path says: symbol, timeframe and day."""
    path = source.replace("\\", "/")
    common = Layout(
        source=source,
        timeframe="1min",
        exchange=spec.exchange or "XNYS",
        timezone=spec.timezone or "America/New_York",
        price_unit=PRICE_UNIT,
    )
    if minute := _MINUTE.search(path):
        day = minute["day"]
        return replace(
            common,
            symbol=minute["symbol"].upper(),
            time_format="lean_ms",
            day=f"{day[:4]}-{day[4:6]}-{day[6:]}",
        )
    if longer := _LONGER.search(path):
        return replace(
            common,
            symbol=longer["symbol"].upper(),
            timeframe=_TIMEFRAMES[longer["timeframe"].lower()],
            time_format="%Y%m%d %H:%M",
        )
    raise SourceError(
        f"{source}: is not a path of Lean's trade bars: expected minute/SYMBOL/YYYYMMDD_trade.zip, "
        "hour/SYMBOL.zip or daily/SYMBOL.zip; unpack other archives and give --format csv"
    )
