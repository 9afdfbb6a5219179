"""Bars of one symbol as aligned arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TypeAlias

import numpy as np

from whatif.typing import BoolArray, FloatArray, IntArray

PRICE_FIELDS = ("open", "high", "low", "close", "volume", "vwap")
"""The float series every bar has, in table order."""

Rows: TypeAlias = slice | IntArray | BoolArray
"""What selects bars: a slice, indices, or a mask."""


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars of one symbol, oldest first; all arrays have the same length n.

    Attributes
    ----------
    symbol : str
        The symbol the bars belong to.
    ts : int64 array (n,)
        Start of each bar, microseconds since 1970-01-01 UTC, strictly increasing.
    open, high, low, close, vwap : float64 array (n,)
        Prices in the currency of the exchange, per unit.
    volume : float64 array (n,)
        Units traded in the bar.
    session : int64 array (n,)
        The exchange's trading date as days since 1970-01-01.
    session_open, session_close : int64 array (n,)
        Bounds of that session's regular hours, microseconds since 1970-01-01 UTC.
    inputs : mapping of str to float64 array (n,)
        Further series on the same `ts` (predictions, features); NaN where missing.
    """

    symbol: str
    ts: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    session: IntArray
    session_open: IntArray
    session_close: IntArray
    inputs: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.ts)

    def slice(self, start: int, stop: int) -> Bars:
        """Return bars `start:stop` as views of the same memory."""
        return self.take(slice(start, stop))

    def take(self, rows: Rows) -> Bars:
        """Return the bars that `rows` (a slice, a mask or indices) selects."""
        arrays = {
            f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in ("symbol", "inputs")
        }
        inputs = {name: series[rows] for name, series in self.inputs.items()}
        return Bars(symbol=self.symbol, inputs=inputs, **arrays)

    def with_inputs(self, inputs: Mapping[str, FloatArray]) -> Bars:
        """Return the same bars with `inputs` added to those they already carry."""
        return replace(self, inputs={**self.inputs, **inputs})

    def then(self, later: Bars) -> Bars:
        """Return these bars and `later` ones of the same symbol as one; both carry the same inputs."""
        if not len(later):
            return self
        arrays = {
            f.name: np.concatenate([getattr(self, f.name), getattr(later, f.name)])
            for f in fields(self)
            if f.name not in ("symbol", "inputs")
        }
        inputs = {name: np.concatenate([own, later.inputs[name]]) for name, own in self.inputs.items()}
        return Bars(symbol=self.symbol, inputs=inputs, **arrays)

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        own = sum(getattr(self, f.name).nbytes for f in fields(self) if f.name not in ("symbol", "inputs"))
        return int(own + sum(series.nbytes for series in self.inputs.values()))


def bar_ends(bars: Bars, bar_us: int) -> IntArray:
    """Return the instant at which each bar is complete, int64 array (n,), microseconds since 1970-01-01 UTC.

    A bar inside regular hours ends at its session's close at the latest; a bar of a
    whole session ends there.
    """
    ends = bars.ts + bar_us
    return np.where(bars.ts < bars.session_close, np.minimum(ends, bars.session_close), ends)
