"""Maintenance of the local lake's results: small files are joined, and old snapshots go.

Each run leaves a few small files, a snapshot and a metadata file in every table that it writes to, all of
which the next one has to look through.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from whatif.lake.lock import writer_lock
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.spec import TableSpec
from whatif.lake.tables import BARS_QUARANTINE, EQUITY, TEST_LOOKS, TRADES
from whatif.pins import LakeLocation, in_words, open_table, table_exists

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyspark.sql import SparkSession

COMMITS = 60
"""Commits to a table after which its files are joined."""

KEPT_SNAPSHOTS = 20
"""Newest snapshots of a table that stay, whatever their age."""

KEPT_FOR = timedelta(hours=1)
"""How long any snapshot stays: what reads an older one has ended by then."""

MAINTAINED = (RESULTS, RETURNS, TRADES, EQUITY, TEST_LOOKS, BARS_QUARANTINE)
"""Tables that are only read as they stand. Of bars, features and predictions older snapshots are pinned."""


def maintain(
    spark: SparkSession,
    location: LakeLocation,
    tables: Sequence[TableSpec] = MAINTAINED,
    commits: int = COMMITS,
    kept: int = KEPT_SNAPSHOTS,
    kept_for: timedelta = KEPT_FOR,
) -> list[str]:
    """Join the small files of tables that many commits were made to, and drop their old snapshots.

    No row changes. A catalog service maintains its tables itself, and is left alone.

    Parameters
    ----------
    spark : SparkSession
        The session.
    location : LakeLocation
        Where the lake is.
    tables : sequence of TableSpec, optional
        Tables to look at.
    commits : int
        Commits since files were joined last, from which on a table is maintained.
    kept : int
        Newest snapshots of a table that stay, whatever their age.
    kept_for : timedelta
        Age up to which snapshots stay.

    Returns
    -------
    list of str
        Names of the tables that were maintained.

    Raises
    ------
    LakeLockedError
        If another process is writing.
    """
    done: list[str] = []
    if not location.local:
        return done
    for spec in tables:
        if table_exists(location, spec.name) and _commits_since(open_table(location, spec.name)) >= commits:
            with in_words(location.described), writer_lock(location, f"join files of {spec.name}"):
                _join_files(spark, location, spec)
                _expire_snapshots(spark, location, spec, kept, kept_for)
            done.append(spec.name)
    return done


def _commits_since(table: Table) -> int:
    """Return how many commits were made to a table since its files were joined."""
    newest = sorted(table.metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True)
    for count, snapshot in enumerate(newest):
        if snapshot.summary is not None and snapshot.summary.operation.value == "replace":
            return count
    return len(newest)


def _join_files(spark: SparkSession, location: LakeLocation, spec: TableSpec) -> None:
    spark.sql(
        f"CALL {location.catalog}.system.rewrite_data_files(table => '{location.namespace}.{spec.name}', "
        "options => map('min-input-files', '2'))"
    )


def _expire_snapshots(
    spark: SparkSession, location: LakeLocation, spec: TableSpec, kept: int, kept_for: timedelta
) -> None:
    """Drop snapshots, and the files that only they name, by Iceberg's own API.

    The SQL procedure finds the files by jobs of Spark, for 6 seconds where this takes 0.2.
    """
    jvm: Any = getattr(spark, "_jvm", None)
    if jvm is None:  # Spark Connect: the server's JVM is out of reach
        return
    before = int((datetime.now(UTC) - kept_for).timestamp() * 1000)
    table = jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(
        spark._jsparkSession, location.identifier(spec.name)
    )
    table.expireSnapshots().expireOlderThan(before).retainLast(kept).commit()
