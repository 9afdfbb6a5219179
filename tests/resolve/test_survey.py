"""How many bars there can be, before any is joined."""

from __future__ import annotations

from datetime import date

import pytest

from whatif.calendars import schedule
from whatif.resolve.windows import most_bars
from whatif.search.slices import BarSlice


def part(timeframe: str, hours: str = "regular", source: str = "1min") -> BarSlice:
    return BarSlice(("A",), source, timeframe, "XNYS", hours, 0, 1)


# October 2013: 23 sessions of 390 minutes
OCTOBER = schedule("XNYS", date(2013, 10, 1), date(2013, 10, 31))


@pytest.mark.parametrize(
    ("timeframe", "most"),
    [("1min", 8_970), ("5min", 23 * 78), ("1h", 23 * 7), ("30min", 23 * 13), ("1d", 23)],
)
def test_complete_sessions_give_as_many_as_fit(timeframe: str, most: int) -> None:
    assert most_bars(23 * 390, part(timeframe), OCTOBER) == most


def test_no_more_bars_come_out_than_went_in() -> None:
    assert most_bars(10, part("5min"), OCTOBER) == 10


def test_extended_hours_have_more_room() -> None:
    assert most_bars(10**6, part("1h", hours="extended"), OCTOBER) >= 23 * 24
    assert most_bars(10**6, part("1d", hours="extended"), OCTOBER) >= 23


def test_bars_that_are_not_joined_are_those_found() -> None:
    assert most_bars(123, part("1d", source="1d"), OCTOBER) == 123
