"""Axes, along which configurations vary: the seam, and those that come along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.axes.base import Axis, Settings
    from whatif.axes.change import MarketChange
    from whatif.axes.kinds import SEAM, axis_class, bound, read_axes
    from whatif.axes.kinds.parameter import Parameter
    from whatif.axes.market import MarketAxis, check_changed
    from whatif.axes.values import setting_text, text_of
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "base": "Axis Settings",
            "change": "MarketChange",
            "kinds": "SEAM read_axes axis_class bound",
            "market": "MarketAxis check_changed",
            "kinds.parameter": "Parameter",
            "values": "setting_text text_of",
        },
    )
