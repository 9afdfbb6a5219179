"""Maintenance of local tables: small files are joined, old snapshots go, and metadata is put right.

Each run leaves a few small files, a snapshot and a metadata file in every table that it writes to, all of
which the next one has to look through. Metadata is put right without a JVM, where no row changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whatif.errors import LakeError
from whatif.lake.local_tables import FolderCatalog, metadata_version, publish, quiet
from whatif.lake.lock import writer_lock
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.spec import TableSpec
from whatif.lake.tables import BARS, BARS_QUARANTINE, EQUITY, TEST_LOOKS, TRADES
from whatif.pins import (
    LakeLocation,
    in_words,
    local_path,
    newest_metadata,
    open_table,
    table_exists,
)

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.snapshots import Snapshot

COMMITS = 12
"""Commits to a table after which its files are joined."""

JOINED = "whatif.joined"
"""What the summary of a snapshot says that joined files."""

JOINED_BYTES = 32 * 1024 * 1024
"""About how much of a table's files is joined at once, and held in memory decoded."""

_SIZE = "write.target-file-size-bytes"

_DAY_MS = 86_400_000

KEPT_SNAPSHOTS = 20
"""Newest snapshots of a table that stay, whatever their age."""

KEPT_FOR = timedelta(hours=1)
"""How long any snapshot stays: what reads an older one has ended by then."""

BARS_COMMITS, BARS_SNAPSHOTS = 16, 20
"""Commits to the table of bars after which its files are joined, and its newest snapshots that stay."""

MAINTAINED = (RESULTS, RETURNS, TRADES, EQUITY, TEST_LOOKS, BARS_QUARANTINE)
"""Tables that are only read as they stand. Of features and predictions older snapshots are pinned."""


def maintain_bars(location: LakeLocation) -> list[str]:
    """Join the small files of bars and their quarantine after many commits, and thin out snapshots of bars.

    No row changes. Of bars stay the newest snapshots, those that a tag names, as of every study that ran, and
    the last one of each day, so that `as_of` goes back by days.

    Raises
    ------
    LakeLockedError
        If another process is writing.
    """
    done = maintain(location, (BARS,), BARS_COMMITS, BARS_SNAPSHOTS, timedelta(0), daily=True)
    return done + maintain(location, (BARS_QUARANTINE,))


def maintain(
    location: LakeLocation,
    tables: Sequence[TableSpec] = MAINTAINED,
    commits: int = COMMITS,
    kept: int = KEPT_SNAPSHOTS,
    kept_for: timedelta = KEPT_FOR,
    daily: bool = False,
) -> list[str]:
    """Join the small files of tables that many commits were made to, and drop their old snapshots.

    No row changes. A catalog service maintains its tables itself, and is left alone; so is a table that names
    files outside of its folder, as that of a copied lake does: they are another lake's.

    Parameters
    ----------
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
    daily : bool
        Whether the last snapshot of each day (UTC) stays too.

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
                table = FolderCatalog(location).load_table((location.namespace, spec.name))
                if _named(table, location.table_folder(spec.name)) is None:
                    continue
                _join_files(table, spec)
                _expire_snapshots(table, kept, kept_for, daily)
            done.append(spec.name)
    return done


def _commits_since(table: Table) -> int:
    """Return how many commits were made to a table since its files were joined."""
    newest = sorted(table.metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True)
    for count, snapshot in enumerate(newest):
        summary = snapshot.summary
        # an older version joined files by Spark, whose commits say "replace"
        if summary is not None and (summary.operation.value == "replace" or summary.get(JOINED)):
            return count
    return len(newest)


def _join_files(table: Table, spec: TableSpec) -> None:
    """Write the rows of small files into few, in order, in one commit for some 32 MB of them."""
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.io.pyarrow import ArrowScan, _dataframe_to_data_files

    order = [(name, "ascending") for name in spec.sort_order]
    for files in _small(table):
        scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
        rows = scan.to_table(files)
        rows = rows.sort_by(order) if order else rows
        # PyIceberg measures rows in memory: files would stay small, and be joined again and again
        inflated = rows.nbytes / sum(file.file.file_size_in_bytes for file in files)
        size = {_SIZE: str(int(_file_bytes(table) * inflated))}
        metadata = table.metadata.model_copy(update={"properties": {**table.properties, **size}})
        with (
            quiet(),
            table.transaction() as change,
            change.update_snapshot({JOINED: "true"}).overwrite() as made,
        ):
            for file in files:
                made.delete_data_file(file.file)
            for written in _dataframe_to_data_files(metadata, rows, table.io, made.commit_uuid):
                made.append_data_file(written)


def _small(table: Table) -> Iterator[list[FileScanTask]]:
    """Yield files to join: those well below the size of a table's files, of which no row is deleted."""
    limit = 0.75 * _file_bytes(table)
    by_partition: dict[str, list[FileScanTask]] = {}
    for task in table.scan().plan_files():
        if not task.delete_files and task.file.file_size_in_bytes <= limit:
            by_partition.setdefault(str(task.file.partition), []).append(task)
    some: list[FileScanTask] = []
    size = 0
    for files in by_partition.values():
        if len(files) == 1:  # nothing to join it with
            continue
        for task in files:
            some.append(task)
            size += task.file.file_size_in_bytes
            if size > JOINED_BYTES:
                yield some
                some, size = [], 0
    if len(some) > 1:
        yield some


