"""Axis of pasts by shuffled sessions: the days that were, in another order."""

from __future__ import annotations

import numpy as np

from whatif.axes.resampled import ResampledHistory
from whatif.typing import IntArray


class SessionShuffle(ResampledHistory):
    """Whole sessions in another order, each of them once."""

    kind: str = "session_shuffle"

    def sources(self, chance: np.random.Generator, sessions: int, places: int) -> IntArray:
        """Return from which session each bar comes."""
        return np.repeat(chance.permutation(sessions), places).astype(np.int64)
