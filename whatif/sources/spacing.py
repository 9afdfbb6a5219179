"""Spacing of bars in time: against the timeframe that was stated, and overlaps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whatif.domain import DAY_US, HOUR_US, MINUTE_US, timeframe_us, timestamps
from whatif.exchanges import time_zone
from whatif.sources.chunk import Layout
from whatif.sources.limits import MISREAD_SHARE, exceeds
from whatif.typing import BoolArray, FloatArray, IntArray

_NAMES = {
    **{n * MINUTE_US: f"{n}min" for n in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)},
    **{n * HOUR_US: f"{n}h" for n in (1, 2, 3, 4, 6, 8, 12)},
}
_LOOKED_AT = 20_000
"""Rows that spacing and sessions are told from: 51 sessions of New York's minutes."""

_MIN_GAPS = 4
_MIN_DAYS = 5
_LONGEST_DAY_GAP = 6 * DAY_US
_ODDS = 1_000.0


@dataclass(frozen=True, eq=False)
class FirstRows:
    """The first rows of a file that have a time, ordered by symbol and time.

    Attributes
    ----------
    stamps : int64 array (n,)
        As in the file, microseconds UTC.
    starts : int64 array (n,)
        Where their bars begin, microseconds UTC.
    symbol : int64 array (n,)
        Codes of symbols.
    volume : float64 array (n,)
        Units traded, 0 where unknown.
    date_only : bool
        Whether the file has dates without a time of day.
    rows : int
        Rows that were looked at, those without a time too.
    daily : bool
        Whether the bars are said to be days.
    """

    stamps: IntArray
    starts: IntArray
    symbol: IntArray
    volume: FloatArray
    date_only: bool
    rows: int
    daily: bool

    @property
    def gaps(self) -> IntArray:
        """Return the distances between neighbouring bars of a symbol, (k,), microseconds above 0."""
        gaps: IntArray = np.diff(self.stamps)[np.diff(self.symbol) == 0]
        above: IntArray = gaps[gaps > 0]
        return above


_USUAL = (*(n * MINUTE_US for n in (1, 5, 15, 30)), HOUR_US, 4 * HOUR_US)
_LIKELY = 20.0


def timeframe_of(first: FirstRows, exchange: str, said: str | None = None) -> tuple[str, str] | None:
    """Return the timeframe that spacing shows, and what shows it; None if it shows none.

    Bars of n minutes begin on their grid: that m bars of a minute do so by accident has a chance of n ** -m,
    which must be below 1 in 20, or 1 in 1,000 for lengths that are seldom used. Two stamps an hour or more
    apart show nothing.

    Parameters
    ----------
    first : FirstRows
        Rows of a file, read as bars of a minute.
    exchange : str
        Calendar code.
    said : str, optional
        What the file's name says; it stands where rows are further apart.
    """
    if _are_days(first, Layout("", "1min", exchange)):
        return "1d", "stamps are dates, or one a day"
    gaps = first.gaps
    if not len(gaps):
        return None
    usual = _mode(gaps)
    clock = first.stamps % DAY_US
    if int(gaps.min()) >= 23 * HOUR_US and (clock == clock[0]).all() and said in (None, "1d"):
        return "1d", "one stamp a day, always at one time"
    closest = int(np.gcd.reduce(gaps))
    if closest not in _NAMES:
        return None
    if said is not None and timeframe_us(said) <= closest:
        return said, f"the name says so, and stamps are {_length(usual)} apart"
    if said is None and len(gaps) == 1 and closest >= HOUR_US:  # perhaps two minutes of a quiet day
        return None
    times = len(gaps) + bool((first.stamps % closest == 0).all())
    least = _LIKELY if closest in _USUAL else _ODDS
    if closest > MINUTE_US and _may_be_chance(closest / MINUTE_US, times, least):
        return None
    return _NAMES[
        closest
    ], f"stamps are {_length(usual)} apart, {int(np.sum(gaps == usual)):,} of {len(gaps):,}"


