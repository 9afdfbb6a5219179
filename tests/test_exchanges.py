"""Every exchange's calendar over the dates it knows. Expected days from the exchanges' own notices."""

from __future__ import annotations

from datetime import date, timedelta

import exchange_calendars as xcals
import numpy as np
import pandas as pd
import pytest

from whatif.calendars import known_schedule, schedule, sessions_per_year
from whatif.errors import CalendarError
from whatif.exchanges import EARLIEST, LATEST, build_calendar, known_dates, time_zone
from whatif.sources.sessions import tag_bars, tag_days

NAMES = tuple(xcals.get_calendar_names(include_aliases=False))
PROBES = (1962, 1971, 1998, 2013, 2024, 2026)
OFTEN = frozenset({"XNYS", "XLON", "XTKS", "XHKG", "CMES", "24/7", "24/5"})
LIBRARY_FAILS = frozenset({"XBOM", "XKRX", "XMOS", "XTAE", "ASEX", "XBEL", "XBSE", "XCYS"})
"""Calendars that the library itself cannot build with every pandas, or only without their Saturdays."""


def days(exchange: str, first: str, last: str) -> list[str]:
    """Return trading dates of an exchange from `first` to `last`."""
    found = schedule(exchange, date.fromisoformat(first), date.fromisoformat(last))
    return [str(np.datetime64(int(day), "D")) for day in found.session]


def number(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    "exchange",
    [
        name if name in OFTEN or name in LIBRARY_FAILS else pytest.param(name, marks=pytest.mark.slow)
        for name in NAMES
    ],
)
def test_every_exchange_can_be_built_and_says_what_it_knows(exchange: str) -> None:
    first, last = known_dates(exchange)
    assert time_zone(exchange)
    assert len(build_calendar(exchange, date(2024, 5, 1), date(2024, 5, 31)).sessions) >= 15
    for begin, end in ((last, last + timedelta(days=1)), (first - timedelta(days=1), first)):
        with pytest.raises(CalendarError, match=f"it knows {first} to {last}"):
            schedule(exchange, begin, end)
    assert len(known_schedule(exchange, last + timedelta(days=1), last + timedelta(days=9))) == 0
    assert len(known_schedule(exchange, first - timedelta(days=9), first - timedelta(days=1))) == 0


@pytest.mark.slow
@pytest.mark.parametrize("exchange", NAMES)
def test_every_exchange_has_sessions_where_its_knowledge_begins_and_ends(exchange: str) -> None:
    first, last = known_dates(exchange)
    assert len(known_schedule(exchange, first - timedelta(days=9), first + timedelta(days=30)))
    assert len(known_schedule(exchange, last - timedelta(days=30), last + timedelta(days=9)))


@pytest.mark.slow
@pytest.mark.parametrize("exchange", NAMES)
def test_every_exchange_has_a_plausible_year(exchange: str) -> None:
    """From 225 sessions (Jakarta's holidays) to a Saturday in every week, but for those always open."""
    begin, end = known_dates(exchange)
    for year in PROBES:
        if date(year, 1, 1) < begin or date(year, 12, 31) > end:
            continue
        found = schedule(exchange, date(year, 1, 1), date(year, 12, 31))
        assert (np.diff(found.open_us) > 0).all()
        assert (found.close_us > found.open_us).all()
        assert (found.trading_us > 0).all()
        assert (found.open_us[1:] >= found.close_us[:-1]).all()
        assert 225 <= len(found) <= (366 if exchange == "24/7" else 305), (exchange, year)
        tags = tag_days(found.session, exchange)
        assert tags.found.all()
        assert tags.known.all()
        inside = tag_bars(found.open_us, 60_000_000, exchange)
        assert inside.regular.all()
        assert (inside.session == found.session).all()


