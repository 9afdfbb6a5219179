"""Axis of execution: costs and the broker's switches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from whatif.axes.base import Axis, Settings


class Execution(Axis):
    """Mappings that are laid over the study's `execution`."""

    kind: str = "execution"

    reserved: ClassVar[bool] = True
    takes_ranges: ClassVar[bool] = False

    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings with some of the execution's keys given."""
        return replace(settings, execution={**settings.execution, **value})

    @classmethod
    def read(cls, name: str, values: list[Any]) -> list[Any]:
        """Refuse what is no mapping."""
        for given in values:
            if not isinstance(given, Mapping):
                raise ValueError(
                    f"axis {name} holds {repr(given)[:200]}: each value is a mapping such as "
                    "{commission: 0.0005, slippage: 0.0001}"
                )
        return values
