"""Bars of one symbol as aligned arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from whatif.typing import BoolArray, FloatArray, IntArray

PRICE_FIELDS = ("open", "high", "low", "close", "volume", "vwap")
"""The float series every bar has, in table order."""

Rows: TypeAlias = slice | IntArray | BoolArray
"""What selects bars: a slice, indices, or a mask."""


class Place(NamedTuple):
    """Where a series is of that is not the bars' own.

    Attributes
    ----------
    symbol : str
        Another symbol; "" for the bars' own.
    timeframe : str
        Another length of bars, such as "1h"; "" for the bars' own.
    """

    symbol: str = ""
    timeframe: str = ""


HERE = Place()
"""The bars themselves."""

EVER = 2**63 - 1
"""As the end of a `Membership`: there is none."""


class Membership(NamedTuple):
    """Time in which a symbol is a member of a universe: from `start` on, before `end`.

    Attributes
    ----------
    start, end : int
        Trading dates as days since 1970-01-01, or instants, microseconds since 1970-01-01 UTC; `EVER` for no
        end.
    start_is_date, end_is_date : bool
        Which of the two each is.
    """

    start: int
    end: int
    start_is_date: bool = True
    end_is_date: bool = True

    def holds(self, ts: IntArray, session: IntArray) -> BoolArray:
        """Return of which bars, by start and trading date, the symbol is a member."""
        begun = (session if self.start_is_date else ts) >= self.start
        return begun & ((session if self.end_is_date else ts) < self.end)


@dataclass(frozen=True, eq=False)
class Joined:
    """Bars from elsewhere, put on the rows of a symbol's bars.

    Attributes
    ----------
    bars : Bars
        m bars of another symbol, of another length, or both.
    rows : int64 array (n,)
        For each row, the last of them that has ended when the row's own bar has; -1 where none has.
    """

    bars: Bars
    rows: IntArray

    def spread(self, values: FloatArray) -> FloatArray:
        """Return on each row the value, of m, that it knows; float64 array (n,), NaN where there is none."""
        if not len(values):
            return np.full(len(self.rows), np.nan)
        found = values[self.rows]
        found[self.rows < 0] = np.nan
        return found


@dataclass(frozen=True, eq=False)
class Finer:
    """Shorter bars inside a symbol's bars, on which orders are tried.

    Attributes
    ----------
    bars : Bars
        m shorter bars of the same symbol.
    begins : int64 array (n + 1,)
        Of each bar, the first of those inside it; in the end the one after the last.
    """

    bars: Bars
    begins: IntArray

    def taken(self, rows: Rows) -> Finer | None:
        """Return what lies inside the bars that `rows` selects; None if those need not follow each other."""
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            return None
        start, stop, _ = rows.indices(len(self.begins) - 1)
        return Finer(self.bars, self.begins[start : max(start, stop) + 1])


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars of one symbol, oldest first; all arrays have the same length n.

    Attributes
    ----------
    symbol : str
        The symbol the bars belong to.
    ts : int64 array (n,)
        Start of each bar, microseconds since 1970-01-01 UTC, strictly increasing.
    open, high, low, close, vwap : float64 array (n,)
        Prices in the currency of the exchange, per unit.
    volume : float64 array (n,)
        Units traded in the bar.
    session : int64 array (n,)
        The exchange's trading date as days since 1970-01-01.
    session_open, session_close : int64 array (n,)
        Bounds of that session's regular hours, microseconds since 1970-01-01 UTC.
    inputs : mapping of str to float64 array (n,)
        Further series on the same `ts` (predictions, features); NaN where missing.
    joined : mapping of Place to Joined
        Bars from elsewhere that expressions name; of joined bars there are none.
    member : bool array (n,), optional
        On which bars the symbol may be traded; on all, if absent.
    finer : Finer, optional
        Shorter bars inside these, on which orders are tried.
    """

    symbol: str
    ts: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    session: IntArray
    session_open: IntArray
    session_close: IntArray
    inputs: Mapping[str, FloatArray] = field(default_factory=dict)
    joined: Mapping[Place, Joined] = field(default_factory=dict)
    member: BoolArray | None = None
    finer: Finer | None = None

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.ts)

    def slice(self, start: int, stop: int) -> Bars:
        """Return bars `start:stop` as views of the same memory."""
        return self.take(slice(start, stop))

    def take(self, rows: Rows) -> Bars:
        """Return the bars that `rows` (a slice, a mask or indices) selects."""
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        inputs = {name: series[rows] for name, series in self.inputs.items()}
        joined = {place: Joined(one.bars, one.rows[rows]) for place, one in self.joined.items()}
        member = None if self.member is None else self.member[rows]
        finer = None if self.finer is None else self.finer.taken(rows)
        return Bars(symbol=self.symbol, inputs=inputs, joined=joined, member=member, finer=finer, **arrays)

    def with_members(self, periods: Iterable[Membership]) -> Bars:
        """Return the same bars, of a symbol that is a member of a universe in these periods."""
        held = [period.holds(self.ts, self.session) for period in periods]
        return replace(self, member=np.logical_or.reduce(held) if held else np.zeros(len(self), dtype=bool))

    def with_inputs(self, inputs: Mapping[str, FloatArray]) -> Bars:
        """Return the same bars with `inputs` added to those they already carry."""
        return replace(self, inputs={**self.inputs, **inputs})

    def then(self, later: Bars) -> Bars:
        """Return these bars and `later` ones of the same symbol as one; both carry the same inputs.

        What is joined of elsewhere is dropped, and finer bars are.
        """
        if not len(later):
            return self
        arrays = {name: np.concatenate([getattr(self, name), getattr(later, name)]) for name in _ARRAYS}
        inputs = {name: np.concatenate([own, later.inputs[name]]) for name, own in self.inputs.items()}
        return Bars(symbol=self.symbol, inputs=inputs, joined={}, finer=None, **arrays)

    def on_clock_of(self, other: Bars) -> Bars:
        """Return the same bars, with the instants and sessions of `other` where they are equal.

        Symbols that trade together have one clock: of many, it need lie in memory once.
        """
        same = {
            name: getattr(other, name)
            for name in _CLOCK
            if np.array_equal(getattr(self, name), getattr(other, name))
        }
        return replace(self, **same) if same else self

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays, those joined of elsewhere and of finer bars included."""
        own = sum(getattr(self, name).nbytes for name in _ARRAYS)
        own += 0 if self.member is None else self.member.nbytes
        joined = sum(one.rows.nbytes + one.bars.nbytes for one in self.joined.values())
        finer = 0 if self.finer is None else self.finer.bars.nbytes + self.finer.begins.nbytes
        return int(own + sum(series.nbytes for series in self.inputs.values()) + joined + finer)


_ARRAYS = tuple(
    f.name for f in fields(Bars) if f.name not in ("symbol", "inputs", "joined", "member", "finer")
)
"""The series of all bars by name."""

_CLOCK = ("ts", "session", "session_open", "session_close")
"""Those of them that are no market's own."""


