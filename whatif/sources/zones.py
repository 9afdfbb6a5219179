"""Names of time zones in stamps and on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
import pandas as pd

from whatif.errors import SourceError, nearest
from whatif.typing import BoolArray

SHORT_NAMES = {
    "ET": "America/New_York", "EDT": "America/New_York", "NY": "America/New_York",
    "NYC": "America/New_York", "EASTERN": "America/New_York", "CT": "America/Chicago",
    "CDT": "America/Chicago", "CST": "America/Chicago", "CENTRAL": "America/Chicago",
    "MT": "America/Denver", "MDT": "America/Denver", "PT": "America/Los_Angeles",
    "PDT": "America/Los_Angeles", "PST": "America/Los_Angeles", "PACIFIC": "America/Los_Angeles",
    "BST": "Europe/London", "LONDON": "Europe/London", "CEST": "Europe/Berlin", "BERLIN": "Europe/Berlin",
    "FRANKFURT": "Europe/Berlin", "PARIS": "Europe/Paris", "EEST": "Europe/Athens", "MSK": "Europe/Moscow",
    "IST": "Asia/Kolkata", "JST": "Asia/Tokyo", "TOKYO": "Asia/Tokyo", "KST": "Asia/Seoul",
    "HKT": "Asia/Hong_Kong", "SGT": "Asia/Singapore", "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney",
    "AET": "Australia/Sydney", "SYDNEY": "Australia/Sydney", "Z": "UTC",
}  # fmt: skip
"""What people call a zone → its IANA name."""

_OFFSETS = {
    "Z": "UTC", "UTC": "UTC", "GMT": "UTC", "EST": "-05:00", "EDT": "-04:00",
    "CST": "-06:00", "CDT": "-05:00",
    "MST": "-07:00", "MDT": "-06:00", "PST": "-08:00", "PDT": "-07:00", "CET": "+01:00", "CEST": "+02:00",
    "JST": "+09:00",
}  # fmt: skip
"""Abbreviations that a stamp may carry, and their offsets."""


def check_timezone(name: str) -> None:
    """Raise SourceError unless `name` is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SourceError(f"time zone {name!r} is unknown: {_remedy(name)}") from error


def localized_by_name(text: pd.Series, time_format: str) -> tuple[pd.Series, BoolArray]:
    """Return stamps that end in a zone's name as naive UTC, (n,), NaT where unknown, and that all have it."""
    words = text.str.extract(r"^(.*?)\s*([A-Za-z][A-Za-z0-9_/+-]*)$")
    plain = time_format.removesuffix("%Z").rstrip()
    local = pd.to_datetime(words[0], format=plain, errors="coerce")
    local = local.astype("datetime64[us]")
    utc = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
    for name in words[1].dropna().unique():
        zone = _OFFSETS.get(name.upper(), name)
        if zone == name and name not in available_timezones():
            continue
        # a date of the year 9999 has no time in another zone
        of_zone = pd.DatetimeIndex(local.where((words[1] == name) & (local.dt.year < 9999)))
        there = of_zone.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
        utc = utc.where(words[1] != name, pd.Series(there.tz_localize(None), index=text.index))
    return utc, np.ones(len(text), dtype=bool)


def _remedy(name: str) -> str:
    known = SHORT_NAMES.get(name.strip().upper())
    if known is not None:
        return f"its IANA name is {known}: --timezone {known}"
    hint = _close(name, available_timezones()) if len(name) > 3 else ""
    return f"use an IANA name such as Europe/Berlin; {hint or 'see the tz database'}"


def _close(given: str, valid: Iterable[str]) -> str:
    hint = nearest(given, valid)
    return hint if hint.startswith("did you mean") else ""
