"""Ways to split a study's time: the seam, those that come along, and what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.splits.base import Folds, Split, TimeSlice
    from whatif.splits.bounds import bounds_of
    from whatif.splits.contract import check_folds
    from whatif.splits.fold import Fold, Window, instant_text
    from whatif.splits.kinds import SEAM
    from whatif.splits.kinds.combinatorial import Combinatorial
    from whatif.splits.kinds.holdout import Holdout
    from whatif.splits.kinds.walk_forward import WalkForward
    from whatif.splits.timeline import Timeline
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "base": "Folds Split TimeSlice",
            "bounds": "bounds_of",
            "kinds.combinatorial": "Combinatorial",
            "contract": "check_folds",
            "fold": "Fold Window instant_text",
            "kinds.holdout": "Holdout",
            "kinds": "SEAM",
            "timeline": "Timeline",
            "kinds.walk_forward": "WalkForward",
        },
    )
