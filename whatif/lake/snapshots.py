"""Snapshots of tables: pinned, read by Spark as they were, kept by a tag, and written beside the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whatif.errors import LakeError
from whatif.lake.deliveries import delivery_id, instant_of, noted, snapshots_of
from whatif.lake.local_tables import (
    begin_branch_locally,
    name_branch_locally,
    publish_branch_locally,
    tag_locally,
)
from whatif.lake.lock import writer_lock
from whatif.lake.tables import BARS
from whatif.pins import LakeLocation, Pin, current_pin, open_table

if TYPE_CHECKING:
    from datetime import datetime

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


def removed_by(
    spark: SparkSession,
    location: LakeLocation,
    instants: Sequence[datetime],
    files: Sequence[str] | None = None,
) -> tuple[list[DataFrame], int]:
    """Return the bars that deliveries removed from their ranges, and how many cannot be read any more.

    Bars that are there again are none of them; of those that went twice, as they were before the last time.
    Of some `files` it is what lay between their own first and last bar, where other files of the delivery
    have bars of the same symbol and timeframe too; where none has, all that went.
    """
    known = noted(location)
    names = sorted((n for n in map(delivery_id, instants) if n in known and known[n].removed), reverse=True)
    if not names:
        return [], 0
    key, lost = list(BARS.key), 0
    found: list[DataFrame] = []
    table = open_table(location, BARS.name)
    snapshots = snapshots_of(location)
    there = read_pinned(spark, location, current_pin(location, BARS.name)).select(*key)
    for name in names:
        its = table.snapshot_by_id(snapshots[name]) if name in snapshots else None
        before = None if its is None else its.parent_snapshot_id
        if its is None or before is None or table.snapshot_by_id(before) is None:
            lost += known[name].removed
            continue
        then, after = (
            read_pinned(spark, location, Pin(BARS.name, number, table.metadata_location))
            for number in (before, its.snapshot_id)
        )
        rows = then.join(after.select(*key), key, "left_anti").join(there, key, "left_anti")
        rows = (rows if files is None else _of_files(rows, after, instant_of(name), files)).persist()
        there = there.unionByName(rows.select(*key))
        found.append(rows)
    return found, lost


def _of_files(rows: DataFrame, after: DataFrame, at: datetime, files: Sequence[str]) -> DataFrame:
    """Return those of the rows that a delivery removed which went by some of its files."""
    from pyspark.sql import functions as F  # noqa: N812

    series = ["symbol", "timeframe"]
    own = F.col("source").isin(list(files))
    began = F.when(own, F.col("ts"))
    ranges = after.groupBy(*series).agg(
        F.min(began).alias("first"),
        F.max(began).alias("last"),
        F.max(~own & (F.col("ingested_at") == F.lit(at))).alias("others"),
    )
    whole = ~F.col("others") & F.col("first").isNotNull()
    found = rows.join(ranges, series).where(whole | F.col("ts").between(F.col("first"), F.col("last")))
    return found.select(*rows.columns)
