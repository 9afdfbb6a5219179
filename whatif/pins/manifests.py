"""Lists of a table's files, decoded once by a process as long as they stay as they are."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from whatif.pins.integrity import local_path

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestEntry, ManifestFile
    from pyiceberg.table import DataScan, FileScanTask
    from pyiceberg.table.snapshots import Snapshot

MAX_KEPT = 256 * 1024
"""Bytes of a manifest whose entries are kept: those of a larger one take more memory than time."""

_Identity = tuple[int, int, int]


def manifests_of(snapshot: Snapshot, io: FileIO) -> list[ManifestFile]:
    """Return the manifests of a snapshot, which nobody may change."""
    identity = _identity(snapshot.manifest_list)
    if identity is None:
        return snapshot.manifests(io)
    return list(_listed(snapshot.manifest_list, identity))


def files_of(scanned: DataScan) -> list[FileScanTask]:
    """Return the files that a scan reads, which nobody may change."""
    from pyiceberg.table import ManifestGroupPlanner

    snapshot = scanned.snapshot()
    if snapshot is None or _identity(snapshot.manifest_list) is None:
        return list(scanned.plan_files())
    planner = ManifestGroupPlanner(
        scanned.table_metadata, scanned.io, scanned.row_filter, scanned.case_sensitive, scanned.options
    )
    return list(planner.plan_files(manifests_of(snapshot, scanned.io)))


def _identity(location: str) -> _Identity | None:
    """Return what tells a file of this machine from one that takes its place; None of another address."""
    path = local_path(location)
    try:
        about = None if path is None else path.stat()
    except OSError:  # whoever reads it says what is wrong
        return None
    return None if about is None else (about.st_size, about.st_mtime_ns, about.st_ino)


@lru_cache(maxsize=64)
def _listed(location: str, identity: _Identity) -> tuple[ManifestFile, ...]:
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.manifest import read_manifest_list

    return tuple(_kept()(*one._data) for one in read_manifest_list(PyArrowFileIO().new_input(location)))


@cache
def _kept() -> type[ManifestFile]:
    """Return the class of manifests that keep their entries."""
    from pyiceberg.manifest import ManifestFile

    class Kept(ManifestFile):
        """A manifest whose entries are decoded once."""

        def fetch_manifest_entry(self, io: FileIO, discard_deleted: bool = True) -> list[ManifestEntry]:
            identity = _identity(self.manifest_path) if self.manifest_length <= MAX_KEPT else None
            if identity is None:
                return super().fetch_manifest_entry(io, discard_deleted)
            return list(_entries(self, identity, discard_deleted))

    @lru_cache(maxsize=256)
    def _entries(of: ManifestFile, identity: _Identity, discard_deleted: bool) -> tuple[ManifestEntry, ...]:
        from pyiceberg.io.pyarrow import PyArrowFileIO

        return tuple(ManifestFile.fetch_manifest_entry(of, PyArrowFileIO(), discard_deleted))

    return Kept
