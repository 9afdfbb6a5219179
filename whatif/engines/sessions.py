"""Sessions of bars that come without them, and how many a year has."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from whatif.calendars import EPOCH, Schedule, known_schedule
from whatif.domain import DAY_US, HOUR_US, MINUTE_US, Bars, microseconds, timestamps
from whatif.errors import CalendarError
from whatif.exchanges import time_zone
from whatif.typing import BoolArray, FloatArray, IntArray


def bar_length(ts: IntArray) -> int:
    """Return the usual distance between bars in microseconds; from half a day on, a whole day.

    Parameters
    ----------
    ts : int64 array (n,)
        Start of each bar, microseconds UTC, in any order; under two bars, the distance is a day.
    """
    if len(ts) < 2:
        return DAY_US
    steps = np.diff(ts)
    if (steps <= 0).any():
        steps = np.diff(np.unique(ts))
    usual = _usual(steps, len(steps) // 2)
    if usual is None or usual != _usual(steps, (len(steps) - 1) // 2):
        usual = int(np.median(steps))
    return DAY_US if usual >= DAY_US // 2 else usual


def exchange_sessions(ts: IntArray, exchange: str) -> tuple[IntArray, IntArray, IntArray]:
    """Return session, open and close of each bar by an exchange's calendar.

    A bar outside regular hours belongs to the session of its date in the exchange's time zone.

    Parameters
    ----------
    ts : int64 array (n,)
        Start of each bar, microseconds UTC.
    exchange : str
        Whose calendar.

    Returns
    -------
    session : int64 array (n,)
        Days since 1970-01-01.
    session_open, session_close : int64 array (n,)
        Microseconds since 1970-01-01 UTC.

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
    """Return session, open and close of each bar, a session being a UTC date.

    Parameters
    ----------
    ts : int64 array (n,)
        Start of each bar, microseconds UTC.

    Returns
    -------
    session : int64 array (n,)
        Days since 1970-01-01.
    session_open, session_close : int64 array (n,)
        Microseconds since 1970-01-01 UTC.
    """
    session = ts // DAY_US
    return session, session * DAY_US, (session + 1) * DAY_US


def seen_sessions(bars: list[Bars], bar_us: int) -> Schedule:
    """Return the sessions that bars show: from the first bar's start to the last one's end."""
    ts = np.concatenate([one.ts for one in bars]) if len(bars) > 1 else bars[0].ts
    session = np.concatenate([one.session for one in bars]) if len(bars) > 1 else bars[0].session
    # each stretch of bars of one session stands for its bars: far fewer to sort
    begins = _beginnings(session)
    days, which = np.unique(session[begins], return_inverse=True)
    opened = np.full(len(days), np.iinfo(np.int64).max)
    closed = np.zeros(len(days), dtype=np.int64)
    np.minimum.at(opened, which, np.minimum.reduceat(ts, begins))
    np.maximum.at(closed, which, np.maximum.reduceat(ts, begins) + bar_us)
    closed[:-1] = np.minimum(closed[:-1], opened[1:])
    return Schedule("", days, opened, closed, closed, np.zeros(len(days), dtype=np.int64))


def _beginnings(session: IntArray) -> IntArray:
    """Return the rows that do not belong to the session of the row before, the first one among them."""
    return np.append(0, np.flatnonzero(session[1:] != session[:-1]) + 1)


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


WORKING_DAYS, ALL_DAYS = 252.0, 365.0
"""Sessions a year of a market that closes at weekends, and of one that never closes."""

YEAR_DAYS = 365.25
WEEK_DAYS = 7
WEEK_US = WEEK_DAYS * DAY_US
"""Counted from Thursdays, as 1970-01-01 was one."""

LONGEST_HOLIDAY = 10
"""Days without bars above which bars are missing, and say nothing of the market's days."""

LONG_RECORD = 180
"""Days from which on a count of sessions is taken at its word."""

