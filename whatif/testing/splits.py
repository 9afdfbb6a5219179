"""Check of a split of one's own against what every split has to keep to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from whatif.calendars import schedule
from whatif.splits import Split, TimeSlice, bounds_of, check_folds

SLICES = (
    ("XNYS", "regular", date(2013, 10, 1), date(2014, 4, 1)),
    ("XNYS", "extended", date(2024, 7, 1), date(2024, 12, 1)),
    ("24/7", "regular", date(2024, 2, 1), date(2024, 7, 1)),
    ("XHKG", "regular", date(2023, 1, 3), date(2023, 7, 1)),
)
"""Exchange, hours, first date and the one after the last: half days, no nights, a midday break."""


def check_split(kind: type[Split], keys: Mapping[str, Any] | None = None, name: str = "own") -> None:
    """Raise unless a split keeps to the contract of `Split.make_folds` on several exchanges' calendars.

    Parameters
    ----------
    kind : type
        The class.
    keys : mapping, optional
        Keys of its section, such as {"test": 10}; without `kind`.
    name : str
        What a study would give as `kind`.

    Raises
    ------
    StudyError
        If folds break the contract, or the slices are too short for the keys.
    AssertionError
        If the same slice gives other folds the second time, or a section does not survive being written and
        read.
    """
    section = {"kind": name, **(keys or {})}
    for exchange, hours, start, end in SLICES:
        split = kind.model_validate(dict(kind.completed(section, learns=True)))
        time = _slice(exchange, hours, start, end)
        made = split.make_folds(time)
        check_folds(split, made, time)
        assert split.make_folds(time) == made, f"{name}: the same slice gives other folds"
        written = kind.model_validate(split.model_dump(by_alias=True))
        assert written == split, f"{name}: {written!r} was read back of {split!r}"


def _slice(exchange: str, hours: str, start: date, end: date) -> TimeSlice:
    sessions = schedule(exchange, start, end - timedelta(days=1))
    start_us, end_us = bounds_of(sessions, hours)
    return TimeSlice(exchange, hours, "1min", start, end, 0, sessions, start_us, end_us)
