"""Exits: why positions were left, and the orders that waited for a price around them."""

from __future__ import annotations

from dataclasses import dataclass

from whatif.typing import FloatArray, IntArray

EXIT_REASONS = ("target", "stop", "trailing_stop", "time", "session", "reversal", "step")
"""Why a trade was closed: a limit order, or `take_profit`; a stop order, or `stop_loss`; a stop that trails;
`max_bars_held`; `flat_before_close`; an order at the market that opened the other side too; any other order
of the strategy's own."""

NOTE_COLUMNS = ("exit_reason", "entry_order", "stop_price", "target_price")
"""Columns of a trade that `TradeNotes` says."""

ORDER_KINDS = ("market", "close", "limit", "stop", "stop_limit", "stop_trail", "stop_trail_limit")
"""Kinds of orders, in the order of Backtrader's numbers."""


@dataclass(frozen=True, eq=False)
class Orders:
    """Orders that a broker was given in one run, oldest first; arrays of orders have length o.

    Attributes
    ----------
    symbol, kind : int64 array (o,)
        Index into the run's symbols, and what kind of order it is.
    size : float64 array (o,)
        Signed units.
    price : float64 array (o,)
        Price at which it acts: its stop (of one that trails, the last), or else its limit; NaN if it waits
        for none.
    limit : float64 array (o,)
        The limit behind its stop; NaN if it has none.
    made, ended : int64 array (o,)
        Rows of the run's `ts` on which it was made, and on which it was filled, cancelled or refused; the
        number of rows if it was not.
    of_fill : int64 array (f,)
        Order of each execution.
    """

    symbol: IntArray
    kind: IntArray
    size: FloatArray
    price: FloatArray
    limit: FloatArray
    made: IntArray
    ended: IntArray
    of_fill: IntArray


@dataclass(frozen=True, eq=False)
class TradeNotes:
    """What is said of each closed trade of a run beside its figures; all have length c.

    Attributes
    ----------
    exit_reason : tuple of str or None
        One of `EXIT_REASONS`, by the execution that closed it; None if the engine does not tell.
    entry_order : float64 array (c,)
        Price that the order which opened it waited for; NaN if for none.
    stop_price, target_price : float64 array (c,)
        Last prices at which it would have been left at a loss or by a stop that trails, and at a profit, when
        it was left; NaN where nothing was to leave it there.
    """

    exit_reason: tuple[str | None, ...]
    entry_order: FloatArray
    stop_price: FloatArray
    target_price: FloatArray
