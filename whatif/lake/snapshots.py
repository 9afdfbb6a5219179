"""Snapshots of tables: pinned, read by Spark as they were, kept by a tag, and written beside the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.errors import LakeError
from whatif.lake.local_tables import (
    begin_branch_locally,
    name_branch_locally,
    publish_branch_locally,
    tag_locally,
)
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


def begin_branch(spark: SparkSession | None, location: LakeLocation, name: str, branch: str) -> str | None:
    """Let a branch of a table begin at its present snapshot, and return what a commit to it names.

    A table without any snapshot can have no branch but one of Spark's, which begins with an empty snapshot:
    without a session, None lets a commit stand beside the table, until `name_branch`.

    Parameters
    ----------
    spark : SparkSession or None
        The session that is to write to the branch; None if this process is.
    location : LakeLocation
        Where the lake is.
    name, branch : str
        Of the table, and of the branch.
    """
    if spark is None:
        return begin_branch_locally(location, name, branch)
    spark.sql(f"ALTER TABLE {location.identifier(name)} CREATE BRANCH `{branch}`")
    return branch


def name_branch(spark: SparkSession | None, location: LakeLocation, name: str, branch: str) -> None:
    """Let a branch name the commit that stands beside a table, if it does not have that already."""
    if spark is None:
        name_branch_locally(location, name, branch)


def publish_branch(spark: SparkSession | None, location: LakeLocation, name: str, branch: str) -> None:
    """Let the table be what its branch is, and the branch be gone.

    Raises
    ------
    LakeError
        If another process has written to the table since the branch began, as on a catalog service it may.
    """
    if spark is None or location.local:
        publish_branch_locally(location, name, branch)
        return
    whole = f"{location.namespace}.{name}"
    try:
        spark.sql(f"CALL {location.catalog}.system.fast_forward('{whole}', 'main', '{branch}')").collect()
    except Exception as error:
        if "not an ancestor" not in str(error):
            raise
        raise LakeError(
            f"table {name}: another process wrote to it while this delivery was checked on its branch; "
            "nothing of it is in the table: run the same command again"
        ) from error
    spark.sql(f"ALTER TABLE {location.identifier(name)} DROP BRANCH `{branch}`")
