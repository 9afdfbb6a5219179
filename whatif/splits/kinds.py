"""The splits that a study can name."""

from __future__ import annotations

from typing import Any

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


def split_class(given: Any) -> type[Split] | None:
    """Return the class of a section as it was written; None if there is none of its kind."""
    return SEAM.class_of(given)


def any_split(given: Any) -> Split:
    """Return the split that a section describes; a holdout if it names no kind.

    Raises
    ------
    ValueError
        If it is none, as pydantic collects it.
    """
    found: Split = SEAM.section(given)
    return found
