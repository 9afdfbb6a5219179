"""The searches that a study can name."""

from __future__ import annotations

from whatif.plugins import SectionSeam
from whatif.searches.base import Search
from whatif.searches.walk import Grid

SEAM = SectionSeam("whatif.searches", Search, "search", {"grid": Grid}, "grid")
