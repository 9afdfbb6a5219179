"""Kinds of models that come along, one class in each module, and the seam of all."""

from __future__ import annotations

from whatif.models.base import ModelKind
from whatif.plugins import SectionSeam, classes_in

SEAM = SectionSeam("whatif.models", ModelKind, "model", classes_in(__name__, ModelKind), "random_forest")
