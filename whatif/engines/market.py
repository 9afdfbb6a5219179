"""From a frame of bars, as a user has it, to bars of plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from whatif.domain import Bars, bars_from_frame, days, microseconds, sessions_of
from whatif.engines.sessions import bar_length, exchange_sessions, utc_sessions
from whatif.engines.timeline import bar_lengths
from whatif.errors import EngineError, nearest
from whatif.indicators import Needs, News, Stored, with_needs
from whatif.typing import IntArray

REQUIRED = ("symbol", "ts", "open", "high", "low", "close", "volume")
KNOWN = frozenset({*REQUIRED, "vwap", "session", "session_open", "session_close"})

Columns: TypeAlias = Mapping[str, pd.Series]
"""The columns of a frame by name."""

_NO_TIME = int(np.iinfo(np.int64).min)
"""What a missing timestamp is among whole microseconds."""


def bars_of_frame(
    frame: pd.DataFrame,
    calendar: str | None = None,
    needs: Needs | None = None,
    news: News | None = None,
    among: Sequence[str] | None = None,
) -> list[Bars]:
    """Return the bars of each symbol of a frame, in order of first appearance.

    Parameters
    ----------
    frame : DataFrame
        Columns symbol, ts (tz-aware, increasing for each symbol), open, high, low, close, volume;
        optionally vwap ((high + low + close) / 3 if absent) and session (trading date).
        Further numeric columns are inputs by name.
    calendar : str, optional
        Code of an exchange whose sessions the bars belong to; used where the frame has no
        session column. Without either, a session is a UTC date.
    needs : Needs, optional
        What expressions name of elsewhere, which the bars then come with. Longer bars are made of the
        frame's, whose length is the usual distance between them; those of other symbols are the frame's.
    news : News, optional
        What was published, which series of news are made of.
    among : sequence of str, optional
        Symbols that ranks without names are among; all of the frame, if left out.

    Raises
    ------
    EngineError
        If a column is missing or of the wrong type, ts is naive, unsorted or comes twice; if a symbol that
        is needed has no bar.
    CalendarError
        If the calendar is unknown, or has no session on a bar's date.
    IndicatorError
        If a timeframe that is needed is not longer than the bars, or no multiple.
    """
    columns = _columns(frame)
    ts = _check_columns(columns)
    inputs = [name for name in columns if name not in KNOWN and _is_number(columns[name])]
    found: list[Bars] = []
    for symbol, part in _by_symbol(frame, columns):
        own = ts if part is columns else microseconds(part["ts"])
        _check_order(part, own, str(symbol))
        one = bars_from_frame(part, str(symbol), inputs, _sessions(part, own, calendar), own)
        found.append(one.on_clock_of(found[-1]) if found else one)
    return _with_needs(found, needs, calendar or "", news, among) if needs else found


def _columns(frame: pd.DataFrame) -> Columns:
    """Return the columns of a frame by name: it makes a series of one each time that it is asked."""
    return {name: frame[name] for name in frame.columns}


def _with_needs(
    market: list[Bars], needs: Needs, exchange: str, news: News | None, among: Sequence[str] | None
) -> list[Bars]:
    """Return bars with what expressions need of elsewhere."""
    stored = {
        one.symbol: Stored(one, length, length)
        for one, length in zip(market, bar_lengths(market), strict=True)
    }

    def other(symbol: str) -> Stored:
        if symbol not in stored:
            raise EngineError(
                f"bars: an expression names {symbol}, of which the frame has no bar: "
                f"{nearest(symbol, stored)}; put its bars into the frame"
            )
        return stored[symbol]

    everyone = tuple(stored) if among is None else among
    return [with_needs(one, needs, stored[one.symbol], exchange, other, news, everyone) for one in market]


def _check_columns(columns: Columns) -> IntArray:
    """Refuse columns that are no bars'; return the start of each, (n,), microseconds UTC."""
    for name in REQUIRED:
        if name not in columns:
            raise EngineError(f"bars: column {name!r} is missing; {nearest(name, map(str, columns))}")
    stamps, symbols = columns["ts"], columns["symbol"]
    if not len(stamps):
        raise EngineError("bars: the frame is empty; give at least one bar")
    if not isinstance(stamps.dtype, pd.DatetimeTZDtype):
        raise EngineError(
            f"bars: ts is {stamps.dtype}; it must be timestamps with a time zone: use "
            'pd.to_datetime(...).dt.tz_localize("America/New_York") or the zone they are in'
        )
    ts = microseconds(stamps)
    if ts.min() == _NO_TIME or _has_gap(symbols):
        raise EngineError("bars: a row has no ts or no symbol; drop it")
    for name in (*REQUIRED[2:], "vwap"):
        if name in columns and not _is_number(columns[name]):
            raise EngineError(f"bars: column {name!r} is {columns[name].dtype}; it must be numeric")
    return ts


def _has_gap(symbols: pd.Series) -> bool:
    """Return whether a row has no symbol."""
    return not _is_one_text(symbols) and bool(symbols.isna().any())


def _is_one_text(symbols: pd.Series) -> bool:
    """Return whether all rows have the same text: a tenth of the time that counting them takes."""
    if not isinstance(symbols.dtype, pd.StringDtype) or pd.isna(symbols.iloc[0]):
        return False
    values = symbols.array
    return bool(values[1:].equals(values[:-1]))


def _by_symbol(frame: pd.DataFrame, columns: Columns) -> Iterable[tuple[object, Columns]]:
    symbols = columns["symbol"]
    first = symbols.iloc[0]
    # the usual case, without a copy
    if _is_one_text(symbols) or (first == symbols.iloc[-1] and symbols.nunique() == 1):
        return [(first, columns)]
    return ((symbol, _columns(part)) for symbol, part in frame.groupby("symbol", sort=False))


def _check_order(part: Columns, ts: IntArray, symbol: str) -> None:
    if (ts[1:] > ts[:-1]).all():
        return
    steps = np.diff(ts)
    row = int(np.flatnonzero(steps <= 0)[0]) + 1
    what = "comes twice" if steps[row - 1] == 0 else "is before the one above it"
    raise EngineError(
        f"bars: {symbol}, ts {part['ts'].iloc[row]} {what}; sort by symbol and ts, and drop duplicates"
    )


def _sessions(part: Columns, ts: IntArray, calendar: str | None) -> tuple[IntArray, IntArray, IntArray]:
    """Session, open and close of each bar: the frame's own, the exchange's, or UTC dates."""
    if {"session", "session_open", "session_close"} <= part.keys():
        return sessions_of(part)
    if "session" in part:
        return _seen(ts, days(part["session"]))
    return exchange_sessions(ts, calendar) if calendar else utc_sessions(ts)


def _seen(ts: IntArray, session: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Bounds of named sessions: the first bar's start and the last one's end."""
    names, first, which = np.unique(session, return_index=True, return_inverse=True)
    last = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(last, which, ts)
    return session, ts[first][which], last[which] + bar_length(ts)


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column.dtype))
