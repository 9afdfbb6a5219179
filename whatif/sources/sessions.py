"""Sessions of bars: the one that each bar belongs to, and whether it is of its regular hours."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd

from whatif.calendars import Schedule, known_schedule
from whatif.domain import DAY_US, microseconds, timestamps
from whatif.exchanges import known_dates, time_zone
from whatif.sources.times import Times
from whatif.typing import BoolArray, IntArray

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_YEARS_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class Tags:
    """Session of each bar; times in microseconds UTC, `session` in days since 1970-01-01.

    Where `found` is False there is no session on the bar's date, and the rest is 0: the exchange
    is closed, or, where `known` is False, its calendar does not reach that date.
    """

    found: BoolArray
    known: BoolArray
    regular: BoolArray
    session: IntArray
    session_open: IntArray
    session_close: IntArray

    def of(self, rows: BoolArray) -> Tags:
        """Return the tags of the bars that a mask, (n,), selects."""
        return Tags(**{each.name: getattr(self, each.name)[rows] for each in fields(self)})


def tag_bars(ts: IntArray, length_us: int, exchange: str) -> Tags:
    """Tag bars shorter than a day.

    A bar is regular if [ts, ts + length_us) overlaps a session's [open, close); it belongs to
    the session it starts in, else to the one it reaches into. Any other bar is extended, and
    belongs to the session of its date in the exchange's time zone.

    Parameters
    ----------
    ts : int64 array (n,)
        Starts of the bars, microseconds UTC.
    length_us : int
        Length of a bar.
    exchange : str
        Calendar code.
    """
    dates = local_dates(ts, exchange)
    sessions = sessions_around(exchange, dates)
    known = _known(exchange, dates)
    if not len(sessions):
        return _untagged(known)
    starts_in = np.searchsorted(sessions.open_us, ts, side="right") - 1
    starts_in = np.where((starts_in >= 0) & (sessions.close_us[starts_in] > ts), starts_in, -1)
    reaches = np.searchsorted(sessions.open_us, ts + length_us, side="left") - 1
    reaches = np.where((reaches >= 0) & (sessions.close_us[reaches] > ts), reaches, -1)
    regular = np.where(starts_in >= 0, starts_in, reaches)
    index = np.where(regular >= 0, regular, _index_of(sessions, dates))
    return _tags(sessions, index, regular >= 0, known)


def tag_days(days: IntArray, exchange: str) -> Tags:
    """Tag bars of whole sessions by their trading dates, (n,), days since 1970-01-01."""
    sessions = sessions_around(exchange, days)
    known = _known(exchange, days)
    if not len(sessions):
        return _untagged(known)
    index = _index_of(sessions, days)
    return _tags(sessions, index, index >= 0, known)


def _known(exchange: str, days: IntArray) -> BoolArray:
    """Tell which dates the exchange's calendar knows."""
    first, last = ((moment - _EPOCH).days for moment in known_dates(exchange))
    known: BoolArray = (days >= first) & (days <= last)
    return known


def _tags(sessions: Schedule, index: IntArray, regular: BoolArray, known: BoolArray) -> Tags:
    found = index >= 0
    return Tags(
        found=found,
        known=known | found,
        regular=regular,
        session=np.where(found, sessions.session[index], 0),
        session_open=np.where(found, sessions.open_us[index], 0),
        session_close=np.where(found, sessions.close_us[index], 0),
    )


def _untagged(known: BoolArray) -> Tags:
    none, zero = np.zeros(len(known), dtype=bool), np.zeros(len(known), dtype=np.int64)
    return Tags(none, known, none, zero, zero, zero)


def _index_of(sessions: Schedule, days: IntArray) -> IntArray:
    at = np.searchsorted(sessions.session, days)
    at = np.minimum(at, len(sessions) - 1)
    return np.where(sessions.session[at] == days, at, -1)


def local_dates(ts: IntArray, exchange: str) -> IntArray:
    """Return the dates of instants, (n,) microseconds UTC, in the exchange's zone: days since 1970-01-01."""
    local = timestamps(ts).tz_convert(time_zone(exchange)).tz_localize(None)
    return microseconds(local) // DAY_US


def sessions_around(exchange: str, days: IntArray) -> Schedule:
    """Return the sessions of the years around `days`, (n,) days since 1970-01-01.

    A stray date far outside what the calendar knows must not cost the rest its sessions,
    so a range that is too long or refused is asked for year by year.
    """
    years = np.unique(days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970)
    first, last = int(years[0]), int(years[-1])
    if last - first < _YEARS_AT_ONCE:
        whole = _years(exchange, first, last)
        if len(whole):
            return whole
    parts = [part for part in (_years(exchange, int(y), int(y)) for y in years) if len(part)]
    return _joined(exchange, parts)


