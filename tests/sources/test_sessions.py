"""Sessions of bars. Expected times worked out by hand from the exchanges' published hours."""

from __future__ import annotations

from datetime import UTC, date, datetime

import exchange_calendars as xcals
import numpy as np
import pandas as pd
import pytest

from whatif.sources.sessions import tag_bars, tag_days

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def us(text: str) -> int:
    """Microseconds of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def tag(stamp: str, exchange: str = "XNYS", length: int = MINUTE) -> tuple[bool, bool, int, int, int]:
    tags = tag_bars(np.array([us(stamp)]), length, exchange)
    return (
        bool(tags.found[0]), bool(tags.regular[0]), int(tags.session[0]),
        int(tags.session_open[0]), int(tags.session_close[0]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stamp", "session", "regular", "opened", "closed"),
    [
        # New York in summer, UTC-4: 09:30 to 16:00 is 13:30 to 20:00
        ("2013-10-07 13:29", "2013-10-07", False, "2013-10-07 13:30", "2013-10-07 20:00"),
        ("2013-10-07 13:30", "2013-10-07", True, "2013-10-07 13:30", "2013-10-07 20:00"),
        ("2013-10-07 19:59", "2013-10-07", True, "2013-10-07 13:30", "2013-10-07 20:00"),
        ("2013-10-07 20:00", "2013-10-07", False, "2013-10-07 13:30", "2013-10-07 20:00"),
        # 20:30 in New York is the next day in UTC, and still the session of the 7th
        ("2013-10-08 00:30", "2013-10-07", False, "2013-10-07 13:30", "2013-10-07 20:00"),
        # clocks are set forward on Sunday 9 March 2014: Friday opens at 14:30, Monday at 13:30 UTC
        ("2014-03-07 13:45", "2014-03-07", False, "2014-03-07 14:30", "2014-03-07 21:00"),
        ("2014-03-07 14:30", "2014-03-07", True, "2014-03-07 14:30", "2014-03-07 21:00"),
        ("2014-03-10 13:45", "2014-03-10", True, "2014-03-10 13:30", "2014-03-10 20:00"),
        # and back on Sunday 3 November 2013
        ("2013-11-01 13:30", "2013-11-01", True, "2013-11-01 13:30", "2013-11-01 20:00"),
        ("2013-11-04 13:30", "2013-11-04", False, "2013-11-04 14:30", "2013-11-04 21:00"),
        # the day after Thanksgiving closes at 13:00, which is 18:00 UTC in winter
        ("2013-11-29 17:59", "2013-11-29", True, "2013-11-29 14:30", "2013-11-29 18:00"),
        ("2013-11-29 18:00", "2013-11-29", False, "2013-11-29 14:30", "2013-11-29 18:00"),
    ],
)
def test_new_york(stamp: str, session: str, regular: bool, opened: str, closed: str) -> None:
    assert tag(stamp) == (True, regular, day(session), us(opened), us(closed))


def test_london_between_its_own_clock_changes() -> None:
    # Europe leaves summer time a week before America: Friday 25 October opens at 07:00 UTC, Monday at 08:00
    assert tag("2013-10-25 07:00", "XLON") == (
        True, True, day("2013-10-25"), us("2013-10-25 07:00"), us("2013-10-25 15:30"),
    )  # fmt: skip
    assert tag("2013-10-28 07:59", "XLON")[1] is False
    assert tag("2013-10-28 08:00", "XLON")[1] is True


@pytest.mark.parametrize("stamp", ["2013-10-05 15:00", "2013-12-25 15:00", "2013-10-06 15:00"])
def test_a_weekend_or_holiday_has_no_session(stamp: str) -> None:
    assert tag(stamp)[0] is False


def test_an_hour_that_reaches_into_the_session_is_regular() -> None:
    # 09:00 to 10:00 in New York overlaps the open at 09:30; 08:00 to 09:00 does not
    assert tag("2013-10-07 13:00", length=HOUR)[1] is True
    assert tag("2013-10-07 12:00", length=HOUR)[1] is False
    # on the half day 12:00 to 13:00 is the last regular hour
    assert tag("2013-11-29 17:00", length=HOUR)[1] is True
    assert tag("2013-11-29 18:00", length=HOUR)[1] is False


def test_a_session_that_opens_the_evening_before() -> None:
    # Globex opens on Sunday at 17:00 in Chicago, 22:00 UTC in October, for Monday's session
    found, regular, session, opened, _ = tag("2013-10-06 23:00", "CMES")
    assert (found, regular, session, opened) == (True, True, day("2013-10-07"), us("2013-10-06 22:00"))


def test_around_the_clock_a_session_is_a_utc_day() -> None:
    last = tag("2024-02-29 23:59", "24/7")
    assert last == (True, True, day("2024-02-29"), us("2024-02-29 00:00"), us("2024-03-01 00:00"))
    assert tag("2024-03-01 00:00", "24/7")[2] == day("2024-03-01")


def test_days_take_the_bounds_of_their_session() -> None:
    tags = tag_days(np.array([day("2013-11-29"), day("2013-11-30"), day("2013-12-02")]), "XNYS")
    assert tags.found.tolist() == [True, False, True]
    assert tags.session_open.tolist() == [us("2013-11-29 14:30"), 0, us("2013-12-02 14:30")]
    assert tags.session_close[0] == us("2013-11-29 18:00")


def test_a_stray_date_does_not_cost_the_others_their_sessions() -> None:
    days = np.array([day("0201-10-07"), day("2013-10-07"), day("9013-10-07")])
    assert tag_days(days, "XNYS").found.tolist() == [False, True, False]


def test_half_a_century_and_more_at_once() -> None:
    days = np.array([day("1962-01-03"), day("2021-03-31")])
    assert tag_days(days, "XNYS").found.tolist() == [True, True]


@pytest.mark.parametrize("exchange", ["XNYS", "XLON", "XEUR", "XTKS", "CMES", "24/7"])
def test_minutes_agree_with_the_calendars_own_answer(exchange: str) -> None:
    calendar = xcals.get_calendar(exchange, start="2013-09-01", end="2014-04-30", side="left")
    rng = np.random.default_rng(11)
    first, last = us("2013-10-01 00:00") // MINUTE, us("2014-03-31 00:00") // MINUTE
    minutes = np.sort(rng.integers(first, last, 800)) * MINUTE
    tags = tag_bars(minutes, MINUTE, exchange)
    for k, stamp in enumerate(pd.DatetimeIndex(minutes.astype("datetime64[us]"), tz="UTC")):
        trading = calendar.is_trading_minute(stamp) or calendar.is_break_minute(stamp)
        assert bool(tags.regular[k]) == trading
        if calendar.is_trading_minute(stamp):
            session = calendar.minute_to_session(stamp)
            assert tags.session[k] == day(str(session.date()))
