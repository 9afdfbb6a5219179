"""Prices that jump between sessions: ratios worked by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from whatif.pins import PriceJump, jump_rows


def rows(session: list[int], opens: list[float], closes: list[float], apart: list[int] | None = None) -> list:
    found = jump_rows(
        np.array(session), np.array(opens), np.array(closes), None if apart is None else np.array(apart) == 1
    )
    return list(zip(*(part.tolist() for part in found), strict=True))


def test_a_jump_is_between_the_last_bar_of_a_session_and_the_first_of_the_next() -> None:
    # 100 to 50 between sessions 1 and 2; within session 2 prices may move as they like
    assert rows([1, 1, 2, 2], [100, 100, 50, 150], [100, 100, 140, 150]) == [(1, 2)]


@pytest.mark.parametrize(("opened", "jumps"), [(55.5, True), (55.6, False), (180.0, True), (179.9, False)])
def test_the_factor_is_1_8_either_way(opened: float, jumps: bool) -> None:
    assert bool(rows([1, 2], [100, opened], [100, opened])) == jumps


def test_sessions_eight_days_apart_are_no_neighbours() -> None:
    assert rows([1, 8], [100, 10], [100, 10]) == [(0, 1)]
    assert rows([1, 9], [100, 10], [100, 10]) == []


def test_another_series_and_prices_that_are_in_no_ratio_are_left_out() -> None:
    assert rows([1, 2], [100, 10], [100, 10], [1, 1]) == []
    for close, opened in [(0.0, 10.0), (10.0, 0.0), (-10.0, -100.0), (np.nan, 10.0), (-10.0, 10.0)]:
        assert rows([1, 2], [close, opened], [close, opened]) == []
    assert rows([], [], []) == []


@pytest.mark.parametrize(
    ("close", "opened", "ratio"),
    [
        (700.0, 100.0, "7:1"),
        (10.0, 100.0, "1:10"),
        (25.0, 10.0, "5:2"),
        (645.57, 92.69, "7:1"),
        (22.1, 10.0, ""),
    ],
)
def test_the_split_that_a_jump_looks_like(close: float, opened: float, ratio: str) -> None:
    # 645.57 and 92.69 are AAPL's of 6 and 9 June 2014, when it split 7 for 1
    day = date(2014, 6, 9)
    assert PriceJump("S", day, close, day, opened).ratio == ratio
