"""Axis of an overlay: an exit, sizing, or latency laid over the strategy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from whatif.axes.base import Axis, Settings
from whatif.domain import overlays_from_mapping


class Overlay(Axis):
    """Values of the overlay that `kind` names; None is off."""

    def put(self, value: Any, settings: Settings) -> Settings:
        """Return settings with a value of the overlay."""
        return replace(settings, overlays={**settings.overlays, self.kind: value})

    def shown(self, value: Any) -> Any:
        """Return a value in the overlay's own unit, None where it is off."""
        return getattr(overlays_from_mapping({self.kind: value}), self.kind)

    def stands_in(self, given: Settings) -> str:
        """Return "overlays" if the study gives the overlay a value there."""
        return "overlays" if self.kind in given.overlays else super().stands_in(given)
