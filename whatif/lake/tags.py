"""Tags: snapshots of the bars that a study keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.lake.lock import writer_lock
from whatif.pins import LakeLocation, Pin

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def tag_pin(spark: SparkSession, location: LakeLocation, pin: Pin, tag: str) -> None:
    """Let `tag` name the pinned snapshot, whatever it named before.

    A tag keeps its snapshot from being expired; `whatif.pins.tagged_pin` finds it again.

    Parameters
    ----------
    spark : SparkSession
        The session.
    location : LakeLocation
        Where the lake is.
    pin : Pin
        Table and snapshot.
    tag : str
        Letters, digits, ".", "-" and "_".
    """
    with writer_lock(location, f"tag {pin.table}"):
        spark.sql(
            f"ALTER TABLE {location.identifier(pin.table)} CREATE OR REPLACE TAG `{tag}` "
            f"AS OF VERSION {pin.snapshot_id}"
        )
