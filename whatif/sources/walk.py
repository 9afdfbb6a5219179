"""A walk through folders that ends: each is looked into once, and what is in them is counted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import glob, has_magic, iglob
from pathlib import Path

from whatif.errors import SourceError
from whatif.paths import shown

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
