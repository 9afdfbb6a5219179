"""Longer bars, computed by hand and by properties."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.domain.bars import PRICE_FIELDS, Bars, bar_ends
from whatif.domain.resampling import resample
from whatif.domain.timeframe import DAY_US, HOUR_US, MINUTE_US


def us(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * 1_000_000


FRIDAY = (us("2013-10-04T13:30"), us("2013-10-04T20:00"))
MONDAY = (us("2013-10-07T13:30"), us("2013-10-07T20:00"))

Row = tuple[str, float, float, float, float, float, float]


def bars(rows: Sequence[Row]) -> Bars:
    """Return bars of 4 and 7 October 2013 from (ts, open, high, low, close, volume, vwap)."""
    ts = np.array([us(row[0]) for row in rows], dtype=np.int64)
    monday = ts >= us("2013-10-07T00:00")
    columns = (np.array([row[k] for row in rows], dtype=np.float64) for k in range(1, 7))
    return Bars(
        "A",
        ts,
        *columns,
        session=np.where(monday, 15_985, 15_982),
        session_open=np.where(monday, MONDAY[0], FRIDAY[0]),
        session_close=np.where(monday, MONDAY[1], FRIDAY[1]),
    )


def starts(found: Bars) -> list[str]:
    return [str(np.datetime64(int(t), "us"))[5:16] for t in found.ts]


def flat(*texts: str) -> Bars:
    return bars([(text, 1, 1, 1, 1, 1, 1) for text in texts])


def test_five_minutes_by_hand() -> None:
    found = resample(
        bars(
            [
                ("2013-10-04T13:30", 10, 12, 9, 11, 100, 10.5),
                ("2013-10-04T13:31", 11, 11.5, 8, 8.5, 300, 9.5),
                ("2013-10-04T13:34", 8.5, 9, 8.25, 9, 100, 8.75),
                ("2013-10-04T13:35", 9, 9, 9, 9, 0, 9),
                ("2013-10-04T13:36", 9, 9.5, 9, 9.5, 0, 9.25),
                ("2013-10-04T13:45", 7, 7, 7, 7, 5, 7),
            ]
        ),
        5 * MINUTE_US,
        MINUTE_US,
    )
    # no bar of 13:40 trades, so there is none
    assert starts(found) == ["10-04T13:30", "10-04T13:35", "10-04T13:45"]
    assert found.open.tolist() == [10, 9, 7]
    assert found.high.tolist() == [12, 9.5, 7]
    assert found.low.tolist() == [8, 9, 7]
    assert found.close.tolist() == [9, 9.5, 7]
    assert found.volume.tolist() == [500, 0, 5]
    # (100 * 10.5 + 300 * 9.5 + 100 * 8.75) / 500; a plain mean where nothing traded
    assert found.vwap.tolist() == [9.55, 9.125, 7]
    assert found.session.tolist() == [15_982] * 3
    assert bar_ends(found, 5 * MINUTE_US).tolist() == [t + 5 * MINUTE_US for t in found.ts]


def test_an_hour_never_crosses_a_session() -> None:
    """Hours count from 13:30, so the last one of New York has thirty minutes."""
    found = resample(
        flat("2013-10-04T19:29", "2013-10-04T19:30", "2013-10-04T19:59", "2013-10-07T13:30"),
        HOUR_US,
        MINUTE_US,
    )
    assert starts(found) == ["10-04T18:30", "10-04T19:30", "10-07T13:30"]
    assert found.volume.tolist() == [1, 2, 1]
    assert bar_ends(found, HOUR_US).tolist() == [us("2013-10-04T19:30"), FRIDAY[1], us("2013-10-07T14:30")]


def test_regular_hours_are_the_same_whether_or_not_others_take_part() -> None:
    """An hour that spans the close, or the open, would hold what a regular bar cannot know."""
    early, late = (
        ["2013-10-04T12:50", "2013-10-04T13:29"],
        ["2013-10-04T20:00", "2013-10-04T20:59", "2013-10-04T21:00"],
    )
    regular = ["2013-10-04T13:30", "2013-10-04T19:59"]
    alone = resample(flat(*regular), HOUR_US, MINUTE_US)
    everything = resample(flat(*early, *regular, *late), HOUR_US, MINUTE_US)
    assert starts(everything) == [
        "10-04T12:30", "10-04T13:30", "10-04T19:30", "10-04T20:00", "10-04T21:00",
    ]  # fmt: skip
    assert everything.volume.tolist() == [2, 1, 1, 2, 1]
    assert starts(everything)[1:3] == starts(alone)
    ends = bar_ends(everything, HOUR_US)
    assert ends.tolist() == [
        FRIDAY[0],
        us("2013-10-04T14:30"),
        FRIDAY[1],
        us("2013-10-04T21:00"),
        us("2013-10-04T22:00"),
    ]


def test_a_day_is_the_session_s_regular_hours() -> None:
    found = resample(
        bars(
            [
                ("2013-10-04T13:00", 99, 99, 99, 99, 99, 99),
                ("2013-10-04T13:30", 10, 12, 9, 11, 100, 10),
                ("2013-10-04T19:59", 11, 13, 10, 12, 300, 12),
                ("2013-10-04T20:00", 99, 99, 99, 99, 99, 99),
                ("2013-10-07T13:31", 5, 5, 5, 5, 1, 5),
            ]
        ),
        DAY_US,
        MINUTE_US,
    )
    assert found.ts.tolist() == [FRIDAY[0], MONDAY[0]]
    assert (found.open[0], found.high[0], found.low[0], found.close[0]) == (10, 13, 9, 12)
    assert (found.volume[0], found.vwap[0]) == (400, 11.5)
    assert bar_ends(found, DAY_US).tolist() == [FRIDAY[1], MONDAY[1]]
    assert len(resample(flat("2013-10-04T20:00"), DAY_US, MINUTE_US)) == 0


HOURLY = [f"2013-10-04T{hour}:00" for hour in range(13, 20)]
"""Hours as some vendors stamp them: the first begins half an hour before New York opens."""


def test_bars_that_straddle_the_open_keep_their_grid() -> None:
    assert starts(resample(flat(*HOURLY), HOUR_US, HOUR_US)) == [text[5:] for text in HOURLY]
    two = resample(flat(*HOURLY), 2 * HOUR_US, HOUR_US)
    assert starts(two) == ["10-04T13:00", "10-04T15:00", "10-04T17:00", "10-04T19:00"]
    # a bar is complete when the last hour in it is, and no bar outlasts the session
    assert bar_ends(two, 2 * HOUR_US).tolist() == [us(f"2013-10-04T{hour}:00") for hour in (15, 17, 19, 20)]
    day = resample(flat(*HOURLY), DAY_US, HOUR_US)
    assert (day.ts.tolist(), day.volume.tolist()) == ([FRIDAY[0]], [7])


def test_inputs_are_dropped_but_for_those_with_a_rule() -> None:
    data = flat("2013-10-04T13:30", "2013-10-04T13:31").with_inputs(
        {"count": np.array([3.0, 4.0]), "forecast": np.array([1.0, 2.0])}
    )
    assert dict(resample(data, HOUR_US, MINUTE_US).inputs) == {}
    assert resample(data, HOUR_US, MINUTE_US, {"count": np.add}).inputs["count"].tolist() == [7.0]


def test_nothing_becomes_nothing() -> None:
    assert len(resample(flat(), HOUR_US, MINUTE_US)) == 0


@st.composite
def markets(draw: st.DrawFn) -> Bars:
    """Minutes of two sessions and around them, some missing."""
    window = range(-90, 480)
    chosen = [sorted(draw(st.sets(st.sampled_from(window), max_size=40))) for _ in range(2)]
    rows = []
    for (opened, _), minutes in zip((FRIDAY, MONDAY), chosen, strict=True):
        for minute in minutes:
            low, high = sorted(draw(st.tuples(*[st.floats(1.0, 1e4)] * 2)))
            inner = [draw(st.floats(low, high)) for _ in range(3)]
            volume = float(draw(st.integers(0, 10**9)))
            stamp = str(np.datetime64(opened + minute * MINUTE_US, "us"))[:16]
            rows.append((stamp, inner[0], high, low, inner[1], volume, inner[2]))
    return bars(rows)


@settings(max_examples=60, deadline=None)
@given(markets())
def test_one_bar_alone_is_itself_to_the_last_bit(data: Bars) -> None:
    same = resample(data, MINUTE_US, MINUTE_US)
    for name in ("ts", *PRICE_FIELDS, "session", "session_open", "session_close"):
        assert getattr(same, name).tobytes() == getattr(data, name).tobytes(), name


@settings(max_examples=60, deadline=None)
@given(markets(), st.sampled_from([2, 5, 30, 60, 240]))
def test_what_joining_keeps(data: Bars, minutes: int) -> None:
    found = resample(data, minutes * MINUTE_US, MINUTE_US)
    # whole numbers below 2**53: the sum is exact in any order
    assert found.volume.sum() == data.volume.sum()
    assert (np.diff(found.ts) > 0).all()
    part = (data.ts >= data.session_open).astype(int) + (data.ts >= data.session_close)
    bucket = np.searchsorted(found.ts, data.ts, "right") - 1
    for k in range(len(found)):
        rows = np.flatnonzero(bucket == k)
        assert len(rows)
        assert len({(data.session[r], part[r]) for r in rows}) == 1
        assert data.ts[rows[-1]] < found.ts[k] + minutes * MINUTE_US
        assert (found.high[k], found.low[k]) == (data.high[rows].max(), data.low[rows].min())
        assert (found.open[k], found.close[k]) == (data.open[rows[0]], data.close[rows[-1]])
        assert found.low[k] * (1 - 1e-12) <= found.vwap[k] <= found.high[k] * (1 + 1e-12)


@settings(max_examples=30, deadline=None)
@given(markets())
def test_in_two_steps_as_in_one(data: Bars) -> None:
    once = resample(data, 30 * MINUTE_US, MINUTE_US)
    twice = resample(resample(data, 5 * MINUTE_US, MINUTE_US), 30 * MINUTE_US, 5 * MINUTE_US)
    for name in ("ts", "open", "high", "low", "close", "volume"):
        assert getattr(once, name).tobytes() == getattr(twice, name).tobytes(), name
    np.testing.assert_allclose(twice.vwap, once.vwap, rtol=1e-9)


@pytest.mark.parametrize("cut", [1, 100, 389])
def test_no_bar_knows_what_follows_it(cut: int) -> None:
    rng = np.random.default_rng(3)
    price = np.round(100 + rng.normal(0, 1, 390).cumsum(), 2)
    rows = [
        (str(np.datetime64(FRIDAY[0] + n * MINUTE_US, "us"))[:16], p, p, p, p, 1.0, p)
        for n, p in enumerate(price)
    ]
    whole = resample(bars(rows), 15 * MINUTE_US, MINUTE_US)
    changed = resample(
        bars(rows[:cut] + [(r[0], 1.0, 2.0, 0.5, 1.0, 9.0, 1.0) for r in rows[cut:]]),
        15 * MINUTE_US,
        MINUTE_US,
    )
    complete = bar_ends(whole, 15 * MINUTE_US) <= FRIDAY[0] + cut * MINUTE_US
    assert complete.sum() == cut // 15
    for name in PRICE_FIELDS:
        assert getattr(whole, name)[complete].tobytes() == getattr(changed, name)[complete].tobytes()
