"""Trades and quotes of one symbol, in order of time, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

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
        back = np.flatnonzero(np.diff(self.ts) < 0)
        if len(back):
            raise SourceError(
                f"trade {back[0] + 2:,} is earlier than the one before it: put trades into the order of time "
                "first"
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
        made.__dict__["side"] = np.concatenate([self.side, later.side_after(self.price[-1], self.side[-1])])
        return made

    def side_after(self, price: float, side: float) -> FloatArray:
        """Return the sides of trades that follow one of this price and side; (n,)."""
        change = np.sign(np.diff(self.price, prepend=price))
        change = np.append(side, change)
        last = np.maximum.accumulate(np.where(change != 0.0, np.arange(len(change)), 0))
        known: FloatArray = change[last][1:]
        return known

    @cached_property
    def value(self) -> FloatArray:
        """Price times size of each, money; (n,)."""
        worth: FloatArray = self.price * self.size
        return worth

    @cached_property
    def side(self) -> FloatArray:
        """Who began each trade, by the tick rule: 1.0 a buyer, -1.0 a seller; (n,).

        The sign of the price's change, and where it did not change that of the trade before it; 0.0 before
        the first change (López de Prado, Advances in Financial Machine Learning, 2018, section 2.3.2.1,
        leaves that first value open).
        """
        if not len(self):
            return np.zeros(0)
        change = np.sign(np.diff(self.price, prepend=self.price[0]))
        last = np.maximum.accumulate(np.where(change != 0.0, np.arange(len(change)), 0))
        known: FloatArray = change[last]
        return known


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


def _newest(values: FloatArray) -> FloatArray:
    """Return for each row the newest value up to it that is known; (n,)."""
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    found: FloatArray = np.where(last >= 0, values[np.maximum(last, 0)], np.nan)
    return found
