"""One writer at a time on the local lake."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from whatif.errors import LakeError, LakeLockedError
from whatif.pins import LakeLocation

_held: dict[Path, FileLock] = {}
_counting = Lock()
"""Threads of this process take and give back the same lock, which counts them."""


@contextmanager
def writer_lock(location: LakeLocation, command: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the right to write to the local lake; does nothing for a catalog service.

    May be entered again by the process that holds it, in any of its threads. The operating system
    frees it when that process ends, however it ends.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    command : str
        What is being done, for whoever finds the lake locked.
    wait_seconds : float
        How long to wait for another writer.

    Raises
    ------
    LakeLockedError
        If another process holds it; names its pid, host, user, command and since when.
    """
    if not location.local:
        yield
        return
    _make_home(location.home)
    holder = location.home / "writer.json"
    lock = _held.setdefault(location.home, FileLock(location.home / "writer.lock", thread_local=False))
    with _counting:
        outermost = not lock.is_locked
        try:
            lock.acquire(timeout=wait_seconds)
        except Timeout as error:
            raise LakeLockedError(_who(location.home, holder)) from error
        if outermost:
            _sign(holder, command)
    try:
        yield
    finally:
        with _counting:
            if lock.lock_counter == 1:
                with suppress(OSError):
                    holder.unlink()
            lock.release()


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(
            f"WHATIF_HOME {home} cannot be made: {error}; name a folder you may write to"
        ) from error


def _sign(holder: Path, command: str) -> None:
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": getpass.getuser(),
        "command": command,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):  # a full disk must not keep anyone from the lock
        holder.write_text(json.dumps(note))


def _who(home: Path, holder: Path) -> str:
    try:
        note = json.loads(holder.read_text())
        who = "process {pid} on {host}, user {user}, since {since}: {command}".format(**note)
    except (OSError, ValueError, KeyError):
        who = "another process (it left no note)"
    return (
        f"the lake in {home} is being written to by {who}. One writer at a time: "
        "wait for it to end, or use another WHATIF_HOME"
    )
