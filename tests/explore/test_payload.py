"""What a page is told, against what was given."""

from __future__ import annotations

import numpy as np
import pandas as pd

from whatif.explore.payload import MAX_SESSIONS, _codes, clock_of

MINUTE = 60_000_000
DAY = 1440 * MINUTE


def test_a_clock_has_the_first_and_last_bar_of_each_session():
    # three sessions of 100 minutes; a lunch break of an hour is no night
    one = np.concatenate([np.arange(50), np.arange(110, 160)]) * MINUTE
    ts = np.concatenate([one + k * DAY for k in range(3)])
    clock = clock_of(ts)
    assert clock["first"] == [k * 86_400_000 for k in range(3)]
    assert clock["last"] == [k * 86_400_000 + 159 * 60_000 for k in range(3)]
    assert clock["step"] == 60_000
    assert clock_of(ts + MINUTE)["name"] != clock["name"]


def test_daily_bars_are_one_stretch_of_time_and_none_is_no_clock():
    days = np.arange(500) * DAY
    assert clock_of(days)["first"] == [0]
    assert clock_of(days)["last"] == [499 * 86_400_000]
    many = (np.arange(MAX_SESSIONS + 1)[:, None] * DAY + np.arange(9) * MINUTE).ravel()
    assert len(clock_of(many)["first"]) == 1
    assert clock_of(days[:0])["first"] == []
    assert clock_of(days[:1])["last"] == [0]


def test_texts_stand_as_the_study_has_them_and_numbers_by_size() -> None:
    column = pd.Series(["linear", "trees", "linear", "old"])
    assert _codes(column, ("trees", "linear")) == {
        "levels": ["trees", "linear", "old"],
        "codes": [1, 0, 1, 2],
    }
    assert _codes(pd.Series([20.0, None, 5.0]), (20, None, 5))["levels"] == [None, 5.0, 20.0]
