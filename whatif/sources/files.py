"""Files of a delivery: found on a disk or in an object store, by paths, globs and folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape, glob, has_magic, iglob
from pathlib import Path
from typing import Any

from whatif.errors import SourceError
from whatif.masking import masked
from whatif.sources.kinds import file_kinds
from whatif.sources.opening import explanation, file_system
from whatif.texts import hidden_character, shown

MAX_ENTRIES = 200_000
"""Files and folders that the search for one delivery looks at: below a second of a local disk."""

ANY_DEPTH = "**"
_OF_THE_SYSTEM = "lost+found"
"""A folder at the top of a disk, which only root may read."""


@dataclass
class Search:
    """What one search has looked at.

    Attributes
    ----------
    looked_at : int
        Files and folders so far.
    """

    looked_at: int = 0

    def below(self, folder: str) -> Iterator[os.DirEntry[str]]:
        """Yield what is below a folder, to any depth, folders before what is in them.

        A folder that is linked to is looked into like any other, but none twice.

        Raises
        ------
        SourceError
            If that is more than `MAX_ENTRIES`, together with what was looked at before.
        """
        waiting, seen = [folder], {_identity(folder)}
        while waiting:
            at = waiting.pop()
            try:
                with os.scandir(at) as entries:
                    found = [entry for entry in entries if self._count(folder)]
            except OSError as error:
                raise SourceError(f"{shown(at)}: cannot be read: {error.strerror or error}") from error
            # in an order of its own: of two links to a folder always the same one leads there
            for entry in sorted(found, key=lambda entry: entry.name):
                yield entry
                if is_folder(entry) and entry.name != _OF_THE_SYSTEM:
                    inside = _identity(entry.path)
                    if inside not in seen:
                        seen.add(inside)
                        waiting.append(entry.path)

    def matching(self, pattern: str) -> Iterator[str]:
        """Yield the paths that a glob names; `**` stands for folders to any depth.

        Raises
        ------
        SourceError
            As `below`.
        """
        parts = Path(pattern).parts
        if ANY_DEPTH not in parts:
            for path in iglob(pattern):
                self._count(pattern)
                yield path
            return
        first = parts.index(ANY_DEPTH)
        start = str(Path(*parts[:first])) if first else "."
        tops = glob(start) if has_magic(start) else [start]
        rest = parts[first:]
        for top in filter(os.path.isdir, tops):
            begin = len(os.path.join(top, ""))
            for entry in self.below(top):
                links = entry.is_symlink() and is_folder(entry)  # what is in it comes by itself
                if _fits(entry.path[begin:].split(os.sep), rest) and not links:
                    yield entry.path

    def _count(self, folder: str) -> bool:
        """Count an entry; always true."""
        self.looked_at += 1
        if self.looked_at > MAX_ENTRIES:
            raise SourceError(
                f"{shown(folder)}: more than {MAX_ENTRIES:,} files and folders are in what is named: name "
                "folders that hold bars alone, some at a time"
            )
        return True


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file, or a link that leads to one."""
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link that leads to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _identity(folder: str) -> tuple[int, int]:
    """Return what a folder is known by under each of its names."""
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _fits(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the names of a path fit the parts of a glob; hidden ones fit only what begins with a dot."""
    if not pattern:
        return not names
    if pattern[0] == ANY_DEPTH:
        if _fits(names, pattern[1:]):
            return True
        return bool(names) and not names[0].startswith(".") and _fits(names[1:], pattern)
    if not names or (names[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatchcase(names[0], pattern[0]) and _fits(names[1:], pattern[1:])


_SCHEMES = ("s3", "file", "hdfs", "viewfs")


def find_files(
    paths: Sequence[str | Path], kind: str = "auto", endings: tuple[str, ...] = (), what: str = "bars"
) -> tuple[str, ...]:
    """Return the files that paths, globs and folders name: absolute, each once, in the order of a delivery.

    That is the order of `paths`, and of a folder's or a glob's files that of their names, where digits
    count as numbers: 2.csv comes before 10.csv. Where files differ on a bar, the later one stands.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, globs, folders (searched to any depth), or URIs such as s3://bucket/key.
    kind : str
        A format: only such files are taken from folders; with "auto" those of every format.
    endings : tuple of str
        How names of files in folders end, in place of those of formats.
    what : str
        What files hold, as messages say it.

    Raises
    ------
    SourceError
        If a path names no file, or folders without an end, or there is no such format.
    """
    formats = [one for one in file_kinds(kind).values() if one.in_folders or kind != "auto"]
    endings = endings or tuple(e for format_ in formats for e in format_.endings)
    found: dict[str, None] = {}
    search = Search()
    for path in map(str, paths):
        if not path.strip():
            raise SourceError(f"a path is empty: name files, folders or globs of {what}; . is this folder")
        if "://" in path and masked(path) != path:
            raise SourceError(
                f"{shown(masked(path))}: the address carries a key, and addresses are stored with the bars: "
                "leave it out, and give it by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
            )
        files = _remote_files(path, endings, search) if "://" in path else _local_files(path, endings, search)
        if not files:
            raise SourceError(
                f"{path}: no such file, or no file of {what} in it: name files, folders or globs of "
                f"{', '.join(endings)} files"
            )
        found.update(dict.fromkeys(sorted(files, key=_natural)))
    if not found:
        raise SourceError(f"no file is named: name files, folders or globs of {what}")
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
    if not has_magic(str(there)):
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
    pattern = path
    if has_magic(path):  # what comes before the first part with a wildcard is listed
        parts = path.split("/")
        path = "/".join(parts[: next(k for k, part in enumerate(parts) if has_magic(part))])
        if path.count("/") < 3 and not path.rpartition("/")[2]:
            raise SourceError(f"{shown(pattern)}: name the bucket without wildcards, as in s3://bucket/*.csv")
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
    if pattern != path:
        wanted = pattern.partition("://")[2].split("/")
        found = [i.path for i in infos if _fits(i.path.split("/"), wanted)]
        # a glob that names folders takes what is in them
        folders = [f"{one}/" for one in _folders_of(infos) if _fits(one.split("/"), wanted)]
        inside = [
            i.path for i in infos if i.path.startswith(tuple(folders)) and i.path.lower().endswith(endings)
        ]
        return [f"{scheme}://{one}" for one in dict.fromkeys([*found, *inside])]
    return [f"{scheme}://{i.path}" for i in infos if i.path.lower().endswith(endings)]


def _folders_of(infos: Sequence[Any]) -> list[str]:
    """Return the folders that files are in, to any depth."""
    found: dict[str, None] = {}
    for info in infos:
        parts = info.path.split("/")
        found.update(dict.fromkeys("/".join(parts[:k]) for k in range(1, len(parts))))
    return list(found)


def _files_of_address(path: str, endings: tuple[str, ...], search: Search) -> list[str]:
    """Return the files that a file:// address names, by their addresses."""
    try:
        inner = file_system(path)[1]
    except ValueError as error:
        raise SourceError(_unknown_address(path)) from error
    return [f"file://{name}" for name in _local_files(escape(inner), endings, search)]


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
