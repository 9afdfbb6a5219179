"""Sessions of daily bars: by the date as written, or by where an instant lies to the session."""

from __future__ import annotations

import numpy as np
import pandas as pd

from whatif.calendars import Schedule, time_zone
from whatif.domain import DAY_US
from whatif.sources.sessions import Tags, local_dates, sessions_around, tag_days
from whatif.sources.times import Times
from whatif.typing import BoolArray, IntArray

_SECOND_US = 1_000_000


def find_days(times: Times, exchange: str, ends: bool) -> tuple[Tags, BoolArray]:
    """Return the sessions of daily bars, and which stamps tell none although there is one on their date.

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
