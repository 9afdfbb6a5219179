"""One length of bars, one name."""

from __future__ import annotations

import pytest

from whatif.domain.timeframe import DAY_US, MINUTE_US, canonical_timeframe, timeframe_names, timeframe_us
from whatif.errors import StudyError
from whatif.sources import IngestSpec
from whatif.study import parse_study


@pytest.mark.parametrize(
    ("given", "name"),
    [("60min", "1h"), ("1h", "1h"), ("120min", "2h"), ("90min", "90min"), ("1min", "1min"), ("1d", "1d")],
)
def test_the_name_that_is_used(given: str, name: str) -> None:
    assert canonical_timeframe(given) == name
    assert IngestSpec(timeframe=given).timeframe == name


def test_every_length_has_one_name_and_all_its_names_are_of_that_length() -> None:
    lengths = [f"{n}min" for n in range(1, 1440) if 1440 % n == 0] + [f"{n}h" for n in (1, 2, 3, 4, 6, 8, 12)]
    used: dict[int, set[str]] = {}
    for text in lengths:
        used.setdefault(timeframe_us(text), set()).add(canonical_timeframe(text))
        assert {timeframe_us(name) for name in timeframe_names(text)} == {timeframe_us(text)}
    assert all(len(names) == 1 for names in used.values())
    assert max(used) < DAY_US
    assert min(used) == MINUTE_US


@pytest.mark.parametrize("text", ["1440min", "24h"])
def test_a_day_of_24_hours_is_no_session(text: str) -> None:
    with pytest.raises(StudyError, match="1d"):
        canonical_timeframe(text)


def test_a_study_names_a_length_once() -> None:
    text = """
study: named
data: {symbols: [A], timeframe: 60min, start: 2024-01-02, end: 2024-02-01}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
axes: {timeframe: [%s]}
"""
    study = parse_study(text % "120min, 1d")
    assert (study.data.timeframe, study.axes["timeframe"].values) == ("1h", ("2h", "1d"))
    with pytest.raises(StudyError, match="names the value"):
        parse_study(text % "60min, 1h")
