"""Folds inside a train window: in time order, by hand."""

from __future__ import annotations

from datetime import date

import pytest

from whatif.calendars import schedule
from whatif.domain.timeframe import MINUTE_US
from whatif.errors import StudyError
from whatif.search.chains import forward_chains
from whatif.splits.fold import Window

from ..markets import us

SIX = schedule("XNYS", date(2013, 10, 4), date(2013, 10, 11))
OCTOBER = schedule("XNYS", date(2013, 10, 1), date(2013, 10, 31))


def bounds(windows: tuple[Window, ...]) -> list[tuple[int, int]]:
    return [(window.start_us, window.end_us) for window in windows]


def test_three_folds_of_four_sessions() -> None:
    """Each part is one session: learn from one, two and three, look at the next."""
    train = Window("train", us("2013-10-04T13:30"), us("2013-10-10T13:30"))
    opens = [int(us_) for us_ in SIX.open_us]
    found = forward_chains(SIX, [train], 3, MINUTE_US)
    assert [bounds(chain.train) for chain in found] == [
        [(opens[0], opens[1])], [(opens[0], opens[2])], [(opens[0], opens[3])]
    ]  # fmt: skip
    assert [bounds(chain.validate) for chain in found] == [
        [(opens[1], opens[2])], [(opens[2], opens[3])], [(opens[3], opens[4])]
    ]  # fmt: skip


def test_a_cut_inside_a_session_lies_on_the_grid() -> None:
    """Half of one session is 195 minutes; on a grid of 30, 180 of them (6.5 bars round to even)."""
    train = Window("train", us("2013-10-04T13:30"), us("2013-10-04T20:00"))
    for bar, cut in ((1, "2013-10-04T16:45"), (30, "2013-10-04T16:30")):
        (chain,) = forward_chains(SIX, [train], 1, bar * MINUTE_US)
        assert chain.train[0].end_us == chain.validate[0].start_us == us(cut)


def test_many_sessions_are_cut_between_them() -> None:
    train = Window("train", int(OCTOBER.open_us[0]), int(OCTOBER.close_us[-1]))
    for chain in forward_chains(OCTOBER, [train], 3, MINUTE_US):
        assert chain.train[0].end_us in OCTOBER.open_us


def test_two_intervals_are_one_stretch_of_time() -> None:
    """Sessions 1, 2 and 5, 6: a fold is looked at in the second half, what lies between is not."""
    train = [
        Window("a", us("2013-10-04T13:30"), us("2013-10-07T20:00")),
        Window("b", us("2013-10-10T13:30"), us("2013-10-11T20:00")),
    ]
    (chain,) = forward_chains(SIX, train, 1, MINUTE_US)
    assert bounds(chain.train) == bounds((train[0],))
    assert bounds(chain.validate) == bounds((train[1],))


def test_more_folds_than_bars() -> None:
    train = Window("train", us("2013-10-04T13:30"), us("2013-10-04T13:35"))
    with pytest.raises(StudyError, match=r"9 folds \(tune, calibrate, .*\) cut train .* take fewer folds"):
        forward_chains(SIX, [train], 9, MINUTE_US)
