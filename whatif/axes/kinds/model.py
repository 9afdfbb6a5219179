"""Axis of models: the one whose forecast is traded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, ClassVar

from whatif.axes.base import Axis, Settings
from whatif.errors import nearest


class Model(Axis):
    """Names of the study's models."""

    kind: str = "model"

    reserved: ClassVar[bool] = True

    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings in which a model's forecast is traded."""
        return replace(settings, model=value)

    def check(self, models: Collection[str]) -> None:
        """Refuse the name of a model that the study does not declare."""
        for name in self.values:
            if not isinstance(name, str) or name not in models:
                remedy = nearest(str(name), models) if models else "the study declares no models"
                raise ValueError(f"axis {self.name} names {name!r}: {remedy}")
