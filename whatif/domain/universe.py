"""Universe of symbols: rows that say when each may be traded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

from whatif.domain.bars import EVER, Membership
from whatif.domain.symbols import broken_symbol
from whatif.domain.timeframe import DAY_US
from whatif.errors import StudyError
from whatif.texts import shown

UNIVERSE_COLUMNS = ("symbol", "from", "to")
"""What a universe says in each row: `from` on, the symbol is a member, until before `to`."""

_EPOCH = date(1970, 1, 1)


def periods_of(rows: Iterable[tuple[str, Mapping[str, Any]]], where: str) -> dict[str, list[Membership]]:
    """Return each symbol's periods in the order of time.

    Parameters
    ----------
    rows : iterable of (str, mapping)
        Rows by `UNIVERSE_COLUMNS`, each with its place in words.
    where : str
        What they are rows of, for messages.

    Raises
    ------
    StudyError
        If one ends before it begins, or two of a symbol overlap.
    """
    found: dict[str, list[Membership]] = {}
    for place, row in rows:
        symbol, at = str(row["symbol"] or "").strip(), f"{where}, {place}"
        broken = broken_symbol(symbol)
        if broken:
            raise StudyError(f"{at}: the symbol {shown(symbol)} {broken}: correct it")
        begin = _bound(row["from"], f"{at}: from")
        if begin is None:
            raise StudyError(f"{at}: {symbol} has no from: say since when it is a member")
        end = _bound(row["to"], f"{at}: to") or (EVER, True)
        own = Membership(begin[0], end[0], begin[1], end[1])
        if not instant_of_bound(*begin) < instant_of_bound(*end):
            raise StudyError(
                f"{at}: {symbol} is a member from {row['from']} to {row['to']}, which ends before it begins: "
                "to is the first date, or instant, at which it is none any more"
            )
        found.setdefault(symbol, []).append(own)
    for symbol, own_periods in found.items():
        own_periods.sort(key=lambda one: instant_of_bound(one.start, one.start_is_date))
        for one, after in pairwise(own_periods):
            if instant_of_bound(after.start, after.start_is_date) < instant_of_bound(
                one.end, one.end_is_date
            ):
                raise StudyError(
                    f"{where}: periods of {symbol} overlap: one ends {_said(one.end, one.end_is_date)}, and "
                    f"the next begins {_said(after.start, after.start_is_date)}: join them, or correct one"
                )
    return found


def _bound(value: Any, where: str) -> tuple[int, bool] | None:
    """Return a date as days, or an instant as microseconds, and which of the two it is; None if empty.

    Raises
    ------
    StudyError
        If it is neither.
    """
    given = value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        try:
            given = (
                date.fromisoformat(text) if len(text) <= len("2024-01-02") else datetime.fromisoformat(text)
            )
        except ValueError:
            given = value
    if given is None:
        return None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise StudyError(
                f"{where} = {value} has no time zone: write a date, or an instant such as 2024-01-02T14:30Z"
            )
        whole = given.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (whole.days * DAY_US + whole.seconds * 1_000_000 + whole.microseconds), False
    if isinstance(given, date):
        return (given - _EPOCH).days, True
    raise StudyError(
        f"{where} = {value!r} is neither a date nor an instant: write 2024-01-02, or 2024-01-02T14:30Z"
    )


def instant_of_bound(value: int, is_date: bool) -> int:
    """Return a bound as microseconds, a date as its midnight UTC: to put bounds in order."""
    return value * DAY_US if is_date and value != EVER else value


def _said(value: int, is_date: bool) -> str:
    if value == EVER:
        return "never"
    moment = datetime.fromtimestamp(instant_of_bound(value, is_date) / 1e6, tz=UTC)
    return f"{moment:%Y-%m-%d}" if is_date else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
