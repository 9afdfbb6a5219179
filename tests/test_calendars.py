"""Sessions by the exchanges' own hours, and periods by arithmetic."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.calendars import Schedule, choose_period, make_periods, schedule, sessions_per_year
from whatif.domain.periods import Periods
from whatif.domain.timeframe import DAY_US, HOUR_US, MINUTE_US
from whatif.errors import CalendarError
from whatif.exchanges import time_zone


def us(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * 1_000_000


def texts(instants: np.ndarray) -> list[str]:
    return [str(np.datetime64(int(t), "us"))[:16] for t in instants]


def periods(kind: str, exchange: str, start: str, end: str, bar_us: int = MINUTE_US) -> Periods:
    first, last = (date.fromisoformat(text[:10]) for text in (start, end))
    sessions = schedule(exchange, first - timedelta(days=5), last + timedelta(days=5))
    start_us, end_us = us(start), us(end)
    return make_periods(kind, sessions.between(start_us, end_us), start_us, end_us, bar_us)


class TestSchedule:
    def test_new_york_with_thanksgiving_and_a_half_day(self) -> None:
        """27 to 29 November 2013: 09:30-16:00, closed, 09:30-13:00 in New York, five hours behind UTC."""
        found = schedule("XNYS", date(2013, 11, 27), date(2013, 11, 29))
        assert texts(found.open_us) == ["2013-11-27T14:30", "2013-11-29T14:30"]
        assert texts(found.close_us) == ["2013-11-27T21:00", "2013-11-29T18:00"]
        assert (found.trading_us // MINUTE_US).tolist() == [390, 210]
        assert [str(np.datetime64(int(day), "D")) for day in found.session] == ["2013-11-27", "2013-11-29"]

    def test_the_clock_changes_between_two_sessions(self) -> None:
        """New York put its clocks back on Sunday 3 November 2013."""
        found = schedule("XNYS", date(2013, 11, 1), date(2013, 11, 4))
        assert texts(found.open_us) == ["2013-11-01T13:30", "2013-11-04T14:30"]

    def test_old_dates_work(self) -> None:
        """The library's own default reaches back twenty years only."""
        assert len(schedule("XNYS", date(1998, 1, 1), date(1998, 12, 31))) == 252

    def test_tokyo_pauses_at_noon(self) -> None:
        """09:00-11:30 and 12:30-15:00 in 2013, nine hours ahead of UTC."""
        found = schedule("XTKS", date(2013, 10, 4), date(2013, 10, 4))
        assert (texts(found.open_us), texts(found.close_us)) == (["2013-10-04T00:00"], ["2013-10-04T06:00"])
        assert (texts(found.break_start_us), found.break_us.tolist()) == (["2013-10-04T02:30"], [HOUR_US])
        assert found.trading_us.tolist() == [300 * MINUTE_US]
        assert texts(np.array([found.after(0, minutes * MINUTE_US) for minutes in (0, 150, 151, 300)])) == [
            "2013-10-04T00:00", "2013-10-04T02:30", "2013-10-04T03:31", "2013-10-04T06:00",
        ]  # fmt: skip

    def test_always_open_means_utc_days(self) -> None:
        found = schedule("24/7", date(2013, 10, 5), date(2013, 10, 6))
        assert texts(found.open_us) == ["2013-10-05T00:00", "2013-10-06T00:00"]
        assert texts(found.close_us) == ["2013-10-06T00:00", "2013-10-07T00:00"]

    def test_a_range_without_a_session_is_empty(self) -> None:
        assert len(schedule("XNYS", date(2013, 10, 5), date(2013, 10, 6))) == 0

    def test_to_the_last_day_that_a_calendar_knows(self) -> None:
        """Tokyo's begins with 1997; the first session of that year was 6 January."""
        found = schedule("XTKS", date(1997, 1, 1), date(1997, 1, 6))
        assert texts(found.open_us) == ["1997-01-06T00:00"]

    def test_refusals(self) -> None:
        with pytest.raises(CalendarError, match=r"'XNYZ' has no calendar.*did you mean"):
            schedule("XNYZ", date(2013, 1, 1), date(2013, 1, 2))
        with pytest.raises(CalendarError, match="before first date"):
            schedule("XNYS", date(2013, 1, 2), date(2013, 1, 1))
        with pytest.raises(CalendarError, match="XTKS does not cover 1980"):
            schedule("XTKS", date(1980, 1, 1), date(1980, 2, 1))

    def test_time_zones(self) -> None:
        assert [time_zone(code) for code in ("XNYS", "XTKS", "24/7")] == [
            "America/New_York",
            "Asia/Tokyo",
            "UTC",
        ]

    def test_between_takes_sessions_that_overlap(self) -> None:
        october = schedule("XNYS", date(2013, 10, 1), date(2013, 10, 31))
        touched = october.between(us("2013-10-04T20:00"), us("2013-10-08T13:30"))
        assert texts(touched.open_us) == ["2013-10-07T13:30"]
        touched = october.between(us("2013-10-04T19:59"), us("2013-10-08T13:31"))
        assert len(touched) == 3