@lru_cache(maxsize=64)
def _years(exchange: str, first: int, last: int) -> Schedule:
    margin = timedelta(days=4)
    begin, end = known_dates(exchange)
    if last < begin.year or first > end.year:
        return _joined(exchange, [])
    first, last = max(first, begin.year), min(last, end.year)
    return known_schedule(exchange, date(first, 1, 1) - margin, date(last, 12, 31) + margin)


def _joined(exchange: str, parts: list[Schedule]) -> Schedule:
    if not parts:
        none = np.empty(0, dtype=np.int64)
        return Schedule(exchange, none, none, none, none, none)
    session, first = np.unique(np.concatenate([p.session for p in parts]), return_index=True)
    rest = (
        np.concatenate([getattr(p, name) for p in parts])[first]
        for name in ("open_us", "close_us", "break_start_us", "break_us")
    )
    return Schedule(exchange, session, *rest)


def breaks_of(tags: Tags, exchange: str) -> tuple[IntArray, IntArray]:
    """Return when the midday break of each bar's session begins and ends, (n,) each; if none, the open."""
    sessions = sessions_around(exchange, tags.session)
    if not len(sessions) or not sessions.break_us.any():
        return tags.session_open, tags.session_open
    at = np.maximum(_index_of(sessions, tags.session), 0)
    start = sessions.break_start_us[at]
    breaks = tags.found & (sessions.break_us[at] > 0)
    end = start + sessions.break_us[at]
    return np.where(breaks, start, tags.session_open), np.where(breaks, end, tags.session_open)


_SECOND_US = 1_000_000


def find_days(times: Times, exchange: str, ends: bool) -> tuple[Tags, BoolArray]:
    """Return the sessions of daily bars, and which stamps, (n,), tell none although their date has one.

    A date as written is that session's. An instant is the session's in whose zone it is midnight of
    the date or the open, or lies between the two, or the close; with `ends` it lies from the close
    (one us, ms or s before counts) to the end of the date. A local time of day after the close is its
    date's too. Whatever else begins within a session, and is not a whole one.

    Parameters
    ----------
    times : Times
        Stamps of days.
    exchange : str
        Calendar code.
    ends : bool
        Whether stamps mark the end of a bar.
    """
    days = np.where(times.dated, times.us // DAY_US, local_dates(times.us, exchange))
    unclear = np.zeros(len(days), dtype=bool)
    instants = times.known & ~times.dated
    if instants.any():
        found = _of_instants(times.us[instants], times.wall[instants], days[instants], exchange, ends)
        unclear[instants] = found < 0
        days[instants] = np.where(found < 0, days[instants], found)
    tags = tag_days(days, exchange)
    return tags, unclear & tags.found


def _of_instants(us: IntArray, wall: BoolArray, dates: IntArray, exchange: str, ends: bool) -> IntArray:
    """Return the trading date of each instant, or -1."""
    sessions = sessions_around(exchange, dates)
    if not len(sessions):
        return np.full(len(us), -1, dtype=np.int64)
    midnight = _midnights(sessions.session, exchange)
    if ends:
        until = np.maximum(_midnights(sessions.session + 1, exchange), sessions.close_us)
        return _inside(us, sessions, sessions.close_us - _SECOND_US, until)
    found = _inside(
        us, sessions, np.minimum(midnight, sessions.open_us), np.maximum(midnight, sessions.open_us)
    )
    closing = _inside(us, sessions, sessions.close_us, sessions.close_us)
    found = np.where(found < 0, closing, found)
    if wall.any():
        tomorrow = _midnights(sessions.session + 1, exchange) - 1
        evening = _inside(us, sessions, sessions.close_us, np.maximum(tomorrow, sessions.close_us))
        found = np.where((found < 0) & wall, evening, found)
    return found


def _inside(us: IntArray, sessions: Schedule, first: IntArray, last: IntArray) -> IntArray:
    """Return the date of the session whose [first, last] holds each instant, or -1."""
    at = np.searchsorted(first, us, side="right") - 1
    inside = (at >= 0) & (us <= last[np.maximum(at, 0)])
    return np.where(inside, sessions.session[np.maximum(at, 0)], -1)


def _midnights(days: IntArray, exchange: str) -> IntArray:
    """Return when dates begin in the exchange's zone, microseconds UTC."""
    local = pd.DatetimeIndex(days.astype("datetime64[D]").astype("datetime64[us]"))
    there = local.tz_localize(
        time_zone(exchange), ambiguous=np.ones(len(days), dtype=bool), nonexistent="shift_forward"
    )
    return np.asarray(there.as_unit("us").asi8)
