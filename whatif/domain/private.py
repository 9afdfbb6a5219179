"""Private folders: what is kept there is run, so nobody else may write to it.

The rule is that of ssh for its keys. The folder belongs to this user and only this user may write to
it; each folder on the way to it, links followed, belongs to this user or to root, and others may
write to it only if it is sticky, as the system's temporary folder is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_MAX_LINKS = 40


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    for one in [*reversed(folder.parents), folder]:
        if not one.exists():
            try:
                one.mkdir(mode=0o700)
            except FileExistsError:
                if not one.is_dir():
                    raise
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")


def exposed(place: Path) -> str:
    """Return why others could change what is kept at `place`, with the remedy; "" if they cannot.

    Parameters
    ----------
    place : Path
        A folder or a file that is there.
    """
    if not hasattr(os, "getuid"):
        return ""
    try:
        passed = list(_passed(place.absolute()))
    except OSError as error:
        return f"{place} cannot be looked at ({error.strerror or error})"
    for one in passed[:-1]:
        why = _on_the_way(one)
        if why:
            return why
    return _kept(passed[-1])


def _kept(place: Path) -> str:
    found = place.stat()
    if found.st_uid != os.getuid():
        return f"{place} belongs to user {found.st_uid}, and this is user {os.getuid()}"
    return _writable(place, found.st_mode) if found.st_mode & _OTHERS else ""


def _on_the_way(folder: Path) -> str:
    found = folder.stat()
    if found.st_uid not in (0, os.getuid()):
        return f"{folder} belongs to user {found.st_uid}, who may put another folder in its place"
    shared = found.st_mode & _OTHERS
    if not shared or found.st_mode & stat.S_ISVTX:
        return ""
    if shared == stat.S_IWGRP and _is_own_group(found.st_gid):
        return ""
    return _writable(folder, found.st_mode)


def _writable(place: Path, mode: int) -> str:
    return f"{place} has mode {stat.S_IMODE(mode):04o}, so that others may write to it: chmod go-w {place}"


def _is_own_group(group: int) -> bool:
    """Return whether a group has this user alone in it, as many systems make one for each user."""
    import grp
    import pwd

    if os.getuid() == 0:
        return False
    try:
        user, found = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_name == user.pw_name and user.pw_gid == group and set(found.gr_mem) <= {user.pw_name}


def _passed(place: Path) -> Iterator[Path]:
    """Yield each folder that the way to a place goes through, those of links included, it itself last."""
    for _ in range(_MAX_LINKS):
        for one in [*reversed(place.parents), place]:
            if one.is_symlink():
                place = one.parent / os.readlink(one) / place.relative_to(one)
                break
            yield one
        else:
            return
    raise OSError(f"more than {_MAX_LINKS} links")
