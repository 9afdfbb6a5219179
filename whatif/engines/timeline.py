"""When which symbol has a bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from whatif.domain import DAY_US, Bars
from whatif.typing import FloatArray, IntArray

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(ts: int) -> str:
    """Return a timestamp in microseconds UTC as text."""
    return (_EPOCH + timedelta(microseconds=int(ts))).isoformat()


@dataclass(frozen=True, eq=False)
class Timeline:
    """The timestamps of several symbols' bars, merged.

    Where all bars are equally long, a row is the start of bars. Where they are not, see `bar_rows`.

    Attributes
    ----------
    ts : int64 array (m,)
        Timestamps of the rows on which any symbol has a bar, microseconds UTC, increasing.
    rows : tuple of int64 arrays (m,)
        For each symbol, the row of its bars that is current at each timestamp; -1 before its first.
    fresh : tuple of bool arrays (m,)
        For each symbol, whether it has a bar at the timestamp.
    """

    ts: IntArray
    rows: tuple[IntArray, ...]
    fresh: tuple[np.ndarray, ...]

    def arrivals(self) -> Iterator[tuple[tuple[int, int], ...]]:
        """Yield for each row the (symbol, row) of every bar that is there, in declared order."""
        if len(self.rows) == 1:
            return (((0, row),) for row in self.rows[0].tolist())
        return self._merged_arrivals()

    def _merged_arrivals(self) -> Iterator[tuple[tuple[int, int], ...]]:
        rows = [row.tolist() for row in self.rows]
        fresh = [flags.tolist() for flags in self.fresh]
        symbols = range(len(rows))
        for at in range(len(self.ts)):
            yield tuple((k, rows[k][at]) for k in symbols if fresh[k][at])

    def current(self, series: list[FloatArray]) -> FloatArray:
        """Return each symbol's series at its current row, (k, m); NaN before its first bar."""
        result = np.full((len(series), len(self.ts)), np.nan)
        for k, values in enumerate(series):
            known = self.rows[k] >= 0
            result[k, known] = values[self.rows[k][known]]
        return result


def merge(bars: list[Bars], ranges: list[tuple[int, int]], bar_us: int | None = None) -> Timeline:
    """Return the timeline of `bars`, of each only the half-open range of rows.

    Parameters
    ----------
    bars : list of Bars
        One for each symbol.
    ranges : list of (int, int)
        Half-open ranges of rows.
    bar_us : int, optional
        Length of all bars, microseconds; where it is absent, each symbol's own spacing says it, and a
        bar that is longer than others stands on the row on which it ends, see `bar_rows`.
    """
    if len(bars) == 1:
        first, stop = ranges[0]
        alone = np.arange(first, stop, dtype=np.int64)
        return Timeline(bars[0].ts[first:stop], (alone,), (np.ones(len(alone), dtype=bool),))
    ts, stamps = rows_of(bars, ranges, bar_us)
    rows, fresh = [], []
    for whole, (first, stop) in zip(stamps, ranges, strict=True):
        own = whole[first:stop]
        last = np.searchsorted(own, ts, side="right") - 1
        fresh.append((last >= 0) & (own[np.maximum(last, 0)] == ts) if len(own) else np.zeros(len(ts), bool))
        rows.append(np.where(last >= 0, last + first, -1))
    return Timeline(ts, tuple(rows), tuple(fresh))


def rows_of(
    bars: list[Bars], ranges: list[tuple[int, int]], bar_us: int | None = None
) -> tuple[IntArray, list[IntArray]]:
    """Return the timestamps of the rows of `merge`, (m,), and those that each symbol's bars stand on, (n,).

    Parameters
    ----------
    bars, ranges, bar_us
        As `merge` takes them.
    """
    stamps = bar_rows(bars, bar_lengths(bars, bar_us))
    ts = np.empty(0, dtype=np.int64)
    for own, (first, stop) in zip(stamps, ranges, strict=True):
        # symbols that have bars together are most, and need no room
        if not np.array_equal(own[first:stop], ts):
            ts = np.union1d(ts, own[first:stop])
    return ts, stamps