class TestPeriodsPerYear:
    def test_new_york_2013(self) -> None:
        """252 sessions, three of them half days (3 July, 29 November, 24 December)."""
        assert sessions_per_year("XNYS", date(2013, 6, 1), date(2013, 6, 2)) == 252.0
        window = ("XNYS", "2013-10-09T13:30", "2013-10-10T16:45")
        assert periods("session", *window).per_year == 252.0
        assert periods("hour", *window).per_year == 249 * 7 + 3 * 4
        assert periods("bar", *window).per_year == 249 * 390 + 3 * 210
        assert periods("bar", *window, 5 * MINUTE_US).per_year == 249 * 78 + 3 * 42
        assert periods("bar", *window, DAY_US).per_year == 252.0

    def test_always_open(self) -> None:
        assert periods("session", "24/7", "2013-03-01T00:00", "2013-04-01T00:00").per_year == 365.0
        assert periods("session", "24/7", "2012-03-01T00:00", "2012-04-01T00:00").per_year == 366.0
        assert periods("hour", "24/7", "2013-03-01T00:00", "2013-04-01T00:00").per_year == 8760.0

    def test_the_mean_of_the_years_that_a_window_touches(self) -> None:
        """2012 had 250 sessions (Sandy closed the exchange for two days), 2013 had 252."""
        assert periods("session", "XNYS", "2012-12-20T14:30", "2013-01-10T21:00").per_year == 251.0

    def test_a_midday_break_is_no_trading_time(self) -> None:
        """Tokyo: 245 sessions in 2013, each of 300 minutes."""
        one_day = ("XTKS", "2013-10-04T00:00", "2013-10-04T06:00")
        assert periods("session", *one_day).per_year == 245.0
        assert periods("bar", *one_day).per_year == 245 * 300
        assert len(periods("bar", *one_day)) == 300

    def test_given_sessions_a_year_stand_instead_of_the_calendar_s(self) -> None:
        sessions = schedule("XNYS", date(2013, 11, 27), date(2013, 11, 29))
        start, end = int(sessions.open_us[0]), int(sessions.close_us[-1])
        # a full day of seven hours and a half day of four
        assert make_periods("hour", sessions, start, end, MINUTE_US, 200.0).per_year == 200 * 5.5


class TestPeriodEnds:
    def test_hours_count_from_the_open(self) -> None:
        found = periods("hour", "XNYS", "2013-10-09T13:30", "2013-10-10T16:45")
        assert texts(found.ends) == [
            "2013-10-09T14:30", "2013-10-09T15:30", "2013-10-09T16:30", "2013-10-09T17:30",
            "2013-10-09T18:30", "2013-10-09T19:30", "2013-10-10T13:30", "2013-10-10T14:30",
            "2013-10-10T15:30", "2013-10-10T16:30", "2013-10-10T16:45",
        ]  # fmt: skip

    def test_a_window_that_begins_inside_a_session(self) -> None:
        found = periods("hour", "XNYS", "2013-10-10T16:50", "2013-10-11T14:00")
        assert texts(found.ends) == [
            "2013-10-10T17:30", "2013-10-10T18:30", "2013-10-10T19:30", "2013-10-11T13:30",
            "2013-10-11T14:00",
        ]  # fmt: skip

    def test_a_holiday_a_half_day_and_a_weekend(self) -> None:
        found = periods("session", "XNYS", "2013-11-27T14:30", "2013-12-02T21:00")
        assert texts(found.ends) == ["2013-11-29T14:30", "2013-12-02T14:30", "2013-12-02T21:00"]
        hours = periods("hour", "XNYS", "2013-11-29T14:30", "2013-12-02T14:30")
        assert texts(hours.ends) == [
            "2013-11-29T15:30", "2013-11-29T16:30", "2013-11-29T17:30", "2013-12-02T14:30",
        ]  # fmt: skip

    def test_hours_follow_the_clock_change(self) -> None:
        found = periods("hour", "XNYS", "2013-11-01T19:00", "2013-11-04T15:45")
        assert texts(found.ends) == [
            "2013-11-01T19:30", "2013-11-04T14:30", "2013-11-04T15:30", "2013-11-04T15:45",
        ]  # fmt: skip

    def test_extended_hours_belong_to_a_period(self) -> None:
        """From midnight to midnight in New York: what trades early is in the first, late in the last."""
        found = periods("session", "XNYS", "2013-10-07T04:00", "2013-10-09T04:00")
        assert texts(found.ends) == ["2013-10-08T13:30", "2013-10-09T04:00"]
        hours = periods("hour", "XNYS", "2013-10-07T04:00", "2013-10-08T04:00")
        assert (texts(hours.ends)[0], texts(hours.ends)[-1], len(hours)) == (
            "2013-10-07T14:30",
            "2013-10-08T04:00",
            7,
        )

    def test_the_hours_around_a_midday_break(self) -> None:
        """Tokyo: 11:00-11:30 and 12:30-13:00 are short periods."""
        found = periods("hour", "XTKS", "2013-10-04T00:00", "2013-10-04T06:00")
        assert texts(found.ends) == [
            "2013-10-04T01:00", "2013-10-04T02:00", "2013-10-04T03:00", "2013-10-04T04:00",
            "2013-10-04T05:00", "2013-10-04T06:00",
        ]  # fmt: skip

    def test_bars(self) -> None:
        found = periods("bar", "XNYS", "2013-10-04T19:50", "2013-10-07T13:40", 5 * MINUTE_US)
        assert texts(found.ends) == [
            "2013-10-04T19:55", "2013-10-07T13:30", "2013-10-07T13:35", "2013-10-07T13:40",
        ]  # fmt: skip

    def test_daily_bars_are_sessions(self) -> None:
        window = ("XNYS", "2013-11-27T14:30", "2013-12-02T21:00")
        bars, sessions = periods("bar", *window, DAY_US), periods("session", *window)
        assert bars.ends.tolist() == sessions.ends.tolist()

    def test_days_that_are_always_open(self) -> None:
        found = periods("bar", "24/7", "2013-10-05T00:00", "2013-10-07T00:00", DAY_US)
        assert texts(found.ends) == ["2013-10-06T00:00", "2013-10-07T00:00"]

    def test_a_window_between_two_sessions_is_one_period(self) -> None:
        found = periods("hour", "XNYS", "2013-10-05T13:30", "2013-10-05T20:00")
        assert texts(found.ends) == ["2013-10-05T20:00"]

    def test_an_unknown_kind(self) -> None:
        with pytest.raises(CalendarError, match="'day' is unknown"):
            periods("day", "XNYS", "2013-10-09T13:30", "2013-10-10T16:45")