def spacing_fault(first: FirstRows, layout: Layout, misplaced: int, rows: int) -> str | None:
    """Return what the distances between bars say against the timeframe, or None.

    Parameters
    ----------
    first : FirstRows
        Rows of the file.
    layout : Layout
        Its timeframe, zone and exchange.
    misplaced, rows : int
        Rows of the file that are off the grid or overlap others, and all of its rows.
    """
    if not first.daily and _are_days(first, layout):
        return f"the stamps are days, not {layout.timeframe} bars: give --timeframe 1d"
    if exceeds(misplaced, rows, MISREAD_SHARE) or (misplaced and misplaced == rows):
        return _misplaced(first, layout, f"{misplaced:,} of {rows:,} rows are not on the grid")
    if first.daily:
        return _longer_than_days(first.gaps)
    usual = _usual_gap(first.gaps, timeframe_us(layout.timeframe))
    if usual is None:
        return None
    return (
        f"bars begin {_length(usual)} apart, as {_NAMES[usual]} bars do, not {layout.timeframe} ones: give "
        f"--timeframe {_NAMES[usual]}"
    )


def _longer_than_days(gaps: IntArray) -> str | None:
    usual = int(np.median(gaps)) if len(gaps) >= _MIN_GAPS else 0
    if len(gaps) > 1 and gaps.min() >= _LONGEST_DAY_GAP:
        usual = int(gaps.min())
    if usual < _LONGEST_DAY_GAP:
        return None
    return (
        f"bars begin {round(usual / DAY_US)} days apart: weeks and months are no sessions, and 1d is the "
        "longest "
        "timeframe: name a file of days"
    )


def _misplaced(first: FirstRows, layout: Layout, words: str) -> str:
    gaps = first.gaps
    words = f"{words} of {layout.timeframe} bars"
    if not len(gaps):
        at = np.datetime64(int(first.stamps[0]), "us") if len(first.stamps) else "none"
        return f"{words} (first stamp: {at} UTC): give their --timeframe, --timezone and --exchange"
    closest, usual = int(gaps.min()), _mode(gaps)
    if first.daily:
        if usual >= 23 * HOUR_US:
            return (
                f"{words}: days that begin at {_time(first.stamps[0])} UTC are not the sessions of "
                f"{layout.exchange}, which such a bar would reach out of: give the --timezone or --exchange "
                "under which they are whole sessions, or bars of a shorter --timeframe"
            )
        return f"{words}: bars begin {_length(usual)} apart{_timeframe_hint(usual)}"
    if usual in _NAMES and usual < timeframe_us(layout.timeframe):
        return f"{words}: bars begin {_length(usual)} apart{_timeframe_hint(usual)}"
    if closest < timeframe_us(layout.timeframe):
        return (
            f"{words}: two bars of {layout.timeframe} begin {_length(closest)} apart, they overlap: ticks "
            "must "
            "be made into bars first, and bars of another length need their own --timeframe"
        )
    if first.starts[0] % MINUTE_US:
        return f"{words}: they begin within a minute ({_time(first.stamps[0])} UTC): round the stamps first"
    return (
        f"{words}: they begin at times such as {_time(first.stamps[0])} UTC: give the --timeframe, "
        "--stamps and "
        "--exchange of these bars"
    )


def _are_days(first: FirstRows, layout: Layout) -> bool:
    """Tell whether stamps are dates: without a time of day, midnights, or one a day at one time."""
    if first.date_only:
        return True
    if len(first.stamps) < 2 or not len(first.gaps) or first.gaps.min() < 23 * HOUR_US:
        return False
    utc = timestamps(first.stamps)
    for zone in dict.fromkeys(["UTC", layout.timezone or "UTC", time_zone(layout.exchange)]):
        clock = utc.tz_convert(zone).tz_localize(None).as_unit("us").asi8 % DAY_US
        if not clock.any():
            return True
        if len(first.gaps) >= _MIN_DAYS and (clock == clock[0]).all():
            return True
    return False


