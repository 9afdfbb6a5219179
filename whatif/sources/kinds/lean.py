"""QuantConnect Lean's zipped trade bars: minute, hour and daily.

A minute's file holds milliseconds since local midnight, an hour's and a day's `YYYYMMDD HH:MM`; then
open, high, low, close and volume, without a header. Stamps are the bar's start. Where, in what unit and
by which clock is what `lean_paths` reads from the path. Extended hours are included, minutes without
trades are not.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from typing import ClassVar

from whatif.calendars import canonical_exchange
from whatif.errors import SourceError
from whatif.sources.bounded import open_archive, open_member, text_of
from whatif.sources.chunk import Chunk, Layout
from whatif.sources.delimited import CHUNK_ROWS, read_rows
from whatif.sources.file_source import FileSource
from whatif.sources.lean_paths import MEMBER, PRICE_UNITS, TIMEFRAMES, contract_of, lean_path, sort_out
from whatif.sources.opening import open_binary
from whatif.sources.spec import IngestSpec

NAMES = ("ts", "open", "high", "low", "close", "volume")


class Lean(FileSource):
    """Zipped trade bars of QuantConnect Lean, by the paths of its data folder."""

    endings: ClassVar[tuple[str, ...]] = (".zip",)

    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield the rows of a zip, or of one file in it: `ZIP::NAME`."""
        return read_lean(path, self.spec)

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
                with open_member(source, archive, members[0]) as member:
                    yield from read_rows(layout, NAMES, text_of(source, member, "utf-8"), chunk_rows)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise SourceError(f"{source}: is not a zip, or half-written ({error}): fetch it again") from error


def lean_layout(source: str, spec: IngestSpec) -> Layout:
    """Return what a Lean path says: symbol, timeframe, day, unit of prices, calendar and time zone.

    Raises
    ------
    SourceError
        If it is none of Lean's paths, or one of what is not read.
    """
    path = lean_path(source)
    if path is None:
        raise SourceError(
            f"{source}: is not a path of Lean's trade bars: expected TYPE/MARKET/minute/SYMBOL/"
            "YYYYMMDD_trade.zip, TYPE/MARKET/hour/SYMBOL.zip or TYPE/MARKET/daily/SYMBOL.zip, such as "
            "equity/usa/daily/spy.zip; unpack other archives and give --format csv"
        )
    place = path.place(spec)
    reason = path.unread(spec)
    if reason is not None or place is None:
        raise SourceError(f"{source}: is not read: {reason}")
    day = path.day
    return Layout(
        source=source,
        symbol=contract_of(source) or path.symbol,
        timeframe=TIMEFRAMES[path.resolution],
        exchange=canonical_exchange(place[0]),
        timezone=place[1],
        price_unit=PRICE_UNITS[path.kind],
        time_format="%Y%m%d %H:%M" if day is None else "lean_ms",
        day=None if day is None else f"{day[:4]}-{day[4:6]}-{day[6:]}",
    )
