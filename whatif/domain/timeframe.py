"""Lengths of bars by the names that studies use."""

from __future__ import annotations

import re

from whatif.errors import StudyError
from whatif.texts import shown

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
YEAR_US = 365.25 * DAY_US
"""A mean year of the Julian calendar."""

_UNITS = {"min": MINUTE_US, "h": HOUR_US, "d": DAY_US}
_PATTERN = re.compile(r"([1-9][0-9]*)(min|h|d)")

MAX_DAYS = 36_525
"""Longest duration: a hundred years."""


def duration_us(text: str) -> int:
    """Return a duration such as "5min", "1h" or "2d" in microseconds.

    Raises
    ------
    StudyError
        If `text` is not a positive whole number followed by min, h or d, or is beyond a hundred years.
    """
    match = _PATTERN.fullmatch(str(text).strip())
    if match is None:
        raise StudyError(
            f"{shown(str(text))} is not a duration: write a positive whole number and a unit, "
            "min, h or d, such as '5min', '1h' or '1d'"
        )
    length = int(match.group(1)[:20]) * _UNITS[match.group(2)]
    if length > MAX_DAYS * DAY_US:
        raise StudyError(
            f"{text[:40]!r} is longer than {MAX_DAYS:,}d, a hundred years: write a shorter duration"
        )
    return length


def timeframe_us(text: str) -> int:
    """Return the length of a bar in microseconds; "1d" stands for a whole session.

    Raises
    ------
    StudyError
        If `text` is no timeframe, or one of several days.
    """
    length = duration_us(text)
    if length > DAY_US or (length == DAY_US and text != "1d") or (length < DAY_US and DAY_US % length):
        raise StudyError(
            f"timeframe {text!r} does not divide a day: use a length such as 1min, 5min, 15min, 1h or 1d"
        )
    return length


def canonical_timeframe(text: str) -> str:
    """Return the one name of a length of bars: "60min" is "1h", and "90min" is itself.

    Raises
    ------
    StudyError
        If `text` is no timeframe.
    """
    return timeframe_names(text)[0]


def timeframe_names(text: str) -> tuple[str, ...]:
    """Return every name of a length of bars, the one that is used first: "1h" and "60min".

    Lakes may hold bars under either; only a session, "1d", has a single one.

    Raises
    ------
    StudyError
        If `text` is no timeframe.
    """
    length = timeframe_us(text)
    if length == DAY_US:
        return ("1d",)
    minutes = f"{length // MINUTE_US}min"
    return (minutes,) if length % HOUR_US else (f"{length // HOUR_US}h", minutes)