def _usual_gap(gaps: IntArray, length_us: int) -> int | None:
    """Return the distance that most bars have, if it is a longer timeframe and hardly one is nearer.

    Bars that are missing at random leave the timeframe itself as the most frequent distance. That n
    distances are all multiples of k bars by accident has a chance of k ** -n; it must be under 1 in 1,000.
    """
    if len(gaps) < _MIN_GAPS:
        return None
    usual = _mode(gaps)
    if usual <= length_us or usual not in _NAMES:
        return None
    same, nearer = np.mean(gaps == usual), np.mean(gaps < usual)
    if same < 0.5 or nearer > 0.2 or _may_be_chance(usual / length_us, len(gaps), _ODDS):
        return None
    return usual


def _may_be_chance(one_in: float, times: int, odds: float) -> bool:
    """Tell whether a chance of 1 in `one_in` each time comes true that often oftener than 1 in `odds`."""
    # the power itself is no float of a few hundred times
    return times * math.log(one_in) < math.log(odds)


def _mode(gaps: IntArray) -> int:
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[np.argmax(counts)])


def _timeframe_hint(gap: int) -> str:
    return f": give --timeframe {_NAMES[gap]}" if gap in _NAMES else ": give their --timeframe"


def _length(us: int) -> str:
    if us in _NAMES:
        return _NAMES[us]
    return f"{us / 1_000_000:g} s"


def _time(us: int) -> str:
    return str(np.datetime64(int(us), "us"))[11:].removesuffix(".000000")


def overlapping(
    symbol: np.ndarray | None, ts: IntArray, usable: BoolArray, length_us: int, cut: BoolArray
) -> BoolArray:
    """Return which bars begin before the one before it of the same symbol has ended.

    Parameters
    ----------
    symbol : int64 array (n,) or None
        Codes of symbols; None if all rows are of one.
    ts : int64 array (n,)
        Starts, microseconds UTC; the same start twice is no overlap but the bar again.
    usable : bool array (n,)
        Rows to look at.
    length_us : int
        Length of a bar.
    cut : bool array (n,)
        Bars that begin a session, or go on after its break: they may be shorter, or cut the one before.
    """
    rows = np.flatnonzero(usable)
    if symbol is not None:
        rows = rows[np.lexsort((ts[rows], symbol[rows]))]
    elif (np.diff(ts[rows]) < 0).any():
        rows = rows[np.argsort(ts[rows], kind="stable")]
    gap = np.diff(ts[rows])
    near = (gap > 0) & (gap < length_us) & ~cut[rows[1:]] & ~cut[rows[:-1]]
    if symbol is not None:
        near &= symbol[rows[1:]] == symbol[rows[:-1]]
    found = np.zeros(len(ts), dtype=bool)
    found[rows[1:][near]] = True
    return found


def first_rows(
    stamps: IntArray, starts: IntArray, known: BoolArray, symbol: np.ndarray | None, volume: FloatArray,
    date_only: bool, layout: Layout,
) -> FirstRows:  # fmt: skip
    """Return the first of n rows that have a time, for `spacing_fault` and `zone_fault`; arrays are (n,)."""
    rows = np.flatnonzero(known)[:_LOOKED_AT]
    codes = np.zeros(len(rows), dtype=np.int64) if symbol is None else symbol[rows]
    order = np.lexsort((stamps[rows], codes))
    return FirstRows(
        stamps=stamps[rows][order],
        starts=starts[rows][order],
        symbol=codes[order],
        volume=np.nan_to_num(volume[rows][order], nan=0.0, posinf=0.0),
        date_only=date_only,
        rows=min(len(known), _LOOKED_AT),
        daily=timeframe_us(layout.timeframe) == DAY_US,
    )
