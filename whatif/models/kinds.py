"""The kinds of models that a study can name."""

from __future__ import annotations

from typing import Any

from whatif.models.base import ModelKind
from whatif.models.random_forest import RandomForest
from whatif.plugins import SectionSeam

SEAM = SectionSeam("whatif.models", ModelKind, "model", {"random_forest": RandomForest}, "random_forest")


def model_class(given: Any) -> type[ModelKind] | None:
    """Return the class of a section as it was written; None if there is none of its kind."""
    return SEAM.class_of(given)


def any_model(given: Any) -> ModelKind:
    """Return the model that a section describes; a random forest if it names no kind.

    Raises
    ------
    ValueError
        If it is none, as pydantic collects it.
    """
    found: ModelKind = SEAM.section(given)
    return found
