"""Maintenance of local tables: small files are joined, old snapshots go, and metadata is put right.

Each run leaves a few small files, a snapshot and a metadata file in every table that it writes to, all of
which the next one has to look through. Metadata is put right without a JVM, where no row changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from whatif.errors import LakeError
from whatif.lake.create import set_properties
from whatif.lake.deliveries import keep_notes, notes_of
from whatif.lake.local_tables import (
    FolderCatalog,
    data_files,
    drop_branch_locally,
    files_in_turn,
    in_table_order,
    set_local_properties,
    whole_or_nothing,
)
from whatif.lake.lock import writer_lock
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.spec import TableSpec
from whatif.lake.tables import (
    BARS,
    BARS_QUARANTINE,
    CATALOGUE,
    CHECKPOINTS,
    DELIVERIES,
    EQUITY,
    TEST_LOOKS,
    TRADES,
)
from whatif.pins import (
    LakeLocation,
    in_words,
    local_path,
    open_table,
    rows_of_files,
    table_exists,
    table_names,
)

if TYPE_CHECKING:
    from uuid import UUID

    import pyarrow as pa
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.snapshots import Snapshot
    from pyspark.sql import DataFrame, SparkSession

COMMITS = 12
"""Commits to a table after which its files are joined."""

JOINED = "whatif.joined"
"""What the summary of a snapshot says that joined files."""

JOINED_BYTES = 32 * 1024 * 1024
"""About how much of a table's files is joined at once, and held in memory."""

JOINED_ROWS = 1_000_000
"""About how many rows are, unless they are less than one file should have."""

_SIZE = "write.target-file-size-bytes"

KEPT_DAYS = 31
"""Days of whose snapshots of bars the last one stays; of the months before, it is the last of each."""

KEPT_MONTHS = 24
"""Months of 31 days, back from now, of each of which one stays; of each year before, it is the last."""

KEPT_SNAPSHOTS = 20
"""Newest snapshots of a table that stay, whatever their age."""

KEPT_FOR = timedelta(hours=1)
"""How long any snapshot stays: what reads an older one has ended by then."""

BARS_COMMITS, BARS_SNAPSHOTS = 16, 20
"""Commits to the table of bars after which its files are joined, and its newest snapshots that stay."""

MAINTAINED = (RESULTS, RETURNS, TRADES, EQUITY, TEST_LOOKS, BARS_QUARANTINE, CATALOGUE, DELIVERIES)
"""Tables that are only read as they stand. Of features and predictions older snapshots are pinned."""


def maintain_bars(location: LakeLocation) -> list[str]:
    """Join the small files of bars and their quarantine after many commits, and thin out snapshots of bars.

    No row changes. Of bars stay the newest snapshots, those that a tag names, as of every study that ran, and
    the last one of each of the latest days, of each month before them and of each year before those, so that
    `as_of` goes back by these.

    Raises
    ------
    LakeLockedError
        If another process is writing.
    """
    done = maintain(location, (BARS,), BARS_COMMITS, BARS_SNAPSHOTS, timedelta(0), daily=True)
    return done + maintain(location, (BARS_QUARANTINE, DELIVERIES))


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
        Whether the last snapshot of each of the latest `KEPT_DAYS` days, of each month of the latest
        `KEPT_MONTHS` and of each year before (UTC), stays too.

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
                folder = location.table_folder(spec.name).resolve()
                if not _is_own(table, folder):
                    continue
                _join_files(table, spec)
                gone = _outdated(table, kept, kept_for, daily)
                if renewed := _checkpoints(table, gone):
                    set_local_properties(location, spec.name, renewed)
                keep_notes(location, notes_of(gone))
                _expire_snapshots(table.refresh(), gone, folder)
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
    """Write the rows of small files into few, in order, in one commit for some 32 MB or a million of them.

    Texts stay dictionaries until they are written: rows of series repeat their key, and are ten times as
    large in memory otherwise.
    """
    for files in _small(table):
        rows = in_table_order(spec, rows_of_files(table, files))
        # measured in memory: files would stay small otherwise, and be joined again and again
        inflated = rows.nbytes / sum(file.file.file_size_in_bytes for file in files)
        size = int(_file_bytes(table) * inflated)
        with (
            whole_or_nothing(table),
            table.transaction() as change,
            change.update_snapshot({JOINED: "true"}).overwrite() as made,
        ):
            for file in files:
                made.delete_data_file(file.file)
            for written in _written_anew(table, rows, made.commit_uuid, size):
                made.append_data_file(written)


