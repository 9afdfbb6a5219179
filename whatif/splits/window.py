"""An interval of time that backtests run in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from whatif.domain import Bars, bar_ends


@dataclass(frozen=True)
class Window:
    """A half-open interval of time, [start_us, end_us), microseconds UTC."""

    name: str
    start_us: int
    end_us: int

    def rows(self, bars: Bars, bar_us: int) -> tuple[int, int]:
        """Return first and last-plus-one index of the bars that lie wholly inside."""
        first = int(np.searchsorted(bars.ts, self.start_us, "left"))
        stop = int(np.searchsorted(bar_ends(bars, bar_us), self.end_us, "right"))
        return first, max(first, stop)

    def __str__(self) -> str:
        """Return name and bounds for messages."""
        return f"{self.name} [{instant_text(self.start_us)}, {instant_text(self.end_us)})"


def instant_text(us: int) -> str:
    """Return microseconds since 1970-01-01 UTC for a message."""
    return str(pd.Timestamp(us, unit="us", tz="UTC").strftime("%Y-%m-%dT%H:%MZ"))
