"""Metadata files of Iceberg tables: the newest of a folder, and a table as one of them describes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from whatif.errors import LakeDamagedError, LakeError
from whatif.pins.integrity import local_path, stored_fault, verify_pages

if TYPE_CHECKING:
    from pyiceberg.table import StaticTable

HINT = "version-hint.text"
_METADATA = re.compile(r"v(\d+)\.metadata\.json")
_REPAIR = "run 'whatif doctor --repair', which goes on from the newest file that can be read"


def time_of_ms(ms: int) -> datetime:
    """Return a time of a table's metadata, milliseconds since 1970-01-01 UTC; tz-aware."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def hints_in(warehouse: Path) -> tuple[tuple[str, str], ...]:
    """Return each table in the folder of a local catalog with the version of its metadata that counts."""
    hints = sorted(warehouse.glob(f"*/*/metadata/{HINT}"))
    return tuple((str(hint.parent), hint.read_text(encoding="utf-8").strip()) for hint in hints)


def load_table(table: str, location: str, properties: Mapping[str, str] | None = None) -> StaticTable:
    """Return a table as a metadata file describes it.

    Parameters
    ----------
    table : str
        Its name, for messages.
    location : str
        Path or address of the metadata file.
    properties : mapping of str to str, optional
        PyIceberg's properties for access to files.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    LakeDamagedError
        If it is cut off, altered, or no metadata of a table.
    """
    from pyiceberg.table import StaticTable

    verify_pages()
    fault = stored_fault(location)
    if fault and fault != "is missing":
        raise _unreadable(table, location, fault)
    try:
        path = local_path(location)
        if path is None or not path.is_file():
            return StaticTable.from_metadata(location, dict(properties or {}))
        about = path.stat()
        return _table_at(location, (about.st_size, about.st_mtime_ns, about.st_ino))
    except PermissionError as error:
        raise LakeError(
            f"table {table}: {location} may not be read: {error}; give this user the right to read the lake"
        ) from error
    except OSError:
        raise
    except Exception as error:
        # what JSON and PyIceberg's models make of other bytes; elsewhere also what a service refuses
        if local_path(location) is None and not isinstance(error, ValueError):
            raise
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise _unreadable(table, location, f"is no metadata of a table ({said})") from error


@lru_cache(maxsize=64)
def _table_at(path: str, identity: tuple[int, ...]) -> StaticTable:
    """Return what a metadata file of this machine describes; it is parsed once, while it stays as it is."""
    from pyiceberg.table import StaticTable

    return StaticTable.from_metadata(path)


def versions_in(folder: Path) -> list[int]:
    """Return the versions of the metadata files in a table's folder, ascending; other names do not count."""
    try:
        names = os.listdir(folder / "metadata")  # many times faster than paths of a thousand files
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise LakeError(f"{folder} may not be read: {error}; give this user the right to read it") from error
    return sorted(int(found[1]) for name in names if (found := _METADATA.fullmatch(name)))


def metadata_path(folder: Path, version: int) -> Path:
    """Return the path of a version of a table's metadata."""
    return folder / "metadata" / f"v{version}.metadata.json"


def hinted_version(folder: Path) -> int | None:
    """Return the version that a table's hint names; None if there is no hint, or it is no number."""
    try:
        text = (folder / "metadata" / HINT).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if re.fullmatch(r"\s*\d{1,9}\s*", text) else None


def newest_metadata(folder: Path) -> Path | None:
    """Return the metadata file a table of the local catalog stands at, or None if there is no such table.

    The hint is written after the metadata and may lag behind it when a writer was killed in between, so
    later versions are looked for, as Iceberg itself does.

    Raises
    ------
    LakeDamagedError
        If the hint names a file that is not there, or only data are left of the table.
    """
    versions = versions_in(folder)
    if not versions:
        if has_data(folder):
            raise LakeDamagedError(
                f"table {folder.name} is damaged: {folder / 'metadata'} has no metadata file, though there "
                "are data: restore the folder from a copy, or run 'whatif doctor --repair', which sets the "
                "table aside and begins it anew"
            )
        return None
    version = hinted_version(folder)
    if version is None:
        return metadata_path(folder, versions[-1])
    if version not in versions:
        raise LakeDamagedError(
            f"table {folder.name} is damaged: its version hint names {metadata_path(folder, version)}, which "
            f"is not there (the newest is v{versions[-1]}): {_REPAIR}"
        )
    while version + 1 in versions:
        version += 1
    return metadata_path(folder, version)


def has_data(folder: Path) -> bool:
    """Return whether a table's folder holds a data file."""
    return next((folder / "data").rglob("*.parquet"), None) is not None


def holds_anything(folder: Path) -> bool:
    """Return whether a table's folder holds more than what is left of one that came to nothing."""
    metadata = (file for file in (folder / "metadata").glob("*") if file.suffix != ".staged")
    return next(metadata, None) is not None or has_data(folder)


def _unreadable(table: str, location: str, fault: str) -> LakeDamagedError:
    return LakeDamagedError(f"table {table} is damaged: its metadata {location} {fault}: {_REPAIR}")
