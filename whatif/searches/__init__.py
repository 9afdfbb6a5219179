"""Ways to search the points of a study's axes: the seam, and those that come along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.searches.base import Evaluation, Point, Search, Searcher, SearchSpace
    from whatif.searches.kinds import SEAM
    from whatif.searches.kinds.grid import Grid
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "base": "Evaluation Point Search SearchSpace Searcher",
            "kinds": "SEAM",
            "kinds.grid": "Grid",
        },
    )
