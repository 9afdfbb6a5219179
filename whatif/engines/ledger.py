"""The book in which a Backtrader run is written down."""

from __future__ import annotations

from typing import Any

import numpy as np

from whatif.domain.bars import Bars
from whatif.domain.fills import Fills, positions
from whatif.domain.run import EngineRun
from whatif.engines.timeline import Timeline


class Ledger:
    """Executions and account values of one run, row by row of its timeline."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, float, float, float, float, float, float]] = []
        self.equity: list[float] = []
        self.cash: list[float] = []
        self.margin_rejected = 0

    def note(self, order: Any, row: int, symbol: int) -> None:
        """Record the executions that a notification of Backtrader's `order` brings.

        The exact price is that of each execution; an order's own average differs by rounding.
        """
        if order.status == order.Margin:
            self.margin_rejected += 1
        for bit in order.executed.iterpending():
            fees = (bit.closedcomm, bit.openedcomm)
            self.rows.append((row, symbol, bit.closed, bit.opened, bit.price, *fees, order.comminfo.p.mult))

    def to_run(self, bars: list[Bars], timeline: Timeline) -> EngineRun:
        """Return what was written as arrays."""
        fills = Fills.from_rows(self.rows)
        return EngineRun(
            symbols=tuple(one.symbol for one in bars),
            ts=timeline.ts,
            fills=fills,
            equity=np.array(self.equity),
            position=positions(fills, len(bars), len(timeline.ts)),
            close=timeline.current([one.close for one in bars]),
            margin_rejected=self.margin_rejected,
            engine="backtrader",
            cash=np.array(self.cash),
        )
