"""Pinned rows: which snapshot, and how to read it without Spark."""

from __future__ import annotations

from whatif.pins.cache import PinnedCache
from whatif.pins.current import current_pin, find_pin, open_table, table_exists, tagged_pin
from whatif.pins.location import LakeLocation, catalog_properties
from whatif.pins.pin import Pin
from whatif.pins.predictions import read_predictions
from whatif.pins.read import read_arrow, read_bars

__all__ = [
    "LakeLocation",
    "Pin",
    "PinnedCache",
    "catalog_properties",
    "current_pin",
    "find_pin",
    "open_table",
    "read_arrow",
    "read_bars",
    "read_predictions",
    "table_exists",
    "tagged_pin",
]