@pytest.mark.slow
@pytest.mark.parametrize("exchange", sorted(set(NAMES) - LIBRARY_FAILS))
def test_sessions_are_the_library_s_own_where_it_can_build_them(exchange: str) -> None:
    first, last = max(known_dates(exchange)[0], date(2004, 1, 1)), date(2026, 12, 31)
    own = xcals.get_calendar(exchange, start=str(first), end=str(last)).schedule
    found = schedule(exchange, first, last)
    assert found.session.tolist() == (own.index.as_unit("s").asi8 // 86_400).tolist()
    assert found.open_us.tolist() == pd.DatetimeIndex(own["open"]).as_unit("us").asi8.tolist()
    assert found.close_us.tolist() == pd.DatetimeIndex(own["close"]).as_unit("us").asi8.tolist()


def test_athens_and_easter_of_the_orthodox_church() -> None:
    """Easter was 5 May 2024; 1 May was kept on Tuesday 7 May, in the Holy Week it would have fallen into."""
    assert days("ASEX", "2024-05-01", "2024-05-09") == [
        "2024-05-01", "2024-05-02", "2024-05-08", "2024-05-09",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("exchange", "holidays"),
    [
        # Good Friday and Easter Monday of the Orthodox church, 3 and 6 May 2024
        ("XBSE", ("2024-05-03", "2024-05-06")),
        ("XCYS", ("2024-05-03", "2024-05-06")),
        ("XBEL", ("2024-05-03", "2024-05-06")),
        # Passover 23 April and Yom Kippur 12 October (a Saturday; its eve is the Friday), New Year 3 October
        ("XTAE", ("2024-04-22", "2024-04-23", "2024-10-03")),
    ],
)
def test_holidays_that_no_rule_of_pandas_names(exchange: str, holidays: tuple[str, ...]) -> None:
    open_days = set(days(exchange, "2024-01-01", "2024-12-31"))
    assert not open_days & set(holidays)
    assert len(open_days) >= 240


def test_weeks_that_were_not_monday_to_friday() -> None:
    """Tel Aviv traded from Sunday to Thursday until 2026, Seoul on Saturdays until December 1998."""
    assert days("XTAE", "2024-06-02", "2024-06-08") == [f"2024-06-0{k}" for k in (2, 3, 4, 5, 6)]
    assert days("XTAE", "2026-06-07", "2026-06-13") == [
        "2026-06-08", "2026-06-09", "2026-06-10", "2026-06-11", "2026-06-12",
    ]  # fmt: skip
    assert "1998-11-28" in days("XKRX", "1998-11-23", "1998-11-29")
    assert "1998-12-12" not in days("XKRX", "1998-12-07", "1998-12-13")


def test_holidays_before_1970() -> None:
    """New York, 1962: closed on 1 January, 22 February, Good Friday 20 April and Election Day 6 November."""
    year = set(days("XNYS", "1962-01-01", "1962-12-31"))
    assert not year & {"1962-01-01", "1962-02-22", "1962-04-20", "1962-05-30", "1962-07-04", "1962-11-06"}
    assert len(year) == 252


def test_the_last_year_that_a_calendar_knows() -> None:
    """Shanghai's holidays are known until the end of 2026: 5 January and 24 November were trading days."""
    assert known_dates("XSHG")[1] == date(2026, 12, 31)
    tags = tag_days(np.array([number("2025-11-24"), number("2026-01-05"), number("2026-11-24")]), "XSHG")
    assert tags.found.tolist() == [True, True, True]
    tags = tag_days(np.array([number("2026-12-31"), number("2027-01-04"), number("2026-10-01")]), "XSHG")
    assert tags.found.tolist() == [True, False, False]
    assert tags.known.tolist() == [True, False, True]


def test_a_year_known_in_part_counts_as_that_part() -> None:
    """Shanghai's calendar begins on Monday 3 December 1990: 21 weekdays without a holiday, in 29 days."""
    per_year = sessions_per_year("XSHG", date(1990, 12, 20), date(1990, 12, 28))
    assert per_year == pytest.approx(21 / (29 / 365))


def test_the_week_of_currencies_begins_on_sunday_evening_in_new_york() -> None:
    # 10 March 2024 is the Sunday on which New York's clocks were set forward
    week = schedule("FX", date(2024, 3, 8), date(2024, 3, 12))
    opens = week.open_us.astype("datetime64[us]").astype("datetime64[m]").astype(str).tolist()
    assert opens == ["2024-03-07T22:00", "2024-03-10T21:00", "2024-03-11T21:00"]
    assert (week.close_us - week.open_us == 24 * 3_600_000_000).all()


def test_dates_of_no_calendar() -> None:
    tags = tag_days(np.array([number("0201-10-07"), number("2013-10-07"), number("9013-10-07")]), "XNYS")
    assert tags.known.tolist() == [False, True, False]
    assert known_dates("XNYS") == (EARLIEST, LATEST)
