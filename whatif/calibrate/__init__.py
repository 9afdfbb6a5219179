"""How often each verdict is given on markets whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.calibrate.campaign import CalibrateOptions, calibrate
    from whatif.calibrate.edges import edges_text, measure_edges
    from whatif.calibrate.markets import parse_counts
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "campaign": "CalibrateOptions calibrate",
            "edges": "edges_text measure_edges",
            "markets": "parse_counts",
        },
    )
