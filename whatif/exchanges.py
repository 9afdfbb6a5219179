"""Exchanges' calendars as `exchange_calendars` defines them, built for a range of dates.

The library hands its rules to pandas' business days. With a pandas whose offsets were renamed inside,
half a dozen calendars cannot be built that way or come out wrong (Easter of the Orthodox church, Hebrew
holidays, Saturdays that were trading days), and rules of holidays count from 1970 on only. Here the days
that are open are worked out from the calendar's own week masks, rules and lists, for just the range that
is asked for; hours, breaks and half days stay the library's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cached_property, lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from whatif.errors import CalendarError, nearest
from whatif.paths import kept

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar
    from pandas.tseries.offsets import CustomBusinessDay

EARLIEST, LATEST = date(1800, 1, 1), date(2200, 12, 31)
"""Dates that no calendar reaches beyond; pandas' rules of holidays end there."""

FX = "FX"
"""The week of currencies, 24 hours on 5 days: Sunday 17:00 to Friday 17:00 in New York."""

AMENDED = {"ASEX": {"2024-05-01": True, "2024-05-07": False}}
"""Days that an exchange was open (True) or closed on against its calendar in the library.

Athens: a ministerial decision (15102, Government Gazette B 1406 of 4 March 2024) moved the holiday of
1 May, a day of the Holy Week, to the Tuesday after Easter.
"""


class _Exchange(NamedTuple):
    """An exchange by one of its names: its own name, time zone, and the dates that its calendar knows."""

    name: str
    zone: str
    first: str
    last: str


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, _Exchange]:
    """Return all exchanges by all of their names; the library is asked once for each of its versions."""
    return {name: _Exchange(*fields) for name, fields in stored("exchanges", _read_catalogue).items()}


def _read_catalogue() -> dict[str, _Exchange]:
    library, found = _library(), {}
    for name in library.get_calendar_names(include_aliases=True):
        own = str(library.resolve_alias(name))
        kind = _class_of(own)
        first, last = kind.bound_min(), kind.bound_max()
        begin = EARLIEST if first is None else max(first.date(), EARLIEST)
        end = LATEST if last is None else min(last.date(), LATEST)
        found[name] = _Exchange(own, str(kind.tz), str(begin), str(end))
    return found


def _known(exchange: str) -> _Exchange:
    names = _catalogue()
    if exchange not in names:
        raise CalendarError(
            f"exchange {exchange!r} has no calendar: use a code of exchange_calendars such as XNYS, "
            f"XEUR or 24/7; {nearest(exchange, names)}"
        )
    return names[exchange]


def stored(name: str, make: Callable[[], Any]) -> Any:
    """Return what the library knows, as JSON holds it; it takes a second to tell, and is kept."""
    return kept(name, ("exchanges", "calendars"), ("exchange_calendars", "pandas", "numpy"), make)


def check_exchange(exchange: str) -> None:
    """Raise CalendarError unless `exchange` is the name of a calendar."""
    _known(exchange)


def exchange_aliases() -> dict[str, str]:
    """Return other names of exchanges and the one that the library's calendar has."""
    return {name: found.name for name, found in _catalogue().items() if found.name != name}


def canonical_exchange(exchange: str) -> str:
    """Return the one name of a calendar that has several: NYSE and NASDAQ are XNYS."""
    found = _catalogue().get(exchange)
    return exchange if found is None else found.name


@lru_cache(maxsize=256)
def known_dates(exchange: str) -> tuple[date, date]:
    """Return the first and the last date that an exchange's calendar knows holidays for.

    Raises
    ------
    CalendarError
        If there is no such calendar.
    """
    found = _known(exchange)
    return date.fromisoformat(found.first), date.fromisoformat(found.last)


def time_zone(exchange: str) -> str:
    """Return the IANA time zone of an exchange.

    Raises
    ------
    CalendarError
        If there is no such calendar.
    """
    return _known(exchange).zone


@lru_cache(maxsize=1)
def _library() -> Any:
    """Import the library, a quarter of a second, when it is first asked."""
    import exchange_calendars
    from exchange_calendars import tase_holidays
    from exchange_calendars.pandas_extensions import offsets

    _name_offsets(offsets, tase_holidays)
    if FX not in exchange_calendars.get_calendar_names():
        exchange_calendars.register_calendar_type(FX, _week_of_currencies())
    return exchange_calendars


