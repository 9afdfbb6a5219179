"""Bounds on what a file unpacks to: the length of a line, and bytes out for bytes in."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any, TypeAlias

from whatif.errors import SourceError

MAX_LINE = 65_536
"""Longest line of a text, bytes; longer than any row of bars."""

MAX_RATIO = 200
"""Bytes that a packed byte may become: bars come to 5 or 10, a file of zeros to 1,000."""

ALWAYS_TAKEN = 16 * 1024 * 1024
"""Bytes that are unpacked whatever they were packed to."""

MAX_DIRECTORY = 1024 * 1024
"""Longest list of contents of a zip, bytes: about 10,000 names."""

MAX_ROWS_PER_BYTE = 1_000
"""Rows that a byte of Parquet may stand for; since stamps differ, ten are more than they reach."""

_SNIFFED = 65_536
_END, _END_BYTES, _LOCATOR_BYTES = b"PK\x05\x06", 22, 20


_Stream: TypeAlias = IO[bytes] | io.BufferedIOBase


class BoundedStream(io.BufferedIOBase):
    """Bytes of a text, read in order; refused where a line, or what was unpacked, passes its bound."""

    def __init__(self, source: str, stream: _Stream, packed: Callable[[], int] | None = None) -> None:
        """Take the stream to read from, and what says how many packed bytes it has taken, if it unpacks."""
        self._source, self._stream, self._packed = source, stream, packed
        self._read = getattr(stream, "read1", stream.read)
        self._line = 0
        self.taken = 0

    @property
    def name(self) -> str:
        """What it is read from."""
        return self._source

    def readable(self) -> bool:
        """Return True."""
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most `size`.

        Raises
        ------
        SourceError
            If a bound is passed.
        """
        try:
            data: bytes = self._read(size)
        except (zlib.error, lzma.LZMAError) as error:
            raise OSError(str(error)) from error
        self.taken += len(data)
        end = max(data.rfind(b"\n"), data.rfind(b"\r"))
        self._line = self._line + len(data) if end < 0 else len(data) - end - 1
        if self._line > MAX_LINE:
            raise SourceError(
                f"{self._source}: is not CSV: it has a line of more than {MAX_LINE:,} bytes, about byte "
                f"{self.taken:,}; name a text file with one row a line"
            )
        if self._packed is not None:
            _check_ratio(self._source, self.taken, self._packed())
        return data

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, as `read1`."""
        return self.read1(-1 if size is None else size)


def text_of(source: str, stream: IO[bytes] | gzip.GzipFile, encoding: str) -> io.TextIOWrapper:
    """Return a stream as text, each of its lines of bounded length.

    A stream that unpacks has a method `packed` that says how many bytes it has taken, or is of gzip's.

    Raises
    ------
    SourceError
        At once if it is gzipped and begins like a bomb; else where a bound is passed.
    """
    packed = None
    if isinstance(stream, gzip.GzipFile) or hasattr(stream, "packed"):
        packed = _position(stream) if isinstance(stream, gzip.GzipFile) else stream.packed
        _sniff(source, stream, packed)
    return io.TextIOWrapper(BoundedStream(source, stream, packed), encoding=encoding, newline="")


def encoding_of(beginning: bytes) -> str:
    """Return the encoding that the first bytes of a text show: UTF-16 by its mark, else UTF-8."""
    return "utf-16" if beginning[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _position(stream: gzip.GzipFile) -> Callable[[], int]:
    packed: Any = stream.fileobj
    return lambda: int(packed.tell())


def _sniff(source: str, stream: _Stream, packed: Callable[[], int]) -> None:
    """Unpack the beginning, which is thousands of rows or a bomb, before any row is looked at."""
    size = 0
    try:
        while size <= ALWAYS_TAKEN and packed() <= _SNIFFED and (piece := stream.read(1024 * 1024)):
            size += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{source}: cannot be read to its end: {error}: fetch it again") from error
    _check_ratio(source, size, packed())
    stream.seek(0)


def _check_ratio(source: str, unpacked: int, packed: int) -> None:
    if unpacked > ALWAYS_TAKEN and unpacked > MAX_RATIO * packed:
        raise SourceError(
            f"{source}: unpacks to more than {MAX_RATIO} times its size ({packed:,} bytes to {unpacked:,}), "
            "which no file of bars does: fetch it again, or unpack it yourself"
        )


def open_archive(source: str, stream: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip whose list of contents is of bounded length.

    Raises
    ------
    SourceError
        If the list is longer.
    zipfile.BadZipFile
        If it is no zip.
    """
    length = _directory_length(stream)
    if length > MAX_DIRECTORY:
        raise SourceError(
            f"{source}: its list of contents has {length:,} bytes, more than {MAX_DIRECTORY:,}: Lean's zips "
            "hold one file or a few; unpack it yourself"
        )
    stream.seek(0)
    return zipfile.ZipFile(stream)


def _directory_length(stream: IO[bytes]) -> int:
    """Return how long a zip says that its list of contents is; 0 if it says nothing."""
    size = stream.seek(0, io.SEEK_END)
    start = max(0, size - 65_535 - _END_BYTES - _LOCATOR_BYTES)
    stream.seek(start)
    tail = stream.read(size - start)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        return 0
    if tail[max(0, at - _LOCATOR_BYTES) :].startswith(b"PK\x06\x07"):
        return size  # the long form, for archives of 65,535 members or of 4 GB
    return int(struct.unpack_from("<L", tail, at + 12)[0])


def open_member(source: str, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open one file of a zip, unless it says that it unpacks to too much; it is cut off where it says.

    Raises
    ------
    SourceError
        If it does, is not in the archive, or is packed in a way that is not known.
    """
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise SourceError(f"{source}: there is no {name!r} in it: fetch it again") from None
    # what it says of itself may be wrong, but it has no more bytes than the archive
    _check_ratio(source, entry.file_size, min(entry.compress_size, archive.start_dir))
    try:
        return io.BufferedReader(_Member(archive.open(entry)), _MEMBER_BYTES)
    except (RuntimeError, NotImplementedError) as error:  # a password, or a way of packing that is not known
        raise SourceError(f"{source}: cannot be unpacked ({error}): unpack it yourself") from error


_MEMBER_BYTES = 64 * 1024


class _Member(io.RawIOBase):
    """One file of a zip; what is damaged in it is an error of reading, as of other packed files."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        try:
            data = self._stream.read(len(buffer))
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise OSError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def check_parquet(source: str, metadata: Any, size: int) -> None:
    """Refuse a Parquet file whose own description says more than `size` bytes can hold.

    Raises
    ------
    SourceError
        If it does.
    """
    unpacked = sum(metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups))
    _check_ratio(source, unpacked, size)
    if metadata.num_rows > MAX_ROWS_PER_BYTE * size:
        raise SourceError(
            f"{source}: says that it holds {metadata.num_rows:,} rows in {size:,} bytes: fetch it again"
        )
