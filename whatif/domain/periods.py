"""Periods over which returns are measured."""

from __future__ import annotations

from dataclasses import dataclass

from whatif.typing import IntArray


@dataclass(frozen=True, eq=False)
class Periods:
    """Consecutive periods of one window, the same for every configuration.

    Attributes
    ----------
    kind : str
        "session", "hour" or "bar".
    ends : int64 array (k,)
        Exclusive end of each period, microseconds since 1970-01-01 UTC, increasing.
        The equity of a period is that of the last bar that starts before its end.
    per_year : float
        Periods in a year by the exchange's calendar; scales Sharpe and Sortino.
    """

    kind: str
    ends: IntArray
    per_year: float

    def __len__(self) -> int:
        """Return the number of periods."""
        return len(self.ends)
