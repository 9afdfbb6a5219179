"""The kinds of models that a study can name."""

from __future__ import annotations

from whatif.models.base import ModelKind
from whatif.models.random_forest import RandomForest
from whatif.plugins import SectionSeam

SEAM = SectionSeam("whatif.models", ModelKind, "model", {"random_forest": RandomForest}, "random_forest")
