"""Axis of execution: costs and the broker's switches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from whatif.axes.base import Axis, Settings
from whatif.axes.values import setting_text


class Execution(Axis):
    """Mappings that are laid over the study's `execution`."""

    kind: str = "execution"

    reserved: ClassVar[bool] = True
    takes_ranges: ClassVar[bool] = False

    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings with some of the execution's keys given."""
        return replace(settings, execution={**settings.execution, **value})

    def shown(self, value: Any) -> Any:
        """Return the settings as text, fractions in percent."""
        return self._said(value, value.get("commtype", "perc"))

    def shown_beside(self, value: Any, given: Settings) -> Any:
        """Return the same; a commission that the study says is money for each unit stays as it is."""
        return self._said(value, {**given.execution, **value}.get("commtype", "perc"))

    @staticmethod
    def _said(value: Mapping[str, Any], commission_type: str) -> str:
        return ", ".join(f"{key} {setting_text(key, one, commission_type)}" for key, one in value.items())

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
