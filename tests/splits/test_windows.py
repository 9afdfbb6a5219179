"""Windows as instants, computed by hand from the exchanges' hours."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from whatif.domain.bars import Bars
from whatif.domain.timeframe import DAY_US, MINUTE_US
from whatif.errors import CalendarError, StudyError
from whatif.resolve.windows import resolve_timeline
from whatif.splits import Timeline
from whatif.splits.fold import Window
from whatif.study import parse_study

LEAN = "start: 2013-10-04, end: 2013-10-12"
"""Six sessions of New York: Friday 4 October, Monday 7 to Friday 11; 13:30 to 20:00 UTC."""


def us(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * 1_000_000


HALF = "{train: 0.5, validate: 0.25, test: 0.25}"


def timeline(
    dates: str, split: str = HALF, exchange: str = "XNYS", session: str = "regular", timeframe: str = "1min"
) -> Timeline:
    return resolve_timeline(
        parse_study(
            f"study: s\ndata: {{symbols: [A], timeframe: {timeframe}, {dates}}}\n"
            f"calendar: {{exchange: {exchange}, session: {session}}}\n"
            f"strategy: {{name: sma_crossover}}\nsplit: {split}\n"
        )
    )


def shown(found: Timeline) -> dict[str, tuple[str, str]]:
    return {
        w.name: (str(np.datetime64(w.start_us, "us"))[:16], str(np.datetime64(w.end_us, "us"))[:16])
        for w in found.windows
    }


class TestFractions:
    def test_half_a_quarter_and_a_quarter_of_six_sessions(self) -> None:
        """2,340 minutes: 1,170 end the third session, and 1,755 lie 195 minutes inside the fifth."""
        assert shown(timeline(LEAN)) == {
            "train": ("2013-10-04T13:30", "2013-10-09T13:30"),
            "validate": ("2013-10-09T13:30", "2013-10-10T16:45"),
            "test": ("2013-10-10T16:45", "2013-10-11T20:00"),
        }

    def test_an_embargo_shifts_the_later_window_s_begin(self) -> None:
        assert shown(timeline(LEAN, HALF[:-1] + ", embargo: 5min}")) == {
            "train": ("2013-10-04T13:30", "2013-10-09T13:30"),
            "validate": ("2013-10-09T13:35", "2013-10-10T16:45"),
            "test": ("2013-10-10T16:50", "2013-10-11T20:00"),
        }

    def test_what_fractions_leave_over_is_not_used(self) -> None:
        """0.25 + 0.25 of 2,340 minutes: 585 are 195 into the second session, 1,170 three sessions."""
        found = timeline(LEAN, "{train: 0.25, validate: 0.25, test: 0}")
        assert shown(found) == {
            "train": ("2013-10-04T13:30", "2013-10-07T16:45"),
            "validate": ("2013-10-07T16:45", "2013-10-09T13:30"),
        }
        assert found.last.test is None

    def test_no_train(self) -> None:
        found = timeline(LEAN, "{train: 0, validate: 0.5, test: 0.5}")
        assert found.last.train == ()
        assert shown(found)["validate"] == ("2013-10-04T13:30", "2013-10-09T13:30")

    def test_a_cut_lies_on_the_grid_of_the_timeframe(self) -> None:
        split = "{train: 0.4, validate: 0.4, test: 0.2}"
        # 936 minutes = 2 sessions and 156 minutes, 1,872 = 4 sessions and 312: half hours 150 and 300
        assert shown(timeline(LEAN, split, timeframe="30min"))["validate"] == (
            "2013-10-08T16:00",
            "2013-10-10T18:30",
        )
        assert shown(timeline(LEAN, split))["validate"] == ("2013-10-08T16:06", "2013-10-10T18:42")

    def test_a_half_day_has_less_trading_time(self) -> None:
        """27 and 29 November 2013: 390 and 210 minutes; three quarters of 600 are 60 into the second."""
        found = timeline("start: 2013-11-27, end: 2013-11-30", "{train: 0.65, validate: 0.1, test: 0.25}")
        assert shown(found) == {
            "train": ("2013-11-27T14:30", "2013-11-29T14:30"),
            "validate": ("2013-11-29T14:30", "2013-11-29T15:30"),
            "test": ("2013-11-29T15:30", "2013-11-29T18:00"),
        }

    def test_the_clock_changes_in_the_slice(self) -> None:
        """1 and 4 November 2013 open at 13:30 and at 14:30 UTC."""
        found = timeline("start: 2013-11-01, end: 2013-11-05", "{train: 0.5, validate: 0.25, test: 0.25}")
        assert shown(found) == {
            "train": ("2013-11-01T13:30", "2013-11-04T14:30"),
            "validate": ("2013-11-04T14:30", "2013-11-04T17:45"),
            "test": ("2013-11-04T17:45", "2013-11-04T21:00"),
        }

    def test_a_cut_skips_the_midday_break(self) -> None:
        """Tokyo, one session of 150 and 150 minutes from 00:00 UTC: 60% are 30 minutes after 03:30."""
        found = timeline(
            "start: 2013-10-04, end: 2013-10-05", "{train: 0.5, validate: 0.1, test: 0.4}", exchange="XTKS"
        )
        assert shown(found) == {
            "train": ("2013-10-04T00:00", "2013-10-04T02:30"),
            "validate": ("2013-10-04T02:30", "2013-10-04T04:00"),
            "test": ("2013-10-04T04:00", "2013-10-04T06:00"),
        }

    def test_twenty_sessions_are_cut_between_sessions(self) -> None:
        """October 2013 has 23 sessions: 11.5 go to the 11th or 12th, 17.25 to the 17th open."""
        found = timeline("start: 2013-10-01, end: 2013-11-01", "{train: 0.48, validate: 0.27, test: 0.25}")
        assert len(found.schedule) == 23
        # 11.04 of 23 sessions: eleven end on the 15th; 17.25: seventeen end on the 23rd
        assert shown(found) == {
            "train": ("2013-10-01T13:30", "2013-10-16T13:30"),
            "validate": ("2013-10-16T13:30", "2013-10-24T13:30"),
            "test": ("2013-10-24T13:30", "2013-10-31T20:00"),
        }

    def test_nineteen_are_cut_inside(self) -> None:
        found = timeline("start: 2013-10-01, end: 2013-10-26", "{train: 0.5, validate: 0.25, test: 0.25}")
        assert len(found.schedule) == 19
        # half of 19 sessions: 195 minutes into the tenth, which is the 14th (Columbus day is a session)
        assert shown(found)["train"][1] == "2013-10-14T16:45"

    def test_daily_bars_are_cut_between_sessions(self) -> None:
        """Six sessions: 0.4 are 2.4 of them, of which two are whole; 0.7 are 4.2."""
        found = timeline(LEAN, "{train: 0.4, validate: 0.3, test: 0.3}", timeframe="1d")
        assert shown(found) == {
            "train": ("2013-10-04T13:30", "2013-10-08T13:30"),
            "validate": ("2013-10-08T13:30", "2013-10-10T13:30"),
            "test": ("2013-10-10T13:30", "2013-10-11T20:00"),
        }

    def test_always_open(self) -> None:
        found = timeline("start: 2013-10-05, end: 2013-10-07", exchange="24/7", session="24/7")
        assert shown(found) == {
            "train": ("2013-10-05T00:00", "2013-10-06T00:00"),
            "validate": ("2013-10-06T00:00", "2013-10-06T12:00"),
            "test": ("2013-10-06T12:00", "2013-10-07T00:00"),
        }

    def test_extended_hours_reach_from_midnight_to_midnight(self) -> None:
        """In New York: 4 October 04:00 to 12 October 04:00 UTC; cuts are by regular hours."""
        found = timeline(LEAN, session="extended")
        assert shown(found) == {
            "train": ("2013-10-04T04:00", "2013-10-09T13:30"),
            "validate": ("2013-10-09T13:30", "2013-10-10T16:45"),
            "test": ("2013-10-10T16:45", "2013-10-12T04:00"),
        }


class TestDates:
    SPLIT = (
        "{train: [2013-10-04, 2013-10-07], validate: [2013-10-08, 2013-10-09], "
        "test: [2013-10-10, 2013-10-11]}"
    )

    def test_both_dates_belong_to_a_window(self) -> None:
        assert shown(timeline(LEAN, self.SPLIT)) == {
            "train": ("2013-10-04T13:30", "2013-10-07T20:00"),
            "validate": ("2013-10-08T13:30", "2013-10-09T20:00"),
            "test": ("2013-10-10T13:30", "2013-10-11T20:00"),
        }

    def test_an_embargo_shorter_than_the_night_changes_nothing(self) -> None:
        split = self.SPLIT.replace("}", ", embargo: 5min}")
        assert shown(timeline(LEAN, split)) == shown(timeline(LEAN, self.SPLIT))
        longer = self.SPLIT.replace("}", ", embargo: 1d}")
        assert shown(timeline(LEAN, longer))["validate"] == ("2013-10-08T20:00", "2013-10-09T20:00")

    def test_a_window_outside_the_slice(self) -> None:
        split = self.SPLIT.replace("2013-10-11", "2013-10-12")
        with pytest.raises(StudyError, match=r"split\.test .* leaves the slice"):
            timeline(LEAN, split)

    def test_a_window_without_a_session(self) -> None:
        split = self.SPLIT.replace("2013-10-08, 2013-10-09", "2013-10-05, 2013-10-06").replace(
            "2013-10-04, 2013-10-07", "2013-10-04, 2013-10-04"
        )
        with pytest.raises(StudyError, match=r"split\.validate .* holds no session of XNYS"):
            timeline(LEAN, split)


class TestRefusals:
    def test_a_slice_without_a_session(self) -> None:
        with pytest.raises(StudyError, match="holds no session of XNYS"):
            timeline("start: 2013-10-05, end: 2013-10-07")

    def test_an_embargo_that_eats_a_window(self) -> None:
        with pytest.raises(StudyError, match=r"split\.validate is empty: .* ends at 2013-10-11T13:30Z"):
            timeline(LEAN, HALF[:-1] + ", embargo: 2d}")

    @pytest.mark.parametrize(
        ("split", "name"),
        [
            # 23 sessions: 22.31 are cut to 22, and 22.77 to 23
            ("{train: 0.97, validate: 0.02, test: 0.01}", "test"),
            # 11.04 and 11.27 are both cut to 11
            ("{train: 0.48, validate: 0.01, test: 0.4}", "validate"),
        ],
    )
    def test_a_share_that_vanishes_between_two_sessions(self, split: str, name: str) -> None:
        """Nothing vanishes: 1 in 100 of 23 sessions is no session."""
        with pytest.raises(StudyError, match=rf"split\.{name} = 0\.0[12] of 23 sessions"):
            timeline("start: 2013-10-01, end: 2013-11-01", split)

    def test_an_exchange_that_is_unknown(self) -> None:
        with pytest.raises(CalendarError, match="did you mean 'XNYS'"):
            timeline(LEAN, exchange="XNYX")


def bars(starts: list[str], opened: str = "2013-10-07T13:30", closed: str = "2013-10-07T20:00") -> Bars:
    n = len(starts)
    one = np.ones(n)
    return Bars(
        "A",
        np.array([us(text) for text in starts], dtype=np.int64),
        one, one, one, one, one, one,
        np.full(n, 15_985),
        np.full(n, us(opened)),
        np.full(n, us(closed)),
    )  # fmt: skip


class TestRows:
    """Only bars that lie wholly inside a window are its rows."""

    def rows(self, start: str, end: str, starts: list[str], bar_us: int) -> list[str]:
        data = bars(starts)
        first, stop = Window("validate", us(start), us(end)).rows(data, bar_us)
        return starts[first:stop]

    FIVE = ["2013-10-07T13:30", "2013-10-07T13:35", "2013-10-07T13:40", "2013-10-07T13:45"]

    def test_a_bar_that_a_bound_cuts_is_out(self) -> None:
        five = 5 * MINUTE_US
        assert self.rows("2013-10-07T13:30", "2013-10-07T13:50", self.FIVE, five) == self.FIVE
        assert self.rows("2013-10-07T13:31", "2013-10-07T13:49", self.FIVE, five) == self.FIVE[1:3]
        assert self.rows("2013-10-07T13:35", "2013-10-07T13:45", self.FIVE, five) == self.FIVE[1:3]

    def test_a_window_shorter_than_a_bar_has_no_rows(self) -> None:
        assert self.rows("2013-10-07T13:36", "2013-10-07T13:39", self.FIVE, 5 * MINUTE_US) == []
        assert self.rows("2013-10-08T13:30", "2013-10-08T14:30", self.FIVE, 5 * MINUTE_US) == []

    def test_a_bar_ends_with_its_session(self) -> None:
        """The hour from 19:30 ends at 20:00, so it belongs to a window that does."""
        hours = ["2013-10-07T18:30", "2013-10-07T19:30"]
        assert self.rows("2013-10-07T13:30", "2013-10-07T20:00", hours, 60 * MINUTE_US) == hours
        assert self.rows("2013-10-07T13:30", "2013-10-07T19:59", hours, 60 * MINUTE_US) == hours[:1]

    def test_a_daily_bar_is_a_whole_session(self) -> None:
        day = ["2013-10-07T13:30"]
        assert self.rows("2013-10-07T13:30", "2013-10-07T20:00", day, DAY_US) == day
        assert self.rows("2013-10-07T13:30", "2013-10-07T19:59", day, DAY_US) == []
        assert self.rows("2013-10-07T13:31", "2013-10-09T20:00", day, DAY_US) == []

    def test_a_bar_after_hours_has_its_full_length(self) -> None:
        late = ["2013-10-07T19:55", "2013-10-07T20:00"]
        assert self.rows("2013-10-07T13:30", "2013-10-07T20:05", late, 5 * MINUTE_US) == late
        assert self.rows("2013-10-07T13:30", "2013-10-07T20:04", late, 5 * MINUTE_US) == late[:1]
