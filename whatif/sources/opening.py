"""Files opened for reading, on a disk or in an object store."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa

from whatif.errors import SourceError
from whatif.pins import catalog_properties, explained
from whatif.sources.bounded import open_archive, open_member

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


MEMBER = "::"
"""Stands between a zip and the one file in it that is meant."""


class _Lent(io.RawIOBase):
    """A stream for a reader that closes what it reads from."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._raw.read(size)


UNPACKED_BY: dict[str, Callable[[Any], Any]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".bz2": lambda raw: bz2.BZ2File(raw),
    ".xz": lambda raw: lzma.LZMAFile(raw),  # noqa: SIM115
    ".zst": lambda raw: pa.CompressedInputStream(_Lent(raw), "zstd"),
}
"""Ending of a file's name → what unpacks it."""


class Unpacked(io.BufferedIOBase):
    """Bytes of a packed file, read in order; `seek(0)` begins anew."""

    def __init__(self, raw: IO[bytes], make: Callable[[Any], Any]) -> None:
        """Take the packed bytes, and what unpacks them."""
        self._raw, self._make = raw, make
        self._stream = make(raw)

    def readable(self) -> bool:
        """Return True."""
        return True

    def packed(self) -> int:
        """Return how many packed bytes were taken."""
        return self._raw.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, at most `size`.

        Raises
        ------
        OSError
            If they cannot be unpacked.
        """
        try:
            return bytes(self._stream.read() if size is None or size < 0 else self._stream.read(size))
        except (lzma.LZMAError, zlib.error, EOFError, pa.ArrowException) as error:
            raise OSError(str(error)) from error

    def read1(self, size: int = -1, /) -> bytes:
        """Return the next bytes, as `read`, never all at once."""
        return self.read(65_536 if size < 0 else size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Begin anew.

        Raises
        ------
        io.UnsupportedOperation
            If another place than the beginning is asked for.
        """
        if offset or whence:
            raise io.UnsupportedOperation("packed bytes are read from their beginning")
        self._raw.seek(0)
        self._stream = self._make(self._raw)
        return 0

    def close(self) -> None:
        """Close the packed file too."""
        self._raw.close()
        super().close()


def open_binary(path: str) -> IO[bytes]:
    """Open a file for reading, or one file of a zip (`ZIP::NAME`); .gz, .bz2, .xz and .zst are unpacked.

    Raises
    ------
    SourceError
        If it does not exist or may not be read.
    """
    path, _, member = path.partition(MEMBER)
    try:
        if "://" in path:
            system, inner = file_system(path)
            stream = cast(IO[bytes], system.open_input_file(inner))
        else:
            stream = open(path, "rb")  # noqa: SIM115
        if member:
            return open_member(path, open_archive(path, stream), member)
        make = next((make for ending, make in UNPACKED_BY.items() if path.lower().endswith(ending)), None)
        return stream if make is None else cast(IO[bytes], Unpacked(stream, make))
    except zipfile.BadZipFile as error:
        raise SourceError(f"{path}: is not a zip, or half-written ({error}): fetch it again") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {explanation(error)}") from error


def written_at(path: str) -> int | None:
    """Return when a file of a disk, or its zip, was written last, microseconds UTC; None of others."""
    try:
        return os.stat(path.partition(MEMBER)[0]).st_mtime_ns // 1_000
    except (OSError, ValueError):
        return None


def members_of(path: str) -> tuple[str, ...]:
    """Return the files of a zip as `ZIP::NAME`, by their names; those that are hidden are left out.

    Raises
    ------
    SourceError
        If it is no zip.
    """
    try:
        with open_binary(path) as stream, open_archive(path, stream) as archive:
            names = sorted(n for n in archive.namelist() if not n.endswith("/"))
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise SourceError(f"{path}: is not a zip, or half-written ({error}): fetch it again") from error
    shown = [n for n in names if not n.rpartition("/")[2].startswith((".", "_")) and "__MACOSX" not in n]
    return tuple(f"{path}{MEMBER}{name}" for name in shown)


def file_system(path: str) -> tuple[FileSystem, str]:
    """Return the file system of a URI, and the path in it; S3 where the catalog looks for it."""
    from pyarrow import fs

    properties = catalog_properties()
    endpoint = properties.get("s3.endpoint")
    if endpoint and path.startswith("s3://"):
        region = properties.get("s3.region") or properties.get("client.region")
        return fs.S3FileSystem(endpoint_override=endpoint, region=region), path.removeprefix("s3://")
    return cast("tuple[FileSystem, str]", fs.FileSystem.from_uri(path))


def explanation(error: OSError) -> str:
    """Return why a file cannot be read, in words."""
    return explained(error) or str(error.strerror or error)
