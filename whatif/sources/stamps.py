"""Stamps of a file that says nothing of their format: the format that reads them all, or several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from whatif.sources.patterns import ISO_AWARE, ISO_LOCAL, UNITS, fitting_epoch, fitting_formats

_COUNT = re.compile(r"\d{9,20}(?:\.\d*)?|\d\.\d+[eE]\+?\d+")
TIME_ALONE = re.compile(
    r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp][Mm])?|\d{4}|\d{6}|0D\d{2}:\d{2}:\d{2}(?:\.\d+)?"
)
_DATE_ALONE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{8}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|[^:]*[A-Za-z]{3}[^:]*\d[^:]*"
)
_SHOWN = 200


@dataclass(frozen=True)
class StampFormat:
    """How stamps are written.

    Attributes
    ----------
    time_format : str or None
        As in `IngestSpec`; None for ISO 8601.
    because : str
        What shows it.
    """

    time_format: str | None
    because: str


def formats_of(stamps: Sequence[str]) -> list[StampFormat]:
    """Return the formats that read stamps as different times; one if it is clear, none if none reads them.

    Parameters
    ----------
    stamps : sequence of str
        As a file has them, in any order.
    """
    texts = [" ".join(text.split()) for text in dict.fromkeys(stamps) if text and text.strip()]
    if not texts:
        return []
    single = all("  " not in text.strip() for text in stamps if text)
    if single and all(re.match(ISO_AWARE, text) or re.match(ISO_LOCAL, text) for text in texts):
        return [StampFormat(None, f"{texts[0]} is ISO 8601")]
    if all(_COUNT.fullmatch(text) for text in texts):
        counts = pd.to_numeric(pd.Series(texts))
        units = {fitting_epoch(float(count)) for count in (counts.min(), counts.median(), counts.max())}
        unit = units.pop() if len(units) == 1 else None
        if unit is not None:
            return [StampFormat(unit, f"{texts[0]} counts {UNITS[unit]} since 1970")]
    every = texts if len(texts) <= _SHOWN else [*texts[: _SHOWN // 2], *texts[:: len(texts) // _SHOWN + 1]]
    found: dict[tuple[object, ...], StampFormat] = {}
    for time_format in fitting_formats(every):
        if len(every) < len(texts) and not _reads(texts, time_format):
            continue
        read = _times(every, time_format)
        found.setdefault(tuple(read), StampFormat(time_format, f"{texts[0]!r} is written so"))
    return list(found.values())


def _reads(texts: Sequence[str], time_format: str) -> bool:
    return not pd.isna(pd.array(_times(texts, time_format), dtype=object)).any()


def _times(texts: Sequence[str], time_format: str) -> Sequence[object]:
    series = pd.Series(texts, dtype="str")
    if time_format.endswith("%Z"):
        return list(series.str.replace(r"\s*[A-Za-z][A-Za-z0-9_/+-]*$", "", regex=True))
    return list(pd.to_datetime(series, format=time_format, errors="coerce", utc="%z" in time_format))


def is_time_alone(values: Sequence[str]) -> bool:
    """Tell whether values are times of day without a date."""
    return bool(values) and all(TIME_ALONE.fullmatch(value.strip()) for value in values)


def clock_digits(dates: Sequence[str], clocks: Sequence[str]) -> int:
    """Return how many digits times of day have whose leading zeros were lost, as 930 of 0930; 0 if none were.

    Parameters
    ----------
    dates, clocks : sequence of str (n,)
        Texts of n rows.
    """
    lengths = {len(clock) for clock in clocks}
    if len(dates) != len(clocks) or len(set(dates)) == len(dates) or len(set(clocks)) == 1:
        return 0
    if not lengths or not all(clock.isdecimal() for clock in clocks) or not 3 <= max(lengths) <= 6:
        return 0
    digits = 4 if max(lengths) <= 4 else 6
    if any(clock[0] == "0" and len(clock) > 1 for clock in clocks):  # whoever writes zeros loses none
        return 0
    whole = [clock.zfill(digits) for clock in clocks]
    fit = all(int(c[:2]) < 24 and int(c[2:4]) < 60 and int(c[4:] or 0) < 60 for c in whole)
    return digits if fit and lengths != {digits} else 0


_HOUR = re.compile(r"(.*\d.*?)[ T;,](\d{1,2}):\d{2}(?::\d{2})?(?:\.\d+)?")


def half_clock(stamps: Sequence[str]) -> str | None:
    """Return two stamps between which a clock of 12 hours went on from 12:59 to 1:00; None if none did.

    No hour is then above 12, and a date of a file that is in order has 1:00 behind 12:59.

    Parameters
    ----------
    stamps : sequence of str
        As a file has them.
    """
    before: tuple[str, int, str] | None = None
    found = None
    for stamp in stamps:
        parts = _HOUR.fullmatch(stamp.strip())
        if parts is None or not 1 <= int(parts[2]) <= 12:
            return None
        now = (parts[1], int(parts[2]), stamp)
        if before is not None and before[0] == now[0] and {before[1], now[1]} == {12, 1}:
            found = found or f"{before[2]}, {stamp}"
        before = now
    return found


def is_date_alone(values: Sequence[str]) -> bool:
    """Tell whether values are dates without a time of day."""
    return bool(values) and all(_DATE_ALONE.fullmatch(value.strip()) for value in values)
