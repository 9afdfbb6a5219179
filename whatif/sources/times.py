"""Time stamps as files have them, as microseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.domain import DAY_US
from whatif.errors import SourceError
from whatif.exchanges import time_zone
from whatif.sources.chunk import Layout
from whatif.sources.limits import MISREAD_SHARE, exceeds
from whatif.sources.patterns import (
    DAY_COUNTS,
    EPOCH_FORMATS,
    FIRST_DAY_COUNT,
    ISO_AWARE,
    ISO_HOURS,
    ISO_LOCAL,
    OFFSET_END,
    TIME_OF_DAY,
    UNITS,
    ZONE_END,
    are_day_counts,
    count_hint,
    fitting_epoch,
    format_patterns,
    time_hint,
    with_whole_clocks,
)
from whatif.sources.zones import localized_by_name
from whatif.typing import BoolArray, FloatArray, IntArray

FIRST_YEAR = 1850
"""Before it no price series begins; years up to the next are taken for real."""

_BARS_SINCE_US = 10 * 365 * DAY_US
_DAYS_SINCE_US = 30 * DAY_US
"""Latest stamps earlier than these, counted from 1970, are those of a wrong unit if another unit fits."""

_DATE_LENGTH = len("2024-01-02")
_LAST_US = 253_402_300_799_000_000  # the end of 9999, which is in reach of int64


@dataclass(frozen=True, eq=False)
class Times:
    """Stamps of a chunk, read.

    Attributes
    ----------
    us : int64 array (n,)
        Microseconds since 1970-01-01 UTC; midnight of the date, as if in UTC, where `dated`. 0 where broken.
    broken : dict of str to bool array (n,)
        Rule → rows that break it.
    dated : bool array (n,)
        Days only: the stamp is a date as written (without a time of day, or at midnight).
    wall : bool array (n,)
        Days only: the stamp is a local time of day without an offset.
    date_only : bool
        Whether the file writes dates without any time of day.
    """

    us: IntArray
    broken: dict[str, BoolArray]
    dated: BoolArray
    wall: BoolArray
    date_only: bool = False

    @property
    def known(self) -> BoolArray:
        """Return which rows have a time, (n,)."""
        known: BoolArray = ~np.any(list(self.broken.values()), axis=0)
        return known


@dataclass(frozen=True, eq=False)
class _Parsed:
    """Naive datetimes: `utc` in UTC where `aware`, else as written; `local` as written (of days)."""

    utc: pd.Series
    aware: BoolArray
    local: pd.Series
    date_only: bool = False


def read_times(
    stamps: pd.Series, layout: Layout, daily: bool, symbol: IntArray | None = None, before: int = 0
) -> Times:
    """Return stamps in UTC.

    Parameters
    ----------
    stamps : Series (n,)
        Text, numbers or datetimes, as in the file.
    layout : Layout
        Time zone and format.
    daily : bool
        Keep dates as written, and need no time zone for them.
    symbol : int64 array (n,), optional
        Codes of symbols, whose rows are in an order each; None if all are of one.
    before : int
        Rows of the same file that were read already: a few that follow them are bad rows, no bad file.

    Raises
    ------
    SourceError
        If stamps have no time zone, count in another unit than stated, carry an offset although their clock
        is said to be shifted, or none of them is a time in the stated format.
    """
    of_file = not before or exceeds(len(stamps), before + len(stamps), MISREAD_SHARE)
    if layout.time_format in EPOCH_FORMATS:
        _check_shift(layout, f"count from 1970 ({stamps.iloc[0]})")
        us, bad, other = _epoch(stamps, layout, daily, of_file)
        return _instants(us, bad, other, layout, daily)
    parsed = _parse(stamps, layout, daily, bool(before))
    bad = parsed.utc.isna().to_numpy()
    if len(bad) and bad.all() and of_file:
        raise SourceError(f"{layout.source}: {time_hint(stamps, layout.time_format)}")
    if parsed.aware.any():
        _check_shift(layout, "carry an offset")
    if daily:
        return _days(parsed, bad, layout, symbol)
    return _bars(parsed, bad, layout, symbol, of_file)


def _check_shift(layout: Layout, what: str) -> None:
    if layout.shift_us:
        raise SourceError(
            f"{layout.source}: stamps {what}, so that their clock is known, and a shift is given as well: "
            "leave out --shift"
        )


def _instants(us: IntArray, bad: BoolArray, other: BoolArray, layout: Layout, daily: bool) -> Times:
    """Return instants that count from 1970; days of them are dates where they are midnight.

    Those that count something `other`, (n,), are no dates of bars.
    """
    late = (_implausible(us) | other) & ~bad
    none = np.zeros(len(us), dtype=bool)
    broken = _broken(bad, late)
    us = np.where(bad | late, 0, us)
    if not daily:
        return Times(us, broken, none, none)
    utc = pd.Series(us.astype("datetime64[us]"))
    dated, day = _midnights(utc, utc, np.ones(len(us), dtype=bool), layout)
    return Times(np.where(dated, day, us), broken, dated, none)


def _bars(parsed: _Parsed, bad: BoolArray, layout: Layout, symbol: IntArray | None, of_file: bool) -> Times:
    none = np.zeros(len(bad), dtype=bool)
    us = _us(parsed.utc, bad)
    late = _implausible(us) & ~bad
    if parsed.aware.all():
        broken = _broken(bad, late)
        return Times(np.where(late, 0, us), broken, none, none)
    if layout.timezone is None and not parsed.aware.any() and of_file:
        raise SourceError(
            f"{layout.source}: stamps carry no time zone ({parsed.utc[~bad].iloc[0]}): name it, as in "
            "--timezone America/New_York"
        )
    if layout.timezone is None:
        bad = bad | ~parsed.aware
        broken = _broken(bad, late & ~bad)
        return Times(np.where(bad | late, 0, us), broken, none, none)
    return _localized(parsed, bad, late, layout, layout.timezone, symbol)


def _days(parsed: _Parsed, bad: BoolArray, layout: Layout, symbol: IntArray | None) -> Times:
    """Return dates as written, and instants of whatever has a time of day."""
    late = _implausible(_us(parsed.utc, bad)) & ~bad
    broken = _broken(bad, late)
    unknown = bad | late
    dated, day = _midnights(parsed.utc, parsed.local, parsed.aware, layout)
    wall = ~dated & ~parsed.aware & ~unknown
    us = _us(parsed.utc, unknown)
    if wall.any():  # a time of day without an offset is that of the stated zone, else of the exchange
        zone = layout.timezone or time_zone(layout.exchange)
        inner = _localized(parsed, bad, late, layout, zone, symbol)
        us = np.where(wall, inner.us, us)
        for rule in ("ambiguous_time", "nonexistent_time"):
            broken[rule] = inner.broken[rule] & wall
    return Times(np.where(unknown, 0, np.where(dated, day, us)), broken, dated & ~unknown, wall)


def _midnights(
    utc: pd.Series, local: pd.Series, aware: BoolArray, layout: Layout
) -> tuple[BoolArray, IntArray]:
    """Return which stamps are the midnight of a date (as written, or in the stated zone), and of which."""
    unknown = local.isna().to_numpy()
    as_written = _us(local, unknown)
    dated = ~unknown & (as_written % DAY_US == 0)
    if layout.stamps == "end":  # an instant that is an end is not the day that begins there
        dated = dated & ~aware
    if layout.timezone is not None and layout.stamps != "end" and aware.any():
        there = pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(layout.timezone).tz_localize(None)
        us = _us(pd.Series(there), unknown)
        midnight = ~unknown & aware & (us % DAY_US == 0)
        dated, as_written = dated | midnight, np.where(midnight, us, as_written)
    return dated, as_written


def _parse(stamps: pd.Series, layout: Layout, daily: bool, later: bool) -> _Parsed:
    if layout.time_format == "lean_ms":
        return _lean(stamps, layout)
    if layout.time_format in DAY_COUNTS:
        return _day_counts(stamps, layout)
    if isinstance(stamps.dtype, pd.DatetimeTZDtype):
        local = stamps.dt.tz_localize(None)
        utc = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
        return _Parsed(utc, np.ones(len(stamps), dtype=bool), local)
    if pd.api.types.is_datetime64_dtype(stamps.dtype):
        return _Parsed(stamps, np.zeros(len(stamps), dtype=bool), stamps)
    if pd.api.types.is_numeric_dtype(stamps.dtype):
        raise SourceError(
            f"{layout.source}: stamps are numbers ({stamps.iloc[0]}): say what they count, as in "
            f"{count_hint(stamps)}"
        )
    if layout.time_format is None and (found := _alike(stamps, daily)) is not None:
        return found
    text = stamps.astype("str").str.strip()
    if layout.time_format is not None:
        return _formatted(text, layout.time_format, later)
    return _iso(text, daily)


_LOCAL_LENGTHS = (len("2024-01-02 09:30"), len("2024-01-02 09:30:00"))
_AWARE_LENGTHS = (len("2024-01-02T09:30:00Z"), len("2024-01-02T09:30:00-05:00"))
_PLAIN_US = (
    -9_000_000_000_000_000,
    9_000_000_000_000_000,
)  # 1684 to 2255, where all that reads stamps agrees


def _alike(stamps: pd.Series, daily: bool) -> _Parsed | None:
    """Return ISO 8601 stamps as `_iso` does, where all are of one of the usual lengths; None otherwise.

    Of what Arrow reads as a time, only one way to write it, or those that `_iso` takes, has that length.
    """
    words = pa.array(stamps, from_pandas=True)
    words = words.combine_chunks() if isinstance(words, pa.ChunkedArray) else words
    if words.null_count or not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
        return None
    length = pc.min_max(pc.binary_length(words)).as_py()
    aware = length["min"] in _AWARE_LENGTHS
    if length["min"] != length["max"] or not (aware or length["min"] in _LOCAL_LENGTHS) or (aware and daily):
        return None
    try:
        us = words.cast(pa.timestamp("us", "UTC" if aware else None)).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    if not len(us) or us.min() < _PLAIN_US[0] or us.max() > _PLAIN_US[1]:
        return None
    utc = pd.Series(us.astype("datetime64[us]"), index=stamps.index)
    return _Parsed(utc, np.full(len(us), aware), utc)


def _iso(text: pd.Series, daily: bool) -> _Parsed:
    """Return ISO 8601 stamps: year, month and day whole, hours with their minutes, then an offset or none."""
    words = pa.array(text, type=pa.string(), from_pandas=True)
    aware = _matches(words, ISO_AWARE)
    if aware.any() and _matches(words, ZONE_END).any():
        text = text.where(~aware, text.str.replace(ZONE_END, "", regex=True))
    shaped = aware if aware.all() else aware | _matches(words, ISO_LOCAL)
    if not aware.all() and aware.any():
        shaped = shaped & ~_matches(words, ISO_HOURS)
        aware = aware & shaped
    text = text if shaped.all() else text.where(shaped)
    longest = 0 if aware.any() else pc.max(pc.utf8_length(words.filter(pa.array(shaped)))).as_py() or 0
    date_only = 0 < longest <= _DATE_LENGTH
    if aware.all():
        utc = _to_datetime(text, utc=True)
    else:
        utc = _to_datetime(text.where(~aware))
        if aware.any():
            utc = utc.where(~aware, _to_datetime(text.where(aware), utc=True))
    local = utc
    if daily and aware.any():
        local = _to_datetime(text.str.replace(OFFSET_END, "", regex=True).where(aware, text))
    return _Parsed(utc, aware, local, date_only)


def _formatted(text: pd.Series, time_format: str, later: bool) -> _Parsed:
    text = with_whole_clocks(text, time_format, later)
    words = pa.array(text, type=pa.string(), from_pandas=True)
    strict, lenient = format_patterns(time_format)
    shaped = _matches(words, strict)
    if not shaped.all():  # hours or days of one digit count only where the file writes them so
        loose = _matches(words, lenient)
        short = int((loose & ~shaped).sum())
        shaped = loose if exceeds(short, len(text), MISREAD_SHARE) or 2 * short >= len(text) else shaped
        text = text.where(shaped)
    if time_format.endswith("%Z"):
        utc, aware = localized_by_name(text, time_format)
        return _Parsed(utc, aware, utc)
    has_offset = "%z" in time_format
    parsed = pd.to_datetime(text, format=time_format, errors="coerce", utc=has_offset)
    parsed = (parsed.dt.tz_localize(None) if has_offset else parsed).astype("datetime64[us]")
    aware = np.full(len(text), has_offset)
    return _Parsed(parsed, aware, parsed, not has_offset and not TIME_OF_DAY.search(time_format))


def _matches(words: pa.Array, pattern: str) -> BoolArray:
    matched = pc.fill_null(pc.match_substring_regex(words, pattern), False)
    return np.asarray(matched.to_numpy(zero_copy_only=False), dtype=bool)


def _to_datetime(text: pd.Series, utc: bool = False) -> pd.Series:
    parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=utc)
    return (parsed.dt.tz_localize(None) if utc else parsed).astype("datetime64[us]")


def _lean(stamps: pd.Series, layout: Layout) -> _Parsed:
    milliseconds = pd.to_numeric(stamps, errors="coerce")
    midnight = pd.Timestamp(str(layout.day))
    local = midnight + pd.to_timedelta(milliseconds, unit="ms")
    return _Parsed(local, np.zeros(len(stamps), dtype=bool), local)


def _day_counts(stamps: pd.Series, layout: Layout) -> _Parsed:
    """Return days that a spreadsheet counts, with the time of day as fraction, to the millisecond."""
    counts = pd.to_numeric(stamps, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    fit = np.isfinite(counts)
    if not are_day_counts(counts[fit], FIRST_DAY_COUNT):
        raise SourceError(
            f"{layout.source}: with --time-format {layout.time_format} the stamps ({stamps.iloc[0]} …) are "
            "no days since March 1900: leave it out, and what they are is looked for"
        )
    whole = pd.Series(np.rint(np.where(fit, counts, 0.0) * 86_400_000).astype(np.int64), index=stamps.index)
    zero = pd.Timestamp(DAY_COUNTS[str(layout.time_format)])
    local = (zero + pd.to_timedelta(whole, unit="ms")).astype("datetime64[us]").where(fit)
    date_only = bool((whole % 86_400_000 == 0).all())
    return _Parsed(local, np.zeros(len(stamps), dtype=bool), local, date_only)


def _localized(
    parsed: _Parsed, bad: BoolArray, late: BoolArray, layout: Layout, zone: str, symbol: IntArray | None
) -> Times:
    aware, none = parsed.aware, np.zeros(len(bad), dtype=bool)
    # a date such as 9999-12-31 has no time in another zone
    local = pd.DatetimeIndex(parsed.utc.where(~late & ~aware))
    if layout.shift_us:
        local = (local - pd.Timedelta(microseconds=layout.shift_us)).as_unit("us")
    once = local.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    unclear = np.asarray(once.isna()) & ~bad & ~aware & ~late
    gone = np.zeros_like(unclear)
    if unclear.any():
        summer = np.ones(len(local), dtype=bool)
        exists = local.tz_localize(zone, ambiguous=summer, nonexistent="NaT")
        gone = unclear & np.asarray(exists.isna())
        if layout.by_order:
            settled, first = _by_order(local.as_unit("us").asi8, unclear & ~gone, symbol)
            told = local.tz_localize(zone, ambiguous=first, nonexistent="NaT")
            once, unclear = once.where(~settled, told), unclear & ~settled
    utc = pd.Series(once.tz_convert("UTC").tz_localize(None), index=parsed.utc.index)
    unknown = bad | unclear | late
    return Times(
        _us(utc.where(~aware, parsed.utc), unknown),
        {**_broken(bad, late), "ambiguous_time": unclear & ~gone, "nonexistent_time": gone},
        none,
        none,
        parsed.date_only,
    )


def _by_order(local: IntArray, twice: BoolArray, symbol: IntArray | None) -> tuple[BoolArray, BoolArray]:
    """Return which times that occur twice are told by the order of rows, and which are the first of both.

    Within a stretch of such rows of one symbol, stamps step back once, where clocks were set back (forward,
    in rows that run from the newest to the oldest). A stretch without such a step tells nothing.

    Parameters
    ----------
    local : int64 array (n,)
        Local times, microseconds.
    twice : bool array (n,)
        Those that occur twice.
    symbol : int64 array (n,) or None
        Codes of symbols; None if all rows are of one.
    """
    settled, first = np.zeros(len(local), dtype=bool), np.zeros(len(local), dtype=bool)
    codes = np.zeros(len(local), dtype=np.int64) if symbol is None else symbol
    for code in np.unique(codes[twice]):
        rows = np.flatnonzero(codes == code)
        steps = np.diff(local[rows])
        newest_first = int((steps < 0).sum()) > int((steps > 0).sum())
        rows = rows[::-1] if newest_first else rows
        at = np.flatnonzero(twice[rows])
        for stretch in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1):
            back = np.flatnonzero(np.diff(local[rows[stretch]]) <= 0)
            if len(back) == 1:
                settled[rows[stretch]] = True
                first[rows[stretch[: back[0] + 1]]] = True
    return settled, first


def _epoch(
    stamps: pd.Series, layout: Layout, daily: bool, of_file: bool
) -> tuple[IntArray, BoolArray, BoolArray]:
    """Return microseconds, rows that hold no number, and rows that count another unit, or nothing; (n,)."""
    if not pd.api.types.is_numeric_dtype(stamps.dtype) and pd.api.types.is_datetime64_any_dtype(stamps.dtype):
        raise SourceError(
            f"{layout.source}: stamps are times already ({stamps.iloc[0]}), they count nothing: leave out "
            f"--time-format {layout.time_format}"
        )
    counts = pd.to_numeric(stamps, errors="coerce")
    values = counts.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if of_file:
        _check_unit(stamps, values[~bad], layout, daily)
    unit_us = EPOCH_FORMATS[str(layout.time_format)]
    huge = np.abs(np.where(bad, 0, values)) * (unit_us or 1e-3) > _LAST_US  # no date, and no int64
    whole = counts.where(~(bad | huge), 0)
    scaled = whole * unit_us if unit_us else whole // 1000
    us = np.where(huge, int(_LAST_US), scaled.to_numpy().astype(np.int64))
    other = np.abs(us) < (_DAYS_SINCE_US if daily else _BARS_SINCE_US)
    for i in np.flatnonzero(other & ~bad & (us != 0)):
        other[i] = fitting_epoch(values[i]) not in (None, layout.time_format)
    # a lone 0 stands for no time: bars of 1970 come with others of that month
    others = (us != 0) & (np.abs(us) < _DAYS_SINCE_US) & ~bad & ~other
    return us, bad, np.where(us == 0, not others.any(), other)


def _check_unit(stamps: pd.Series, counts: FloatArray, layout: Layout, daily: bool) -> None:
    """Refuse counts of another unit: as stated they are no times of bars, and in another they are."""
    if not len(counts):
        return
    latest = float(counts.max()) * (EPOCH_FORMATS[str(layout.time_format)] or 1e-3)
    fitting = fitting_epoch(float(np.median(counts)))
    early = latest < (_DAYS_SINCE_US if daily else _BARS_SINCE_US)
    if fitting is None or fitting == layout.time_format or not (early or latest > _next_year_us()):
        return
    at = str(np.datetime64(int(latest), "us"))[:19] if latest < _LAST_US else "beyond the year 9999"
    raise SourceError(
        f"{layout.source}: with --time-format {layout.time_format} the stamps ({stamps.iloc[0]} …) end "
        f"{'on ' * (latest < _LAST_US)}{at}, which is no time of {layout.timeframe} bars: they count "
        f"{UNITS[fitting]}: give --time-format {fitting}"
    )


def _broken(bad: BoolArray, late: BoolArray) -> dict[str, BoolArray]:
    return {"unparsable_time": bad, "implausible_date": late} if late.any() else {"unparsable_time": bad}


def _implausible(us: IntArray) -> BoolArray:
    first = np.datetime64(f"{FIRST_YEAR}-01-01", "us").astype(np.int64)
    return np.asarray((us < first) | (us >= _next_year_us()))


def _next_year_us() -> int:
    """Return the end of the year after this one; a little ahead of a clock that is behind."""
    return int(np.datetime64(f"{date.today().year + 2}-01-01", "us").astype(np.int64))


def _us(parsed: pd.Series, bad: BoolArray) -> IntArray:
    us: IntArray = parsed.astype("datetime64[us]").to_numpy().astype(np.int64)
    return np.where(bad, 0, us).astype(np.int64)