NOVEMBER = {code: schedule(code, date(2013, 10, 25), date(2013, 12, 6)) for code in ("XNYS", "XTKS", "24/7")}


@settings(max_examples=150, deadline=None)
@given(
    exchange=st.sampled_from(sorted(NOVEMBER)),
    kind=st.sampled_from(["session", "hour", "bar"]),
    begin=st.integers(0, 28 * 24 * 60),
    length=st.integers(1, 9 * 24 * 60),
    bar=st.sampled_from([1, 5, 30, 60, 1440]),
)
def test_every_minute_of_a_window_is_in_exactly_one_period(
    exchange: str, kind: str, begin: int, length: int, bar: int
) -> None:
    """Ends increase, and the last one is the window's; the others are instants of the schedule."""
    start = us("2013-11-01T00:00") + begin * MINUTE_US
    end = start + length * MINUTE_US
    window = NOVEMBER[exchange].between(start, end)
    ends = make_periods(kind, window, start, end, bar * MINUTE_US).ends
    assert ends[-1] == end
    assert (np.diff(np.concatenate(([start], ends))) > 0).all()
    # inner periods begin and end on instants of the schedule, whatever the window
    assert set(ends[:-1].tolist()) <= _instants(NOVEMBER[exchange], kind, bar * MINUTE_US)
    if kind == "session":
        assert len(ends) == max(1, len(window))


def _instants(sessions: Schedule, kind: str, bar_us: int) -> set[int]:
    step = {"session": DAY_US, "hour": HOUR_US, "bar": bar_us}[kind]
    grid = {
        t
        for o, c in zip(sessions.open_us.tolist(), sessions.close_us.tolist(), strict=True)
        for t in range(o + step, c, step)
    }
    return grid | set(sessions.open_us.tolist()) | set(sessions.close_us.tolist())


class TestChoosePeriod:
    """The longest of session, hour and bar that leaves 160 periods in the validate window."""

    def window(self, exchange: str, count: int) -> tuple[Schedule, int, int]:
        sessions = schedule(exchange, date(2013, 1, 2), date(2014, 12, 31)).take(slice(count))
        return sessions, int(sessions.open_us[0]), int(sessions.close_us[-1])

    @pytest.mark.parametrize(
        ("sessions", "chosen"), [(160, "session"), (159, "hour"), (23, "hour"), (22, "bar"), (1, "bar")]
    )
    def test_minutes_of_new_york(self, sessions: int, chosen: str) -> None:
        """From 2 January 2013 all are full days, of seven hours: 23 give 161 and 22 give 154."""
        assert choose_period(*self.window("XNYS", sessions), MINUTE_US) == chosen

    def test_a_bar_of_an_hour_or_longer_is_no_shorter_than_an_hour(self) -> None:
        assert choose_period(*self.window("XNYS", 100), HOUR_US) == "bar"
        assert choose_period(*self.window("XNYS", 100), DAY_US) == "bar"
        assert choose_period(*self.window("XNYS", 200), DAY_US) == "session"

    def test_half_hours(self) -> None:
        assert choose_period(*self.window("XNYS", 100), 30 * MINUTE_US) == "hour"

    def test_always_open(self) -> None:
        assert choose_period(*self.window("24/7", 7), MINUTE_US) == "hour"  # 168 hours
        assert choose_period(*self.window("24/7", 6), MINUTE_US) == "bar"  # 144 hours