def _written_anew(table: Table, rows: pa.Table, commit: UUID, size: int) -> Iterator[DataFile]:
    """Yield the files that rows are written into, each of so many bytes in memory."""
    if table.metadata.spec().fields:
        properties = {**table.properties, _SIZE: str(size)}
        metadata = table.metadata.model_copy(update={"properties": properties})
        return data_files(metadata, rows, table.io, commit)
    rows_in_file = max(1, size * rows.num_rows // rows.nbytes)
    return files_in_turn(table.metadata, rows, table.io, commit, rows_in_file)


def _small(table: Table) -> Iterator[list[FileScanTask]]:
    """Yield files to join: those well below the size of a table's files, of which no row is deleted."""
    limit = 0.75 * _file_bytes(table)
    by_partition: dict[str, list[FileScanTask]] = {}
    for task in table.scan().plan_files():
        if not task.delete_files and task.file.file_size_in_bytes <= limit:
            by_partition.setdefault(str(task.file.partition), []).append(task)
    some: list[FileScanTask] = []
    size = rows = 0
    for files in by_partition.values():
        if len(files) == 1:  # nothing to join it with
            continue
        for task in files:
            some.append(task)
            size += task.file.file_size_in_bytes
            rows += task.file.record_count
            if size > JOINED_BYTES or (rows > JOINED_ROWS and size > _file_bytes(table)):
                yield some
                some, size, rows = [], 0, 0
    if len(some) > 1:
        yield some


def _file_bytes(table: Table) -> int:
    """Return how large a table's files should be, at most what is joined at once."""
    return min(int(table.properties.get(_SIZE, JOINED_BYTES)), JOINED_BYTES)


def _is_own(table: Table, folder: Path) -> bool:
    """Tell whether a table's lists of manifests are all in its folder; of a copied lake they are not."""
    lists = [local_path(snapshot.manifest_list) for snapshot in table.metadata.snapshots]
    return all(path is not None and path.resolve().is_relative_to(folder) for path in lists)


def _expire_snapshots(table: Table, gone: Sequence[Snapshot], folder: Path) -> None:
    """Drop snapshots, and then the files of the table's folder that only they name."""
    from pyiceberg.table.update import RemoveSnapshotsUpdate

    if not gone:
        return
    left = [snapshot.snapshot_id for snapshot in gone]
    stay = [snapshot for snapshot in table.metadata.snapshots if snapshot.snapshot_id not in set(left)]
    unused = _Files(table.io).of_none(gone, stay)
    # PyIceberg's own way copies all metadata for each of them
    table.catalog.commit_table(table, (), (RemoveSnapshotsUpdate.model_validate({"snapshot-ids": left}),))
    for file in unused:
        path = local_path(file)
        if path is not None and path.resolve().is_relative_to(folder):
            with suppress(FileNotFoundError):
                table.io.delete(file)


def _outdated(table: Table, kept: int, kept_for: timedelta, daily: bool) -> list[Snapshot]:
    """Return the snapshots that need not stay: none that a tag or a branch names."""
    metadata = table.metadata
    before = int((datetime.now(UTC) - kept_for).timestamp() * 1000)
    newest = sorted(metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True)
    named = {reference.snapshot_id for reference in metadata.refs.values()}
    if daily:
        named |= {s.snapshot_id for s in {_period(s): s for s in reversed(newest)}.values()}
    return [s for s in newest[kept:] if s.timestamp_ms <= before and s.snapshot_id not in named]


def _checkpoints(table: Table, gone: Sequence[Snapshot]) -> dict[str, str]:
    """Return the checkpoints of sources by property that name a snapshot behind one that is to go.

    They name the oldest snapshot from which all later ones stay, which holds what they landed too.
    """
    past = table.metadata.current_snapshot_id
    parents = {s.snapshot_id: s.parent_snapshot_id for s in table.metadata.snapshots}
    left = {snapshot.snapshot_id for snapshot in gone}
    oldest, found = past, {}
    lost: set[int] = set()
    while past is not None and past in parents:
        if lost or past in left:
            lost.add(past)
        else:
            oldest = past
        past = parents[past]
    for name, text in table.properties.items():
        if name.startswith(CHECKPOINTS) and (stored := json.loads(text))["snapshot"] in lost:
            found[name] = json.dumps({**stored, "snapshot": oldest})
    return found


def _period(snapshot: Snapshot) -> str:
    """Return the day of a snapshot; of one before the latest days its month, before these months its year."""
    at = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
    age = datetime.now(UTC) - at
    if age < timedelta(days=KEPT_DAYS):
        return f"{at:%Y-%m-%d}"
    return f"{at:%Y-%m}" if age < timedelta(days=31 * KEPT_MONTHS) else f"{at:%Y}"


class _Files:
    """What snapshots of a table are made of; each list and manifest, which never change, is read once.

    Parameters
    ----------
    io : FileIO
        That of the table.
    """

    def __init__(self, io: FileIO) -> None:
        self._io = io
        self._lists: dict[str, list[ManifestFile]] = {}
        self._data: dict[str, dict[str, int]] = {}

    def of(self, snapshots: Sequence[Snapshot]) -> set[str]:
        """Return all files of snapshots: lists, manifests, data."""
        found = set()
        for snapshot in snapshots:
            found.add(snapshot.manifest_list)
            for manifest in self._manifests(snapshot):
                found.add(manifest.manifest_path)
                found |= self._data_of(manifest).keys()
        return found

    def of_none(self, gone: Sequence[Snapshot], stay: Sequence[Snapshot]) -> set[str]:
        """Return the files of snapshots that are of none of others: lists, manifests, data.

        What was written before all of these files names none of them, and is not looked into.
        """
        lists = {s.manifest_list for s in gone} - {s.manifest_list for s in stay}
        newest = sorted(stay, key=lambda s: s.sequence_number or 0, reverse=True)
        left = {m.manifest_path: m for s in gone for m in self._manifests(s)}
        for snapshot in newest:
            if (snapshot.sequence_number or 0) < min((m.sequence_number for m in left.values()), default=0):
                break
            for manifest in self._manifests(snapshot):
                left.pop(manifest.manifest_path, None)
        data = {path: number for m in left.values() for path, number in self._data_of(m).items()}
        first = min(data.values(), default=0)
        for snapshot in newest:
            if not data or (snapshot.sequence_number or 0) < first:
                break
            for manifest in self._manifests(snapshot):
                if manifest.sequence_number >= first:
                    data = {path: data[path] for path in data.keys() - self._data_of(manifest).keys()}
        return lists | left.keys() | data.keys()

    def _manifests(self, snapshot: Snapshot) -> list[ManifestFile]:
        if snapshot.manifest_list not in self._lists:
            self._lists[snapshot.manifest_list] = snapshot.manifests(self._io)
        return self._lists[snapshot.manifest_list]

    def _data_of(self, manifest: ManifestFile) -> dict[str, int]:
        """Return the files of rows that a manifest names, and in which commit, by number, each came."""
        if manifest.manifest_path not in self._data:
            entries = manifest.fetch_manifest_entry(self._io, discard_deleted=True)
            numbers = {entry.data_file.file_path: entry.sequence_number or 0 for entry in entries}
            self._data[manifest.manifest_path] = numbers
        return self._data[manifest.manifest_path]


def drop_branches(
    location: LakeLocation,
    name: str,
    prefix: str,
    spark: SparkSession | None = None,
    aged: timedelta = timedelta(0),
) -> None:
    """Let the branches of a table whose names begin so be gone, with what only they hold.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    name : str
        The table's.
    prefix : str
        Such as "audit-".
    spark : SparkSession, optional
        The session, which only a catalog service needs.
    aged : timedelta
        How long nothing was written to them: on a catalog service younger ones may be another process's.
    """
    before = (datetime.now(UTC) - aged).timestamp() * 1000
    metadata = open_table(location, name).metadata
    heads = {snapshot.snapshot_id: snapshot.timestamp_ms for snapshot in metadata.snapshots}
    for branch, head in metadata.refs.items():
        if not branch.startswith(prefix) or heads[head.snapshot_id] > before:
            continue
        with in_words(location.described), writer_lock(location, f"drop branch {branch}"):
            if location.local:
                drop_branch_locally(location, name, branch)
                table = FolderCatalog(location).load_table((location.namespace, name))
                gone = _unnamed(table, head.snapshot_id)
                _expire_snapshots(table, gone, location.table_folder(name).resolve())
            elif spark is not None:
                spark.sql(f"ALTER TABLE {location.identifier(name)} DROP BRANCH `{branch}`")
                _expire_these(spark, location, name, _unnamed(open_table(location, name), head.snapshot_id))


def _unnamed(table: Table, head: int) -> list[Snapshot]:
    """Return a snapshot and those before it, as far as neither a branch, a tag nor the log leads to them."""
    parents = {one.snapshot_id: one.parent_snapshot_id for one in table.metadata.snapshots}

    def back_from(at: int | None) -> set[int]:
        found: set[int] = set()
        while at is not None and at in parents and at not in found:
            found.add(at)
            at = parents[at]
        return found

    known = {entry.snapshot_id for entry in table.metadata.snapshot_log}
    known = known.union(*(back_from(one.snapshot_id) for one in table.metadata.refs.values()))
    mine = back_from(head) - known
    return [snapshot for snapshot in table.metadata.snapshots if snapshot.snapshot_id in mine]


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
    freed : int or None
        Bytes by which the table's folder is smaller; negative where joined files stand beside those that
        older snapshots hold. None on a catalog service, where nobody counts them.
    """

    table: str
    files: tuple[int, int]
    snapshots: tuple[int, int]
    orphans: int | None
    freed: int | None

    def summary(self) -> str:
        """Return it as a line for a terminal."""
        if self.orphans is None:
            return (
                f"{self.table}: left alone, for it names files outside of its folder, as a copied lake does"
            )
        return (
            f"{self.table}: {self.files[0]:,} → {self.files[1]:,} data files, {self.snapshots[0]:,} → "
            f"{self.snapshots[1]:,} snapshots, {self.orphans:,} orphans removed"
            + ("" if self.freed is None else f", {self.freed / 1e6:,.1f} MB freed")
        )


def maintain_all(
    location: LakeLocation, orphaned_for: timedelta = ORPHANED_FOR, spark: SparkSession | None = None
) -> list[Upkeep]:
    """Join small files, drop old snapshots, remove orphans of all tables; of the local lake without a JVM.

    No row changes. Snapshots that a tag names stay, as every study's do, and of bars the last of each of the
    latest days, of each month before and of each year before that; of tables whose older snapshots are pinned
    without a tag (features, predictions and what was ingested but bars) only orphans go. An orphan is a file
    of rows or a manifest, older than `orphaned_for`, which no snapshot of its table names: what a writer left
    behind that was killed.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    orphaned_for : timedelta
        Age from which on such files go; of a session at least a day, as Iceberg's procedures have it.
    spark : SparkSession, optional
        The session, which only a catalog service needs. Given, it calls Iceberg's procedures
        rewrite_data_files, expire_snapshots and remove_orphan_files.

    Returns
    -------
    list of Upkeep
        One for each table, by name.

    Raises
    ------
    LakeError
        If the lake is in a catalog service and no session is given; a table cannot be read or written.
    LakeLockedError
        If another process is writing.
    """
    if spark is not None:
        return [_kept_up_by_spark(spark, location, name, orphaned_for) for name in table_names(location)]
    if not location.local:
        raise LakeError(
            f"{location.described} is in a catalog service, which Spark alone writes to: give a session, as "
            "'whatif maintain' and jobs/maintain_tables.py do"
        )
    return [_kept_up(location, name, orphaned_for) for name in table_names(location)]


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


_NO_LISTING = ("No FileSystem for scheme", "UnsupportedFileSystemException")
"""What Hadoop says of addresses that it cannot list; Iceberg's own way to do so is new in 1.10."""


def _kept_up_by_spark(
    spark: SparkSession, location: LakeLocation, name: str, orphaned_for: timedelta
) -> Upkeep:
    """Do the same by Iceberg's procedures, which begin anew where other writers were faster."""
    with in_words(location.described), writer_lock(location, f"maintain {name}"):
        table = open_table(location, name)
        files, snapshots = _data_files(table), len(table.metadata.snapshots)
        spec = next((spec for spec in (BARS, *MAINTAINED) if spec.name == name), None)
        if spec is not None:
            sort = f", strategy => 'sort', sort_order => '{', '.join(spec.sort_order)}'"
            _call(
                spark, location, "rewrite_data_files", name,
                f"options => map('min-input-files', '2'){sort if spec.sort_order else ''}",
            )  # fmt: skip
            _expire_by_spark(spark, location, spec)
        before = datetime.now(UTC) - max(orphaned_for, ORPHANED_FOR) - timedelta(minutes=1)
        wanted = f"older_than => TIMESTAMP '{before:%Y-%m-%d %H:%M:%S}Z'"
        try:
            gone = _call(spark, location, "remove_orphan_files", name, wanted)
        except Exception as error:
            if not any(said in str(error) for said in _NO_LISTING):
                raise
            gone = _call(spark, location, "remove_orphan_files", name, f"{wanted}, prefix_listing => true")
        table = open_table(location, name)
        left = _data_files(table), len(table.metadata.snapshots)
    return Upkeep(name, (files, left[0]), (snapshots, left[1]), gone.count(), None)


def _expire_by_spark(spark: SparkSession, location: LakeLocation, spec: TableSpec) -> None:
    of_bars = spec.name == BARS.name
    kept, kept_for = (BARS_SNAPSHOTS, timedelta(0)) if of_bars else (KEPT_SNAPSHOTS, KEPT_FOR)
    table = open_table(location, spec.name)
    gone = _outdated(table, kept, kept_for, daily=of_bars)
    if gone:
        if renewed := _checkpoints(table, gone):
            set_properties(spark, location, spec.name, renewed)
        _expire_these(spark, location, spec.name, gone)


def _expire_these(spark: SparkSession, location: LakeLocation, name: str, gone: Sequence[Snapshot]) -> None:
    """Drop snapshots by Iceberg's procedure, and the files that only they name."""
    if gone:
        numbers = ", ".join(f"{snapshot.snapshot_id}L" for snapshot in gone)
        # without a time the procedure drops whatever is older than five days
        wanted = f"snapshot_ids => array({numbers}), older_than => TIMESTAMP '1970-01-02 00:00:00Z'"
        _call(spark, location, "expire_snapshots", name, wanted)


def _call(
    spark: SparkSession, location: LakeLocation, procedure: str, table: str, arguments: str
) -> DataFrame:
    """Call one of Iceberg's procedures on a table; what it returns is held, not computed again."""
    name = f"{location.namespace}.{table}"
    return spark.sql(f"CALL {location.catalog}.system.{procedure}(table => '{name}', {arguments})")


def _data_files(table: Table) -> int:
    return sum(1 for _ in table.scan().plan_files())


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _named(table: Table, folder: Path) -> set[Path] | None:
    """Return the files that snapshots name; None where some are outside of the table's folder.

    Of a lake that was copied or moved it cannot be told what is an orphan, and its files are another's.
    """
    paths = [local_path(file) for file in _Files(table.io).of(table.metadata.snapshots)]
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
