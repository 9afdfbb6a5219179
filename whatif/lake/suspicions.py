"""Rules by which bars are suspicious: what each asks of the bars of one symbol, and what breaks it.

A suspicious bar is told of, and never dropped or changed. Thresholds are relative to the series' own bars,
since what is odd of one symbol is usual of another; `docs/data.md` says why each is what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from whatif.calendars import Schedule
from whatif.domain import DAY_US, HOUR_US, Bars
from whatif.pins import jump_rows
from whatif.typing import BoolArray, FloatArray, IntArray

CHANCE = 1e-4
"""Series in which bars that are missing, or flat, independently of each other have one such run."""

MIN_GAP, MIN_STALE = 3, 5
"""Shortest runs of missing and of flat bars that are told of."""

MOST_FLAT = 0.5
"""Share of flat bars that is taken for usual at most."""

FROZEN = 20
"""Flat bars from which on no market moves so little, if they are a whole session's too."""

NEIGHBOURS, MIN_NEIGHBOURS = 101, 20
"""Bars around one that say what is typical there, and the fewest that do."""

WIDEST = 3
"""Bars in a row that stand out together."""

OUTLIER, SPIKE = 8.0, 0.10
"""Typical ranges, and share of the price, by which bars stand outside of those before and after."""

SESSIONS, MIN_SESSIONS = 21, 5
"""Sessions around one that say what volume is usual, and the fewest that do."""

HIGH_VOLUME, LOW_VOLUME = 20.0, 0.1
"""Times the usual volume above which a bar's, and below which a session's mean, is suspicious."""

ZERO_VOLUMES = 0.1
"""Share of bars without volume from which on it is usual."""

SHORT_US = HOUR_US
"""How much shorter than usual a half day is at least."""

STILL_OPEN, STILL_TRADED = 0.9, 0.5
"""Share of the bars until the usual close, and of the median volume, that say an early close was none."""


@dataclass(frozen=True)
class QualityRule:
    """One rule.

    Attributes
    ----------
    error : bool
        Whether what breaks it can hardly be so: an audit refuses it. Anything else is a warning.
    text : str
        What holds of bars that keep to it.
    measure : str
        What its value counts.
    """

    error: bool
    text: str
    measure: str


QUALITY_RULES: dict[str, QualityRule] = {
    "nonpositive": QualityRule(True, "every price is above zero", "is the low"),
    "no_bars": QualityRule(
        False, "every session from the first to the last has a bar", "sessions in a row without any bar"
    ),
    "hours": QualityRule(
        False,
        "most sessions have bars from the open to the close",
        "bars missing at that end of most sessions",
    ),
    "gap": QualityRule(False, "bars that are missing are not many in a row", "bars missing in a row"),
    "early_end": QualityRule(
        False, "a session has bars until an hour before its close", "bars missing before the close"
    ),
    "not_half_day": QualityRule(
        True, "after an early close of the calendar trading ends", "bars after it, traded as before"
    ),
    "outlier": QualityRule(
        False, "bars do not stand alone outside of those before and after", "typical ranges outside"
    ),
    "spike": QualityRule(
        True, "no bar stands alone by 10 % of its price", "typical ranges outside, 10 % of the price or more"
    ),
    "jump": QualityRule(
        False, "no session opens at 1.8 times the close before it, or below 1/1.8", "times the price before"
    ),
    "stale": QualityRule(False, "prices do not stand still for long", "bars in a row at one price"),
    "frozen": QualityRule(
        True, "prices do not stand still for a whole session and 20 bars", "bars in a row at one price"
    ),
    "volume_high": QualityRule(
        False, "volume is at most 20 times what is usual at that time", "times the usual volume"
    ),
    "volume_low": QualityRule(
        False, "a session's volume of a bar is at least a tenth of the usual", "times the usual volume"
    ),
    "volume_none": QualityRule(False, "a bar whose price moves has volume", "bars that move without volume"),
}
"""Rules by name, in the order in which they are told."""


@dataclass(frozen=True, eq=False)
class Suspicions:
    """What breaks one rule; all arrays have length k.

    Attributes
    ----------
    rule : str
        Its name.
    ts : int64 array (k,)
        Where each begins, microseconds UTC.
    session : int64 array (k,)
        Its session, days since 1970-01-01.
    bars : int64 array (k,)
        Bars, there or missing, that each stands for.
    value : float64 array (k,)
        What the rule's `measure` counts.
    """

    rule: str
    ts: IntArray
    session: IntArray
    bars: IntArray
    value: FloatArray


