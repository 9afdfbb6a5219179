"""Calibration: how often each verdict is given on markets whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.calibrate.campaign import CalibrateOptions, calibrate
    from whatif.calibrate.markets import parse_counts
    from whatif.calibrate.offline import edges_text, measure_edges
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "campaign": "CalibrateOptions calibrate",
            "markets": "parse_counts",
            "offline": "edges_text measure_edges",
        },
    )
