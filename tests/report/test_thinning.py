from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.report.thinning import change_points, thin_bars, thin_lines


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
