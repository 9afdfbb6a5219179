"""Review of each part as a whole: whether its rows are what the options say that they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from whatif.domain import MINUTE_US, timeframe_us, timestamps
from whatif.errors import SourceError
from whatif.exchanges import time_zone
from whatif.sources.chunk import Chunk, Layout
from whatif.sources.grid import Grid
from whatif.sources.limits import ACCEPT, MIN_ROWS, MISREAD_SHARE, REFUSED_SHARE, exceeds
from whatif.sources.numbers import grouped, may_be_grouped, with_commas
from whatif.sources.rules import RULES
from whatif.sources.sessions import local_dates, tag_bars
from whatif.sources.spacing import FirstRows, spacing_fault
from whatif.typing import FloatArray, IntArray

_RULES = tuple(RULES)
_TEXTS = ("open", "high", "low", "close", "volume")


@dataclass
class FileReview:
    """What is known of a file while its rows are read.

    Attributes
    ----------
    accept : bool
        Whether the user takes the file although much of it is refused or looks wrong.
    layout : Layout or None
        What its rows share, once the first were read.
    grid : Grid or None
        Where its bars begin, found on its first rows.
    first : FirstRows or None
        Its first rows, for what spacing and sessions tell.
    rows : int
        Rows so far.
    mended : int
        Rows whose range was widened by noise.
    nonpositive : int
        Bars with a price at or below zero.
    grouped : dict of str to bool
        Column of numbers with dots → whether all that came could stand between thousands.
    broken : Counter
        Rule → rows that break it.
    example : dict of str to (int, str)
        Rule → number and content of the first row that breaks it.
    """

    accept: bool = False
    layout: Layout | None = None
    grid: Grid | None = None
    first: FirstRows | None = None
    rows: int = 0
    mended: int = 0
    nonpositive: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    example: dict[str, tuple[int, str]] = field(default_factory=dict)
    grouped: dict[str, bool] = field(default_factory=dict)

    def count(self, chunk: Chunk, rule: IntArray) -> None:
        """Count the rows of a chunk and the rules that they break.

        Parameters
        ----------
        chunk : Chunk
            Its n rows, and those with a wrong number of fields.
        rule : int64 array (n,)
            Place in `RULES` of the rule that each row breaks; -1 where it breaks none.
        """
        self.layout = chunk.layout
        self.rows += len(chunk) + len(chunk.misfits)
        if chunk.misfits:
            self.broken["wrong_field_count"] += len(chunk.misfits)
            self.example.setdefault("wrong_field_count", chunk.misfits[0])
        for place, count in Counter(rule[rule >= 0].tolist()).items():
            name = _RULES[place]
            self.broken[name] += count
            if name not in self.example:
                at = int(np.flatnonzero(rule == place)[0])
                self.example[name] = (int(chunk.numbers()[at]), chunk.text(at))

    def look_at_numbers(self, columns: pd.DataFrame, values: dict[str, FloatArray], before: int) -> None:
        """Notice dots that stand between thousands.

        Parameters
        ----------
        columns : pandas.DataFrame
            n rows as they are in the file.
        values : dict of str to float64 array (n,)
            The numbers read from them by column; NaN where missing or no number.
        before : int
            Rows of the file before them.

        Raises
        ------
        SourceError
            If a value has two, the user has not said that they group, and none before shows that dots are
            decimal signs; or if commas stand in more than a few of the rows so far.
        """
        assert self.layout is not None
        if self.layout.numbers.stated:
            return
        for name in _TEXTS:
            if name not in columns or pd.api.types.is_numeric_dtype(columns[name].dtype):
                continue
            undecided = self.grouped.get(name, True)
            if missing := int(np.isnan(values[name]).sum()):
                many = not before or exceeds(missing, before + len(columns), MISREAD_SHARE)
                _check_style(self.layout.source, name, columns[name], many, undecided)
            if undecided:
                told = may_be_grouped(columns[name], values[name])
                self.grouped |= {} if told is None else {name: told}

    def finish(self) -> None:
        """Refuse the file if most of it breaks a rule, or cannot be what the options say.

        Raises
        ------
        SourceError
            With what is wrong, and the option to type.
        """
        if self.layout is None or self.accept:
            return
        fault = self._fault()
        if fault is not None:
            raise SourceError(f"{self.layout.source}: {fault} ({ACCEPT})")

    def _fault(self) -> str | None:
        assert self.layout is not None
        if self.first is not None:
            misplaced = self.broken["off_grid"] + self.broken["overlap"]
            found = spacing_fault(self.first, self.layout, misplaced, self.rows)
            found = found or zone_fault(self.first, self.layout, self.rows - self.first.rows)
            if found is not None:
                return found
        if self.grouped.get("volume"):
            return (
                "volumes with a dot have three digits after it, so that 1.234 may be 1234: say which, "
                "--thousands . or --decimal ."
            )
        for rule, count in self.broken.most_common():
            if exceeds(count, self.rows, REFUSED_SHARE):
                row, raw = self.example[rule]
                return (
                    f"{count:,} of {self.rows:,} rows break the rule {rule} ({RULES[rule]}); "
                    f"first row {row}: {raw[:200]}"
                )
        return None


def _check_style(source: str, name: str, column: pd.Series, many: bool, dots: bool) -> None:
    """Refuse numbers with commas or with dots between thousands, and name the option that reads them.

    Commas are looked at if they are in `many` rows, and dots if they may be no decimal signs.
    """
    if many and (commas := with_commas(column)) is not None:
        raise SourceError(f"{source}: {name} {commas[0]!r} is not a number with a point: give {commas[1]}")
    if dots and (value := grouped(column)) is not None:
        raise SourceError(
            f"{source}: {name} {value!r}: dots separate thousands in this column, so that 1.234 is 1234: "
            "give --thousands ."
        )


_ZONES = (
    "UTC", "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Sao_Paulo", "Europe/London",
    "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo",
    "Australia/Sydney",
)  # fmt: skip
_BETTER = 0.25
_MAX_SHARE = 0.5


def zone_fault(first: FirstRows, layout: Layout, unseen: int) -> str | None:
    """Return what sessions say against the zone or the end of the stamps, or None.

    Parameters
    ----------
    first : FirstRows
        Rows of the file.
    layout : Layout
        Its timeframe, zone, exchange and end of stamps.
    unseen : int
        Rows of the file that are not among the first; above 0 the last session may go on.
    """
    if first.daily or layout.exchange == "24/7" or len(first.starts) < MIN_ROWS:
        return None
    return _wrong_end(first, layout, unseen > 0) or _wrong_zone(first, layout)


def _wrong_zone(first: FirstRows, layout: Layout) -> str | None:
    """Refuse a zone under which most of what was traded lies outside sessions, if another fits far better."""
    length = timeframe_us(layout.timeframe)
    weight = first.volume if first.volume.sum() > 0 else np.ones(len(first.starts))
    inside = _share(first.starts, length, layout.exchange, weight)
    if inside >= _MAX_SHARE:
        return None
    zone = layout.timezone or "UTC"
    local = timestamps(first.starts).tz_convert(zone).tz_localize(None)
    shares: dict[str, float] = {}
    for other in dict.fromkeys((time_zone(layout.exchange), *_ZONES)):
        moved = local.tz_localize(other, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
        good = ~np.asarray(moved.isna())
        ts = moved[good].as_unit("us").asi8
        shares[other] = _share(ts, length, layout.exchange, weight[good]) if len(ts) else 0.0
    best = max(shares, key=lambda name: shares[name])
    if best == zone or shares[best] < inside + _BETTER:
        return None
    what = f"in {zone}" if layout.timezone else "with their offsets"
    remedy = f"give --timezone {best}"
    if layout.timezone is None:
        remedy = (
            f"if they are times of {best} that were marked as UTC, give --time-format "
            f"'%Y-%m-%dT%H:%M:%SZ' --timezone {best}"
        )
    return (
        f"{1 - inside:.0%} of what was traded lies outside the regular sessions of {layout.exchange} if "
        "stamps are "
        f"read {what}, and {1 - shares[best]:.0%} as times of {best}: {remedy}"
    )


_HALF_HOUR = 30 * MINUTE_US


def looks_like_ends(first: FirstRows, timeframe: str, exchange: str) -> str | None:
    """Return what shows that stamps are ends of bars; None if nothing does.

    In most sessions the last is the close, and none the open; or, as before and after regular hours, the
    last is on a half hour, and the first a bar behind one.

    Parameters
    ----------
    first : FirstRows
        Rows of a file, read as starts.
    timeframe, exchange : str
        Of its bars.
    """
    if _wrong_end(first, Layout("", timeframe, exchange), True) is not None:
        return "in most sessions the last stamp is the close and none the open"
    length = timeframe_us(timeframe)
    if length >= _HALF_HOUR or not len(first.starts):
        return None
    ts = np.sort(first.starts)
    days, begin = np.unique(local_dates(ts, exchange), return_index=True)
    end = np.append(begin[1:], len(ts)) - 1
    outside = ~tag_bars(ts, length, exchange).regular
    odd = outside[begin] & outside[end] & (end - begin >= MIN_ROWS)
    odd &= ((ts[begin] - length) % _HALF_HOUR == 0) & (ts[end] % _HALF_HOUR == 0)
    if odd.sum() < 2 or not odd.sum() > _MAX_SHARE * len(days):
        return None
    return "on most days the last stamp is on a half hour and the first one bar behind one"


def may_be_ends(first: FirstRows, timeframe: str, exchange: str) -> str | None:
    """Return what lets stamps be ends of bars inside of the calendar's sessions; None if nothing does.

    On most days, but for the last, which may be cut, the first stamp is one bar behind a half hour and the
    last on one. Where trading begins and ends otherwise than the calendar says, as a future's once
    did, that is all there is to tell ends from starts by.

    Parameters
    ----------
    first, timeframe, exchange
        As of `looks_like_ends`.
    """
    length = timeframe_us(timeframe)
    ts = np.sort(first.starts)
    days, begin = np.unique(local_dates(ts, exchange), return_index=True)
    if length >= _HALF_HOUR or len(days) <= _MIN_SESSIONS:
        return None
    earliest, latest = ts[begin[:-1]], ts[begin[1:] - 1]
    odd = ((earliest - length) % _HALF_HOUR == 0) & (latest % _HALF_HOUR == 0)
    if odd.sum() < _MIN_SESSIONS or odd.mean() < _MOST:
        return None
    one = np.flatnonzero(odd)[:1]
    times = " to ".join(f"{timestamps(some[one])[0]:%H:%M}" for some in (earliest, latest))
    return (
        f"on {odd.sum()} of the first {len(odd)} days stamps go from one bar behind a half hour to a half "
        f"hour ({times} UTC), as ends of bars do"
    )


_MIN_SESSIONS, _MOST = 3, 0.75


def _wrong_end(first: FirstRows, layout: Layout, cut: bool) -> str | None:
    """Refuse starts that look like ends of bars, or ends that look like starts, in most sessions."""
    length = timeframe_us(layout.timeframe)
    ts = np.sort(first.starts)
    tags = tag_bars(ts, length, layout.exchange)
    ts, session = ts[tags.found], tags.session[tags.found]
    opens, closes = tags.session_open[tags.found], tags.session_close[tags.found]
    if cut and len(session):
        whole = session < session.max()
        ts, session, opens, closes = ts[whole], session[whole], opens[whole], closes[whole]
    days, begin = np.unique(session, return_index=True)
    if not len(days):
        return None
    earliest = np.minimum.reduceat(ts, begin) - opens[begin]
    latest = np.maximum.reduceat(ts, begin) - closes[begin]
    several = np.diff(np.append(begin, len(ts))) >= MIN_ROWS
    if layout.stamps == "start":
        odd = several & (earliest > 0) & (earliest <= length) & (latest == 0)
        words, other = "last bar begins at the close, and none at the open", "end"
    else:
        odd = several & (earliest == -length) & (latest >= -2 * length) & (latest + length < 0)
        words, other = "first bar ends at the open, and none at the close", "start"
    if not odd.sum() > _MAX_SHARE * len(days):
        return None
    return f"in {int(odd.sum()):,} of {len(days):,} sessions the {words}: did you mean --stamps {other}?"


def _share(ts: IntArray, length: int, exchange: str, weight: FloatArray) -> float:
    total = float(weight.sum())
    return float(weight[tag_bars(ts, length, exchange).regular].sum()) / total if total > 0 else 0.0