def _week_of_currencies() -> Any:
    """Return the calendar of currencies: from 17:00 in New York, on each eve of Monday to Friday, for a day.

    No holiday is left out, since trading goes on somewhere on all of them.
    """
    from datetime import time
    from zoneinfo import ZoneInfo

    from exchange_calendars import ExchangeCalendar

    members = {
        "name": FX,
        "tz": ZoneInfo("America/New_York"),
        "open_times": ((None, time(17)),),
        "close_times": ((None, time(17)),),
        "open_offset": -1,
    }
    return type("CurrencyCalendar", (ExchangeCalendar,), members)


def build_calendar(exchange: str, first: date, last: date) -> ExchangeCalendar:
    """Return the calendar of an exchange over [first, last].

    Raises
    ------
    CalendarError
        If the exchange is unknown, its calendar does not know the dates, or has no session on them.
    """
    begin, end = known_dates(exchange)
    if first < begin or last > end:
        raise CalendarError(
            f"calendar {exchange} does not cover {first} to {last}: it knows {begin} to {end}; "
            "use dates that the exchange's calendar knows"
        )
    errors = _library().errors
    try:
        return _bounded(_class_of(exchange), first, last)(start=str(first), end=str(last))
    except (errors.CalendarError, ValueError) as error:
        raise CalendarError(
            f"calendar {exchange} does not cover {first} to {last}: {error}; "
            "use dates that the exchange's calendar knows"
        ) from error


def _class_of(exchange: str) -> Any:
    library = _library()
    return library.calendar_utils.global_calendar_dispatcher._calendar_factories[
        library.resolve_alias(exchange)
    ]


def _bounded(kind: Any, first: date, last: date) -> Any:
    """Return the class of a calendar with its open days worked out from `first` to `last`."""
    from pandas.tseries.offsets import CustomBusinessDay

    def day(calendar: ExchangeCalendar) -> CustomBusinessDay:
        dates = np.datetime64(first, "D") + np.arange((last - first).days + 1)
        closed = dates[~_open_days(calendar, dates)]
        return CustomBusinessDay(weekmask="1111111", holidays=closed.tolist())

    member: Any = cached_property(day)
    made = type(kind.__name__, (kind,), {"day": member})
    member.__set_name__(made, "day")
    return made


def _open_days(calendar: ExchangeCalendar, dates: np.ndarray) -> np.ndarray:
    """Tell which of consecutive dates, datetime64[D], are sessions."""
    import pandas as pd

    is_open = np.is_busday(dates, weekmask=calendar.weekmask)
    for begin, end, weekmask in getattr(calendar, "special_weekmasks", ()):
        inside = np.full(len(dates), True)
        if begin is not None:
            inside &= dates >= np.datetime64(begin.date(), "D")
        if end is not None:
            inside &= dates <= np.datetime64(end.date(), "D")
        is_open = np.where(inside, np.is_busday(dates, weekmask=weekmask), is_open)
    closed = [_as_days(calendar.adhoc_holidays)]
    if calendar.regular_holidays is not None:
        first, last = (pd.Timestamp(dates[at]).as_unit("us") for at in (0, -1))
        closed.append(_as_days(calendar.regular_holidays.holidays(first, last)))
    is_open &= ~np.isin(dates, np.concatenate(closed))
    for text, opened in AMENDED.get(calendar.name, {}).items():
        is_open[dates == np.datetime64(text, "D")] = opened
    return is_open


def _as_days(stamps: Any) -> np.ndarray:
    import pandas as pd

    days: np.ndarray = pd.DatetimeIndex(list(stamps)).tz_localize(None).to_numpy().astype("datetime64[D]")
    return days


def _name_offsets(*modules: ModuleType) -> None:
    """Let pandas find what a holiday's offset adds: up to 3.0 it asked for `_apply`, later for another."""
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and "_apply" in vars(kind):
                kind._add_datetime = vars(kind)["_apply"]  # type: ignore[attr-defined]