@dataclass(frozen=True, eq=False)
class BarSeries:
    """Bars of one symbol and timeframe, and the sessions that they should fill.

    Attributes
    ----------
    bars, after : Bars
        Those of regular hours, n, and all others; by time.
    sessions : Schedule
        The calendar's sessions from the first bar's to the last one's, k.
    length_us : int
        Length of a bar; a day for one of a whole session.
    """

    bars: Bars
    after: Bars
    sessions: Schedule
    length_us: int

    @property
    def daily(self) -> bool:
        """Whether a bar is a whole session."""
        return self.length_us == DAY_US

    @cached_property
    def expected(self) -> IntArray:
        """Bars that each session has room for, (k,)."""
        if self.daily:
            return np.ones(len(self.sessions), dtype=np.int64)
        return np.asarray(-(-self.sessions.trading_us // self.length_us), dtype=np.int64)

    @cached_property
    def place(self) -> IntArray:
        """The session of each bar among `sessions`, (n,); -1 where the calendar has none such."""
        return _place(self.sessions, self.bars.session)

    @cached_property
    def there(self) -> IntArray:
        """Bars that each session has, (k,)."""
        counts: IntArray = np.bincount(self.place[self.place >= 0], minlength=len(self.sessions))
        return counts

    @cached_property
    def missing(self) -> IntArray:
        """Bars that each session lacks, (k,)."""
        return np.asarray(np.maximum(self.expected - self.there, 0), dtype=np.int64)

    @cached_property
    def elapsed(self) -> IntArray:
        """Trading time from the session's open to each bar's start, (n,), microseconds, without breaks."""
        ts, at = self.bars.ts, np.maximum(self.place, 0)
        pause = np.clip(ts - self.sessions.break_start_us[at], 0, self.sessions.break_us[at])
        return np.asarray(ts - self.bars.session_open - np.where(self.place >= 0, pause, 0), dtype=np.int64)


def suspicions(series: BarSeries) -> Iterator[Suspicions]:
    """Yield what breaks each rule; of rules that nothing breaks, nothing."""
    parts = (
        _nonpositive,
        _without_bars,
        _gaps,
        _half_days,
        _standing_out,
        jumps,
        _flat,
        _high_volume,
        _low_volume,
        _no_volume,
    )
    for part in parts:
        yield from (one for one in part(series) if len(one.ts))


def _nonpositive(series: BarSeries) -> Iterator[Suspicions]:
    """Yield bars of all hours with a price at or below zero, which are there by choice."""
    for bars in (series.bars, series.after):
        at = np.flatnonzero(bars.low <= 0.0)
        one = np.ones(len(at), dtype=np.int64)
        yield Suspicions("nonpositive", bars.ts[at], bars.session[at], one, bars.low[at])


def _without_bars(series: BarSeries) -> Iterator[Suspicions]:
    """Yield runs of sessions that have no bar."""
    begin, count = _runs(series.there == 0)
    before = np.concatenate([[0], np.cumsum(series.expected)])
    yield Suspicions(
        "no_bars",
        series.sessions.open_us[begin],
        series.sessions.session[begin],
        before[begin + count] - before[begin],
        count.astype(np.float64),
    )


def _gaps(series: BarSeries) -> Iterator[Suspicions]:
    """Yield runs of missing bars inside of sessions that have some."""
    inside = np.flatnonzero(series.place >= 0)
    if series.daily or not len(inside):
        return
    length, sessions = series.length_us, series.sessions
    ts, place, begins = series.bars.ts[inside], series.place[inside], series.elapsed[inside]
    ends = begins + length
    last = np.append(place[1:] != place[:-1], True)
    first = np.append(True, last[:-1])
    before = (begins - np.where(first, 0, np.append(0, ends[:-1]))) // length
    since = np.where(first, sessions.open_us[place], np.append(0, ts[:-1] + length))
    after = -((ends - sessions.trading_us[place]) // length)
    many = first.sum() >= MIN_SESSIONS
    late, early = (max(int(np.median(edge)), 0) if many else 0 for edge in (before[first], after[last]))
    for usual, at in ((late, since[:1]), (early, (ts + length)[last][:1])):
        if usual >= MIN_GAP:
            yield _rows("hours", at, sessions.session[place[:1]], np.array([usual], dtype=np.int64))
    held = series.there > 0
    expected = int(series.expected[held].sum())
    missing = int(series.missing[held].sum()) - int(held.sum()) * (late + early)
    longest = _unlikely(missing / expected, expected, MIN_GAP)
    unusual = before - np.where(first, late, 0) >= longest
    yield _rows("gap", since[unusual], sessions.session[place[unusual]], before[unusual])
    lack = after - early
    closed = last & (sessions.trading_us[place] < DAY_US) & (lack >= _unlikely_last(longest, length))
    for rule, those in (("early_end", closed), ("gap", last & ~closed & (lack >= longest))):
        yield _rows(rule, (ts + length)[those], sessions.session[place[those]], after[those])


def _unlikely_last(longest: float, length: int) -> float:
    """Return how many bars before the close are not missing by chance, at least an hour's."""
    return max(longest if longest > MIN_GAP else 1, -(-SHORT_US // length))


def _half_days(series: BarSeries) -> Iterator[Suspicions]:
    """Yield sessions that the calendar ends early, and behind whose close bars go on as before."""
    sessions, after = series.sessions, series.after
    lost = int(np.median(sessions.trading_us)) - sessions.trading_us
    short = np.flatnonzero((lost >= SHORT_US) & (series.there > 0))
    if series.daily or not len(after) or not len(short):
        return
    found = []
    for k in short:
        close = int(sessions.close_us[k])
        late = after.take(slice(*np.searchsorted(after.ts, [close, close + int(lost[k])])))
        usual = np.median(series.bars.volume[series.place == k])
        traded = len(late) > 0 and bool(np.median(late.volume) >= STILL_TRADED * usual)
        if traded and len(late) * series.length_us >= STILL_OPEN * lost[k]:
            found.append((close, int(sessions.session[k]), len(late)))
    if found:
        close, session, count = np.array(found, dtype=np.int64).T
        yield _rows("not_half_day", close, session, count)


def _standing_out(series: BarSeries) -> Iterator[Suspicions]:
    """Yield bars, up to `WIDEST` in a row, that lie above or below those before and after them all."""
    bars, n = series.bars, len(series.bars)
    if n < MIN_NEIGHBOURS:
        return
    typical, taken = _typical_range(bars), np.zeros(n, dtype=bool)
    high, low = _log(bars.high), _log(bars.low)
    begins, counts, times, shares = [], [], [], []
    for width in range(1, WIDEST + 1):
        before, behind = slice(0, n - width - 1), slice(width + 1, n)
        above = _least(high[1:-1], width) - np.maximum(high[before], high[behind])
        below = np.minimum(low[before], low[behind]) + _least(-low[1:-1], width)
        share = np.maximum(above, below)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = share / np.maximum(typical[before], typical[behind])
        for k in np.flatnonzero((share > 0) & (ratio >= OUTLIER)) + 1:
            if not taken[k : k + width].any():
                taken[k : k + width] = True
                begins.append(k)
                counts.append(width)
                times.append(ratio[k - 1])
                shares.append(share[k - 1])
    at, count = np.array(begins, dtype=np.int64), np.array(counts, dtype=np.int64)
    wide = np.array(shares) >= np.log1p(SPIKE)
    for rule, those in (("outlier", ~wide), ("spike", wide)):
        rows = at[those]
        value = np.array(times, dtype=np.float64)[those]
        yield Suspicions(rule, bars.ts[rows], bars.session[rows], count[those], value)


def jumps(series: BarSeries) -> Iterator[Suspicions]:
    """Yield sessions that open at a factor of the close before, as at a split that is not adjusted for."""
    bars = series.bars
    last, first = jump_rows(bars.session, bars.open, bars.close)
    one = np.ones(len(first), dtype=np.int64)
    yield Suspicions("jump", bars.ts[first], bars.session[first], one, bars.open[first] / bars.close[last])


def _typical_range(bars: Bars) -> FloatArray:
    """Return the median true range around each bar, (n,), as a log; of all that move where that is 0."""
    before = np.append(bars.close[:1], bars.close[:-1])
    span = _log(np.maximum(bars.high, before)) - _log(np.minimum(bars.low, before))
    moves = span[span > 0]
    around = _around(span)
    return np.where(around > 0, around, np.median(moves) if len(moves) else np.inf)


def _flat(series: BarSeries) -> Iterator[Suspicions]:
    """Yield runs of bars at the close before them."""
    bars = series.bars
    flat = np.append(False, (bars.high[1:] == bars.low[1:]) & (bars.low[1:] == bars.close[:-1]))
    begin, count = _runs(flat)
    share = min(float(flat.mean()) if len(flat) else 0.0, MOST_FLAT)
    long = count >= _unlikely(share, len(flat), MIN_STALE)
    frozen = long & (count >= max(FROZEN, int(series.expected.max(initial=0))))
    for rule, those in (("stale", long & ~frozen), ("frozen", frozen)):
        yield _rows(rule, bars.ts[begin[those]], bars.session[begin[those]], count[those])


def _high_volume(series: BarSeries) -> Iterator[Suspicions]:
    """Yield bars of more volume than those around them and those at that time of other sessions."""
    volume, inside = series.bars.volume, np.flatnonzero(series.place >= 0)
    if len(volume) < MIN_NEIGHBOURS:
        return
    slot = np.zeros(len(inside), dtype=np.int64)
    if not series.daily:  # bars of a clock's grid may begin before the open
        slot = series.elapsed[inside] // series.length_us
        slot -= slot.min(initial=0)
    table = np.full((len(series.sessions), int(slot.max(initial=0)) + 1), np.nan)
    table[series.place[inside], slot] = volume[inside]
    held = series.there > 0
    then = np.full(table.shape, np.nan)
    then[held] = pd.DataFrame(table[held]).rolling(SESSIONS, center=True, min_periods=MIN_SESSIONS).median()
    usual = np.maximum(_around(volume)[inside], then[series.place[inside], slot])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = volume[inside] / usual
    high = (ratio > HIGH_VOLUME) & (usual > 0)
    rows = inside[high]
    one = np.ones(len(rows), dtype=np.int64)
    yield Suspicions("volume_high", series.bars.ts[rows], series.bars.session[rows], one, ratio[high])


def _low_volume(series: BarSeries) -> Iterator[Suspicions]:
    """Yield sessions whose bars have little volume, on average."""
    inside, held = series.place >= 0, np.flatnonzero(series.there > 0)
    whole = np.bincount(series.place[inside], series.bars.volume[inside], len(series.sessions))
    mean = whole[held] / series.there[held]
    usual = pd.Series(mean).rolling(SESSIONS, center=True, min_periods=MIN_SESSIONS).median().to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / usual
    low = held[ratio < LOW_VOLUME]
    yield Suspicions(
        "volume_low",
        series.sessions.open_us[low],
        series.sessions.session[low],
        series.there[low],
        ratio[ratio < LOW_VOLUME],
    )


def _no_volume(series: BarSeries) -> Iterator[Suspicions]:
    """Yield runs of bars that move without volume, of series that have some."""
    bars = series.bars
    none = bars.volume == 0
    if len(bars) and none.mean() < ZERO_VOLUMES:
        begin, count = _runs(none & (bars.high > bars.low))
        yield _rows("volume_none", bars.ts[begin], bars.session[begin], count)


def _rows(rule: str, ts: IntArray, session: IntArray, bars: IntArray) -> Suspicions:
    """Return suspicions whose value is their number of bars."""
    return Suspicions(rule, ts, session, bars, bars.astype(np.float64))


def _runs(mask: BoolArray) -> tuple[IntArray, IntArray]:
    """Return where the runs of a mask begin, and how long each is; (k,) each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2] - edges[::2]


def _unlikely(share: float, n: int, least: int) -> float:
    """Return from how many on a run of bars of which a share is such, independently, is not chance."""
    if share <= 0:
        return least
    return np.inf if share >= 1 else max(least, float(np.ceil(np.log(n / CHANCE) / -np.log(share))))


def _log(prices: FloatArray) -> FloatArray:
    """Return logs, (n,); NaN of what is not above zero, which is told by a rule of its own."""
    logs: FloatArray = np.log(np.where(prices > 0.0, prices, np.nan))
    return logs


def _least(values: FloatArray, width: int) -> FloatArray:
    """Return the least of each `width` values in a row, (n - width + 1,)."""
    least: FloatArray = np.lib.stride_tricks.sliding_window_view(values, width).min(axis=1)
    return least


def _around(values: FloatArray) -> FloatArray:
    """Return the median of the values around each, itself among them, (n,); NaN where they are too few."""
    rolled = pd.Series(values).rolling(NEIGHBOURS, center=True, min_periods=MIN_NEIGHBOURS)
    return rolled.median().to_numpy()


def _place(sessions: Schedule, days: IntArray) -> IntArray:
    """Return the place of each date among sessions, -1 where there is none."""
    if not len(sessions):
        return np.full(len(days), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(sessions.session, days), len(sessions) - 1)
    return np.where(sessions.session[at] == days, at, -1)
