"""Symbols that changed: which bars of the lake are a security's, under the names that it had.

What a security was called is told by maps, a name and the sessions [from, to) that it held for after the
other. Names are used again by other securities, so that a bar is a security's by its name and its session
alike. Source of the rule: QuantConnect Lean's map files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from whatif.errors import LakeError
from whatif.typing import IntArray

if TYPE_CHECKING:
    import pyarrow as pa

    Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)

RENAMES = "renames"
"""Name of the table of names that securities had."""

RENAME_COLUMNS = ("symbol", "ticker", "from", "to")
"""Its columns that `names_of` reads."""


@dataclass(frozen=True)
class Named:
    """A name that a security had.

    Attributes
    ----------
    symbol : str
        What the security is asked for by: its last name, as a rule.
    ticker : str
        What its bars of that time are stored under.
    first, end : date or None
        Sessions [first, end) of it; None for all from the beginning, or until now.
    """

    symbol: str
    ticker: str
    first: date | None
    end: date | None

    @property
    def plain(self) -> bool:
        """Whether these are all bars of the symbol's own name."""
        return self.symbol == self.ticker and self.first is None and self.end is None

    def holds(self, session: IntArray) -> Any:
        """Return which sessions, datetime64[D] (n,), the name was held in, bool (n,)."""
        within = np.ones(len(session), dtype=bool)
        if self.first is not None:
            within &= session >= np.datetime64(self.first, "D")
        if self.end is not None:
            within &= session < np.datetime64(self.end, "D")
        return within


@dataclass(frozen=True)
class Names:
    """Names of some symbols, and how rows of the lake come under what is asked for."""

    held: tuple[Named, ...]

    @property
    def tickers(self) -> tuple[str, ...]:
        """What bars are stored under, each once."""
        return tuple(dict.fromkeys(one.ticker for one in self.held))

    @cached_property
    def plain(self) -> bool:
        """Whether all are names of their own."""
        return all(one.plain for one in self.held)

    def tickers_of(self, symbol: str) -> tuple[str, ...]:
        """Return what bars of a symbol are stored under, each once."""
        return tuple(dict.fromkeys(one.ticker for one in self.held if one.symbol == symbol))

    def put_on(self, rows: Rows) -> Rows:
        """Return the rows of the symbols, each under its own; those of others under their names are left out.

        Parameters
        ----------
        rows : pa.Table or pa.RecordBatch
            With `symbol` and `session`.
        """
        import pandas as pd
        import pyarrow as pa

        if self.plain or not rows.num_rows:
            return rows
        renamed = [one for one in self.held if not one.plain]
        stored = np.array(rows.column("symbol").to_pandas(), dtype=object)
        session = np.asarray(rows.column("session").to_pandas(), dtype="datetime64[D]")
        place, tickers = pd.factorize(stored)
        by_ticker: dict[str, list[Named]] = {}
        for one in renamed:
            by_ticker.setdefault(one.ticker, []).append(one)
        mine = np.ones(len(stored), dtype=bool)
        for number, ticker in enumerate(tickers):
            if ticker not in by_ticker:
                continue
            own = np.flatnonzero(place == number)
            mine[own] = False
            for one in by_ticker[ticker]:
                at = own[one.holds(session[own])]
                stored[at], mine[at] = one.symbol, True
        column = rows.schema.get_field_index("symbol")
        field = rows.schema.field(column)
        named = rows.set_column(column, field, pa.array(stored, field.type))
        return named.filter(pa.array(mine))

    def actions_of(self, symbol: str, actions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the actions of a security: its own, and those of former names while they held.

        Where its own has some of a former name's time, they are all of that time: files of factors tell a
        security's whole history under one name, by other days around weekends than lists of actions.

        Parameters
        ----------
        symbol : str
            The security.
        actions : sequence of mapping
            `symbol` and `ex_date`, a date, of each.
        """
        own = [row for row in actions if row["symbol"] == symbol]
        found = list(own)
        for one in self.held:
            if one.symbol != symbol or one.ticker == symbol:
                continue
            if not any(_within(row["ex_date"], one) for row in own):
                found += [
                    row for row in actions if row["symbol"] == one.ticker and _within(row["ex_date"], one)
                ]
        return found


def _within(day: date, one: Named) -> bool:
    return (one.first is None or day >= one.first) and (one.end is None or day < one.end)


def names_of(symbols: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> Names:
    """Return the names of symbols; of one that no map tells of, its own.

    Parameters
    ----------
    symbols : iterable of str
        What is asked for.
    rows : iterable of mapping
        All rows of the table of names: `symbol`, `ticker` ("" for none), `from`, `to`.

    Raises
    ------
    LakeError
        If a symbol is asked for that is but the former name of another, or maps contradict each other.
    """
    maps: dict[str, list[Named]] = {}
    for row in rows:
        if row["ticker"]:
            one = Named(row["symbol"], row["ticker"], row["from"], row["to"])
            maps.setdefault(one.symbol, []).append(one)
    if told := contradiction(one for held in maps.values() for one in held):
        raise LakeError(f"names of symbols: {told}: ingest the map files of one day, all in one command")
    formerly = {one.ticker: one for held in maps.values() for one in held if one.ticker not in maps}
    found: list[Named] = []
    for symbol in dict.fromkeys(symbols):
        if symbol in formerly:
            one = formerly[symbol]
            until = "" if one.end is None else f" before {one.end}"
            since = "" if one.first is None else f" from {one.first}"
            raise LakeError(
                f"symbol {symbol!r} is what {one.symbol!r} was called{since}{until}: with renames follow, "
                f"ask for {one.symbol!r}, which has those bars; renames none takes bars by their names alone"
            )
        found += sorted(maps.get(symbol, [Named(symbol, symbol, None, None)]), key=_begin)
    return Names(tuple(found))


def contradiction(held: Iterable[Named]) -> str:
    """Return what maps say that cannot be: one name of two securities in one session; "" if nothing."""
    by_ticker: dict[str, list[Named]] = {}
    for one in held:
        by_ticker.setdefault(one.ticker, []).append(one)
    for ticker, some in by_ticker.items():
        for one, other in pairwise(sorted(some, key=_begin)):
            if one.end is None or one.end > _begin(other):
                return f"{ticker} is {one.symbol} and {other.symbol} on {_begin(other)}"
    return ""


def _begin(one: Named) -> date:
    return one.first or date.min
