"""Files of the local lake, each written whole and with Hadoop's checksum file beside it.

And those of a table's metadata: its next version, the hint that names it, and all of them for another folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pyarrow.fs import LocalFileSystem
from pyiceberg.avro.codecs import AVRO_CODEC_KEY
from pyiceberg.avro.encoder import BinaryEncoder
from pyiceberg.avro.file import META_SCHEMA, AvroFile, AvroFileHeader, AvroOutputFile
from pyiceberg.avro.resolver import construct_writer
from pyiceberg.io import InputFile, OutputFile, OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.typedef import Record

from whatif.errors import LakeError
from whatif.paths import written_whole
from whatif.pins import (
    CHECKSUM_CHUNK,
    CHECKSUM_HEADER,
    HINT,
    checksum_file,
    checksums,
    local_parts,
    local_path,
    metadata_path,
    newest_metadata,
    versions_in,
)

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

Metadata = dict[str, Any]
"""Metadata of a table, as they are written."""

_LENGTH, _LISTED = 501, 500
"""Field ids of a manifest's length and path, in a list of manifests."""


class SummedFileIO(PyArrowFileIO):
    """Files of this machine, each written with Hadoop's checksum file beside it; remembers which it made."""

    def __init__(self, properties: Mapping[str, str] | None = None) -> None:
        super().__init__(dict(properties or {}))
        self.made: list[str] = []

    def new_output(self, location: str) -> PyArrowFile:
        """Return a file to be written."""
        path = local_path(location)
        if path is None:
            raise LakeError(f"{location} is no file of this machine, where the local lake is")
        self.made.append(location)
        return _SummedFile(location, str(path), LocalFileSystem())

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete a file, and its checksum file."""
        super().delete(location)
        path = local_path(location if isinstance(location, str) else location.location)
        if path is not None:
            checksum_file(path).unlink(missing_ok=True)


class _SummedFile(PyArrowFile):
    def create(self, overwrite: bool = False) -> OutputStream:
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        return _SummedStream(super().create(overwrite), Path(self._path))


_SUMMED_AT_ONCE = 256 * 1024
"""Bytes that wait for their checksums: Parquet's pages are written in many small pieces."""


