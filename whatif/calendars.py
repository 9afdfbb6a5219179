"""Exchange calendars: sessions, their bounds, and periods a year.

Everything that leaves this module is in UTC, as whole microseconds or days
since 1970-01-01. Source of the sessions: the library `exchange_calendars`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from whatif.domain import HOUR_US, Periods
from whatif.errors import CalendarError, nearest
from whatif.exchanges import (
    build_calendar,
    canonical_exchange,
    check_exchange,
    exchange_aliases,
    known_dates,
    stored,
)
from whatif.typing import BoolArray, IntArray

__all__ = [
    "EPOCH", "MIN_PERIODS", "Schedule", "canonical_exchange", "choose_period", "exchange_aliases",
    "known_schedule", "make_periods", "schedule", "sessions_per_year", "utc_instant",
]  # fmt: skip

EPOCH = date(1970, 1, 1)
MIN_PERIODS = 160
"""Periods that the validate window must keep for a period length to be chosen."""

_START = datetime(1970, 1, 1, tzinfo=UTC)
_built: dict[tuple[str, date, date], Schedule] = {}


@dataclass(frozen=True, eq=False)
class Schedule:
    """Sessions of one exchange, oldest first; all arrays have length k.

    Attributes
    ----------
    exchange : str
        Code of the calendar, such as "XNYS" or "24/7".
    session : int64 array (k,)
        Trading dates as days since 1970-01-01.
    open_us, close_us : int64 array (k,)
        Regular hours as a half-open interval, microseconds UTC.
    break_start_us : int64 array (k,)
        Start of the midday break, microseconds UTC; the close where there is none.
    break_us : int64 array (k,)
        Length of the midday break, microseconds; 0 where there is none.
    """

    exchange: str
    session: IntArray
    open_us: IntArray
    close_us: IntArray
    break_start_us: IntArray
    break_us: IntArray

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self.session)

    @property
    def trading_us(self) -> IntArray:
        """Trading time of each session, (k,), microseconds, breaks left out."""
        return self.close_us - self.open_us - self.break_us

    def traded_between(self, start_us: int, end_us: int) -> IntArray:
        """Return the trading time of each session in [start_us, end_us), (k,), microseconds, no breaks."""
        whole = _overlap(self.open_us, self.close_us, start_us, end_us)
        return whole - _overlap(self.break_start_us, self.break_start_us + self.break_us, start_us, end_us)

    def between(self, start_us: int, end_us: int) -> Schedule:
        """Return the sessions whose regular hours overlap [start_us, end_us)."""
        return self.take((self.close_us > start_us) & (self.open_us < end_us))

    def take(self, rows: slice | BoolArray) -> Schedule:
        """Return the sessions that `rows` selects: a slice, or a mask (k,)."""
        return Schedule(
            self.exchange,
            self.session[rows],
            self.open_us[rows],
            self.close_us[rows],
            self.break_start_us[rows],
            self.break_us[rows],
        )

    def after(self, k: int, trading_us: int) -> int:
        """Return the instant at which session `k` has traded for `trading_us`, microseconds UTC."""
        instant = int(self.open_us[k]) + trading_us
        return instant + int(self.break_us[k]) if instant > int(self.break_start_us[k]) else instant


def schedule(exchange: str, first: date, last: date) -> Schedule:
    """Return the sessions of `exchange` whose trading dates lie in [first, last].

    The calendar is built for just this range, so dates of any age work that the
    library knows. An exchange that is always open is "24/7": its sessions are UTC days.

    Raises
    ------
    CalendarError
        If the exchange is unknown, or the range is one its calendar does not cover.
    """
    check_exchange(exchange)
    if last < first:
        raise CalendarError(f"calendar {exchange}: last date {last} is before first date {first}; swap them")
    covering = _covering(exchange, first, last)
    begin, stop = ((day - EPOCH).days for day in (first, last + timedelta(days=1)))
    return replace(covering.take((covering.session >= begin) & (covering.session < stop)), exchange=exchange)


def _build(exchange: str, first: date, last: date) -> dict[str, list[int]]:
    """Return the sessions of a calendar of [first, last], by the names of a schedule's arrays."""
    import pandas as pd

    from whatif.domain import days, microseconds  # which import pandas

    frame = build_calendar(exchange, first, last).schedule
    close_us = microseconds(frame["close"])
    whole = frame["break_start"].isna().to_numpy()
    break_start, break_end = microseconds(frame["break_start"]), microseconds(frame["break_end"])
    arrays = {
        "session": days(pd.DatetimeIndex(frame.index)),
        "open_us": microseconds(frame["open"]),
        "close_us": close_us,
        "break_start_us": np.where(whole, close_us, break_start),
        "break_us": np.where(whole, 0, break_end - break_start),
    }
    return {name: values.tolist() for name, values in arrays.items()}


def _made(exchange: str, arrays: Mapping[str, list[int]]) -> Schedule:
    return Schedule(exchange, **{name: np.array(values, np.int64) for name, values in arrays.items()})


def known_schedule(exchange: str, first: date, last: date) -> Schedule:
    """Return the sessions of `exchange` in that part of [first, last] that its calendar knows; maybe none."""
    begin, end = known_dates(exchange)
    if last < begin or first > end:
        return schedule(exchange, begin, begin).take(slice(0, 0))
    return schedule(exchange, max(first, begin), min(last, end))


def sessions_per_year(exchange: str, first: date, last: date) -> float:
    """Return the mean number of sessions in the calendar years from `first` to `last`."""
    sessions, years = _whole_years(exchange, first, last)
    return len(sessions) / years


