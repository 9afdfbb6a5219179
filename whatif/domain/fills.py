"""Executions and the round trips they make, as aligned arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from whatif.domain.compile import inlinable, inlinable_lean, jit_lean
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
    closing : int64 array (c,)
        The execution that closed it.
    """

    symbol: IntArray
    opened: IntArray
    closed: IntArray
    size: FloatArray
    entry_price: FloatArray
    exit_price: FloatArray
    pnl: FloatArray
    pnl_net: FloatArray
    closing: IntArray

    def __len__(self) -> int:
        """Return the number of closed trades."""
        return len(self.symbol)


@inlinable
def write_trips(row: IntArray, executions: FloatArray, count: int, trips: FloatArray) -> int:
    """Write the closed round trips of one symbol's first `count` executions; return how many.

    Parameters
    ----------
    row : int64 array (f,)
        As in `Fills`.
    executions : float64 array (6, f)
        Closed, opened, price, commission of what was closed and opened, multiplier, as in `Fills`.
    count : int
        How many of them are read.
    trips : float64 array (8, count)
        Written to: the execution that closed it, then rows as the attributes of `Trades` from
        `opened` on; oldest close first.

    Notes
    -----
    Sums run in the order of Backtrader's `Trade`.
    """
    found = 0
    position = 0.0
    # of the trade that is open: row, size, average price, profit, fees
    since, size, average, profit, fees = 0, 0.0, 0.0, 0.0, 0.0
    # units, value and number of its entries, price of the last one; the same of its exits
    units_in, value_in, entries, entry = 0.0, 0.0, 0, 0.0
    units_out, value_out, exits = 0.0, 0.0, 0
    for k in range(count):
        less, more, at = executions[0, k], executions[1, k], executions[2, k]
        if less != 0.0:
            size += less
            profit += -less * (at - average) * executions[5, k]
            fees += executions[3, k]
            units_out += less
            value_out += less * at
            exits += 1
            if more != 0.0 or position + less == 0.0:
                trips[0, found] = k
                trips[1, found] = since
                trips[2, found] = row[k]
                trips[3, found] = units_in
                trips[4, found] = entry if entries == 1 else value_in / units_in
                trips[5, found] = at if exits == 1 else value_out / units_out
                trips[6, found] = profit
                trips[7, found] = profit - fees
                found += 1
                since, size, average, profit, fees = 0, 0.0, 0.0, 0.0, 0.0
                units_in, value_in, entries = 0.0, 0.0, 0
                units_out, value_out, exits = 0.0, 0.0, 0
        if more != 0.0:
            before = size
            if entries == 0:
                since = row[k]
            size += more
            # Backtrader's own formula, also for the first entry, where it may round
            average = (before * average + more * at) / size
            fees += executions[4, k]
            units_in += more
            value_in += more * at
            entries += 1
            entry = at
        position += less + more
    return found


def round_trips_python(row: IntArray, executions: FloatArray, trips: FloatArray) -> int:
    """Do as `write_trips`, of all executions (6, f)."""
    return write_trips(row, executions, len(row), trips)


round_trips = jit_lean(round_trips_python)


def closed_trades(fills: Fills, ids: IntArray | None = None) -> Trades:
    """Return the round trips that executions make: from flat to flat, or to a reversal.

    Sums run in Backtrader's order, so `pnl` and `pnl_net` equal its trades' as bytes.

    Parameters
    ----------
    fills : Fills
        Executions, in order.
    ids : int64 array (f,), optional
        Which trade each belongs to (Backtrader's `tradeid`): round trips are then those of each
        symbol and id, whatever the others do to the position. One that is closed stays closed.
    """
    symbols = np.unique(fills.symbol)
    if ids is None:
        tables = [_trips_of(fills, np.flatnonzero(fills.symbol == symbol)) for symbol in symbols]
    else:
        groups = [(fills.symbol == symbol) & (ids == one) for symbol in symbols for one in np.unique(ids)]
        tables = [_trips_by_id(fills, np.flatnonzero(group)) for group in groups]
    table = np.concatenate(tables, axis=1) if tables else np.empty((8, 0))
    table = table[:, np.argsort(table[0])]
    closing, opened, closed = (column.astype(np.int64) for column in table[:3])
    size, entry, leave, pnl, net = table[3:]
    return Trades(fills.symbol[closing], opened, closed, size, entry, leave, pnl, net, closing)


def opening_fills(fills: Fills, trades: Trades) -> IntArray:
    """Return the execution that opened each closed trade of a run of one symbol, int64 array (c,).

    It is that which closed the one before if that was a reversal, else the next that opens a position.
    """
    opens = np.flatnonzero(fills.opened)
    begins = np.append(0, trades.closing[:-1]) if len(trades) else trades.closing
    return np.asarray(opens[np.searchsorted(opens, begins)], dtype=np.int64)


