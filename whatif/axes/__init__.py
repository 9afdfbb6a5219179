"""What varies from configuration to configuration: the seam of axes, and those that come along."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whatif.axes.base import Axis, Settings
    from whatif.axes.change import MarketChange
    from whatif.axes.contract import check_changed
    from whatif.axes.kinds import SEAM, any_axes, axis_class, bound
    from whatif.axes.market import MarketAxis
    from whatif.axes.parameter import Parameter

_PLACES = {
    "Axis": "base",
    "MarketAxis": "market",
    "MarketChange": "change",
    "Parameter": "parameter",
    "SEAM": "kinds",
    "Settings": "base",
    "any_axes": "kinds",
    "axis_class": "kinds",
    "bound": "kinds",
    "check_changed": "contract",
}
"""Modules by what they define: a worker needs no pydantic unless bars are changed."""

__all__ = [
    "SEAM",
    "Axis",
    "MarketAxis",
    "MarketChange",
    "Parameter",
    "Settings",
    "any_axes",
    "axis_class",
    "bound",
    "check_changed",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is."""
    if name not in _PLACES:
        raise AttributeError(f"module 'whatif.axes' has no attribute {name!r}")
    return getattr(import_module(f"whatif.axes.{_PLACES[name]}"), name)