_FRIDAY_OVER = 2 * DAY_US + 2 * HOUR_US  # Saturday 02:00 UTC, after the last close of any Friday
_SUNDAY_NOON = 3 * DAY_US + 11 * HOUR_US  # no Monday has begun anywhere before Sunday 11:00 UTC
_SUNDAY_OPEN = 3 * DAY_US + 17 * HOUR_US  # currencies and futures open for Monday from here on
_WEEKEND = 2 * DAY_US + 23 * HOUR_US  # an instant that is weekend in every time zone

_LONG_BARS = ((6.5, 8.0, YEAR_DAYS / 7), (14.5, 16.5, 24.0), (28.5, 34.0, 12.0), (85.0, 96.0, 4.0),
              (175.0, 190.0, 2.0), (355.0, 376.0, 1.0))  # fmt: skip
"""Days between bars from, to, and bars a year: weeks, half months, months, quarters, half years, years."""


def spacing(ts: IntArray) -> int:
    """Return the usual distance between bars in microseconds; a day if there is one bar only.

    Parameters
    ----------
    ts : int64 array (n,)
        Start of each bar, microseconds UTC, increasing.

    Returns
    -------
    int
        Where most days hold several bars, the usual distance within a day: what lies between the last
        bar of a day and the first of the next is the night.
    """
    steps = np.diff(ts)
    if not len(steps):
        return DAY_US
    days = ts // DAY_US
    inside = steps[days[1:] == days[:-1]]
    nights = len(steps) - len(inside)
    taken = inside if 2 * len(inside) >= nights + 1 else steps
    middle = (len(taken) - 1) // 2
    usual = _usual(taken, middle)
    return int(np.partition(taken, middle)[middle]) if usual is None else usual


def _usual(steps: IntArray, place: int) -> int | None:
    """Return what stands at a place of the sorted steps, if it is the one that stands there now; else None.

    Most steps of most bars are the same: to count takes a tenth of the time that it takes to sort some.
    """
    found = int(steps[place])
    before = int(np.count_nonzero(steps < found))
    return found if before <= place < before + int(np.count_nonzero(steps == found)) else None


def never_closes(ts: IntArray, bar_us: int) -> bool:
    """Return whether bars shorter than a day run on through midnight UTC, or stand on a weekend's only day.

    Parameters
    ----------
    ts : int64 array (n,)
        Start of each bar of all symbols, microseconds UTC, increasing.
    bar_us : int
        Their length.
    """
    if bar_us >= DAY_US or len(ts) < 2:
        return False
    if ts[0] // DAY_US == ts[-1] // DAY_US:
        return _on_weekend(ts, bar_us)
    return bool(np.diff(ts).max() <= max(3 * bar_us, 30 * MINUTE_US))


