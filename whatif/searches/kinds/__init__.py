"""Searches that come along, one class in each module, and the seam of all."""

from __future__ import annotations

from whatif.plugins import SectionSeam, classes_in
from whatif.searches.base import Search

SEAM = SectionSeam("whatif.searches", Search, "search", classes_in(__name__, Search), "grid")
