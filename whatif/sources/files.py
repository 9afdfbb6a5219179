"""The files that a delivery names, on a disk or in an object store."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whatif.errors import SourceError
from whatif.masking import masked
from whatif.paths import hidden_character, shown
from whatif.sources.kinds import file_kinds
from whatif.sources.opening import explanation, file_system
from whatif.sources.walk import Search, is_file

_SCHEMES = ("s3", "file", "hdfs", "viewfs")


def find_files(paths: Sequence[str | Path], kind: str = "auto") -> tuple[str, ...]:
    """Return the files that paths, globs and folders name: absolute, each once, in the order of a delivery.

    That is the order of `paths`, and of a folder's or a glob's files that of their names, where digits
    count as numbers: 2.csv comes before 10.csv. Where files differ on a bar, the later one stands.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, globs, folders (searched to any depth), or URIs such as s3://bucket/key.
    kind : str
        A format: only such files are taken from folders; with "auto" those of every format.

    Raises
    ------
    SourceError
        If a path names no file, or folders without an end.
    """
    endings = tuple(ending for format_ in file_kinds(kind).values() for ending in format_.endings)
    found: dict[str, None] = {}
    search = Search()
    for path in map(str, paths):
        if "://" in path and masked(path) != path:
            raise SourceError(
                f"{shown(masked(path))}: the address carries a key, and addresses are stored with the bars: "
                "leave it out, and give it by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
            )
        files = _remote_files(path, endings, search) if "://" in path else _local_files(path, endings, search)
        if not files:
            raise SourceError(
                f"{path}: no such file, or no file of bars in it: name files, folders or globs of "
                f"{', '.join(endings)} files"
            )
        found.update(dict.fromkeys(sorted(files, key=_natural)))
    if not found:
        raise SourceError("no file is named: name files, folders or globs of bars")
    return tuple(found)


def _natural(path: str) -> list[tuple[int, str]]:
    """Return what paths are ordered by: runs of digits as numbers, before text."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]


def _local_files(path: str, endings: tuple[str, ...], search: Search) -> list[str]:
    broken = hidden_character(path)
    if broken:
        raise SourceError(f"{shown(path)} holds the character {broken}: give the path of a file or folder")
    there = Path(path).expanduser()
    if _is_no_store(there):
        raise SourceError(f"{path}: is a device, pipe or socket: name a file, a folder or a glob")
    if there.is_file():
        return [os.path.abspath(there)]
    if there.is_dir():
        return _files_below(os.path.abspath(there), endings, search)
    if not glob.has_magic(str(there)):
        return []
    matches = [m for m in search.matching(str(there)) if Path(m).is_file() or Path(m).is_dir()]
    return [f for match in matches for f in _local_files(match, endings, search)]


def _files_below(folder: str, endings: tuple[str, ...], search: Search) -> list[str]:
    files = []
    for entry in search.below(folder):
        if (
            entry.name.startswith((".", "_"))
            or not entry.name.lower().endswith(endings)
            or not is_file(entry)
        ):
            continue
        if not entry.path.isprintable() and (broken := hidden_character(entry.path)):
            raise SourceError(
                f"{shown(entry.path)} holds the character {broken}: rename the file, or name the others"
            )
        files.append(entry.path)
    return files


def _remote_files(path: str, endings: tuple[str, ...], search: Search) -> list[str]:
    from pyarrow import fs

    scheme = path.split("://", 1)[0]
    if scheme not in _SCHEMES:
        raise SourceError(_unknown_address(path))
    if scheme == "file":
        return _files_of_address(path, endings, search)
    try:
        system, inner = file_system(path)
        info = system.get_file_info(inner)
        if info.type == fs.FileType.File:
            return [path]
        selector: Any = fs.FileSelector(inner, allow_not_found=True, recursive=True)
        infos = [i for i in system.get_file_info(selector) if i.type == fs.FileType.File]
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {explanation(error)}") from error
    except (ValueError, NotImplementedError) as error:  # Arrow knows no such scheme, or it is no address
        raise SourceError(_unknown_address(path)) from error
    return [f"{scheme}://{i.path}" for i in infos if i.path.lower().endswith(endings)]


def _files_of_address(path: str, endings: tuple[str, ...], search: Search) -> list[str]:
    """Return the files that a file:// address names, by their addresses."""
    try:
        inner = file_system(path)[1]
    except ValueError as error:
        raise SourceError(_unknown_address(path)) from error
    return [f"file://{name}" for name in _local_files(glob.escape(inner), endings, search)]


def _unknown_address(path: str) -> str:
    return (
        f"{shown(path)}: addresses of this kind are not read: fetch the files first, or name files, folders "
        "or s3://bucket/key"
    )


def _is_no_store(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder."""
    try:
        return path.exists() and not (path.is_file() or path.is_dir())
    except OSError:
        return False
