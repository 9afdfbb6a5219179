"""Tags: snapshots of the bars that a study keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.lake.lock import writer_lock
from whatif.pins import LakeLocation, Pin, current_pin, tagged_pin

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pin_by_tag(
    spark: SparkSession, location: LakeLocation, table: str, tag: str, latest: bool = False
) -> Pin:
    """Return the snapshot that `tag` names, tagging the current one if there is no such tag.

    A tag keeps its snapshot from being expired.

    Parameters
    ----------
    spark : SparkSession
        The session.
    location : LakeLocation
        Where the lake is.
    table : str
        Such as "bars".
    tag : str
        Letters, digits, - and _.
    latest : bool
        Move the tag to the current snapshot.
    """
    known = tagged_pin(location, table, tag)
    current = current_pin(location, table)
    if known is not None and (not latest or known.snapshot_id == current.snapshot_id):
        return known
    with writer_lock(location, f"tag {table}"):
        spark.sql(
            f"ALTER TABLE {location.identifier(table)} CREATE OR REPLACE TAG `{tag}` "
            f"AS OF VERSION {current.snapshot_id}"
        )
    return current
