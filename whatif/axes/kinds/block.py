"""Axis of pasts by the block bootstrap: blocks of bars of one length."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whatif.axes.resampled import ResampledHistory, followed
from whatif.typing import IntArray


class Block(ResampledHistory):
    """Blocks of one length, each from a session drawn uniformly, wrapped around (circular block bootstrap).

    Of bars of one session each it draws what `arch.bootstrap.CircularBlockBootstrap` draws of the same
    generator.

    Attributes
    ----------
    mean_block : int
        Length of a block, in bars of the lake.
    """

    kind: str = "block"
    mean_block: Annotated[int, Field(ge=1, le=10_000_000)] = 60

    def sources(self, chance: np.random.Generator, sessions: int, places: int) -> IntArray:
        """Return from which session each bar comes."""
        count = sessions * places
        begins = np.arange(count) % self.mean_block == 0
        drawn = np.zeros(count, dtype=np.int64)
        drawn[begins] = chance.integers(sessions, size=int(begins.sum()))
        return followed(drawn, begins, sessions, places)
