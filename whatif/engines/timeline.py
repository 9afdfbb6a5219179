"""When which symbol has a bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whatif.domain.bars import Bars
from whatif.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Timeline:
    """The timestamps of several symbols' bars, merged.

    Attributes
    ----------
    ts : int64 array (m,)
        Timestamps on which any symbol has a bar, microseconds UTC, increasing.
    rows : tuple of int64 arrays (m,)
        For each symbol, the row of its bars that is current at each timestamp; -1 before its first.
    fresh : tuple of bool arrays (m,)
        For each symbol, whether it has a bar at the timestamp.
    """

    ts: IntArray
    rows: tuple[IntArray, ...]
    fresh: tuple[np.ndarray, ...]

    def arrivals(self) -> Iterator[tuple[tuple[int, int], ...]]:
        """Yield for each timestamp the (symbol, row) of every bar that starts there, in declared order."""
        if len(self.rows) == 1:
            return (((0, row),) for row in self.rows[0].tolist())
        return self._merged_arrivals()

    def _merged_arrivals(self) -> Iterator[tuple[tuple[int, int], ...]]:
        rows = [row.tolist() for row in self.rows]
        fresh = [flags.tolist() for flags in self.fresh]
        symbols = range(len(rows))
        for at in range(len(self.ts)):
            yield tuple((k, rows[k][at]) for k in symbols if fresh[k][at])

    def current(self, series: list[FloatArray]) -> FloatArray:
        """Return each symbol's series at its current row, (k, m); NaN before its first bar."""
        result = np.full((len(series), len(self.ts)), np.nan)
        for k, values in enumerate(series):
            known = self.rows[k] >= 0
            result[k, known] = values[self.rows[k][known]]
        return result


def merge(bars: list[Bars], ranges: list[tuple[int, int]]) -> Timeline:
    """Return the timeline of `bars`, of each only the half-open range of rows."""
    if len(bars) == 1:
        first, stop = ranges[0]
        rows = np.arange(first, stop, dtype=np.int64)
        return Timeline(bars[0].ts[first:stop], (rows,), (np.ones(len(rows), dtype=bool),))
    ts = np.unique(
        np.concatenate([one.ts[first:stop] for one, (first, stop) in zip(bars, ranges, strict=True)])
    )
    rows_of, fresh_of = [], []
    for one, (first, stop) in zip(bars, ranges, strict=True):
        own = one.ts[first:stop]
        last = np.searchsorted(own, ts, side="right") - 1
        fresh_of.append(
            (last >= 0) & (own[np.maximum(last, 0)] == ts) if len(own) else np.zeros(len(ts), bool)
        )
        rows_of.append(np.where(last >= 0, last + first, -1))
    return Timeline(ts, tuple(rows_of), tuple(fresh_of))
