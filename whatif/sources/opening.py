"""Files opened for reading, on a disk or in an object store."""

from __future__ import annotations

import gzip
from typing import IO, TYPE_CHECKING, cast

from whatif.errors import SourceError
from whatif.pins import catalog_properties, explained

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


def open_binary(path: str) -> IO[bytes]:
    """Open a file for reading; `.gz` is unpacked.

    Raises
    ------
    SourceError
        If it does not exist or may not be read.
    """
    try:
        packed = path.lower().endswith(".gz")
        if "://" in path:
            system, inner = file_system(path)
            stream = cast(IO[bytes], system.open_input_file(inner))
            return cast(IO[bytes], gzip.open(stream, "rb")) if packed else stream
        return cast(IO[bytes], gzip.open(path, "rb")) if packed else open(path, "rb")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {explanation(error)}") from error


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
