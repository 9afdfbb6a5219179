"""Formats of stamps: RE2 patterns that they must match, and the option that reads those which match none."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd

from whatif.errors import SourceError
from whatif.texts import shown
from whatif.typing import FloatArray

EPOCH_FORMATS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": 0}
"""Time formats that count from 1970-01-01 UTC, and microseconds in their unit (0: below one)."""

_DATE = r"(?:\d{4}-\d{2}-\d{2}|\d{4}/\d{2}/\d{2}|\d{4}\.\d{2}\.\d{2}|\d{8})"
_TIME = r"(?:\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?|\d{4}(?:\d{2}(?:\.\d{1,9})?)?)"
_HOURS = r"(?:\+\d{2}|-(?:0[1-9]|1\d))"
_OFFSET = rf" ?(?:Z|[+-]\d{{2}}:?\d{{2}}|{_HOURS})"
ZONE_END = r"\[[A-Za-z][A-Za-z0-9_/+-]*\]$"
"""The name of a zone behind an offset, as Java writes it: the offset alone says what time it is."""

ISO_AWARE = rf"^{_DATE}[T ]{_TIME}{_OFFSET}(?:{ZONE_END.removesuffix('$')})?$"
"""A date, a time of day with its minutes, an offset, perhaps its zone in brackets."""

ISO_LOCAL = rf"^{_DATE}(?:[T ]{_TIME})?$"
"""A date, then perhaps a time of day with its minutes."""

ISO_HOURS = rf"\d[T ]\d[\d:.]* ?{_HOURS}$"
"""An offset of hours alone: where other stamps have none, 09:39-05 may be 5 seconds."""

OFFSET_END = rf"{_OFFSET}$"

TIME_OF_DAY = re.compile(r"%[HIMScXTR]")
_DIRECTIVE = re.compile(r"%(.)")
_WIDTHS = {
    "Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "I": 2, "M": 2, "S": 2, "j": 3, "G": 4, "V": 2, "u": 1,
}  # fmt: skip
_SHORT = frozenset("mdHI")
_WORDS = {
    "b": r"[^\W\d_]+\.?", "B": r"[^\W\d_]+", "a": r"[^\W\d_]+\.?", "A": r"[^\W\d_]+",
    "p": r"[AaPp]\.?[Mm]\.?", "f": r"\d{1,9}", "z": r"(?:Z|UTC|[+-]\d{2}:?\d{2}(?::?\d{2})?)",
    "Z": r"[A-Za-z][A-Za-z0-9_/+-]*", "%": "%",
}  # fmt: skip


_MAX_FORMAT = 100
_WRITTEN = {
    "F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "e": "%d", "h": "%b", "k": "%H",
    "l": "%I", "L": "%f", "N": "%f", "Q": "%f", "P": "%p", "s": "the whole format as epoch_s",
}  # fmt: skip
"""What stands for directives of other programs."""


def check_time_format(time_format: str) -> None:
    """Raise SourceError if a `strptime` format cannot be read, or loses a part of the stamp."""
    if len(time_format) > _MAX_FORMAT:
        raise SourceError(f"the time format has {len(time_format):,} characters: write {_MAX_FORMAT} at most")
    given = f"time format {shown(time_format)}"
    used = set(_DIRECTIVE.findall(time_format.replace("%%", "")))
    if not used:
        raise SourceError(
            f"{given} has no directive: write one such as '%d.%m.%Y %H:%M', or epoch_s, epoch_ms, epoch_us, "
            "epoch_ns"
        )
    _check_directives(time_format, given, used)
    if used & set("cx"):
        return
    if missing := _missing_of_a_date(used):
        raise SourceError(
            f"{given} names no {missing}: a stamp is a date and a time; join columns with --map ts=Date+Time "
            "and give the format of both"
        )
    if {"y", "Y"} <= used:
        raise SourceError(f"{given} names the year twice: write %Y (2024) or %y (24)")
    if ("p" in used) != ("I" in used):
        raise SourceError(
            f"{given}: %I (hours of 1 to 12) and %p (AM or PM) go together; write %I with %p, or %H (hours "
            "of 0 to 23) without"
        )
    if "Z" in used and not time_format.endswith("%Z"):
        raise SourceError(f"{given}: a zone's name, %Z, can stand at the end only")


def _check_directives(time_format: str, given: str, used: set[str]) -> None:
    """Refuse what the parser refuses, before there is a stamp."""
    for letter in sorted(used & set(_WRITTEN)):
        raise SourceError(f"{given}: %{letter} is not known here: write {_WRITTEN[letter]} for it")
    try:
        pd.to_datetime(pd.Series(["1"]), format=time_format, errors="coerce")
    except (ValueError, re.error) as error:
        why = str(error).partition(" in format ")[0]
        if isinstance(error, re.error):
            why = "a directive stands in it twice"
        raise SourceError(f"{given} cannot be read ({why}): write one such as '%d.%m.%Y %H:%M:%S'") from error


def _missing_of_a_date(used: set[str]) -> str:
    """Return which part of a date a format does not name; "" if it names all."""
    if not used & set("YyG"):
        return "year"
    if "j" in used or used & set("UWV"):  # the parser wants the day of a week
        return ""
    if not used & set("d"):
        return "day"
    return "" if used & set("mbB") else "month"


def format_patterns(time_format: str) -> tuple[str, str]:
    """Return patterns of stamps of a format: with whole numbers of digits, and with fewer where they can be.

    `strptime` reads 20240102 53000 as 05:30:00 under %Y%m%d %H%M%S: where no separator stands between
    numbers, each must have all of its digits.
    """
    return _pattern(time_format, short=False), _pattern(time_format, short=True)


def _pattern(time_format: str, short: bool) -> str:
    parts = re.findall(r"%.|\s+|[^%\s]", time_format)
    out = []
    for i, part in enumerate(parts):
        if part.isspace():
            out.append(r"\s+")
        elif len(part) == 1:
            out.append(re.escape(part))
        elif part[1] in _WORDS:
            out.append(_WORDS[part[1]])
        elif part[1] not in _WIDTHS:
            out.append(".+?")
        else:
            alone = not any(
                len(p) == 2 and p[0] == "%" for p in parts[max(i - 1, 0) : i] + parts[i + 1 : i + 2]
            )
            least = 1 if short and alone and part[1] in _SHORT else _WIDTHS[part[1]]
            out.append(rf"\d{{{least},{_WIDTHS[part[1]]}}}")
    return f"(?i)^{''.join(out)}$"


_CLOCK_DIGITS = {"%H%M": 4, "%H%M%S": 6}


def with_whole_clocks(text: pd.Series, time_format: str, later: bool = False) -> pd.Series:
    """Return stamps whose times of day are whole numbers, as 930, with the zeros that those lack: 0930.

    Of `%H%M` and `%H%M%S` at the end of a format, behind a blank, where a stamp shows how many digits there
    are: 930 is half past nine beside 1600, and nothing beside 160000.

    Parameters
    ----------
    text : Series (n,)
        Stamps.
    time_format : str
        As in `IngestSpec`.
    later : bool
        Whether rows of the file before them had times of that format: all of these may be below 01:00.
    """
    digits = _CLOCK_DIGITS.get(time_format.rpartition(" ")[2], 0)
    if not digits or " " not in time_format:
        return text
    clocks = text.str.extract(r" (\d{1,6})$")[0]
    lengths = clocks.str.len()
    short = (lengths < digits).to_numpy(dtype=bool, na_value=False)
    if not short.any() or not (0 if later else digits - 1) <= lengths.max() <= digits:
        return text
    if clocks.str.fullmatch(r"0\d+").any():  # whoever writes zeros loses none
        return text
    whole = text.str.replace(r" \d{1,6}$", " ", regex=True) + clocks.str.zfill(digits)
    return text.where(~short, whole)


_DAYS_HINT = "--time-format days_1900, as Excel counts days, or days_1904, as it once did on a Mac"

UNITS = {
    "epoch_s": "seconds",
    "epoch_ms": "milliseconds",
    "epoch_us": "microseconds",
    "epoch_ns": "nanoseconds",
}
_SECONDS = {"epoch_s": 1.0, "epoch_ms": 1e-3, "epoch_us": 1e-6, "epoch_ns": 1e-9}
_SINCE = 10 * 365.25 * 86_400

DAY_COUNTS = {"days_1900": "1899-12-30", "days_1904": "1904-01-01"}
"""Time formats that count days of a spreadsheet, with the time of day as their fraction, and their day 0."""

_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d-%B-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y",
    "%d-%b-%y", "%d %B %Y", "%B %d, %Y", "%a %b %d %Y", "%d%b%Y", "%Y%m%d%H%M%S", "%Y%m%d%H%M",
    "%Y-%m-%d-%H-%M", "%G-W%V-%u",
)  # fmt: skip
_CLOCKS = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %H-%M", " %H-%M-%S", " %H.%M", " %H%M", " %H%M%S",
    " %I:%M %p", " %I:%M:%S %p", " %I:%M%p", " %I-%p", "T%H:%M", "T%H:%M:%S", ", %H:%M", ", %I:%M %p",
    ";%H:%M:%S", " %H:%M:%S,%f", ":%H:%M:%S",
    "D%H:%M:%S.%f", " 0D%H:%M:%S.%f", " %H:%M:%S GMT%z", " %H:%M:%S.%f GMT%z",
    " %H:%M:%S%z", " %H:%M:%S %z", " %H:%M %z", " %H:%M:%S %Z", " %H:%M %Z",
)  # fmt: skip


def fitting_epoch(count: float) -> str | None:
    """Return the unit in which a count from 1970 is a time between 1980 and next year, if one is."""
    last = (date.today().year + 2 - 1970) * 365.25 * 86_400
    return next((unit for unit, s in _SECONDS.items() if _SINCE <= count * s < last), None)


FIRST_DAY_COUNT = 61
"""1 March 1900: days before it are counted as if 1900 had been a leap year."""


def are_day_counts(counts: FloatArray, first: int = 25_569 - 1_462) -> bool:
    """Tell whether numbers can be days as spreadsheets count them: of 1970 to next year, by either count."""
    last = (date.today().year + 2 - 1900) * 365.25
    return bool(len(counts)) and bool(np.all((counts >= first) & (counts < last)))


def count_hint(stamps: pd.Series) -> str:
    """Return what to type for stamps that are numbers."""
    counts = pd.to_numeric(stamps, errors="coerce").dropna()
    count = float(counts.median()) if len(counts) else float("nan")
    unit = fitting_epoch(count)
    if are_day_counts(counts.to_numpy()):
        return _DAYS_HINT
    if unit is not None:
        return f"--time-format {unit} (they count {UNITS[unit]} since 1970)"
    formats = fitting_formats([str(int(c)) for c in counts.iloc[:20]])
    if formats:
        return f"--time-format '{formats[0]}'"
    return "--time-format epoch_s, epoch_ms, epoch_us or epoch_ns (no unit makes them times since 1980)"


def time_hint(stamps: pd.Series, time_format: str | None) -> str:
    """Return what is wrong with stamps none of which is a time, and what to type."""
    shown = [str(stamp).strip() for stamp in stamps.dropna().iloc[:50]]
    what = f"{str(stamps.iloc[0])!r} is not a time ({time_format or 'ISO 8601'})"
    if shown and all(re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?", one) for one in shown):
        return (
            f"{what}: it is a time of day, and no column holds its date (one of a file's name or folder "
            "is not read): add a column of dates, and join both, as in --map ts=Date+Time"
        )
    counts = pd.to_numeric(stamps, errors="coerce")
    unit = None if counts.isna().any() else fitting_epoch(float(np.median(counts)))
    if unit is not None:
        return (
            f"{what}: it counts {UNITS[unit]} since 1970: give --time-format {unit}, or name another column "
            "of the file, as in --map ts=Datetime"
        )
    if not counts.isna().any() and are_day_counts(counts.to_numpy()):
        return f"{what}: give {_DAYS_HINT}"
    formats = fitting_formats(shown) or _fitting_short(shown)
    if not formats:
        return f"{what}: give its format, as in --time-format '%d.%m.%Y %H:%M' or epoch_ms"
    return f"{what}: give its format, --time-format {' or '.join(repr(f) for f in formats[:3])}"


_SIX_DIGITS = ("%y%m%d", "%d%m%y", "%m%d%y")
"""Dates of six digits, as MetaStock's text files have them: numbers, prices and times of day look alike."""


