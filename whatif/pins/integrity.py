"""Checksums of the lake's files: pages of Parquet files, and Hadoop's checksum files of a local lake.

Spark writes a CRC-32 with each page of a Parquet file, and Hadoop's local file system writes one for
every 512 bytes of any file into `.NAME.crc` beside it. Neither is read unless a reader asks for it, and a
flipped bit is then another price. Here all readers ask.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from whatif.errors import LakeError

if TYPE_CHECKING:
    from pyiceberg.io import FileIO

_MAGIC = b"crc\0"
CHECKSUM_CHUNK = 512
"""Bytes to a checksum where whatif writes files, as Hadoop's default."""

CHECKSUM_HEADER = _MAGIC + struct.pack(">i", CHECKSUM_CHUNK)
"""How a checksum file begins that whatif writes."""
_READ = 16 * 1024 * 1024


@cache
def verify_pages() -> None:
    """Make PyIceberg's reader verify the checksum of every page it decodes; a second call does nothing.

    PyIceberg has no setting for it. It opens Parquet files through one function of its own, which here
    gets PyArrow's `page_checksum_verification`. Pages without a checksum are read as before.

    Raises
    ------
    LakeError
        If the installed PyIceberg opens files in another way.
    """
    from pyiceberg.io import pyarrow as reader
    from pyiceberg.manifest import FileFormat

    plain: Any = getattr(reader, "_get_file_format", None)
    if plain is None:
        raise LakeError(
            "this version of PyIceberg cannot be made to verify page checksums: install pyiceberg>=0.12,<0.13"
        )

    def verified(file_format: FileFormat, **options: Any) -> Any:
        if file_format == FileFormat.PARQUET:
            options["page_checksum_verification"] = True
        return plain(file_format, **options)

    setattr(reader, "_get_file_format", verified)  # noqa: B010


def local_parts(location: str) -> tuple[str, str] | None:
    """Return the scheme that stands before a path of this machine, as it is written, and the path.

    Iceberg and Hadoop write what follows "file:" as it is, so a percent sign in it is one.

    Returns
    -------
    tuple of str, or None
        "file://", "file:" or "", and the path; None for an address elsewhere.
    """
    for scheme in ("file://", "file:"):
        if location.startswith(scheme):
            return scheme, location.removeprefix(scheme)
    return None if "://" in location else ("", location)


def local_path(location: str) -> Path | None:
    """Return the path of a file of this machine, or None for an address elsewhere."""
    parts = local_parts(location)
    return None if parts is None else Path(parts[1])


def checksum_fault(path: Path) -> str:
    """Return what is wrong with a file by the checksum file beside it; "" if nothing, or if there is none.

    Parameters
    ----------
    path : Path
        A file of the local lake that is there.
    """
    sums = _checksums(path)
    if sums is None:
        return ""
    chunk, expected = sums
    found = []
    with path.open("rb") as file:
        while block := file.read(max(_READ // chunk, 1) * chunk):
            found += [zlib.crc32(block[at : at + chunk]) for at in range(0, len(block), chunk)]
    if len(found) != len(expected):
        return f"is cut off or too long: {len(found):,} checksums, its checksum file has {len(expected):,}"
    wrong = np.flatnonzero(np.array(found, dtype=np.uint32) != expected)
    if len(wrong):
        return f"does not match its checksum from byte {int(wrong[0]) * chunk:,} on"
    return ""


def _checksums(path: Path) -> tuple[int, np.ndarray] | None:
    """Return bytes to a checksum and the checksums that Hadoop stored, or None where it stored none."""
    try:
        stored = checksum_file(path).read_bytes()
    except OSError:
        return None
    if len(stored) < 8 or stored[:4] != _MAGIC:
        return None
    (chunk,) = struct.unpack(">i", stored[4:8])
    if chunk <= 0 or (len(stored) - 8) % 4:
        return None
    return chunk, np.frombuffer(stored, dtype=">u4", offset=8)


def checksums(data: bytes | bytearray) -> bytes:
    """Return the checksums of bytes, one for each `CHECKSUM_CHUNK`, as they follow the header."""
    of, view = zlib.crc32, memoryview(data)
    sums = [of(view[at : at + CHECKSUM_CHUNK]) for at in range(0, len(view), CHECKSUM_CHUNK)]
    return struct.pack(f">{len(sums)}I", *sums)


def checksum_file(path: Path) -> Path:
    """Return where the checksums of a file of the local lake are."""
    return path.with_name(f".{path.name}.crc")


def file_fault(io: FileIO, location: str, size: int | None = None, decode: bool = True) -> str:
    """Return what is wrong with a file of a table, or "".

    Parameters
    ----------
    io : FileIO
        PyIceberg's access to the table's files.
    location : str
        Path or address of the file.
    size : int, optional
        Bytes that it should have, by the manifest.
    decode : bool
        Whether a Parquet file that has no checksum file beside it is decoded, every page with its checksum.
    """
    try:
        source = io.new_input(location)
        if not source.exists():
            return "is missing"
        there = len(source)
        if size is not None and there != size:
            return f"has {there:,} bytes instead of {size:,}"
        path = local_path(location)
        if path is not None and _checksums(path) is not None:
            return checksum_fault(path)
        if decode and location.endswith(".parquet"):
            return _pages_fault(io, location)
    except PermissionError as error:
        return f"may not be read: {error}"
    except OSError as error:
        return f"cannot be read: {error}"
    return ""


def _pages_fault(io: FileIO, location: str) -> str:
    import pyarrow.parquet as pq

    with io.new_input(location).open() as stream:
        try:
            for _ in pq.ParquetFile(stream, page_checksum_verification=True).iter_batches():
                pass
        except MemoryError:
            raise
        except Exception as error:  # whatever a decoder makes of other bytes
            return f"cannot be decoded: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    return ""


@lru_cache(maxsize=4096)
def unchanged(path: Path, size: int, modified_ns: int) -> str:
    """Return `checksum_fault` of a file, computed once while its size and time stay as they are."""
    return checksum_fault(path)


def stored_fault(location: str) -> str:
    """Return what is wrong with a file of the local lake by its checksum file, or "".

    A file is read for it once in a process, while its size and time stay as they are: some 0.6 s a
    gigabyte. An address elsewhere has no checksum file: the object store looks after its bytes.
    """
    path = local_path(location)
    if path is None:
        return ""
    try:
        about = path.stat()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error}"
    if about.st_size == 0:
        return "is empty"
    try:
        fault = unchanged(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        return f"cannot be read: {error}"
    if fault:  # not to be remembered: bytes that are put back may bring their old time along
        unchanged.cache_clear()
    return fault
