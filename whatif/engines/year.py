"""How many sessions a year has, told from bars that come without an exchange's calendar."""

from __future__ import annotations

import numpy as np

from whatif.calendars import Schedule
from whatif.domain import DAY_US, HOUR_US, MINUTE_US
from whatif.typing import BoolArray, FloatArray, IntArray

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
    return int(np.partition(taken, middle)[middle])


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
    first = np.flatnonzero(np.append(True, session[1:] != session[:-1]))
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
