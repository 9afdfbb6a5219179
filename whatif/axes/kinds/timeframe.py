"""Axis of timeframes: the length of bars."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from whatif.axes.base import Axis, Settings
from whatif.domain import canonical_timeframe


class Timeframe(Axis):
    """Lengths of bars, in place of `data.timeframe`."""

    kind: str = "timeframe"

    reserved: ClassVar[bool] = True

    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings on bars of another length."""
        return replace(settings, timeframe=value)

    @classmethod
    def read(cls, name: str, values: list[Any]) -> list[Any]:
        """Return each length by its one name: "60min" is "1h"."""
        return [canonical_timeframe(value) for value in values]
