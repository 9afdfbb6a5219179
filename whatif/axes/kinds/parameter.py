"""Axis of a strategy's parameter, under the name that the strategy declares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from whatif.axes.base import Axis, Settings


class Parameter(Axis):
    """Values of the strategy's parameter that has the axis' name."""

    kind: str = "parameter"

    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings with a value of the parameter; the strategy checks it."""
        return replace(settings, params={**settings.params, self.name: value})
