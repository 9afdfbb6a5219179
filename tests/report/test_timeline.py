from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.report.timeline import Timeline, change_points, session_starts, thin_bars, thin_lines, to_us

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def _frame(window, ts):
    return pd.DataFrame({"window": window, "ts": pd.to_datetime(ts, utc=True).as_unit("us")})


def test_a_session_starts_after_a_night_but_not_after_lunch():
    morning = np.arange(0, 3 * HOUR, MINUTE)
    afternoon = morning + 4 * HOUR  # one hour of lunch
    next_day = morning + 24 * HOUR
    stamps = np.concatenate([morning, afternoon, next_day])
    assert session_starts(stamps).tolist() == [0, 360]


def test_a_market_that_never_closes_is_cut_at_utc_midnight():
    stamps = np.arange(0, 72 * HOUR, HOUR) + 5 * HOUR
    assert session_starts(stamps).tolist() == [0, 19, 43, 67]


def test_a_session_across_midnight_is_one():
    stamps = np.arange(22 * HOUR, 27 * HOUR, MINUTE)
    assert session_starts(stamps).tolist() == [0]


def test_nights_take_no_room_and_windows_do_not_touch():
    validate = _frame("validate", ["2024-03-04 20:58", "2024-03-04 20:59", "2024-03-05 14:30"])
    test = _frame("test", ["2024-03-06 14:30", "2024-03-06 14:31"])
    axis = Timeline.of(test, validate)
    assert axis.windows == ("validate", "test")
    assert axis.positions("validate", to_us(validate["ts"])).tolist() == [0, 1, 2]
    (_, _, last), (_, first, end) = axis.spans()
    assert last == 2
    assert first > last + 1
    assert end == first + 1


def test_a_time_inside_a_bar_stands_at_that_bar():
    axis = Timeline.of(_frame("test", ["2024-03-06 14:30", "2024-03-06 14:35"]))
    inside = to_us(pd.Series(pd.to_datetime(["2024-03-06 14:34:59", "2024-03-06 18:00:00"], utc=True)))
    assert axis.positions("test", inside).tolist() == [0, 1]


def test_a_bar_in_two_frames_counts_once(make):
    bars = make.bars_of("A", {"test": ("2024-03-04", 2)}, 1)
    assert len(Timeline.of(bars, bars.head(100)).stamps[0]) == 780


def test_ticks_name_the_first_bar_of_sessions(make):
    axis = Timeline.of(make.bars_of("A", {"validate": ("2024-03-04", 3)}, 1))
    positions, labels = axis.ticks()
    assert positions == [0, 390, 780]
    assert labels == ["4 Mar<br>2024", "5 Mar", "6 Mar"]


@pytest.mark.parametrize("most", [3, 7])
def test_ticks_are_never_more_than_asked(make, most):
    axis = Timeline.of(make.bars_of("A", {"validate": ("2024-03-04", 20)}, 1))
    assert len(axis.ticks(most)[0]) <= most


def test_nothing_to_show_is_an_empty_axis():
    axis = Timeline.of()
    assert axis.ticks() == ([], [])
    assert axis.extent() == (0.0, 1.0)


@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=300),
    st.integers(8, 60),
)
def test_thin_lines_keep_extremes_ends_and_the_limit(values, most):
    line = np.array(values)
    keep = thin_lines([line], most)
    assert keep[0] == 0
    assert keep[-1] == len(line) - 1
    assert (np.diff(keep) > 0).all()
    assert len(keep) <= max(most, 4)
    if np.isfinite(line).any():
        assert np.nanmax(line[keep]) == np.nanmax(line)
        assert np.nanmin(line[keep]) == np.nanmin(line)


def test_short_lines_are_left_alone():
    assert thin_lines([np.arange(5.0)], 5).tolist() == [0, 1, 2, 3, 4]


def test_bars_merge_as_bars_do():
    ts = pd.to_datetime([0, 60, 120, 180], unit="s", utc=True)
    bars = pd.DataFrame(
        {
            "ts": ts,
            "open": [1.0, 2, 3, 4],
            "high": [5.0, 9, 6, 7],
            "low": [0.5, 0.2, 2, 1],
            "close": [2.0, 3, 4, 5],
        }
    )
    merged, size = thin_bars(bars, 2)
    assert size == 2
    assert merged[["open", "high", "low", "close"]].to_numpy().tolist() == [[1, 9, 0.2, 3], [3, 7, 1, 5]]
    assert merged["ts"].tolist() == [ts[0], ts[2]]


def test_no_merged_bar_spans_a_night(make):
    bars = make.bars_of("A", {"test": ("2024-03-04", 5)}, 1)
    merged, size = thin_bars(bars, 100)
    starts = bars["ts"][::390]
    assert size > 1
    assert set(starts) <= set(merged["ts"])
    assert merged["high"].max() == bars["high"].max()
    assert merged["low"].min() == bars["low"].min()
    assert merged["open"].iloc[0] == bars["open"].iloc[0]
    assert merged["close"].iloc[-1] == bars["close"].iloc[-1]


@pytest.mark.parametrize("most", [250, 2000])
def test_two_hundred_thousand_bars_come_down_to_about_what_was_asked(make, most):
    bars = make.bars_of("A", {"test": ("2020-01-06", 513)}, 1)
    merged, _ = thin_bars(bars, most)
    assert len(bars) > 200_000
    assert len(merged) <= most + 513


def test_a_step_line_needs_its_changes_only():
    assert change_points(np.array([0.0, 0, 1, 1, 1, 0, 0])).tolist() == [0, 2, 5, 6]
    assert change_points(np.array([])).tolist() == []
