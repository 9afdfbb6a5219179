"""Trades and quotes of one symbol, in order of time, as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from whatif.domain import jit
from whatif.errors import SourceError
from whatif.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Trades:
    """Trades of one symbol, oldest first.

    Attributes
    ----------
    ts : int64 array (n,)
        Instants, microseconds UTC; ascending, and equal ones in the order in which they came.
    price : float64 array (n,)
        Money per unit, above 0.
    size : float64 array (n,)
        Units, above 0.

    Raises
    ------
    SourceError
        If instants go back.
    """

    ts: IntArray
    price: FloatArray
    size: FloatArray

    def __post_init__(self) -> None:
        for field, kind in zip(fields(self), (np.int64, np.float64, np.float64), strict=True):
            object.__setattr__(self, field.name, _fixed(getattr(self, field.name), kind))
        back = self.ts[1:] < self.ts[:-1]
        if back.any():
            raise SourceError(
                f"trade {int(back.argmax()) + 2:,} is earlier than the one before it: put trades into the "
                "order of time first"
            )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ts)

    def part(self, first: int, stop: int) -> Trades:
        """Return trades `first` to `stop`, that one not included; their sides are those of the whole."""
        made = Trades(*(getattr(self, field.name)[first:stop] for field in fields(self)))
        made.__dict__["side"] = self.side[first:stop]
        return made

    def followed_by(self, later: Trades) -> Trades:
        """Return these trades, one at least, and later ones, whose sides go on from these.

        Raises
        ------
        SourceError
            If later ones begin before these end.
        """
        made = Trades(
            *(np.concatenate([getattr(one, f.name) for one in (self, later)]) for f in fields(self))
        )
        sides = [self.side, later.side_after(self.price[-1], self.side[-1])]
        made.__dict__["side"] = _fixed(np.concatenate(sides))
        return made

    def side_after(self, price: float, side: float) -> FloatArray:
        """Return the sides of trades that follow one of this price and side; (n,)."""
        sides: FloatArray = _fixed(_sides(self.price, float(price), float(side)))
        return sides

    @cached_property
    def value(self) -> FloatArray:
        """Price times size of each, money; (n,)."""
        worth: FloatArray = _fixed(self.price * self.size)
        return worth

    @cached_property
    def side(self) -> FloatArray:
        """Who began each trade, by the tick rule: 1.0 a buyer, -1.0 a seller; (n,).

        The sign of the price's change, and where it did not change that of the trade before it; 0.0 before
        the first change (López de Prado, Advances in Financial Machine Learning, 2018, section 2.3.2.1,
        leaves that first value open).
        """
        return self.side_after(self.price[0], 0.0) if len(self) else _fixed(np.zeros(0))


def _fixed(values: Any, kind: Any = np.float64) -> Any:
    """Return numbers as arrays of ticks are: in a row, and to be read; one kind for compiled kernels."""
    made = np.ascontiguousarray(values, dtype=kind).view()
    made.flags.writeable = False
    return made


@jit
def _sides(price: FloatArray, before: float, side: float) -> FloatArray:
    """Return the sides of trades behind one of a price and a side; (n,)."""
    sides = np.empty(len(price))
    for t in range(len(price)):
        if price[t] > before:
            side = 1.0
        elif price[t] < before:
            side = -1.0
        sides[t] = side
        before = price[t]
    return sides


@dataclass(frozen=True, eq=False)
class Quotes:
    """Quotes of one symbol, oldest first.

    Attributes
    ----------
    ts : int64 array (n,)
        Instants, microseconds UTC; ascending.
    bid, ask : float64 array (n,)
        Money per unit; NaN of a side that the quote does not tell.
    """

    ts: IntArray
    bid: FloatArray
    ask: FloatArray

    def sides_at(self, before_us: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the newest bid and ask of quotes before instants, (m,) each; NaN where there is none.

        A quote of one side leaves the other as it was. Where the two cross, both are NaN.
        """
        at = np.searchsorted(self.ts, before_us, side="left") - 1
        bid, ask = (_newest(side)[at] if len(self.ts) else np.full(len(at), np.nan)
                    for side in (self.bid, self.ask))  # fmt: skip
        unknown = (at < 0) | (bid > ask)
        return np.where(unknown, np.nan, bid), np.where(unknown, np.nan, ask)

    def followed_by(self, later: Quotes) -> Quotes:
        """Return these quotes and later ones.

        Raises
        ------
        SourceError
            If later ones begin before these end.
        """
        if len(self.ts) and len(later.ts) and later.ts[0] < self.ts[-1]:
            raise SourceError("quotes go back in time: put them into the order of time first")
        return Quotes(
            *(np.concatenate([getattr(one, f.name) for one in (self, later)]) for f in fields(self))
        )

    def since(self, us: int) -> Quotes:
        """Return what instants after `us` are told by: of the quotes before it, one that says the newest."""
        first = int(np.searchsorted(self.ts, us, side="left"))
        if first < 2:
            return self
        told = [_newest(side[:first])[-1:] for side in (self.bid, self.ask)]
        sides = (np.append(one, side[first:]) for one, side in zip(told, (self.bid, self.ask), strict=True))
        return Quotes(self.ts[first - 1 :], *sides)


class QuotesInParts:
    """Quotes of one symbol that come in parts; those that no later bar needs are let go.

    Parameters
    ----------
    parts : iterable of Quotes
        None older than those before it.
    """

    def __init__(self, parts: Iterable[Quotes]) -> None:
        self._parts = iter(parts)
        self._held = Quotes(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))

    def sides_at(self, before_us: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return what `Quotes.sides_at` does, of instants that ascend and go back behind no earlier call's.

        Raises
        ------
        SourceError
            If a part goes back behind the one before it.
        """
        bid, ask = np.full(len(before_us), np.nan), np.full(len(before_us), np.nan)
        done, more = 0, True
        while done < len(before_us):
            told = len(before_us)
            if more:
                # those that no quote can come before any more
                newest = self._held.ts[-1:]
                told = int(np.searchsorted(before_us, newest[0], side="right")) if len(newest) else 0
            if told > done:
                bid[done:told], ask[done:told] = self._held.sides_at(before_us[done:told])
                done = told
            if done < len(before_us) and more:
                part = next(self._parts, None)
                more = part is not None
                if part is not None:
                    self._held = self._held.since(before_us[done]).followed_by(part)
        if len(before_us):
            self._held = self._held.since(before_us[-1])
        return bid, ask


def _newest(values: FloatArray) -> FloatArray:
    """Return for each row the newest value up to it that is known; (n,)."""
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    found: FloatArray = np.where(last >= 0, values[np.maximum(last, 0)], np.nan)
    return found
