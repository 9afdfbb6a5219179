"""Slices of bars that a study works on."""

from __future__ import annotations

from dataclasses import dataclass

from whatif.domain import timeframe_us


@dataclass(frozen=True)
class BarSlice:
    """The bars that a study works on, at one timeframe.

    Attributes
    ----------
    symbols : tuple of str
        Symbols in the study's order.
    source_timeframe, timeframe : str
        What the lake holds, and what the study asks for; resampled where they differ.
    exchange, hours : str
        Calendar, and "regular" or "extended".
    start_us, end_us : int
        Half-open slice of time, microseconds UTC.
    adjustment : str
        What prices are adjusted for, and by which snapshot of actions; "" as traded.
    """

    symbols: tuple[str, ...]
    source_timeframe: str
    timeframe: str
    exchange: str
    hours: str
    start_us: int
    end_us: int
    adjustment: str = ""

    @property
    def bar_us(self) -> int:
        """Length of a bar of the study, microseconds."""
        return timeframe_us(self.timeframe)

    @property
    def source_us(self) -> int:
        """Length of a bar in the lake, microseconds."""
        return timeframe_us(self.source_timeframe)

    @property
    def resampled(self) -> bool:
        """Whether the lake's bars must be joined into longer ones."""
        return self.source_timeframe != self.timeframe
