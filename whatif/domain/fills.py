"""Executions and the round trips they make, as aligned arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from whatif.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Fills:
    """Executions in the order in which the broker made them; all arrays have length f.

    Attributes
    ----------
    row : int64 array (f,)
        Row of the run's `ts` on which it happened.
    symbol : int64 array (f,)
        Index into the run's symbols.
    closed, opened : float64 array (f,)
        Signed units that reduced, and that opened or increased, the position. A reversal has both.
    price : float64 array (f,)
        The exact price, slippage included.
    closed_commission, opened_commission : float64 array (f,)
        Money paid for each part.
    multiplier : float64 array (f,)
        Money that one unit gains when the price rises by one: 1 for stocks.
    """

    row: IntArray
    symbol: IntArray
    closed: FloatArray
    opened: FloatArray
    price: FloatArray
    closed_commission: FloatArray
    opened_commission: FloatArray
    multiplier: FloatArray

    def __len__(self) -> int:
        """Return the number of executions."""
        return len(self.row)

    @property
    def size(self) -> FloatArray:
        """Signed units, (f,)."""
        return self.closed + self.opened

    @property
    def commission(self) -> FloatArray:
        """Money paid in commission, (f,)."""
        return self.closed_commission + self.opened_commission

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[int, int, float, float, float, float, float, float]]) -> Fills:
        """Return executions given as tuples in the order of the attributes."""
        table = np.array(list(rows), dtype=np.float64).reshape(-1, 8)
        columns = [np.ascontiguousarray(table[:, k]) for k in range(8)]
        return cls(columns[0].astype(np.int64), columns[1].astype(np.int64), *columns[2:])


@dataclass(frozen=True, eq=False)
class Trades:
    """Closed round trips, oldest close first; all arrays have length c.

    Attributes
    ----------
    symbol : int64 array (c,)
        Index into the run's symbols.
    opened, closed : int64 array (c,)
        Rows of the run's `ts` on which the first and the last of its executions happened.
    size : float64 array (c,)
        All units entered, negative for a short trade.
    entry_price, exit_price : float64 array (c,)
        Mean prices of entries and exits, weighted by units.
    pnl : float64 array (c,)
        Profit before commission, as Backtrader's `Trade.pnl`.
    pnl_net : float64 array (c,)
        Profit after commission, as Backtrader's `Trade.pnlcomm`.
    """

    symbol: IntArray
    opened: IntArray
    closed: IntArray
    size: FloatArray
    entry_price: FloatArray
    exit_price: FloatArray
    pnl: FloatArray
    pnl_net: FloatArray

    def __len__(self) -> int:
        """Return the number of closed trades."""
        return len(self.symbol)


class _Open:
    """A trade that is not closed yet: one symbol's position since it was last flat."""

    def __init__(self, row: int) -> None:
        self.row = row
        self.size = 0.0
        self.price = 0.0
        self.entries: list[tuple[float, float]] = []
        self.exits: list[tuple[float, float]] = []
        self.pnl = 0.0
        self.commission = 0.0

    def enter(self, units: float, price: float, fee: float) -> None:
        before = self.size
        self.size += units
        # Backtrader's own formula, also for the first entry, where it may round
        self.price = (before * self.price + units * price) / self.size
        self.commission += fee
        self.entries.append((units, price))

    def leave(self, units: float, price: float, fee: float, multiplier: float) -> None:
        self.size += units
        self.pnl += -units * (price - self.price) * multiplier
        self.commission += fee
        self.exits.append((units, price))

    def close(self, symbol: int, row: int) -> tuple[float, ...]:
        size = sum(units for units, _ in self.entries)
        net = self.pnl - self.commission
        return (symbol, self.row, row, size, _mean(self.entries), _mean(self.exits), self.pnl, net)


def _mean(legs: list[tuple[float, float]]) -> float:
    if len(legs) == 1:
        return legs[0][1]
    return sum(units * price for units, price in legs) / sum(units for units, _ in legs)


def closed_trades(fills: Fills) -> Trades:
    """Return the round trips that executions make: from flat to flat, or to a reversal.

    Sums run in Backtrader's order, so `pnl` and `pnl_net` equal its trades' as bytes.
    """
    held: dict[int, float] = {}
    open_trades: dict[int, _Open] = {}
    closed: list[tuple[float, ...]] = []
    columns = (fills.row, fills.symbol, fills.closed, fills.opened, fills.price)
    money = (fills.closed_commission, fills.opened_commission, fills.multiplier)
    for row, symbol, out, into, price, out_fee, into_fee, multiplier in zip(
        *(column.tolist() for column in (*columns, *money)), strict=True
    ):
        if out:
            open_trades[symbol].leave(out, price, out_fee, multiplier)
            if into or not held[symbol] + out:
                closed.append(open_trades.pop(symbol).close(symbol, row))
        if into:
            open_trades.setdefault(symbol, _Open(row)).enter(into, price, into_fee)
        held[symbol] = held.get(symbol, 0.0) + (out + into)
    return _trades(closed)


def _trades(rows: list[tuple[float, ...]]) -> Trades:
    table = np.array(rows, dtype=np.float64).reshape(-1, 8)
    columns = [np.ascontiguousarray(table[:, k]) for k in range(8)]
    whole = [column.astype(np.int64) for column in columns[:3]]
    return Trades(whole[0], whole[1], whole[2], *columns[3:])


def positions(fills: Fills, symbols: int, rows: int) -> FloatArray:
    """Return the signed units held after each row.

    Parameters
    ----------
    fills : Fills
        Executions, in order.
    symbols, rows : int
        Shape of the result.

    Returns
    -------
    float64 array (symbols, rows)
    """
    held = np.zeros((symbols, rows))
    for symbol in range(symbols):
        own = fills.symbol == symbol
        levels = np.concatenate(([0.0], np.cumsum(fills.size[own])))
        held[symbol] = levels[np.searchsorted(fills.row[own], np.arange(rows), side="right")]
    return held
