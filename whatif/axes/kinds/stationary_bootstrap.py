"""Axis of pasts by the stationary bootstrap: blocks of bars of random length."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whatif.axes.resampled import ResampledHistory, followed
from whatif.typing import IntArray


class StationaryBootstrap(ResampledHistory):
    """Blocks of geometric length, each from a session drawn uniformly, wrapped around.

    The bootstrap is that of Politis and Romano (1994). Of bars of one session each it draws what
    `arch.bootstrap.StationaryBootstrap` draws of the same generator.

    Attributes
    ----------
    mean_block : float
        Mean length of a block, in bars of the lake.
    """

    kind: str = "stationary_bootstrap"
    mean_block: Annotated[float, Field(ge=1.0, le=1e7)] = 60.0

    def sources(self, chance: np.random.Generator, sessions: int, places: int) -> IntArray:
        """Return from which session each bar comes."""
        drawn = chance.integers(sessions, size=sessions * places)
        begins = chance.random(sessions * places) <= 1.0 / self.mean_block
        return followed(drawn, begins, sessions, places)
