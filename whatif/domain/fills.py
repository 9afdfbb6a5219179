"""Executions and the round trips they make, as aligned arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from whatif.domain.compile import jit
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


def round_trips_python(
    row: IntArray,
    symbol: IntArray,
    closed: FloatArray,
    opened: FloatArray,
    price: FloatArray,
    closed_fee: FloatArray,
    opened_fee: FloatArray,
    multiplier: FloatArray,
    count: int,
    trips: FloatArray,
) -> int:
    """Write the closed round trips of the first `count` executions into `trips`; return how many.

    Parameters
    ----------
    row, symbol, closed, opened, price, closed_fee, opened_fee, multiplier : arrays (f,)
        Executions, as in `Fills`.
    count : int
        How many of them are read.
    trips : float64 array (count, 8)
        Columns as the attributes of `Trades`, oldest close first.

    Notes
    -----
    Sums run in the order of Backtrader's `Trade`.
    """
    symbols = 1
    for k in range(count):
        symbols = max(symbols, symbol[k] + 1)
    # of each symbol: position, and of its open trade: row, size, average price, profit, fees,
    # units and value entered, entries, units and value left, exits, price of the last entry
    book = np.zeros((symbols, 13))
    found = 0
    for k in range(count):
        own = symbol[k]
        if closed[k] != 0.0:
            book[own, 2] += closed[k]
            book[own, 4] += -closed[k] * (price[k] - book[own, 3]) * multiplier[k]
            book[own, 5] += closed_fee[k]
            book[own, 9] += closed[k]
            book[own, 10] += closed[k] * price[k]
            book[own, 11] += 1.0
            if opened[k] != 0.0 or book[own, 0] + closed[k] == 0.0:
                trips[found, 0] = symbol[k]
                trips[found, 1] = book[own, 1]
                trips[found, 2] = row[k]
                trips[found, 3] = book[own, 6]
                trips[found, 4] = book[own, 12] if book[own, 8] == 1.0 else book[own, 7] / book[own, 6]
                trips[found, 5] = price[k] if book[own, 11] == 1.0 else book[own, 10] / book[own, 9]
                trips[found, 6] = book[own, 4]
                trips[found, 7] = book[own, 4] - book[own, 5]
                found += 1
                for j in range(1, 13):
                    book[own, j] = 0.0
        if opened[k] != 0.0:
            before = book[own, 2]
            if book[own, 8] == 0.0:
                book[own, 1] = row[k]
            book[own, 2] += opened[k]
            # Backtrader's own formula, also for the first entry, where it may round
            book[own, 3] = (before * book[own, 3] + opened[k] * price[k]) / book[own, 2]
            book[own, 5] += opened_fee[k]
            book[own, 6] += opened[k]
            book[own, 7] += opened[k] * price[k]
            book[own, 8] += 1.0
            book[own, 12] = price[k]
        book[own, 0] += closed[k] + opened[k]
    return found


round_trips = jit(round_trips_python)


def closed_trades(fills: Fills) -> Trades:
    """Return the round trips that executions make: from flat to flat, or to a reversal.

    Sums run in Backtrader's order, so `pnl` and `pnl_net` equal its trades' as bytes.
    """
    table = np.zeros((len(fills), 8))
    count = round_trips(
        fills.row,
        fills.symbol,
        fills.closed,
        fills.opened,
        fills.price,
        fills.closed_commission,
        fills.opened_commission,
        fills.multiplier,
        len(fills),
        table,
    )
    columns = [np.ascontiguousarray(table[:count, k]) for k in range(8)]
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
        lasting = np.diff(np.concatenate(([0], fills.row[own], [rows])))
        held[symbol] = np.repeat(levels, lasting)
    return held
