"""Splits that come along, one class in each module, and the seam of all."""

from __future__ import annotations

from whatif.plugins import SectionSeam, classes_in
from whatif.splits.base import Split

SEAM = SectionSeam("whatif.splits", Split, "split", classes_in(__name__, Split), "holdout")