def _trips_of(fills: Fills, own: IntArray) -> FloatArray:
    """Return the round trips that the executions `own` of one symbol make, (8, c), as `write_trips` does."""
    trips = np.empty((8, len(own)))
    executions = (
        fills.closed,
        fills.opened,
        fills.price,
        fills.closed_commission,
        fills.opened_commission,
        fills.multiplier,
    )
    count = round_trips(fills.row[own], np.stack([part[own] for part in executions]), trips)
    found = trips[:, :count]
    found[0] = own[found[0].astype(np.int64)]
    return found


def _trips_by_id(fills: Fills, own: IntArray) -> FloatArray:
    """Return the round trips that the executions `own` of one trade's id make, (8, c), as `_trips_of`.

    What closes a part of the account's position may open a trade, and the other way round.
    """
    found: list[tuple[float, ...]] = []
    trip = _Trip()
    for k in own.tolist():
        parts = (
            (float(fills.closed[k]), float(fills.closed_commission[k])),
            (float(fills.opened[k]), float(fills.opened_commission[k])),
        )
        for units, fee in parts:
            if units and trip.take(
                units, float(fills.price[k]), fee, float(fills.multiplier[k]), fills.row[k]
            ):
                found.append((float(k), *trip.row(int(fills.row[k]))))
                trip = _Trip()
    return np.array(found, dtype=np.float64).reshape(-1, 8).T


class _Trip:
    """One trade under way, in the arithmetic of Backtrader's `Trade`."""

    def __init__(self) -> None:
        self.since = -1
        self.size = self.average = self.profit = self.fees = 0.0
        self.units = [0.0, 0.0]
        self.value = [0.0, 0.0]

    def take(self, units: float, price: float, fee: float, multiplier: float, row: int) -> bool:
        """Take an execution into account; return whether the trade is closed by it."""
        before = self.size
        if self.since < 0:
            self.since = int(row)
        self.fees += fee
        self.size += units
        leaves = abs(self.size) <= abs(before)
        if leaves:
            self.profit += -units * (price - self.average) * multiplier
        else:
            self.average = (before * self.average + units * price) / self.size
        self.units[leaves] += units
        self.value[leaves] += units * price
        return self.size == 0.0

    def row(self, closed: int) -> tuple[float, ...]:
        """Return it as the attributes of `Trades` from `opened` on."""
        entry, exit_ = (value / units for value, units in zip(self.value, self.units, strict=True))
        net = self.profit - self.fees
        return (float(self.since), float(closed), self.units[0], entry, exit_, self.profit, net)


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
    held = np.empty((symbols, rows))
    for symbol in range(symbols):
        own = fills.symbol == symbol
        levels = np.concatenate(([0.0], np.cumsum(fills.size[own])))
        lasting = np.diff(np.concatenate(([0], fills.row[own], [rows])))
        held[symbol] = np.repeat(levels, lasting)
    return held


TRADE_TALLY = 7
NET, PAID, TRADES, WINS, WON, LOST, EDGE = range(TRADE_TALLY)
"""What is kept of a symbol's trades: of the open one the profit less commission, and what its units were
bought or sold for; how many were closed, and did not lose; their gains, and the losses of the others, added
up, each by what its units were bought or sold for; and Kelly's fraction of all that."""


@inlinable_lean
def note_trade(
    tally: FloatArray,
    closed: float,
    opened: float,
    after: float,
    at: float,
    profit: float,
    closed_fee: float,
    opened_fee: float,
) -> None:
    """Note an execution at a price: a trade lasts from flat to flat, and a reversal begins another one.

    Parameters
    ----------
    tally : float64 array (TRADE_TALLY,)
        Of the symbol, zeros at the start of a window; written to.
    closed, opened, after : float
        Signed units that closed and opened, and those held after it.
    at, profit, closed_fee, opened_fee : float
        Price, profit of what was closed, and commission of either part.
    """
    if closed != 0.0:
        tally[NET] += profit - closed_fee
        if opened != 0.0 or after == 0.0:
            gain = tally[NET] / tally[PAID]
            tally[TRADES] += 1.0
            if gain >= 0.0:
                tally[WINS] += 1.0
                tally[WON] += gain
            else:
                tally[LOST] -= gain
            tally[NET], tally[PAID] = 0.0, 0.0
            tally[EDGE] = kelly_edge(tally[TRADES], tally[WINS], tally[WON], tally[LOST])
    if opened != 0.0:
        tally[NET] -= opened_fee
        tally[PAID] += abs(opened) * at


@inlinable_lean
def kelly_edge(trades: float, wins: float, won: float, lost: float) -> float:
    """Return Kelly's fraction W - (1 - W) / R of trades, of which `wins` did not lose.

    W is their share; R the mean of what they `won` by the mean of what the others `lost`. It is W where
    nothing was lost, and 0.0 where nothing was won.
    """
    if won == 0.0:
        return 0.0
    share = wins / trades
    if lost == 0.0:
        return share
    ratio = (won / wins) / (lost / (trades - wins))
    return share - (1.0 - share) / ratio
