"""The book in which a Backtrader run is written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import backtrader as bt
import numpy as np

from whatif.domain import Bars, Contract, EngineRun, Fills, Orders, positions
from whatif.engines.timeline import Timeline, instant
from whatif.typing import IntArray


class Ledger:
    """Executions and account values of one run, row by row of its timeline."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, float, float, float, float, float, float]] = []
        self.equity: list[float] = []
        self.cash: list[float] = []
        self.margin_rejected = 0
        self.trade_ids: list[Any] = []
        self.orders: list[list[float]] = []
        self.of_fill: list[int] = []
        self.stamps: list[int | None] = []
        self._places: dict[int, int] = {}
        self._prices: dict[int, Any] = {}
        self.notes: list[str] = []
        self.contracts: tuple[Contract, ...] | None = None
        self.analyses: Mapping[str, Any] = {}
        self.rows_run: int | None = None

    def note(self, order: Any, row: int, symbol: int, stamp: int | None = None) -> None:
        """Record the executions that a notification of Backtrader's `order` brings.

        The exact price is that of each execution; an order's own average differs by rounding. `stamp` is the
        start of the finer bar that they happened on, if they did on one.
        """
        if order.status == order.Margin:
            self.margin_rejected += 1
        place = self._note_order(order, row, symbol)
        for bit in order.executed.iterpending():
            fees = (bit.closedcomm, bit.openedcomm)
            self.rows.append((row, symbol, bit.closed, bit.opened, bit.price, *fees, order.comminfo.p.mult))
            self.trade_ids.append(order.tradeid)
            self.of_fill.append(place)
            self.stamps.append(stamp)

    def _note_order(self, order: Any, row: int, symbol: int) -> int:
        """Record what an order is, which is first told on the row after it was made; return its place."""
        place = self._places.get(order.ref)
        if place is None:
            place = self._places[order.ref] = len(self.orders)
            size = order.created.size
            self.orders.append([symbol, order.exectype, size, math.nan, math.nan, row - 1, math.inf])
        if order.exectype not in (order.Market, order.Close):
            # Backtrader's own, which move while the order trails
            self._prices[place] = order.created
            self._note_prices(place)
        if not order.alive():
            self.orders[place][6] = min(self.orders[place][6], row)
            self._prices.pop(place, None)
        return place

    def _note_prices(self, place: int) -> None:
        noted, created = self.orders[place], self._prices[place]
        noted[3] = created.price
        noted[4] = created.pricelimit if noted[1] in _LIMITED else math.nan

    def stop(self, cash: float, timeline: Timeline) -> None:
        """Hold equity and cash to the end of a timeline whose last rows were not run.

        Parameters
        ----------
        cash : float
            What the account holds if none of them was.
        timeline : Timeline
            The window.
        """
        self.rows_run = done = len(self.equity)
        missing = len(timeline.ts) - done
        self.equity += [self.equity[-1] if done else cash] * missing
        self.cash += [self.cash[-1] if done else cash] * missing
        where = f"after {done} of {len(timeline.ts)} bars, at {instant(timeline.ts[max(done - 1, 0)])}"
        self.notes.append(f"the strategy ended the run {where}; its equity is held to the window's end")

    def to_run(self, bars: list[Bars], timeline: Timeline) -> EngineRun:
        """Return what was written as arrays."""
        fills = Fills.from_rows(self.rows)
        held = positions(fills, len(bars), len(timeline.ts))
        if self.rows_run is not None:
            held[:, self.rows_run :] = 0.0
        return EngineRun(
            symbols=tuple(one.symbol for one in bars),
            ts=timeline.ts,
            fills=fills,
            equity=np.array(self.equity),
            position=held,
            close=timeline.current([one.close for one in bars]),
            margin_rejected=self.margin_rejected,
            engine="backtrader",
            cash=np.array(self.cash),
            rows_run=self.rows_run,
            trade_ids=_numbers(self.trade_ids),
            contracts=self.contracts,
            notes=tuple(self.notes),
            analyses=self.analyses,
            orders=self._told(len(timeline.ts)),
            fill_ts=np.array(self.stamps, dtype=np.int64) if bars[0].finer is not None else None,
        )

    def _told(self, rows: int) -> Orders:
        """Return the orders of a run of so many rows as arrays."""
        for place in self._prices:
            self._note_prices(place)
        table = np.array(self.orders, dtype=np.float64).reshape(-1, 7)
        symbol, kind, size, price, limit, made, ended = (np.ascontiguousarray(one) for one in table.T)
        return Orders(
            symbol=symbol.astype(np.int64),
            kind=kind.astype(np.int64),
            size=size,
            price=price,
            limit=limit,
            made=made.astype(np.int64),
            ended=np.fmin(ended, rows).astype(np.int64),
            of_fill=np.array(self.of_fill, dtype=np.int64),
        )


_LIMITED = (bt.Order.StopLimit, bt.Order.StopTrailLimit)


def _numbers(ids: list[Any]) -> IntArray | None:
    """Return the ids of trades as whole numbers; None if all are Backtrader's default, 0."""
    if not any(ids):
        return None
    known: dict[Any, int] = {}
    return np.array([known.setdefault(one, len(known)) for one in ids], dtype=np.int64)