def _whole_years(exchange: str, first: date, last: date) -> tuple[Schedule, float]:
    """Return the sessions of the calendar years from `first` to `last`, and how many years they are.

    A year that the calendar knows a part of counts as that part.
    """
    start, end = date(first.year, 1, 1), date(last.year, 12, 31)
    begin, until = known_dates(exchange)
    known = (min(end, until) - max(start, begin)).days + 1
    years = (last.year - first.year + 1) * known / ((end - start).days + 1)
    return known_schedule(exchange, start, end), years


def make_periods(
    kind: str,
    window: Schedule,
    start_us: int,
    end_us: int,
    bar_us: int,
    sessions_per_year: float | None = None,
    whole: Schedule | None = None,
) -> Periods:
    """Cut the trading time of a window into periods.

    Parameters
    ----------
    kind : str
        "session", "hour" (from each session's open) or "bar".
    window : Schedule
        Sessions that overlap the window.
    start_us, end_us : int
        The window, half-open, microseconds UTC.
    bar_us : int
        Length of a bar; for "bar" periods and to know how many there are in a session.
    sessions_per_year : float, optional
        For sessions that no exchange's calendar gave; by the calendar if absent.
    whole : Schedule, optional
        With `sessions_per_year`: those whose periods are counted, where the window cuts some; all if absent.

    Returns
    -------
    Periods
        One end for every period that overlaps the window; the last is the window's end. The
        last period of a session ends where the next session opens, so that extended hours
        belong to a period too, and a stretch that lies wholly in a midday break is none.
    """
    ends = _period_ends(window, _step_us(kind, bar_us), start_us, end_us)
    if sessions_per_year is None:
        return Periods(kind, ends, _periods_per_year(kind, window, bar_us))
    _, each = _session_ends(window if whole is None else whole, _step_us(kind, bar_us))
    return Periods(kind, ends, sessions_per_year * float(np.mean(each)))


def choose_period(validate: Schedule, start_us: int, end_us: int, bar_us: int) -> str:
    """Return the longest of session, hour, bar that leaves at least 160 periods."""
    for kind in ("session", "hour"):
        if kind == "hour" and bar_us >= HOUR_US:
            continue
        if len(_period_ends(validate, _step_us(kind, bar_us), start_us, end_us)) >= MIN_PERIODS:
            return kind
    return "bar"


def _overlap(begins: IntArray, ends: IntArray, start_us: int, end_us: int) -> IntArray:
    return np.asarray(np.maximum(np.minimum(ends, end_us) - np.maximum(begins, start_us), 0), np.int64)


def _step_us(kind: str, bar_us: int) -> int | None:
    if kind == "session":
        return None
    if kind == "hour":
        return HOUR_US
    if kind == "bar":
        return bar_us
    raise CalendarError(f"period {kind!r} is unknown: {nearest(kind, ['auto', 'session', 'hour', 'bar'])}")


def _period_ends(window: Schedule, step_us: int | None, start_us: int, end_us: int) -> IntArray:
    if end_us <= start_us:
        return np.empty(0, np.int64)
    ends, counts = _session_ends(window, step_us)
    if len(window):
        # a session's last period lasts until the next one opens
        last = np.cumsum(counts) - 1
        ends[last[:-1]] = window.open_us[1:]
        ends[-1] = max(ends[-1], end_us)
    return np.append(ends[(ends > start_us) & (ends < end_us)], end_us)


def _session_ends(sessions: Schedule, step_us: int | None) -> tuple[IntArray, IntArray]:
    """Return the ends of all sessions' own periods, each one's close being its last, and how many it has."""
    if step_us is None:
        return sessions.close_us.copy(), np.ones(len(sessions), np.int64)
    counts = np.maximum(-(-(sessions.close_us - sessions.open_us) // step_us), 1)
    last = np.cumsum(counts) - 1
    place = np.arange(counts.sum()) - np.repeat(last - counts + 1, counts)
    begins = np.repeat(sessions.open_us, counts) + step_us * place
    ends = begins + step_us
    ends[last] = sessions.close_us
    if not sessions.break_us.any():
        return ends, counts
    pause, length = np.repeat(sessions.break_start_us, counts), np.repeat(sessions.break_us, counts)
    traded = ~((length > 0) & (begins >= pause) & (ends <= pause + length))
    return ends[traded], np.add.reduceat(traded.astype(np.int64), last - counts + 1)


def _periods_per_year(kind: str, window: Schedule, bar_us: int) -> float:
    if not len(window):
        return float("nan")
    first, last = (EPOCH + timedelta(days=int(window.session[k])) for k in (0, -1))
    sessions, years = _whole_years(window.exchange, first, last)
    _, counts = _session_ends(sessions, _step_us(kind, bar_us))
    return int(counts.sum()) / years


def _covering(exchange: str, first: date, last: date) -> Schedule:
    """Return the sessions of at least [first, last]: those that are there already, else of whole years."""
    for (name, start, end), found in _built.items():
        if name == exchange and start <= first and last <= end:
            return found
    begin, until = known_dates(exchange)
    if first < begin or last > until:
        return _made(exchange, _build(exchange, first, last))  # says what it does not know
    margin = timedelta(days=14)  # since a calendar without any session cannot be built
    start = max(date(first.year, 1, 1) - margin, begin)
    end = min(date(last.year, 12, 31) + margin, until)
    file = f"{canonical_exchange(exchange).replace('/', '-')}-{start}-{end}"
    arrays = stored(file, lambda: _build(exchange, start, end))
    _built[exchange, start, end] = _made(exchange, arrays)
    return _built[exchange, start, end]


def utc_instant(us: int) -> datetime:
    """Return microseconds since 1970-01-01 UTC as a time of Python's own, which needs no pandas."""
    return _START + timedelta(microseconds=int(us))
