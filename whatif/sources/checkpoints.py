"""Checkpoints of sources: how far each part of one has landed, kept on the table of bars.

They are written after the bars, so that they never say more than what is there: what a killed ingest has
landed without its checkpoint is read again, and adds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from whatif.lake import BARS, FORGOTTEN
from whatif.pins import LakeLocation, open_table, table_exists
from whatif.sources.base import Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Checkpoints: TypeAlias = Mapping[str, tuple[str, int]]
"""Part → checkpoint, and rows that came before it."""

_PREFIX = "whatif.checkpoints."


def checkpoints_of(location: LakeLocation, source: Source) -> Checkpoints:
    """Return where a source with these options goes on; nothing if it begins anew.

    It does after bars were taken back, and where the table was put back to an older snapshot.
    """
    if not table_exists(location, BARS.name):
        return {}
    table = open_table(location, BARS.name)
    text = table.properties.get(_property(source))
    if text is None:
        return {}
    stored = json.loads(text)
    latest = max((name for name in table.properties if name.startswith(FORGOTTEN)), default="")
    if latest > FORGOTTEN + stored["at"] or stored["snapshot"] not in _history(location):
        return {}
    return {part: (checkpoint, rows) for part, (checkpoint, rows) in stored["parts"].items()}


def store_checkpoints(
    spark: SparkSession, location: LakeLocation, source: Source, landed: Checkpoints, at: datetime
) -> None:
    """Note how far a source has landed, if that is further than what is noted.

    Parameters
    ----------
    spark, location
        The session, and where the lake is.
    source : Source
        What was read.
    landed : mapping of str to (str, int)
        Part → checkpoint behind its rows that have landed, and how many rows came before it.
    at : datetime
        When the delivery began to be written; tz-aware.
    """
    before = checkpoints_of(location, source)
    if not landed or all(before.get(part) == place for part, place in landed.items()):
        return
    history = _history(location)
    stored = {
        "at": at.strftime("%Y%m%d%H%M%S%f"),
        "snapshot": history[0],
        "parts": {**before, **landed},
    }
    text = json.dumps(stored).replace("\\", "\\\\").replace("'", "\\'")
    name = location.identifier(BARS.name)
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('{_property(source)}' = '{text}')")


def _property(source: Source) -> str:
    """Return the property of a source with its options, which may hold a key: a digest of them."""
    options = json.dumps(source.model_dump(mode="json"), sort_keys=True)
    return f"{_PREFIX}{source.label}.{sha256(options.encode()).hexdigest()[:16]}"


def _history(location: LakeLocation) -> list[int | None]:
    """Return the snapshots that the table's newest one is made of, itself first; [None] before the first."""
    metadata = open_table(location, BARS.name).metadata
    parents = {snapshot.snapshot_id: snapshot.parent_snapshot_id for snapshot in metadata.snapshots}
    found: list[int | None] = []
    at = metadata.current_snapshot_id
    while at is not None and at in parents:
        found.append(at)
        at = parents[at]
    return found or [None]
