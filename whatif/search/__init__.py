"""Configurations of a study's axes, its slice of bars, and the ranking and joining of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.search.chains import Chain, forward_chains
    from whatif.search.configuration import Configuration
    from whatif.search.constraints import Constraints, constraints_of
    from whatif.search.contract import MAX_ASKED, CheckedSearcher, PointIndex
    from whatif.search.grid import Dropped, Grid, check_distinct, make_grid
    from whatif.search.market import axis_of, change_bars, change_of
    from whatif.search.pooling import check_poolable, mean_returns, pool
    from whatif.search.ranking import (
        at_home,
        choosable,
        never_traded,
        on_the_front,
        rank_rows,
        rankable,
        why_undefined,
    )
    from whatif.search.slices import BarSlice
    from whatif.search.space import Space
    from whatif.search.stitching import check_stitchable, stitch, stitch_equity
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "constraints": "Constraints constraints_of",
            "contract": "MAX_ASKED CheckedSearcher PointIndex",
            "chains": "Chain forward_chains",
            "configuration": "Configuration",
            "grid": "Dropped Grid check_distinct make_grid",
            "market": "axis_of change_bars change_of",
            "pooling": "check_poolable mean_returns pool",
            "ranking": "at_home choosable never_traded on_the_front rank_rows rankable why_undefined",
            "slices": "BarSlice",
            "space": "Space",
            "stitching": "check_stitchable stitch stitch_equity",
        },
    )