def _file_bytes(table: Table) -> int:
    """Return how large a table's files should be, at most what is joined at once."""
    return min(int(table.properties.get(_SIZE, JOINED_BYTES)), JOINED_BYTES)


def _expire_snapshots(table: Table, kept: int, kept_for: timedelta, daily: bool) -> None:
    """Drop snapshots, and then the files that only they name."""
    metadata = table.metadata
    before = int((datetime.now(UTC) - kept_for).timestamp() * 1000)
    newest = sorted(metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True)
    named = {reference.snapshot_id for reference in metadata.refs.values()}
    if daily:
        named |= {s.snapshot_id for s in {s.timestamp_ms // _DAY_MS: s for s in reversed(newest)}.values()}
    gone = [s for s in newest[kept:] if s.timestamp_ms <= before and s.snapshot_id not in named]
    if not gone:
        return
    left = {snapshot.snapshot_id for snapshot in gone}
    stay = [snapshot for snapshot in newest if snapshot.snapshot_id not in left]
    unused = _files(table, gone) - _files(table, stay)
    table.maintenance.expire_snapshots().by_ids([snapshot.snapshot_id for snapshot in gone]).commit()
    for file in unused:
        with suppress(FileNotFoundError):
            table.io.delete(file)


def _files(table: Table, snapshots: Sequence[Snapshot]) -> set[str]:
    """Return all files that snapshots are made of: lists, manifests, data."""
    manifests = {m.manifest_path: m for s in snapshots for m in s.manifests(table.io)}
    data = {
        entry.data_file.file_path
        for manifest in manifests.values()
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    }
    return {snapshot.manifest_list for snapshot in snapshots} | set(manifests) | data


ORPHANED_FOR = timedelta(days=1)
"""How old a file must be that no snapshot names before it goes: a writer may be about to name it."""


@dataclass(frozen=True)
class Upkeep:
    """What upkeep did to a table.

    Attributes
    ----------
    table : str
        Its name.
    files, snapshots : tuple of (int, int)
        Data files that it is read from, and its snapshots, before and after.
    orphans : int or None
        Files that no snapshot named; None where the table names files outside of its folder,
        and was left alone.
    freed : int
        Bytes by which the table's folder is smaller; negative where joined files stand beside those that
        older snapshots hold.
    """

    table: str
    files: tuple[int, int]
    snapshots: tuple[int, int]
    orphans: int | None
    freed: int

    def summary(self) -> str:
        """Return it as a line for a terminal."""
        if self.orphans is None:
            return (
                f"{self.table}: left alone, for it names files outside of its folder, as a copied lake does"
            )
        return (
            f"{self.table}: {self.files[0]:,} → {self.files[1]:,} data files, {self.snapshots[0]:,} → "
            f"{self.snapshots[1]:,} snapshots, {self.orphans:,} orphans removed, "
            f"{self.freed / 1e6:,.1f} MB freed"
        )


def maintain_all(location: LakeLocation, orphaned_for: timedelta = ORPHANED_FOR) -> list[Upkeep]:
    """Join small files, drop old snapshots, remove orphans of all tables of the local lake, without a JVM.

    No row changes. Snapshots that a tag names stay, as every study's do, and of bars the last of each day; of
    tables whose older snapshots are pinned without a tag (features, predictions and what was ingested but
    bars) only orphans go. An orphan is a file of rows or a manifest, older than `orphaned_for`, which no
    snapshot of its table names: what a writer left behind that was killed.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    orphaned_for : timedelta
        Age from which on such files go.

    Returns
    -------
    list of Upkeep
        One for each table, by name.

    Raises
    ------
    LakeError
        If the lake is in a catalog service, which maintains its tables itself; a table cannot be read.
    LakeLockedError
        If another process is writing.
    """
    if not location.local:
        raise LakeError(
            f"{location.described} is in a catalog service, and 'whatif maintain' is for the local lake: "
            "turn on the service's own compaction and retention, or call Iceberg's procedures "
            "rewrite_data_files, expire_snapshots and remove_orphan_files"
        )
    return [_kept_up(location, name, orphaned_for) for name in _names(location)]


def _names(location: LakeLocation) -> list[str]:
    folder = location.warehouse / location.namespace
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if (path / "metadata").is_dir())


def _kept_up(location: LakeLocation, name: str, orphaned_for: timedelta) -> Upkeep:
    with in_words(location.described), writer_lock(location, f"maintain {name}"):
        before, folder = open_table(location, name), location.table_folder(name)
        files, snapshots, size = _data_files(before), len(before.metadata.snapshots), _bytes(folder)
        if _named(before, folder) is None:
            return Upkeep(name, (files, files), (snapshots, snapshots), None, 0)
        if name == BARS.name:
            maintain(location, (BARS,), 0, BARS_SNAPSHOTS, timedelta(0), daily=True)
        else:
            maintain(location, [spec for spec in MAINTAINED if spec.name == name], 0)
        table = FolderCatalog(location).load_table((location.namespace, name))
        orphans = _remove_orphans(table, folder, orphaned_for)
        return Upkeep(
            name,
            (files, _data_files(table)),
            (snapshots, len(table.metadata.snapshots)),
            orphans,
            size - _bytes(folder),
        )


def _data_files(table: Table) -> int:
    return sum(1 for _ in table.scan().plan_files())


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _named(table: Table, folder: Path) -> set[Path] | None:
    """Return the files that snapshots name; None where some are outside of the table's folder.

    Of a lake that was copied or moved it cannot be told what is an orphan, and its files are another's.
    """
    paths = [local_path(file) for file in _files(table, table.metadata.snapshots)]
    named = {path.resolve() for path in paths if path is not None}
    inside = all(path.is_relative_to(folder.resolve()) for path in named)
    return named if inside and None not in paths else None


def _remove_orphans(table: Table, folder: Path, orphaned_for: timedelta) -> int | None:
    """Remove the files of rows and manifests that no snapshot names, and return how many there were."""
    named = _named(table, folder)
    if named is None:
        return None
    before = time.time() - orphaned_for.total_seconds()
    written = _written(folder.resolve())
    gone = [path for path in written if path not in named and path.stat().st_mtime < before]
    for path in gone:
        table.io.delete(str(path))
    return len(gone)


def _written(folder: Path) -> Iterator[Path]:
    yield from (folder / "data").rglob("*.parquet")
    yield from (folder / "metadata").glob("*.avro")


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
