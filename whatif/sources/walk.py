"""A walk through folders that ends: no link to a folder is followed, and entries are counted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import glob, has_magic, iglob
from pathlib import Path

from whatif.errors import SourceError
from whatif.paths import shown

MAX_ENTRIES = 50_000
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

        Raises
        ------
        SourceError
            If that is more than `MAX_ENTRIES`, together with what was looked at before.
        """
        waiting = [folder]
        while waiting:
            at = waiting.pop()
            try:
                with os.scandir(at) as entries:
                    for entry in entries:
                        self._count(folder)
                        yield entry
                        if entry.is_dir(follow_symlinks=False) and entry.name != _OF_THE_SYSTEM:
                            waiting.append(entry.path)
            except OSError as error:
                raise SourceError(f"{shown(at)}: cannot be read: {error.strerror or error}") from error

    def matching(self, pattern: str) -> Iterator[str]:
        """Yield the paths that a glob names; `**` stands for folders to any depth, links to folders left out.

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
                if _fits(entry.path[begin:].split(os.sep), rest) and not _links_to_folder(entry):
                    yield entry.path

    def _count(self, folder: str) -> None:
        self.looked_at += 1
        if self.looked_at > MAX_ENTRIES:
            raise SourceError(
                f"{shown(folder)}: more than {MAX_ENTRIES:,} files and folders are in what is named: name "
                "folders that hold bars alone, some at a time"
            )


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file, or a link that leads to one."""
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _links_to_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not is_file(entry)


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
