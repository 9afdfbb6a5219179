"""Run of one backtest as an engine leaves it, before it is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from whatif.domain.exits import Orders, TradeNotes
from whatif.domain.fills import Fills, Trades, closed_trades, opening_fills
from whatif.errors import EngineError
from whatif.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Contract:
    """What a unit of one symbol is to the broker, where a strategy says so itself.

    Attributes
    ----------
    multiplier : float
        Money that one unit gains when the price rises by one: 1 for stocks.
    commission : float
        Fraction of the traded value, or money per unit.
    fixed : bool
        Whether it is money per unit.
    """

    multiplier: float
    commission: float
    fixed: bool


@dataclass(frozen=True, eq=False)
class EngineRun:
    """Raw arrays of one backtest over one window of m timestamps and k symbols.

    Attributes
    ----------
    symbols : tuple of str
        In declared order.
    ts : int64 array (m,)
        Timestamps on which any symbol has a bar inside the window, microseconds UTC: the bar's start,
        or, for one that is longer than other symbols', the start of the last of those that it holds.
    fills : Fills
        Executions; their rows count into `ts`.
    equity : float64 array (m,)
        The broker's value at each bar's close.
    position : float64 array (k, m)
        Signed units of each symbol held at each bar's close.
    close : float64 array (k, m)
        The last close of each symbol; NaN before its first bar.
    margin_rejected : int
        Orders refused for want of cash.
    engine : str
        The broker that ran it.
    cash : float64 array (m,)
        The broker's cash at each bar's close, after that bar's fills.
    rows_run : int, optional
        How many rows were run, where the strategy ended the run before the window: from there on
        equity and cash are held, and there is no position.
    trade_ids : int64 array (f,), optional
        Trade that each execution belongs to, where the strategy tells them apart.
    contracts : tuple of Contract, optional
        One for each symbol, where the strategy and not the execution says what a unit is and costs.
    notes : tuple of str
        What a reader of the result has to know beside it.
    analyses : mapping of str to object
        Results of the analyzers that the strategy added, by name.
    orders : Orders, optional
        What the broker was given, where the engine tells.
    fill_ts : int64 array (f,), optional
        Start of the shorter bar that each execution happened on, where orders were tried on those.
    explain : callable, optional
        Returns what is said of the trades of this run.
    """

    symbols: tuple[str, ...]
    ts: IntArray
    fills: Fills
    equity: FloatArray
    position: FloatArray
    close: FloatArray
    margin_rejected: int
    engine: str
    cash: FloatArray = field(default_factory=lambda: np.empty(0))
    rows_run: int | None = None
    trade_ids: IntArray | None = None
    contracts: tuple[Contract, ...] | None = None
    notes: tuple[str, ...] = ()
    analyses: Mapping[str, Any] = field(default_factory=dict)
    orders: Orders | None = None
    fill_ts: IntArray | None = None
    explain: Callable[[EngineRun], TradeNotes] | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that do not cover the window: what is measured on them would be of other memory.

        Raises
        ------
        EngineError
            Naming the array and both lengths.
        """
        rows, symbols = len(self.ts), len(self.symbols)
        shapes = {
            "equity": (self.equity.shape, (rows,)),
            "cash": (self.cash.shape, (rows,) if len(self.cash) else (0,)),
            "position": (self.position.shape, (symbols, rows)),
            "close": (self.close.shape, (symbols, rows)),
        }
        for name, (given, wanted) in shapes.items():
            if given != wanted:
                raise EngineError(
                    f"engine {self.engine}: {name} has the shape {given}, and the window {wanted}: an engine "
                    "gives a value for every bar of its window, or says where it ended"
                )
        if len(self.fills) and not 0 <= self.fills.row.min() <= self.fills.row.max() < rows:
            raise EngineError(f"engine {self.engine}: an execution lies outside of the window's {rows} rows")

    @cached_property
    def trades(self) -> Trades:
        """The closed round trips."""
        return closed_trades(self.fills, self.trade_ids)

    @property
    def filled_at(self) -> IntArray:
        """Start of the bar that each execution happened on, int64 array (f,), microseconds UTC."""
        return self.ts[self.fills.row] if self.fill_ts is None else self.fill_ts

    @property
    def traded_at(self) -> tuple[IntArray, IntArray]:
        """Starts of the bars of each closed trade's first and last execution, int64 arrays (c,)."""
        if self.fill_ts is None:
            return self.ts[self.trades.opened], self.ts[self.trades.closed]
        return self.fill_ts[opening_fills(self.fills, self.trades)], self.fill_ts[self.trades.closing]

    @cached_property
    def trade_notes(self) -> TradeNotes:
        """Why each closed trade was left, and the prices of the orders around it."""
        if self.explain is not None:
            return self.explain(self)
        unknown = np.full(len(self.trades), np.nan)
        return TradeNotes((None,) * len(unknown), unknown, unknown, unknown)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: with notes in place of what makes them, which holds bars and a strategy."""
        notes = self.trade_notes
        return {**self.__dict__, "trade_notes": notes, "explain": None}

    @property
    def open_at_end(self) -> bool:
        """Whether a position is still open at the last close that was run, where it is only marked."""
        return bool(self.position[:, : self.rows_run][:, -1:].any())