def sessions_a_year(ts: IntArray, session: IntArray, bar_us: int) -> float:
    """Return how many sessions a year has by the days on which bars stand.

    Parameters
    ----------
    ts : int64 array (n,)
        Start of each bar of all symbols, microseconds UTC, increasing.
    session : int64 array (n,)
        Day of each bar, days since 1970-01-01.
    bar_us : int
        Usual distance between bars, see `spacing`.

    Returns
    -------
    float
        *Bars longer than a day*: bars a year by the distance between them: 52.18 of weeks, 12 of months.
        *Others*: the share of each weekday's dates that have bars, added up: 252 for about five days a
        week, 365 for about seven, otherwise that share of a year. Weekdays are only counted, never
        named, so it does not matter in which zone a day is stamped. Stretches without bars of more
        than ten days are left out. With less than a week of bars: 365 where they stand on a weekend
        (in every zone) or run on without a break, else 252.
    """
    first = _beginnings(session)
    days, which = np.unique(session[first], return_index=True)
    stamps = ts[first][which]
    weekend = _on_weekend(ts, bar_us)
    gaps = np.diff(stamps) / DAY_US
    # a market that is closed at weekends skips two days at each
    open_days = gaps if weekend else gaps - 2.0 * np.diff((stamps - _WEEKEND) // WEEK_US)
    if len(gaps) and _middle(open_days) > 1.5:
        return _of_long_bars(gaps)
    counted = _week(days)
    if counted is not None:
        return _of_days(*counted)
    if weekend:
        return ALL_DAYS
    unbroken = len(days) > 1 and never_closes(ts, bar_us)
    return ALL_DAYS if unbroken and not _a_working_week(ts) else WORKING_DAYS


def share_covered(every: Schedule, there: BoolArray) -> float:
    """Return the share of a calendar's sessions that have bars, from the first to the last one that has.

    Parameters
    ----------
    every : Schedule
        Sessions of the calendar, k of them.
    there : bool array (k,)
        Which of them have bars.

    Returns
    -------
    float
        1 from nine tenths on, where single days are missing; stretches without bars of more than ten
        days are left out.
    """
    found = np.flatnonzero(there)
    if len(found) < 2:
        return 1.0
    apart = np.diff(found)[np.diff(every.session[found]) <= LONGEST_HOLIDAY]
    share = len(apart) / max(int(apart.sum()), 1) if len(apart) else 1.0
    return 1.0 if share >= 0.9 else share


def _on_weekend(ts: IntArray, bar_us: int) -> bool:
    """Whether a bar begins when it is weekend wherever the market may be."""
    dated = bar_us >= DAY_US and not (ts % DAY_US).any()
    begin = 2 * DAY_US if dated else _FRIDAY_OVER
    end = _SUNDAY_NOON if bar_us >= DAY_US else _SUNDAY_OPEN
    of_week = ts % WEEK_US
    return bool(((of_week >= begin) & (of_week < end)).any())


def _a_working_week(ts: IntArray) -> bool:
    """Whether bars run from a Sunday's opening to a Friday's close, as currencies and futures do."""
    monday = (int(ts[0]) - _SUNDAY_OPEN) // WEEK_US * WEEK_US + _SUNDAY_OPEN
    return int(ts[-1]) - int(ts[0]) > 4 * DAY_US and int(ts[-1]) < monday + WEEK_US - DAY_US


def _week(days: IntArray) -> tuple[float, int] | None:
    """Return days a week with bars and days looked at; None where a weekday does not come."""
    steps = np.diff(days)
    hole = np.flatnonzero(steps > LONGEST_HOLIDAY)
    looked = np.ones(int(days[-1] - days[0]) + 1, dtype=np.bool_)
    for k in hole:
        looked[int(days[k] - days[0]) + 1 : int(days[k + 1] - days[0])] = False
    dates = days[0] + np.flatnonzero(looked)
    there = np.bincount(dates % WEEK_DAYS, minlength=WEEK_DAYS)
    if (there == 0).any():
        return None
    held = np.bincount(days % WEEK_DAYS, minlength=WEEK_DAYS)
    return float((held / there).sum()), len(dates)


def _of_days(a_week: float, looked: int) -> float:
    count = a_week * YEAR_DAYS / WEEK_DAYS
    if a_week >= 6.5:
        return ALL_DAYS
    usual = 240.0 <= count <= 280.0 if looked >= LONG_RECORD else 4.0 <= a_week <= 5.5
    return WORKING_DAYS if usual else count


def _of_long_bars(gaps: FloatArray) -> float:
    usual = _middle(gaps)
    for low, high, a_year in _LONG_BARS:
        if low <= usual <= high:
            return a_year
    # February alone is as long as four weeks
    if 27.5 <= usual < 28.5 and len(gaps) < 3:
        return 12.0
    return YEAR_DAYS / float(gaps[gaps <= 2.5 * usual].mean())


def _middle(values: FloatArray) -> float:
    """Return the median, the lower one of two."""
    return float(np.sort(values)[(len(values) - 1) // 2])
