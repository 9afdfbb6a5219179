"""Grids of bars shorter than a day: counted from midnight, or from their session's open."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from whatif.domain import HOUR_US, MINUTE_US
from whatif.sources.sessions import Tags, breaks_of
from whatif.typing import BoolArray, IntArray

_QUARTER_US = 15 * MINUTE_US
_BEFORE_END_US = (0, 1, 1_000, 1_000_000)
"""How long before its bar's end an end stamp may lie: not at all, or one us, ms or s."""


@dataclass(frozen=True)
class Grid:
    """Where bars of a file begin.

    Attributes
    ----------
    length_us : int
        Length of a bar.
    step_us : int
        Distance of the clock's marks; the length, where an hour is a whole number of bars or one bar.
    phase_us : int
        Marks of the clock lie at k * step_us + phase_us since 1970-01-01 UTC.
    by_session : bool
        Whether bars are counted from the session's open and from the end of its break, not by the clock.
    """

    length_us: int
    step_us: int
    phase_us: int
    by_session: bool


def find_grid(ts: IntArray, tags: Tags, length_us: int, exchange: str, ends: bool) -> Grid:
    """Return the grid that most bars of a file's first rows sit on; the session's where both fit alike.

    Parameters
    ----------
    ts : int64 array (n,)
        Stamps, microseconds UTC.
    tags : Tags
        Sessions of the bars' last instants (`ends`) or of their starts.
    length_us : int
        Length of a bar.
    exchange : str
        Calendar code.
    ends : bool
        Whether stamps mark the end of a bar.
    """
    step = gcd(length_us, HOUR_US)
    grids = [Grid(length_us, step, _phase(ts, step), by_session) for by_session in (True, False)]
    if not ends and step == length_us and not ((ts - grids[1].phase_us) % step).any():
        return grids[1]
    fits = [int(starts_on(ts, tags, grid, exchange, ends)[1].sum()) for grid in grids]
    return grids[int(fits[1] > fits[0])]


def starts_on(ts: IntArray, tags: Tags, grid: Grid, exchange: str, ends: bool) -> tuple[IntArray, BoolArray]:
    """Return the starts of bars, (n,), and which stamps mark a bar of the grid, (n,).

    A bar that begins at the session's open, or where its break ends, is of any grid: the first bar by
    the clock may be cut there. One that ends at the close, or where the break begins, likewise.
    """
    if not ends and grid.step_us == grid.length_us and not grid.by_session:
        on = (ts - grid.phase_us) % grid.step_us == 0
        if on.all():
            return ts, on
    pause, again = breaks_of(tags, exchange)
    anchor = np.where(ts - ends >= again, again, tags.session_open)
    if ends:
        return _from_ends(ts, (pause, tags.session_close), anchor, grid)
    if grid.by_session:
        return ts, _from_open(ts, tags.session_open, grid) | _from_open(ts, anchor, grid)
    on_clock = (ts - grid.phase_us) % grid.step_us == 0
    return ts, on_clock | (ts == tags.session_open) | (ts == anchor)


def _from_open(ts: IntArray, anchor: IntArray, grid: Grid) -> BoolArray:
    on: BoolArray = (ts - anchor) % grid.length_us == 0
    return on


def _from_ends(
    ts: IntArray, cuts: tuple[IntArray, ...], anchor: IntArray, grid: Grid
) -> tuple[IntArray, BoolArray]:
    """Return starts of the cells that hold the last instants, and which stamps are those cells' ends."""
    last = ts - 1
    if grid.by_session or grid.step_us == grid.length_us:
        origin = anchor if grid.by_session else np.full_like(ts, grid.phase_us)
        start = last - (last - origin) % grid.length_us
        end = start + grid.length_us
    else:  # the clock's marks are closer than bars: a bar ends at the next one
        end = last - (last - grid.phase_us) % grid.step_us + grid.step_us
        start = end - grid.length_us
    near = _before(end, ts)
    for cut in cuts:
        near = near | ((start < cut) & (cut < end) & _before(cut, ts))
    return start, near


def _before(end: IntArray, ts: IntArray) -> BoolArray:
    return np.isin(end - ts, _BEFORE_END_US)


def _phase(ts: IntArray, step_us: int) -> int:
    """Return which quarter of an hour most bars begin at, within a step of the clock."""
    if step_us <= _QUARTER_US:
        return 0
    phases = ts % step_us
    quarters, counts = np.unique(phases[phases % _QUARTER_US == 0], return_counts=True)
    return int(quarters[np.argmax(counts)]) if len(quarters) else 0
