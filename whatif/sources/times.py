"""From stamps as files have them to microseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from whatif.errors import SourceError
from whatif.sources.chunk import Layout
from whatif.sources.spec import EPOCH_FORMATS
from whatif.typing import BoolArray, IntArray

_OFFSET = r"(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_TIMED_OFFSET = r"\d[T ]\d.*" + _OFFSET


@dataclass(frozen=True, eq=False)
class Times:
    """Stamps of a chunk, read.

    Attributes
    ----------
    us : int64 array (n,)
        Microseconds since 1970-01-01 UTC; for days, midnight of the date as written. 0 where broken.
    broken : dict of str to bool array (n,)
        Rule → rows that break it.
    """

    us: IntArray
    broken: dict[str, BoolArray]


def read_times(stamps: pd.Series, layout: Layout, daily: bool) -> Times:
    """Return stamps in UTC.

    Parameters
    ----------
    stamps : Series (n,)
        Text, numbers or datetimes, as in the file.
    layout : Layout
        Time zone and format.
    daily : bool
        Read the date as written and leave time zones alone.

    Raises
    ------
    SourceError
        If stamps have no time zone, or none of them is a time in the stated format.
    """
    if layout.time_format in EPOCH_FORMATS:
        us, bad = _epoch(stamps, EPOCH_FORMATS[layout.time_format])
        return Times(us, {"unparsable_time": bad})
    parsed, aware = (
        _lean(stamps, layout) if layout.time_format == "lean_ms" else _parse(stamps, layout, daily)
    )
    bad = parsed.isna().to_numpy()
    if len(bad) and bad.all():
        raise SourceError(
            f"{layout.source}: {str(stamps.iloc[0])!r} is not a time "
            f"({layout.time_format or 'ISO 8601'}): give its format, as in "
            "--time-format '%d.%m.%Y %H:%M' or epoch_ms"
        )
    if daily or aware.all():
        return Times(_us(parsed, bad), {"unparsable_time": bad})
    return _localized(parsed, aware, bad, layout)


def _parse(stamps: pd.Series, layout: Layout, daily: bool) -> tuple[pd.Series, BoolArray]:
    """Return naive datetimes (UTC where the stamp had an offset, else as written)."""
    if isinstance(stamps.dtype, pd.DatetimeTZDtype):
        zone = (layout.timezone or stamps.dt.tz) if daily else "UTC"
        return stamps.dt.tz_convert(zone).dt.tz_localize(None), np.ones(len(stamps), dtype=bool)
    if pd.api.types.is_datetime64_dtype(stamps.dtype):
        return stamps, np.zeros(len(stamps), dtype=bool)
    if pd.api.types.is_numeric_dtype(stamps.dtype):
        raise SourceError(
            f"{layout.source}: stamps are numbers ({stamps.iloc[0]}): say what they count, as in "
            "--time-format epoch_ms"
        )
    text = stamps.astype("str").str.strip()
    if layout.time_format is not None:
        parsed = pd.to_datetime(
            text, format=layout.time_format, errors="coerce", utc="%z" in layout.time_format
        )
        if "%z" in layout.time_format:
            return parsed.dt.tz_localize(None), np.ones(len(stamps), dtype=bool)
        return parsed, np.zeros(len(stamps), dtype=bool)
    aware = text.str.contains(_TIMED_OFFSET, regex=True).fillna(False).to_numpy(dtype=bool)
    if daily:
        return _iso(text.str.replace(_OFFSET, "", regex=True).where(aware, text)), np.zeros_like(aware)
    if aware.all():
        return _iso(text, utc=True), aware
    parsed = _iso(text.where(~aware))
    if aware.any():
        parsed = parsed.astype("datetime64[us]").where(~aware, _iso(text.where(aware), utc=True))
    return parsed, aware


def _iso(text: pd.Series, utc: bool = False) -> pd.Series:
    parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=utc)
    return (parsed.dt.tz_localize(None) if utc else parsed).astype("datetime64[us]")


def _lean(stamps: pd.Series, layout: Layout) -> tuple[pd.Series, BoolArray]:
    milliseconds = pd.to_numeric(stamps, errors="coerce")
    midnight = pd.Timestamp(str(layout.day))
    return midnight + pd.to_timedelta(milliseconds, unit="ms"), np.zeros(len(stamps), dtype=bool)


def _localized(parsed: pd.Series, aware: BoolArray, bad: BoolArray, layout: Layout) -> Times:
    if layout.timezone is None:
        if not aware.any():
            raise SourceError(
                f"{layout.source}: stamps carry no time zone ({parsed[~bad].iloc[0]}): name it, as in "
                "--timezone America/New_York"
            )
        bad = bad | ~aware
        return Times(_us(parsed, bad), {"unparsable_time": bad})
    local = pd.DatetimeIndex(parsed)
    zone = layout.timezone
    once = local.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    unclear = np.asarray(once.isna()) & ~bad & ~aware
    gone = np.zeros_like(unclear)
    if unclear.any():
        exists = local.tz_localize(zone, ambiguous=np.ones(len(local), dtype=bool), nonexistent="NaT")
        gone = unclear & np.asarray(exists.isna())
    utc = pd.Series(once.tz_convert("UTC").tz_localize(None), index=parsed.index).where(~aware, parsed)
    return Times(
        _us(utc, bad | unclear),
        {"unparsable_time": bad, "ambiguous_time": unclear & ~gone, "nonexistent_time": gone},
    )


def _epoch(stamps: pd.Series, unit_us: int) -> tuple[IntArray, BoolArray]:
    counts = pd.to_numeric(stamps, errors="coerce")
    bad = counts.isna().to_numpy()
    whole = counts.where(~bad, 0)
    scaled = whole * unit_us if unit_us else whole // 1000
    return scaled.to_numpy().astype(np.int64), bad


def _us(parsed: pd.Series, bad: BoolArray) -> IntArray:
    us: IntArray = parsed.astype("datetime64[us]").to_numpy().astype(np.int64)
    return np.where(bad, 0, us).astype(np.int64)
