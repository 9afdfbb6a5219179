"""Inputs from elsewhere: time, news, longer bars, other symbols, put on the rows of a symbol's bars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TypeAlias

import numpy as np

from whatif.domain import DAY_US, MINUTE_US, Bars, Joined, Place, bar_ends, resample, timeframe_us
from whatif.errors import IndicatorError
from whatif.indicators.news import News, news_series
from whatif.typing import FloatArray, IntArray

MONTH_DAYS = 31
"""Days of the longest month."""

EPOCH_WEEKDAY = 3
"""Weekday of 1970-01-01, a Thursday; Monday is 0."""


@dataclass(frozen=True)
class Needs:
    """What expressions are made of beside the bars' own series.

    Attributes
    ----------
    times : frozenset of str
        Those of `TIME_SERIES` that they name.
    places : frozenset of Place
        Where else they take bars from.
    news : frozenset of str
        Series of news that they name, such as "sentiment(5)".
    everyone : bool
        Whether one is a rank among all symbols there are.
    """

    times: frozenset[str] = frozenset()
    places: frozenset[Place] = frozenset()
    news: frozenset[str] = frozenset()
    everyone: bool = False

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return bool(self.times or self.places or self.news or self.everyone)

    @property
    def symbols(self) -> frozenset[str]:
        """Symbols that they name."""
        return frozenset(place.symbol for place in self.places if place.symbol)


@dataclass(frozen=True, eq=False)
class Stored:
    """A symbol's bars as they are stored, which longer ones are made of.

    Attributes
    ----------
    bars : Bars
        From the beginning of the history.
    source_us, bar_us : int
        Their length, and that of the rows, a multiple of it; microseconds.
    """

    bars: Bars
    source_us: int
    bar_us: int
    _wholes: dict[frozenset[Place], Bars] = field(default_factory=dict, init=False, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the bars."""
        return self.bars.nbytes

    def whole(self, places: frozenset[Place], exchange: str) -> Bars:
        """Return bars of the rows' length with longer ones of the symbol's own; the same object each time."""
        if places not in self._wholes:
            self._wholes[places] = with_needs(self.at("")[0], Needs(places=places), self, exchange)
        return self._wholes[places]

    def at(self, timeframe: str) -> tuple[Bars, int]:
        """Return bars of a timeframe, "" for that of the rows, and their length in microseconds."""
        length = timeframe_us(timeframe) if timeframe else self.bar_us
        if length == self.source_us:
            return self.bars, length
        return resample(self.bars, length, self.source_us), length


OtherBars: TypeAlias = Callable[[str], Stored]
"""Gives the bars of another symbol, none later than the last of the rows' own; raises if there is none."""


def with_needs(
    bars: Bars,
    needs: Needs,
    own: Stored,
    exchange: str,
    other: OtherBars | None = None,
    news: News | None = None,
    among: Collection[str] | None = None,
) -> Bars:
    """Return bars with what expressions need of elsewhere.

    Parameters
    ----------
    bars : Bars
        Bars of one symbol, n rows.
    needs : Needs
        What expressions name. A series of time that the bars carry as an input already is left alone.
    own : Stored
        What the bars are made of.
    exchange : str
        Code of the exchange whose sessions the bars belong to; "" where nobody knows.
    other : callable, optional
        Gives the bars of another symbol.
    news : News, optional
        What was published about the symbol, and those it is related to.
    among : collection of str, optional
        All symbols, which a rank without names is among; this one is, whether it stands there or not.

    Returns
    -------
    Bars
        The same where nothing is needed.

    Notes
    -----
    *Timing*: time is known ahead, so a series of time says nothing that row t could not know. Of bars from
    elsewhere, row t knows those that have ended when bar t has; a bar ends at its session's close at the
    latest. Of all symbols, it knows the bars of its own start, if they have ended then. Of news, it knows
    what was published, and came with its delay, by then.

    Raises
    ------
    IndicatorError
        If a timeframe is not longer than the bars, or no multiple; if nobody gives the bars of another
        symbol, or news, or says which symbols there are; or the last session of a month is asked for and
        nobody knows the exchange.
    CalendarError
        If there is no such exchange.
    """
    if not needs:
        return bars
    missing = sorted(needs.times - set(bars.inputs))
    bars = bars.with_inputs({name: TIME_SERIES[name](bars, exchange) for name in missing})
    bars = bars.with_inputs(_of_news(bars, sorted(needs.news - set(bars.inputs)), own, news))
    joined = {place: _joined(bars, place, own, other) for place in sorted(needs.places)}
    return replace(bars, joined=joined | _everyone(bars, needs, own, exchange, other, among))


