"""Kinds of labels that come along, one class in each module, and the seam of all."""

from __future__ import annotations

from whatif.labels.base import LabelKind
from whatif.plugins import SectionSeam, classes_in

SEAM = SectionSeam("whatif.labels", LabelKind, "label", classes_in(__name__, LabelKind), "forward_vwap")
