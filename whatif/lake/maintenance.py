"""Maintenance of local tables: small files are joined, old snapshots go, and metadata is put right.

Each run leaves a few small files, a snapshot and a metadata file in every table that it writes to, all of
which the next one has to look through. Metadata is put right without a JVM, where no row changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whatif.errors import LakeError
from whatif.lake.local_tables import metadata_version, publish
from whatif.lake.lock import writer_lock
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.spec import TableSpec
from whatif.lake.tables import BARS_QUARANTINE, EQUITY, TEST_LOOKS, TRADES
from whatif.pins import LakeLocation, in_words, newest_metadata, open_table, table_exists

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


Metadata = dict[str, Any]


def write_next(folder: Path, change: Callable[[Metadata], Metadata]) -> int:
    """Write a table's next metadata version, changed, and return its number.

    Parameters
    ----------
    folder : Path
        The table's folder.
    change : callable
        Takes the newest metadata as JSON and returns the next.

    Raises
    ------
    LakeError
        If another writer was faster.
    """
    newest = newest_metadata(folder)
    if newest is None:
        raise LakeError(f"{folder} holds no table")
    before: Metadata = json.loads(newest.read_text(encoding="utf-8"))
    after = change(json.loads(json.dumps(before)))
    written = min(before["last-updated-ms"], after["last-updated-ms"])
    log = [*after.get("metadata-log", []), {"timestamp-ms": written, "metadata-file": str(newest)}]
    version = metadata_version(newest) + 1
    publish(folder, version, json.dumps(after | {"metadata-log": log}))
    return version


def at_snapshot(metadata: Metadata, snapshot_id: int) -> Metadata:
    """Return metadata whose current snapshot is an older one of its own."""
    now = max(int(time.time() * 1000), metadata["last-updated-ms"])
    metadata["current-snapshot-id"] = snapshot_id
    metadata.setdefault("refs", {})["main"] = {"snapshot-id": snapshot_id, "type": "branch"}
    metadata["snapshot-log"] = [
        *metadata.get("snapshot-log", []),
        {"timestamp-ms": now, "snapshot-id": snapshot_id},
    ]
    metadata["last-updated-ms"] = now
    return metadata


def by_this_clock(metadata: Metadata, now_ms: int) -> Metadata:
    """Return metadata in which no time is after `now_ms` (milliseconds since 1970-01-01 UTC)."""
    entries = [
        *metadata.get("snapshots", []),
        *metadata.get("snapshot-log", []),
        *metadata.get("metadata-log", []),
    ]
    for entry in entries:
        entry["timestamp-ms"] = min(entry["timestamp-ms"], now_ms)
    metadata["last-updated-ms"] = min(metadata["last-updated-ms"], now_ms)
    return metadata
