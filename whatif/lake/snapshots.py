"""Snapshots of tables: pinned, read by Spark as they were, and kept by a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.lake.local_tables import tag_locally
from whatif.lake.lock import writer_lock
from whatif.pins import LakeLocation, Pin, current_pin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def pin(spark: SparkSession, location: LakeLocation, table: str) -> Pin:
    """Return the pin of a table's current snapshot.

    Raises
    ------
    LakeError
        If the table does not exist or has no snapshot.
    """
    # the catalog, not the session, is asked: a session may hold an older view of a table
    return current_pin(location, table)


def read_pinned(spark: SparkSession, location: LakeLocation, pinned: Pin) -> DataFrame:
    """Return the rows of a pin as a DataFrame."""
    return spark.read.option("snapshot-id", str(pinned.snapshot_id)).table(location.identifier(pinned.table))


def tag_pin(spark: SparkSession | None, location: LakeLocation, pin: Pin, tag: str) -> None:
    """Let `tag` name the pinned snapshot, whatever it named before.

    A tag keeps its snapshot from being expired; `whatif.pins.tagged_pin` finds it again.

    Parameters
    ----------
    spark : SparkSession or None
        The session, which only a catalog service needs.
    location : LakeLocation
        Where the lake is.
    pin : Pin
        Table and snapshot.
    tag : str
        Letters, digits, ".", "-" and "_".
    """
    with writer_lock(location, f"tag {pin.table}"):
        if spark is None or location.local:
            tag_locally(location, pin.table, pin.snapshot_id, tag)
            return
        spark.sql(
            f"ALTER TABLE {location.identifier(pin.table)} CREATE OR REPLACE TAG `{tag}` "
            f"AS OF VERSION {pin.snapshot_id}"
        )
