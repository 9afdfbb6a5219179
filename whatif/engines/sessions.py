"""Sessions of bars that come without them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from whatif.calendars import EPOCH, Schedule, known_schedule
from whatif.domain import DAY_US, Bars, microseconds, timestamps
from whatif.errors import CalendarError
from whatif.exchanges import time_zone
from whatif.typing import IntArray


def bar_length(ts: IntArray) -> int:
    """Return the usual distance between bars in microseconds; from half a day on, a whole day."""
    if len(ts) < 2:
        return DAY_US
    steps = np.diff(ts)
    if (steps <= 0).any():
        steps = np.diff(np.unique(ts))
    usual = int(np.median(steps))
    return DAY_US if usual >= DAY_US // 2 else usual


def exchange_sessions(ts: IntArray, exchange: str) -> tuple[IntArray, IntArray, IntArray]:
    """Return session, open and close of each bar by an exchange's calendar.

    A bar outside regular hours belongs to the session of its date in the exchange's time zone.

    Raises
    ------
    CalendarError
        If the exchange is unknown, or has no session on a bar's date.
    """
    local = timestamps(ts).tz_convert(time_zone(exchange))
    dates = microseconds(local.tz_localize(None)) // DAY_US
    known = known_schedule(exchange, date_of(dates.min()), date_of(dates.max() + 1))
    index = _session_of(ts, dates, known) if len(known) else np.full(len(ts), -1)
    if (index < 0).any():
        lost = local[np.flatnonzero(index < 0)[0]]
        raise CalendarError(
            f"calendar {exchange} has no session on {lost.date()}, where there is a bar at "
            f"{lost.isoformat()}; name the exchange the bars come from, or leave the calendar out"
        )
    return known.session[index], known.open_us[index], known.close_us[index]


def _session_of(ts: IntArray, dates: IntArray, known: Schedule) -> IntArray:
    """Index of the session that each bar starts in, else of the one of its date, else -1."""
    inside = np.searchsorted(known.open_us, ts, side="right") - 1
    inside = np.where((inside >= 0) & (known.close_us[inside] > ts), inside, -1)
    by_date = np.minimum(np.searchsorted(known.session, dates), len(known) - 1)
    by_date = np.where(known.session[by_date] == dates, by_date, -1)
    return np.where(inside >= 0, inside, by_date)


def utc_sessions(ts: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return session, open and close of each bar, a session being a UTC date."""
    session = ts // DAY_US
    return session, session * DAY_US, (session + 1) * DAY_US


def seen_sessions(bars: list[Bars], bar_us: int) -> Schedule:
    """Return the sessions that bars show: from the first bar's start to the last one's end."""
    ts = np.concatenate([one.ts for one in bars])
    session = np.concatenate([one.session for one in bars])
    # each stretch of bars of one session stands for its bars: far fewer to sort
    begins = np.flatnonzero(np.append(True, session[1:] != session[:-1]))
    days, which = np.unique(session[begins], return_inverse=True)
    opened = np.full(len(days), np.iinfo(np.int64).max)
    closed = np.zeros(len(days), dtype=np.int64)
    np.minimum.at(opened, which, np.minimum.reduceat(ts, begins))
    np.maximum.at(closed, which, np.maximum.reduceat(ts, begins) + bar_us)
    closed[:-1] = np.minimum(closed[:-1], opened[1:])
    return Schedule("", days, opened, closed, closed, np.zeros(len(days), dtype=np.int64))


def whole_days(sessions: Schedule) -> Schedule:
    """Return sessions that last from midnight to midnight UTC, as those of a market that never closes."""
    opened, closed = sessions.session * DAY_US, (sessions.session + 1) * DAY_US
    return replace(sessions, open_us=opened, close_us=closed, break_start_us=closed)


def uncut(sessions: Schedule) -> Schedule:
    """Return the sessions that the bars' ends do not cut: all but the outer ones, or the longer of two."""
    if len(sessions) > 2:
        return sessions.take(slice(1, -1))
    lengths = sessions.close_us - sessions.open_us
    return sessions.take(lengths == lengths.max())


def date_of(days: int) -> date:
    """Return days since 1970-01-01 as a date."""
    return EPOCH + timedelta(days=int(days))
