"""Lengths of bars by name."""

from __future__ import annotations

import pytest

from whatif.domain.timeframe import duration_us, timeframe_us
from whatif.errors import StudyError


@pytest.mark.parametrize(
    ("text", "seconds"), [("1min", 60), ("90min", 5400), ("1h", 3600), ("2d", 172_800), (" 5min ", 300)]
)
def test_durations(text: str, seconds: int) -> None:
    assert duration_us(text) == seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "5", "min", "0min", "-1min", "1.5h", "5m", "1 h", "1min2", "1D"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(StudyError, match="is not a duration: write a positive whole number"):
        duration_us(text)


@pytest.mark.parametrize(
    ("text", "minutes"), [("1min", 1), ("15min", 15), ("45min", 45), ("8h", 480), ("1d", 1440)]
)
def test_timeframes(text: str, minutes: int) -> None:
    assert timeframe_us(text) == minutes * 60_000_000


@pytest.mark.parametrize("text", ["7min", "5h", "2d", "24h", "1440min"])
def test_what_does_not_divide_a_day_is_no_timeframe(text: str) -> None:
    """A day is a session, not 24 hours: only "1d" says it."""
    with pytest.raises(StudyError, match="does not divide a day"):
        timeframe_us(text)
