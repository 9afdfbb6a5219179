"""Time axis without nights, windows side by side, and what of a long series is drawn on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from whatif.report.data import WINDOWS
from whatif.typing import FloatArray, IntArray

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
NIGHT_US = 3 * _HOUR_US
"""A longer gap than any lunch break: what follows it is a new session."""


def to_us(stamps: pd.Series) -> IntArray:
    """Return a column of UTC timestamps as microseconds since 1970, int64 array (n,)."""
    utc = pd.to_datetime(stamps, utc=True).astype("datetime64[us, UTC]")
    return np.asarray(utc.astype("int64"), dtype=np.int64)


def in_order(names: Iterable[str]) -> list[str]:
    """Return window names with validate and test first, in that order."""
    known = {name: place for place, name in enumerate(WINDOWS)}
    return sorted(names, key=lambda name: (known.get(name, len(known)), name))


_SESSIONS_OF_MONTHS = 63


@dataclass(frozen=True, eq=False)
class Timeline:
    """Bars of several windows numbered through, so that no night, weekend or holiday takes room.

    Attributes
    ----------
    windows : tuple of str
        Names of the windows, left to right.
    stamps : tuple of int64 array
        Start of each bar of each window, microseconds UTC, increasing.
    offsets : tuple of int
        Position of each window's first bar; between windows a few positions stay free.
    """

    windows: tuple[str, ...]
    stamps: tuple[IntArray, ...]
    offsets: tuple[int, ...]

    @classmethod
    def of(cls, *frames: pd.DataFrame) -> Timeline:
        """Return the numbered bars of frames with `window` and `ts`; a bar in several of them counts once."""
        found: dict[str, list[IntArray]] = {}
        for frame in frames:
            for name, rows in frame.groupby("window", sort=False, observed=True):
                found.setdefault(str(name), []).append(to_us(rows["ts"]))
        windows = tuple(in_order(found))
        stamps = tuple(np.unique(np.concatenate(found[name])) for name in windows)
        gap = max(2, sum(len(s) for s in stamps) // 50)
        ends = np.cumsum([len(s) + gap for s in stamps])
        return cls(
            windows, stamps, tuple(int(end - len(s) - gap) for end, s in zip(ends, stamps, strict=True))
        )

    def positions(self, window: str, ts_us: IntArray) -> IntArray:
        """Return where times stand on the axis: the bar that holds each of them.

        Parameters
        ----------
        window : str
            Name of the window that they are in.
        ts_us : int64 array (n,)
            Microseconds UTC, in any order.

        Returns
        -------
        int64 array (n,)
            Positions; a time before the window's first bar stands on that one.
        """
        place = self.windows.index(window)
        stamps = self.stamps[place]
        index = np.clip(np.searchsorted(stamps, ts_us, side="right") - 1, 0, len(stamps) - 1)
        return np.asarray(index + self.offsets[place], dtype=np.int64)

    def spans(self) -> list[tuple[str, int, int]]:
        """Return (window, first position, last position), left to right."""
        rows = zip(self.windows, self.offsets, self.stamps, strict=True)
        return [(name, offset, offset + len(stamps) - 1) for name, offset, stamps in rows]

    def extent(self) -> tuple[float, float]:
        """Return the axis from edge to edge, with a hair of room."""
        spans = self.spans()
        room = 0.004 * (spans[-1][2] + 1) if spans else 0.0
        return (-0.5 - room, spans[-1][2] + 0.5 + room) if spans else (0.0, 1.0)

    def sessions(self) -> tuple[IntArray, IntArray]:
        """Return position and time of the first bar of each session.

        Returns
        -------
        positions, times : int64 array (k,)
            Of k sessions, left to right; times in microseconds UTC.
        """
        parts = [
            (session_starts(s) + o, s[session_starts(s)])
            for s, o in zip(self.stamps, self.offsets, strict=True)
        ]
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate([p for p, _ in parts]), np.concatenate([t for _, t in parts])

    def ticks(self, most: int = 10) -> tuple[list[int], list[str]]:
        """Return positions and labels of at most `most` session starts; months where they lie far apart."""
        positions, times = self.sessions()
        step = max(1, -(-len(positions) // most))
        labels: list[str] = []
        year = None
        for us in times[::step]:
            day = datetime.fromtimestamp(us / 1e6, UTC)
            if step >= _SESSIONS_OF_MONTHS:
                labels.append(f"{day:%b}<br>{day.year}")
                continue
            labels.append(f"{day.day} {day:%b}" + (f"<br>{day.year}" if day.year != year else ""))
            year = day.year
        return [int(p) for p in positions[::step]], labels


def session_starts(stamps: IntArray) -> IntArray:
    """Return the index of each bar that opens a session.

    A session starts after a gap of three hours or more, or, where trading goes on for more than a day
    without one, with the first bar of a UTC date.

    Parameters
    ----------
    stamps : int64 array (n,)
        Start of each bar, microseconds UTC, increasing.

    Returns
    -------
    int64 array (k,)
        Increasing indices.
    """
    if not len(stamps):
        return np.zeros(0, np.int64)
    after_gap = np.append(True, np.diff(stamps) >= NIGHT_US)
    run = np.cumsum(after_gap) - 1
    edges = np.flatnonzero(after_gap)
    lengths = stamps[np.append(edges[1:], len(stamps)) - 1] - stamps[edges]
    endless = (lengths >= _DAY_US)[run]
    new_date = np.append(True, np.diff(stamps // _DAY_US) > 0)
    return np.asarray(np.flatnonzero(after_gap | (endless & new_date)), dtype=np.int64)


def thin_lines(lines: list[FloatArray], most: int) -> IntArray:
    """Choose points to draw so that no peak or trough of any line is lost.

    Parameters
    ----------
    lines : list of float64 array (n,)
        Lines on a common axis; NaN is never an extreme.
    most : int
        Points to keep, at most; all are kept when there are no more.

    Returns
    -------
    int64 array (k,)
        Increasing indices: in each of several equal stretches the first point, the last, and the
        highest and lowest of every line.
    """
    n = len(lines[0])
    if n <= most:
        return np.arange(n, dtype=np.int64)
    stretches = max(1, most // (2 + 2 * len(lines)))
    edges = np.linspace(0, n, stretches + 1).astype(np.int64)
    first, last = edges[:-1], edges[1:] - 1
    # a shorter stretch has its last row twice: the first of equals is the one that is found
    rows = np.minimum(first[:, None] + np.arange(int((last - first).max()) + 1), last[:, None])
    keep = [first, last]
    for line in lines:
        for fill, pick in ((np.inf, np.argmin), (-np.inf, np.argmax)):
            filled = np.where(np.isnan(line), fill, line)
            keep.append(first + pick(filled[rows], axis=1))
    return np.unique(np.concatenate(keep))


def below_peak(money: FloatArray) -> FloatArray:
    """Return how far money (n,) is below its highest value so far, in percent: 0.0 or less, else NaN.

    NaN where nothing above zero was there yet: an account below zero has no meaningful peak.
    """
    peak = np.fmax.accumulate(money) if len(money) else money
    with np.errstate(divide="ignore", invalid="ignore"):
        below = (money / peak - 1.0) * 100.0
    return np.asarray(np.where(peak > 0, below, np.nan))


def thin_bars(bars: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Merge neighbouring bars into longer ones until about `most` are left.

    Parameters
    ----------
    bars : pandas.DataFrame
        `ts`, `open`, `high`, `low`, `close` of one symbol in one window, by time.
    most : int
        Bars to keep. Every session keeps at least one, as no bar ever spans two sessions, unless there
        are more sessions than that.

    Returns
    -------
    tuple of pandas.DataFrame and int
        First open, highest high, lowest low, last close of each group, `ts` of its first bar; and how
        many bars a full group holds (1: nothing was merged).
    """
    n = len(bars)
    if n <= most:
        return bars, 1
    size = -(-n // most)
    stamps = to_us(bars["ts"])
    starts = session_starts(stamps)
    if len(starts) > most:  # daily bars: sessions themselves must merge
        starts = np.zeros(1, np.int64)
    session = np.searchsorted(starts, np.arange(n), side="right") - 1
    within = np.arange(n) - starts[session]
    group = np.cumsum((within % size) == 0) - 1
    rules = {"ts": "first", "open": "first", "high": "max", "low": "min", "close": "last"}
    return bars.groupby(group).agg(rules).reset_index(drop=True), size


def change_points(values: FloatArray) -> IntArray:
    """Return the indices at which a step line changes, with the first and the last one.

    Parameters
    ----------
    values : float64 array (n,)
        Height of the line; NaN counts as a change, also after NaN.

    Returns
    -------
    int64 array (k,)
        Increasing indices.
    """
    if not len(values):
        return np.zeros(0, np.int64)
    changed = np.append(True, values[1:] != values[:-1])
    changed[-1] = True
    return np.asarray(np.flatnonzero(changed), dtype=np.int64)
