"""Ways to split a study's time: the seam, those that come along, and what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.splits.base import Folds, Split, TimeSlice
    from whatif.splits.bounds import bounds_of
    from whatif.splits.combinatorial import Combinatorial
    from whatif.splits.contract import check_folds
    from whatif.splits.fold import Fold
    from whatif.splits.holdout import Holdout
    from whatif.splits.kinds import SEAM
    from whatif.splits.timeline import Timeline
    from whatif.splits.walk_forward import WalkForward
    from whatif.splits.window import Window, instant_text
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "base": "Folds Split TimeSlice",
            "bounds": "bounds_of",
            "combinatorial": "Combinatorial",
            "contract": "check_folds",
            "fold": "Fold",
            "holdout": "Holdout",
            "kinds": "SEAM",
            "timeline": "Timeline",
            "walk_forward": "WalkForward",
            "window": "Window instant_text",
        },
    )