def with_finer(bars: Bars, finer: Bars, finer_us: int, whole_days: bool) -> Bars:
    """Return bars with the shorter ones that lie inside them.

    Parameters
    ----------
    bars : Bars
        Of one symbol, n rows.
    finer : Bars
        Shorter ones of `finer_us` microseconds; one that starts before all of `bars` is left out.
    whole_days : bool
        Whether a bar is a session's regular hours, which what trades outside of them is not part of.
    """
    if whole_days:
        inside = (finer.ts + finer_us > finer.session_open) & (finer.ts < finer.session_close)
        finer = finer if inside.all() else finer.take(inside)
    begins = np.append(np.searchsorted(finer.ts, bars.ts), len(finer)).astype(np.int64)
    if whole_days and len(bars):
        # a bar that straddles the open begins before the session's does
        begins[:-1] = np.searchsorted(finer.ts + finer_us, bars.ts, side="right")
    return replace(bars, finer=Finer(finer, begins))


def bar_ends(bars: Bars, bar_us: int) -> IntArray:
    """Return the instant at which each bar is complete, int64 array (n,), microseconds since 1970-01-01 UTC.

    A bar inside regular hours ends at its session's close at the latest; a bar of a
    whole session ends there.
    """
    ends = bars.ts + bar_us
    return np.where(bars.ts < bars.session_close, np.minimum(ends, bars.session_close), ends)


def session_ends(bars: Bars) -> IntArray:
    """Return, of each bar, the first row of the session after its own, or the number of rows.

    Returns
    -------
    int64 array (n,)
        Greater than the row itself.
    """
    begins = np.flatnonzero(np.diff(bars.session_open)) + 1
    ends = np.append(begins, len(bars)).astype(np.int64)
    return np.repeat(ends, np.diff(ends, prepend=0))
