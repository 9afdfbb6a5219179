"""What one backtest leaves behind, before it is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from whatif.domain.fills import Fills, Trades, closed_trades
from whatif.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class EngineRun:
    """Raw arrays of one backtest over one window of m timestamps and k symbols.

    Attributes
    ----------
    symbols : tuple of str
        In declared order.
    ts : int64 array (m,)
        Timestamps on which any symbol has a bar inside the window, microseconds UTC.
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

    @cached_property
    def trades(self) -> Trades:
        """The closed round trips."""
        return closed_trades(self.fills)

    @property
    def open_at_end(self) -> bool:
        """Whether a position is still open at the last close, where it is only marked."""
        return bool(self.position[:, -1:].any())
