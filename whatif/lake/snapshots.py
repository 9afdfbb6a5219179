"""Pin a table, and read it as Spark sees it at a pin."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
