"""Where a chunk's bars belong: their starts, their sessions, and whether they are of the file's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whatif.domain import DAY_US, timeframe_us
from whatif.sources.chunk import Layout
from whatif.sources.days import find_days
from whatif.sources.grid import find_grid, starts_on
from whatif.sources.review import FileReview, first_rows, overlapping
from whatif.sources.sessions import Tags, breaks_of, tag_bars
from whatif.sources.times import Times
from whatif.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Placed:
    """Bars of a chunk in time.

    Attributes
    ----------
    ts : int64 array (n,)
        Starts, microseconds UTC.
    tags : Tags
        Their sessions.
    off_grid, overlap : bool array (n,)
        Bars that break the rule of that name.
    """

    ts: IntArray
    tags: Tags
    off_grid: BoolArray
    overlap: BoolArray


def place(
    times: Times, layout: Layout, symbol: IntArray | None, review: FileReview, volume: FloatArray
) -> Placed:
    """Return where bars belong; what the first rows of a file tell is kept in `review`.

    Parameters
    ----------
    times : Times
        Stamps.
    layout : Layout
        Timeframe, exchange and end of stamps.
    symbol : int64 array (n,) or None
        Codes of symbols; None if all rows are of one.
    review : FileReview
        Of the file.
    volume : float64 array (n,)
        Units traded.
    """
    known = times.known
    if not known.all():  # a row without a time must not ask for a calendar of 1970
        anchor = times.us[known][0] if known.any() else 0
        times = Times(
            np.where(known, times.us, anchor), times.broken, times.dated, times.wall, times.date_only
        )
    length = timeframe_us(layout.timeframe)
    placed = (
        _days(times, layout, symbol) if length == DAY_US else _bars(times, layout, symbol, review, length)
    )
    if review.first is None:
        review.first = first_rows(times.us, placed.ts, known, symbol, volume, times.date_only, layout)
    return placed


def _bars(times: Times, layout: Layout, symbol: IntArray | None, review: FileReview, length: int) -> Placed:
    ends, us, known = layout.stamps == "end", times.us, times.known
    tags = tag_bars(us - 1, 1, layout.exchange) if ends else tag_bars(us, length, layout.exchange)
    if review.grid is None:
        review.grid = find_grid(us[known], tags.of(known), length, layout.exchange, ends)
    ts, on = starts_on(us, tags, review.grid, layout.exchange, ends)
    tags = tag_bars(ts, length, layout.exchange) if ends else tags
    usable = known & on & tags.found
    cut = (ts == tags.session_open) | (ts == breaks_of(tags, layout.exchange)[1])
    overlap = overlapping(symbol, ts, usable, length, cut)
    return Placed(ts, tags, known & tags.found & ~on, overlap)


def _days(times: Times, layout: Layout, symbol: IntArray | None) -> Placed:
    tags, unclear = find_days(times, layout.exchange, layout.stamps == "end")
    ts = np.where(tags.found, tags.session_open, times.us)
    return Placed(ts, tags, times.known & unclear, _again(times, tags, symbol))


def _again(times: Times, tags: Tags, symbol: IntArray | None) -> BoolArray:
    """Return which stamps name a session that a stamp before it named, at another time."""
    usable = np.flatnonzero(times.known & tags.found)
    codes = np.zeros(len(usable), dtype=np.int64) if symbol is None else symbol[usable]
    order = np.lexsort((usable, tags.session[usable], codes))
    rows = usable[order]
    same = (np.diff(tags.session[rows]) == 0) & (np.diff(codes[order]) == 0) & (np.diff(times.us[rows]) != 0)
    found = np.zeros(len(times.us), dtype=bool)
    found[rows[1:][same]] = True
    return found
