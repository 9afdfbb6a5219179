"""The splits that a study can name."""

from __future__ import annotations

from whatif.plugins import SectionSeam
from whatif.splits.base import Split
from whatif.splits.combinatorial import Combinatorial
from whatif.splits.holdout import Holdout
from whatif.splits.walk_forward import WalkForward

SEAM = SectionSeam(
    "whatif.splits",
    Split,
    "split",
    {"holdout": Holdout, "walk_forward": WalkForward, "cpcv": Combinatorial},
    "holdout",
)