def _fitting_short(shown: list[str]) -> list[str]:
    """Return the formats of six digits that read stamps, those by which they go one way first."""
    text = pd.Series(shown, dtype="str")
    if not text.str.fullmatch(r"\d{6}").all():
        return []
    found = [one for one in _SIX_DIGITS if _reads(text, one)]
    times = {one: pd.to_datetime(text, format=one) for one in found}
    return sorted(
        found, key=lambda one: not (times[one].is_monotonic_increasing or times[one].is_monotonic_decreasing)
    )


def fitting_formats(shown: list[str]) -> list[str]:
    """Return the formats that read each of some stamps as a time."""
    found = []
    text = pd.Series(shown, dtype="str")
    for day in _DATES:
        for clock in _CLOCKS:
            if shown and re.match(format_patterns(day + clock)[1], shown[0].strip()) is None:
                continue
            if text.str.fullmatch(format_patterns(day + clock)[1]).all() and _reads(text, day + clock):
                found.append(day + clock)
    return found


def _reads(text: pd.Series, time_format: str) -> bool:
    if time_format.endswith("%Z"):
        words = text.str.extract(r"^(.*?)\s*([A-Za-z][A-Za-z0-9_/+-]*)$")
        if words[1].str.fullmatch("(?i)[ap]m").any():  # halves of the day are no zones
            return False
        text, time_format = words[0], time_format.removesuffix("%Z").rstrip()
    parsed = pd.to_datetime(text, format=time_format, errors="coerce", utc=True)
    return len(text) > 0 and bool(parsed.notna().all()) and bool(parsed.dt.year.between(1900, 2100).all())
