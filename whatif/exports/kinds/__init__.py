"""Formats that come along, one in each module; each is known by its module's name."""

from __future__ import annotations

from whatif.exports.base import Format
from whatif.plugins import Seam, classes_in

SEAM = Seam("whatif.exports", Format, "format", classes_in(__name__, Format))
"""Where formats are found."""