EVERYONE = "*"
"""Stands for the timeframe of a place: a symbol's bars on the rows of the same start."""


def _everyone(
    bars: Bars,
    needs: Needs,
    own: Stored,
    exchange: str,
    other: OtherBars | None,
    among: Collection[str] | None,
) -> dict[Place, Joined]:
    """Return the bars of all symbols on the rows whose start they have; of the rows' own symbol none."""
    if not needs.everyone:
        return {}
    symbols = sorted({*(among or ()), bars.symbol})
    if among is None or (other is None and len(symbols) > 1):
        raise IndicatorError(
            f"{bars.symbol}: a rank without names is among all symbols of a study or a frame, and there are "
            "none here: name symbols, as in rank(roc(20), SPY, IBM)"
        )
    longer = frozenset(place for place in needs.places if not place.symbol)
    ends, found = _ends(bars, own.bar_us), {}
    every, none = np.arange(len(bars)), np.full(len(bars), -1)
    for symbol in symbols:
        made, rows = bars.slice(0, 0), none
        if symbol != bars.symbol and other is not None:
            stored = other(symbol)
            made = stored.whole(longer, exchange)
            rows = every if _same_clock(made, bars) and stored.bar_us == own.bar_us else none
        if len(made) and rows is none:
            at = np.minimum(np.searchsorted(made.ts, bars.ts), len(made) - 1)
            rows = np.where((made.ts[at] == bars.ts) & (_ends(made, stored.bar_us)[at] <= ends), at, -1)
        found[Place(symbol, EVERYONE)] = Joined(made, rows)
    return found


def _of_news(bars: Bars, names: list[str], own: Stored, news: News | None) -> dict[str, FloatArray]:
    if names and news is None:
        raise IndicatorError(
            f"{bars.symbol}: {names[0]} needs news, and none is given: models of a study learn from those of "
            "the lake ('whatif ingest-news'), and whatif.features takes news=; a strategy's inputs have none"
        )
    if not names or news is None:
        return {}
    ends = _ends(bars, own.bar_us)
    return {name: news_series(name, bars, ends, news) for name in names}


def check_place(place: Place, bar_us: int) -> None:
    """Refuse a timeframe that rows of `bar_us` microseconds could not be put into.

    Raises
    ------
    IndicatorError
        If it is not longer, or no multiple.
    """
    if not place.timeframe:
        return
    length, own = timeframe_us(place.timeframe), _named(bar_us)
    if length > bar_us and (length == DAY_US or length % bar_us == 0):
        return
    broken = f"no multiple of {own}" if length > bar_us else f"not longer than {own}"
    fitting = [one for one in _USUAL if timeframe_us(one) > bar_us and timeframe_us(one) % bar_us == 0]
    remedy = f"write such as @{fitting[0]}" if fitting else "leave it out"
    raise IndicatorError(
        f"@{place.timeframe} is {broken}, the length of the bars that it is put on: it has to be longer, "
        f"and a multiple: {remedy}"
    )


_USUAL = ("5min", "15min", "1h", "1d")


def _named(length: int) -> str:
    return "1d" if length == DAY_US else f"{length / MINUTE_US:g}min"