def session_rows(
    bars: list[Bars], ranges: list[tuple[int, int]], stamps: list[IntArray], ts: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the sessions of a window that began before each row's own, and rows since that began, (m,).

    A session begins on the row on which any symbol has a bar of a later one than all had before.

    Parameters
    ----------
    bars, ranges
        As `merge` takes them.
    stamps, ts
        As `rows_of` returns them.
    """
    latest = np.full(len(ts), np.iinfo(np.int64).min)
    for one, own, (first, stop) in zip(bars, stamps, ranges, strict=True):
        last = np.searchsorted(own[first:stop], ts, side="right") - 1
        known = last >= 0
        latest[known] = np.maximum(latest[known], one.session_open[first + last[known]])
    begins = np.append(True, np.diff(np.maximum.accumulate(latest)) > 0)
    session = np.cumsum(begins) - 1
    return session, np.arange(len(ts)) - np.flatnonzero(begins)[session]


def account_rows(
    bars: list[Bars], ranges: list[tuple[int, int]], bar_us: int | None = None
) -> tuple[IntArray, Iterator[FloatArray]]:
    """Return the timestamps of the rows of `merge`, (m,), and each symbol's last close on them, (m,).

    Parameters
    ----------
    bars, ranges, bar_us
        As `merge` takes them.

    Returns
    -------
    ts : int64 array (m,)
        Timestamps.
    closes : iterator of float64 array (m,)
        Made one by one: NaN before the symbol's first bar.
    """
    ts, stamps = rows_of(bars, ranges, bar_us)

    def closes() -> Iterator[FloatArray]:
        for one, own, (first, stop) in zip(bars, stamps, ranges, strict=True):
            last = np.searchsorted(own[first:stop], ts, side="right") - 1
            close = np.full(len(ts), np.nan)
            close[last >= 0] = one.close[last[last >= 0] + first]
            yield close

    return ts, closes()


def bar_lengths(bars: list[Bars], bar_us: int | None = None) -> list[int]:
    """Return the length of each symbol's bars in microseconds: `bar_us`, or what its own spacing says.

    That is the distance that comes most often, the shortest of equals: an illiquid symbol whose
    minutes are mostly missing still has bars of a minute. A symbol of one bar has those of the longest.
    Lengths that differ by less than a fifth are one: months have 28 to 31 days.
    """
    if bar_us is not None:
        return [bar_us] * len(bars)
    found = [_usual_step(one.ts) for one in bars]
    known = [one for one in found if one is not None] or [DAY_US]
    lengths = [max(known) if one is None else one for one in found]
    return [min(lengths) if 5 * one < 6 * min(lengths) else one for one in lengths]


def _usual_step(ts: IntArray) -> int | None:
    if len(ts) < 2:
        return None
    steps, counts = np.unique(np.diff(ts), return_counts=True)
    return int(steps[np.argmax(counts)])


def bar_rows(bars: list[Bars], lengths: list[int]) -> list[IntArray]:
    """Return the timestamp of the row on which each bar is there, one array for each symbol.

    A row stands for a stretch as long as the shortest bars, and carries its start: of those it is
    the bar's own. A longer bar is there once it has ended, on the row that ends with it, which may be
    one of its own. It ends after its length, or where the symbol's next bar starts, if that comes
    first; one of several days, where the next one starts. A day whose session closes earlier ends
    there, unless shorter bars go on after the close: whether the day holds those nobody knows.

    Parameters
    ----------
    bars : list of Bars
        One for each symbol.
    lengths : list of int
        Length of each symbol's bars, microseconds, see `bar_lengths`.

    Returns
    -------
    list of int64 array (n,)
        For each symbol, of n bars, microseconds UTC.
    """
    shortest = min(lengths)
    found = []
    for one, length in zip(bars, lengths, strict=True):
        if length == shortest:
            found.append(one.ts)
            continue
        others = [other.ts for other, own in zip(bars, lengths, strict=True) if own < length]
        ends = _ends(one, length, np.unique(np.concatenate(others)))
        found.append(np.maximum(one.ts, ends - shortest))
    return found


def _ends(bars: Bars, length: int, shorter: IntArray) -> IntArray:
    """Return when each bar of a symbol has ended, microseconds UTC; `shorter` are starts of other bars."""
    if not len(bars):
        return bars.ts
    steps = np.diff(bars.ts)
    # nobody knows how long the last of several days is: the longest one there was
    last = int(steps.max()) if length > DAY_US and len(steps) else length
    following = np.append(bars.ts[1:], bars.ts[-1] + last)
    if length > DAY_US:
        return following
    ends = np.minimum(bars.ts + length, following)
    # a session that is a UTC date says nothing of when an exchange closes
    closes = (bars.session_close > bars.ts) & (bars.session_close - bars.session_open < DAY_US)
    closes &= np.searchsorted(shorter, bars.session_close) == np.searchsorted(shorter, ends)
    return np.asarray(np.where(closes, np.minimum(ends, bars.session_close), ends), dtype=np.int64)


def known_at(bars: list[Bars], lengths: list[int], timeline: Timeline) -> IntArray:
    """Return by when each row's bars have ended, (m,): what is decided on them is decided then.

    Bars that start together end together: at the latest where the next bar of one of them starts.
    """
    shortest = min(lengths)
    ends = timeline.ts + shortest
    for one, rows, fresh in zip(bars, timeline.rows, timeline.fresh, strict=True):
        after = rows + 1
        there = fresh & (after < len(one)) & (after > 0)
        ends[there] = np.minimum(ends[there], one.ts[after[there]])
    return np.asarray(ends, dtype=np.int64)
