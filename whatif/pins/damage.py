"""Damaged files of a table: which file it is, what is wrong with it, and which snapshot still works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whatif.errors import LakeDamagedError, LakeError, WhatIfError
from whatif.pins.integrity import file_fault, local_path, stored_fault
from whatif.pins.manifests import files_of, manifests_of
from whatif.pins.metadata import time_of_ms
from whatif.pins.service import DAMAGED, explained

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table import DataScan, FileScanTask
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

REMEDY = "'whatif doctor' says what else is damaged, and goes back to it with --repair"


@dataclass(frozen=True)
class Damage:
    """A file of a table that is missing, cut off or altered.

    Attributes
    ----------
    file : str
        Its path or address.
    fault : str
        What is wrong with it, as a clause: "is missing".
    """

    file: str
    fault: str


@contextmanager
def reading(table: str, scanned: DataScan) -> Iterator[None]:
    """Turn an error of reading a table's files into one that names the damaged file.

    An error that no damaged file explains passes as it is: a service that did not answer, say.

    Raises
    ------
    LakeDamagedError
        Names the file and the newest snapshot that does without it.
    LakeError
        For what a catalog or object store refuses.
    """
    try:
        yield
    except (WhatIfError, MemoryError):
        raise
    except Exception as error:
        told = explained(error)
        if told is not None and not told.startswith(DAMAGED):
            raise LakeError(f"pin of {table}: {told}") from error
        damage = _damage_of(scanned)
        if damage is None:
            raise
        snapshot = scanned.snapshot()
        raise damaged(table, scanned.table_metadata, scanned.io, snapshot, damage) from error


def check_manifests(table: str, metadata: TableMetadata, io: FileIO, snapshot: Snapshot) -> None:
    """Refuse a snapshot whose list of files is missing or altered, for other rows would be read in silence.

    Raises
    ------
    LakeDamagedError
        Names the file and the newest snapshot that does without it.
    """
    damage = _manifest_damage(io, snapshot)
    if damage is not None:
        raise damaged(table, metadata, io, snapshot, damage)


def planned(table: str, scanned: DataScan) -> list[FileScanTask]:
    """Return the files that a scan reads, each compared with its checksum file, where it has one.

    Page checksums do not cover a file's footer, whose statistics decide which rows are looked at.

    Raises
    ------
    LakeDamagedError
        Names the first file that is missing or altered, and the newest snapshot that does without it.
    """
    tasks = files_of(scanned)
    for task in tasks:
        for file in (task.file, *task.delete_files):
            fault = stored_fault(file.file_path)
            if fault:
                damage = Damage(file.file_path, fault)
                raise damaged(table, scanned.table_metadata, scanned.io, scanned.snapshot(), damage)
    return tasks


def snapshot_damage(io: FileIO, snapshot: Snapshot) -> Iterator[Damage]:
    """Yield the damaged files of a snapshot: all of its files are read."""
    damage = _manifest_damage(io, snapshot)
    if damage is not None:
        yield damage
        return
    for manifest in snapshot.manifests(io):
        try:
            entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
        except Exception as error:  # whatever an Avro reader makes of other bytes
            yield Damage(manifest.manifest_path, f"cannot be decoded: {error}")
            continue
        for file in (entry.data_file for entry in entries):
            fault = file_fault(io, file.file_path, file.file_size_in_bytes)
            if fault:
                yield Damage(file.file_path, fault)


def newest_whole(metadata: TableMetadata, io: FileIO, before: Snapshot) -> Snapshot | None:
    """Return the newest ancestor of a snapshot that has no damaged file, or None."""
    parent = before.parent_snapshot_id
    while parent is not None:
        candidate = metadata.snapshot_by_id(parent)
        if candidate is None or next(snapshot_damage(io, candidate), None) is None:
            return candidate
        parent = candidate.parent_snapshot_id
    return None


def moved_from(metadata: TableMetadata) -> str:
    """Say that a local table's own folder is not where it was written, and what to do; "" where it is.

    Iceberg names files by whole paths, so a lake that is moved finds none of them: nothing of it is damaged.
    """
    folder = local_path(metadata.location)
    if folder is None or not folder.is_absolute() or folder.exists():
        return ""
    return (
        f"its files are named below {folder}, which is not there: the lake was moved. "
        "'whatif doctor --repair' names them where they are now"
    )


def damaged(
    table: str, metadata: TableMetadata, io: FileIO, snapshot: Snapshot | None, damage: Damage
) -> LakeDamagedError:
    """Return the error that names a damaged file of a snapshot and the newest older one that does without."""
    if old := moved_from(metadata):
        return LakeDamagedError(f"table {table} cannot be read: {old}")
    whole = None if snapshot is None else newest_whole(metadata, io, snapshot)
    text = f"table {table} is damaged: {damage.file} {damage.fault}; "
    if whole is None:
        return LakeDamagedError(
            text + "no older snapshot does without it: 'whatif doctor' says what can be rebuilt"
        )
    return LakeDamagedError(text + f"{described(whole)} still works: {REMEDY}")


def described(snapshot: Snapshot) -> str:
    """Return a snapshot's name and time, for messages."""
    moment = time_of_ms(snapshot.timestamp_ms)
    return f"snapshot {snapshot.snapshot_id} of {moment:%Y-%m-%d %H:%M:%S} UTC"


def _manifest_damage(io: FileIO, snapshot: Snapshot) -> Damage | None:
    """Return the first file that lists a snapshot's files and is missing or altered, or None."""
    fault = stored_fault(snapshot.manifest_list)
    if fault:
        return Damage(snapshot.manifest_list, fault)
    try:
        manifests = manifests_of(snapshot, io)
    except Exception as error:  # whatever an Avro reader makes of other bytes
        return Damage(snapshot.manifest_list, f"cannot be decoded: {error}")
    for manifest in manifests:
        fault = stored_fault(manifest.manifest_path)
        if fault:
            return Damage(manifest.manifest_path, fault)
    return None


def _damage_of(scanned: DataScan) -> Damage | None:
    """Return the first damaged file that a scan reads, or None."""
    try:
        tasks = list(scanned.plan_files())
    except Exception as error:  # a manifest that cannot be decoded
        return Damage("a manifest", f"cannot be decoded: {error}")
    for task in tasks:
        for file in (task.file, *task.delete_files):
            fault = file_fault(scanned.io, file.file_path, file.file_size_in_bytes)
            if fault:
                return Damage(file.file_path, fault)
    return None
