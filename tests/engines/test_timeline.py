"""Merging the timestamps of several symbols."""

from __future__ import annotations

import numpy as np

from whatif.engines.timeline import merge

MINUTE = 60_000_000


def test_two_symbols_with_gaps(build_bars) -> None:
    rows = [(10.0 + k, 20.0 + k, 5.0, 10.0 + k) for k in range(6)]
    first = build_bars(rows, "A").take(np.array([0, 1, 2, 5]))
    second = build_bars(rows, "B").take(np.array([1, 3, 5]))

    timeline = merge([first, second], [(0, 4), (0, 3)], MINUTE)

    assert ((timeline.ts - timeline.ts[0]) // 60_000_000).tolist() == [0, 1, 2, 3, 5]
    assert list(timeline.arrivals()) == [((0, 0),), ((0, 1), (1, 0)), ((0, 2),), ((1, 1),), ((0, 3), (1, 2))]
    closes = timeline.current([first.close, second.close])
    np.testing.assert_array_equal(closes, [[10, 11, 12, 12, 15], [np.nan, 11, 11, 13, 15]])


def test_only_the_given_rows_count(build_bars) -> None:
    bars = build_bars([(10.0, 11.0, 9.0, 10.0)] * 6)

    assert list(merge([bars], [(2, 4)]).arrivals()) == [((0, 2),), ((0, 3),)]
    assert list(merge([bars, bars], [(2, 4), (3, 3)]).arrivals()) == [((0, 2),), ((0, 3),)]
