"""Ways to split a study's time: the seam, those that come along, and what they are made of."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whatif.splits.base import Folds, Split, TimeSlice
    from whatif.splits.bounds import bounds_of
    from whatif.splits.combinatorial import Combinatorial
    from whatif.splits.fold import Fold
    from whatif.splits.holdout import Holdout
    from whatif.splits.kinds import any_split, split_class
    from whatif.splits.timeline import Timeline
    from whatif.splits.walk_forward import WalkForward
    from whatif.splits.window import Window, instant_text

_PLACES = {
    "Combinatorial": "combinatorial",
    "Fold": "fold",
    "Folds": "base",
    "Holdout": "holdout",
    "Split": "base",
    "TimeSlice": "base",
    "Timeline": "timeline",
    "WalkForward": "walk_forward",
    "Window": "window",
    "any_split": "kinds",
    "bounds_of": "bounds",
    "instant_text": "window",
    "split_class": "kinds",
}
"""Modules by what they define: a worker needs windows, and neither calendars nor pydantic."""

__all__ = [
    "Combinatorial",
    "Fold",
    "Folds",
    "Holdout",
    "Split",
    "TimeSlice",
    "Timeline",
    "WalkForward",
    "Window",
    "any_split",
    "bounds_of",
    "instant_text",
    "split_class",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is."""
    if name not in _PLACES:
        raise AttributeError(f"module 'whatif.splits' has no attribute {name!r}")
    return getattr(import_module(f"whatif.splits.{_PLACES[name]}"), name)