class _SummedStream:
    """A file that is written from its beginning to its end, and its checksums."""

    def __init__(self, stream: OutputStream, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._sums = bytearray(CHECKSUM_HEADER)
        self._rest = bytearray()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return bool(self._stream.closed)  # type: ignore[attr-defined]

    def write(self, data: Any) -> int:
        """Write bytes at the end, and return how many."""
        text = bytes(data)
        self._stream.write(text)
        self._rest += text
        if len(self._rest) >= _SUMMED_AT_ONCE:
            end = len(self._rest) - len(self._rest) % CHECKSUM_CHUNK
            self._sums += checksums(self._rest[:end])
            del self._rest[:end]
        return len(text)

    def flush(self) -> None:
        """Do nothing: what is written is looked at once the file is closed."""

    def tell(self) -> int:
        """Return how many bytes were written."""
        return int(self._stream.tell())

    def close(self) -> None:
        """Close the file, and write its checksum file."""
        if self.closed:
            return
        self._stream.close()
        checksum_file(self._path).write_bytes(self._sums + checksums(self._rest))

    def __enter__(self) -> _SummedStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def metadata_version(path: Path) -> int:
    """Return the version that the name of a metadata file says."""
    return int(path.name[1:].split(".", 1)[0])


def publish(folder: Path, version: int, text: str) -> Path:
    """Write a version of a table's metadata, all or nothing, and let the hint name it; return its path.

    Raises
    ------
    LakeError
        If another writer was faster.
    """
    target = metadata_path(folder, version)
    staged = target.with_name(f"{uuid4().hex}.staged")
    sums = target.with_name(f"{uuid4().hex}.staged")
    data = text.encode()
    try:  # all that needs room on the disk is written before the version is there
        staged.write_bytes(data)
        sums.write_bytes(CHECKSUM_HEADER + checksums(data))
        os.link(staged, target)
        sums.replace(checksum_file(target))
    except FileExistsError as error:
        raise LakeError(f"{target} was written meanwhile: run the same command again") from error
    finally:
        staged.unlink(missing_ok=True)
        sums.unlink(missing_ok=True)
    with suppress(OSError):  # a hint that is behind is looked on from
        set_hint(folder, version)
    return target


def set_hint(folder: Path, version: int) -> None:
    """Let a table's version hint name a version."""
    hint = folder / "metadata" / HINT
    with written_whole(hint) as part:
        part.write_text(str(version), encoding="utf-8")
        # the checksum of the old hint would make Hadoop refuse the new one
        hint.with_name(f".{HINT}.crc").unlink(missing_ok=True)


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


def readdress(folder: Path, old: str) -> int:
    """Let all metadata of a table name files below its own folder, and return how many files were written.

    Iceberg names files by whole paths: metadata name lists of manifests, these the manifests, and those the
    files of rows, which name none and stay as they are.

    Each file is replaced whole, what names it after it, and the newest metadata last: killed anywhere, the
    same call goes on.

    Parameters
    ----------
    folder : Path
        The table's folder now.
    old : str
        Its folder when it was written, as its metadata has it, with a scheme or without.

    Raises
    ------
    LakeError
        If the table has files of deleted rows, which name files inside; before anything is written.
    """
    moved = _renaming(old, str(folder.absolute()))
    manifests: list[Path] = []
    lists: list[Path] = []
    for path in sorted((folder / "metadata").glob("*.avro")):
        header = _header(path)
        if header.get("content") == "deletes":
            raise LakeError(
                f"{path} lists files of deleted rows, which name other files: move the lake back, or link "
                "its old path to the new one (ln -s NEW OLD)"
            )
        (manifests if "content" in header or "partition-spec" in header else lists).append(path)
    for path in manifests:
        _write_anew(path, moved)
    for path in lists:
        _write_anew(path, moved, lambda listed: _path_of(listed).stat().st_size)
    versions = sorted(versions_in(folder))
    for version in versions:
        path = metadata_path(folder, version)
        text = json.dumps(_with(json.loads(path.read_text(encoding="utf-8")), moved))
        _replace(path, text.encode())
    return len(manifests) + len(lists) + len(versions)


def _renaming(old: str, new: str) -> Callable[[str], str]:
    """Return what changes a path below one folder into that below another, and leaves any other text."""
    before = str(local_path(old))

    def moved(text: str) -> str:
        scheme, path = local_parts(text) or ("", "")
        if path == before or path.startswith(f"{before}/"):
            return scheme + new + path[len(before) :]
        return text

    return moved


def _path_of(location: str) -> Path:
    path = local_path(location)
    assert path is not None  # it was named for this folder
    return path


def _with(value: Any, moved: Callable[[str], str]) -> Any:
    """Return a value of JSON or Avro with each text changed, wherever in it."""
    if isinstance(value, str):
        return moved(value)
    if isinstance(value, Mapping):
        return {key: _with(one, moved) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with(one, moved) for one in value]
    if isinstance(value, Record):
        return Record(*(_with(value[k], moved) for k in range(len(value))))
    return value


def _header(path: Path) -> dict[str, str]:
    with AvroFile[Record](PyArrowFileIO().new_input(str(path))) as opened:
        return opened.header.meta


def _write_anew(
    path: Path, moved: Callable[[str], str], length_of: Callable[[str], int] | None = None
) -> None:
    """Write an Avro file with texts changed; of a list of manifests, with their lengths as they are now."""
    with AvroFile[Record](PyArrowFileIO().new_input(str(path))) as opened:
        rows, schema, meta = list(opened), opened.schema, opened.header.meta
    rows = [_with(row, moved) for row in rows]
    if length_of is not None:
        ids = [field.field_id for field in schema.fields]
        for row in rows:
            row[ids.index(_LENGTH)] = length_of(row[ids.index(_LISTED)])
    staged = path.with_name(f"{uuid4().hex}.staged")
    try:
        with _SameHeader(SummedFileIO().new_output(str(staged)), schema, meta) as written:
            written.write_block(rows)
        checksum_file(path).unlink(missing_ok=True)  # a file without one is read as it is
        os.replace(staged, path)
        os.replace(checksum_file(staged), checksum_file(path))
    finally:
        staged.unlink(missing_ok=True)
        checksum_file(staged).unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> None:
    staged = path.with_name(f"{uuid4().hex}.staged")
    try:
        staged.write_bytes(data)
        checksum_file(path).unlink(missing_ok=True)
        os.replace(staged, path)
        checksum_file(path).write_bytes(CHECKSUM_HEADER + checksums(data))
    finally:
        staged.unlink(missing_ok=True)


class _SameHeader(AvroOutputFile[Record]):
    """An Avro file with the header of another: its schema as it was written, and all that is noted there."""

    def __init__(self, output_file: Any, schema: Schema, meta: Mapping[str, str]) -> None:
        super().__init__(output_file, schema, "", metadata={AVRO_CODEC_KEY: "null", **meta})

    def _write_header(self) -> None:
        self.encoder = BinaryEncoder(self.output_stream)
        header = AvroFileHeader(b"Obj\x01", dict(self.metadata), self.sync_bytes)
        construct_writer(META_SCHEMA).write(self.encoder, header)
