"""Remedies for stamps that cannot be read: the exact option to type."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

UNITS = {
    "epoch_s": "seconds",
    "epoch_ms": "milliseconds",
    "epoch_us": "microseconds",
    "epoch_ns": "nanoseconds",
}
_SECONDS = {"epoch_s": 1.0, "epoch_ms": 1e-3, "epoch_us": 1e-6, "epoch_ns": 1e-9}
_SINCE = 10 * 365.25 * 86_400

_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%y",
    "%a %b %d %Y", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y-%m-%d-%H-%M",
)  # fmt: skip
_CLOCKS = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %H-%M", " %H-%M-%S", " %H.%M", " %H%M", " %H%M%S",
    " %I:%M %p", " %I:%M:%S %p", " %I:%M%p", "T%H:%M", "T%H:%M:%S", ", %H:%M", ", %I:%M %p", ";%H:%M:%S",
    " %H:%M:%S,%f",
    " %H:%M:%S %z", " %H:%M %z", " %H:%M:%S %Z", " %H:%M %Z",
)  # fmt: skip


def fitting_epoch(count: float) -> str | None:
    """Return the unit in which a count from 1970 is a time between 1980 and next year, if one is."""
    last = (date.today().year + 2 - 1970) * 365.25 * 86_400
    return next((unit for unit, s in _SECONDS.items() if _SINCE <= count * s < last), None)


def count_hint(stamps: pd.Series) -> str:
    """Return what to type for stamps that are numbers."""
    counts = pd.to_numeric(stamps, errors="coerce").dropna()
    count = float(counts.median()) if len(counts) else float("nan")
    unit = fitting_epoch(count)
    if unit is not None:
        return f"--time-format {unit} (they count {UNITS[unit]} since 1970)"
    formats = _fitting_formats([str(int(c)) for c in counts.iloc[:20]])
    if formats:
        return f"--time-format '{formats[0]}'"
    return "--time-format epoch_s, epoch_ms, epoch_us or epoch_ns (no unit makes them times since 1980)"


def time_hint(stamps: pd.Series, time_format: str | None) -> str:
    """Return what is wrong with stamps none of which is a time, and what to type."""
    shown = [str(stamp).strip() for stamp in stamps.dropna().iloc[:50]]
    what = f"{str(stamps.iloc[0])!r} is not a time ({time_format or 'ISO 8601'})"
    counts = pd.to_numeric(stamps, errors="coerce")
    unit = None if counts.isna().any() else fitting_epoch(float(np.median(counts)))
    if unit is not None:
        return (
            f"{what}: it counts {UNITS[unit]} since 1970: give --time-format {unit}, or name another column "
            "of the file, as in --map ts=Datetime"
        )
    formats = _fitting_formats(shown)
    if not formats:
        return f"{what}: give its format, as in --time-format '%d.%m.%Y %H:%M' or epoch_ms"
    return f"{what}: give its format, --time-format {' or '.join(repr(f) for f in formats[:3])}"


def _fitting_formats(shown: list[str]) -> list[str]:
    from whatif.sources.patterns import format_patterns

    found = []
    for day in _DATES:
        for clock in _CLOCKS:
            text = pd.Series(shown, dtype="str")
            if text.str.fullmatch(format_patterns(day + clock)[1]).all() and _reads(text, day + clock):
                found.append(day + clock)
    return found


def _reads(text: pd.Series, time_format: str) -> bool:
    if time_format.endswith("%Z"):
        return len(text) > 0
    parsed = pd.to_datetime(text, format=time_format, errors="coerce", utc=True)
    return len(text) > 0 and bool(parsed.notna().all()) and bool(parsed.dt.year.between(1900, 2100).all())