def _joined(bars: Bars, place: Place, own: Stored, other: OtherBars | None) -> Joined:
    check_place(place, own.bar_us)
    stored = own
    if place.symbol:
        if other is None:
            raise IndicatorError(f"{bars.symbol}: the bars of {place.symbol} are not there: give them too")
        stored = other(place.symbol)
        check_place(place, stored.bar_us)
    made, length = stored.at(place.timeframe)
    known = np.searchsorted(_ends(made, length), _ends(bars, own.bar_us), side="right") - 1
    return Joined(made, np.asarray(known, dtype=np.int64))


def _ends(bars: Bars, length: int) -> IntArray:
    """Return when each bar has ended, (n,), microseconds UTC; of several days, where the next one starts."""
    if length <= DAY_US or not len(bars):
        return np.maximum.accumulate(bar_ends(bars, length))
    return np.append(bars.ts[1:], bars.ts[-1] + length)


def _same_clock(one: Bars, other: Bars) -> bool:
    """Whether bars begin and end together: of many symbols their rows are then the same, and held once."""
    return np.array_equal(one.ts, other.ts) and np.array_equal(one.session_close, other.session_close)


def session_minutes(bars: Bars) -> tuple[IntArray, IntArray]:
    """Return whole minutes since the session's open, and until its close, at each bar's start.

    Returns
    -------
    minute, to_close : int64 array (n,)
        Rounded down; `minute` is negative before the open, `to_close` after the close.
    """
    minute = (bars.ts - bars.session_open) // MINUTE_US
    to_close = (bars.session_close - bars.ts) // MINUTE_US
    return np.asarray(minute, dtype=np.int64), np.asarray(to_close, dtype=np.int64)


def minute_of_session(bars: Bars, _exchange: str) -> FloatArray:
    """Return whole minutes from the session's open to each bar's start, (n,); NaN out of regular hours."""
    return _in_session(bars, session_minutes(bars)[0])


def minutes_to_close(bars: Bars, _exchange: str) -> FloatArray:
    """Return whole minutes from each bar's start to the session's close, (n,); NaN out of regular hours."""
    return _in_session(bars, session_minutes(bars)[1])


def day_of_week(bars: Bars, _exchange: str) -> FloatArray:
    """Return the weekday of each bar's session, (n,): Monday is 0, Sunday 6."""
    return np.asarray((bars.session + EPOCH_WEEKDAY) % 7, dtype=np.float64)


def is_month_end(bars: Bars, exchange: str) -> FloatArray:
    """Return 1.0 on bars of the last session of a calendar month, else 0.0, (n,).

    By the exchange's calendar, which knows ahead; NaN where that ends before the next session.

    Raises
    ------
    IndicatorError
        If nobody knows the exchange.
    CalendarError
        If there is no such exchange.
    """
    if not exchange:
        raise IndicatorError(
            f"{bars.symbol}: is_month_end needs the sessions of an exchange, and none was named: give the "
            'code of a calendar, as in calendar="XNYS"'
        )
    # imported here: the library of calendars is slow to load
    from whatif.calendars import known_schedule

    days, which = np.unique(bars.session, return_inverse=True)
    if not len(days):
        return np.empty(0)
    first, last = (date(1970, 1, 1) + timedelta(days=int(day)) for day in (days[0], days[-1]))
    sessions = known_schedule(exchange, first, last + timedelta(days=MONTH_DAYS)).session
    following = np.searchsorted(sessions, days, side="right")
    known = following < len(sessions)
    found = np.full(len(days), np.nan)
    found[known] = _month(sessions[following[known]]) != _month(days[known])
    return np.asarray(found[which], dtype=np.float64)


TIME_SERIES: Mapping[str, Callable[[Bars, str], FloatArray]] = {
    "minute_of_session": minute_of_session,
    "minutes_to_close": minutes_to_close,
    "day_of_week": day_of_week,
    "is_month_end": is_month_end,
}
"""Series of time by name: of bars, and the code of their exchange."""


def _in_session(bars: Bars, minutes: IntArray) -> FloatArray:
    inside = (bars.ts >= bars.session_open) & (bars.ts < bars.session_close)
    return np.where(inside, minutes, np.nan)


def _month(days: IntArray) -> IntArray:
    """Return months since 1970-01 of days since 1970-01-01."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
