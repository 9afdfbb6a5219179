"""Lock of the local lake: one writer at a time, and none that outlives its right to write.

The operating system frees the lock with the process that holds it. The JVM that commits for that process may
outlive it: stopped, waiting for a disk, or busy. So whoever takes the lock next ends it first.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock, Timeout

from whatif.errors import LakeError, LakeLockedError
from whatif.lake.processes import ProcessMark, mark, own_jvm, user_name
from whatif.masking import masked
from whatif.paths import written_whole
from whatif.pins import LakeLocation

_held: dict[Path, FileLock] = {}
_signed: dict[Path, dict[str, Any]] = {}
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
        If another process holds it; names its pid, host, user, command and since when. Or if the process
        that held it is dead, and its JVM can neither be ended nor trusted not to commit.
    LakeError
        If this user has no right to the lock file.
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
        except (OSError, NotImplementedError) as error:
            raise LakeError(
                f"the lock {location.home / 'writer.lock'} cannot be taken: {error}; give this user "
                "the right to write to the lake, or use another WHATIF_HOME"
            ) from error
        try:
            if outermost:
                _end_orphan(location.home, holder)
            _sign(holder, command, outermost)
        except BaseException:
            lock.release()
            raise
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


def _sign(holder: Path, command: str, outermost: bool) -> None:
    """Say who holds the lock, and which JVM commits for it: that may begin after the lock was taken."""
    pid = own_jvm()
    jvm = None if pid is None else mark(pid)
    signed = _signed.get(holder)
    if outermost or signed is None:
        own = mark(os.getpid())
        signed = {
            "pid": os.getpid(),
            "born": own.born if own else "",
            "host": socket.gethostname(),
            "user": user_name(),
            "command": masked(command),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "jvm": None,
        }
    elif jvm is None or signed["jvm"] == jvm.to_json():
        return
    _signed[holder] = signed | {"jvm": jvm.to_json() if jvm else None}
    # a full disk must not keep anyone from the lock
    with suppress(OSError), written_whole(holder) as part:
        part.write_text(json.dumps(_signed[holder]))


def _end_orphan(home: Path, holder: Path) -> None:
    """End the JVM of a holder that died without giving the lock back: it might still commit.

    Raises
    ------
    LakeLockedError
        If it cannot be ended.
    """
    try:
        note = json.loads(holder.read_text())
    except (OSError, ValueError):
        return
    if not isinstance(note, dict) or note.get("host") != socket.gethostname():
        return  # what runs on another machine cannot be seen from here
    jvm, owner = ProcessMark.from_json(note.get("jvm")), ProcessMark.from_json(note)
    if jvm is None or (owner is not None and owner.alive):
        return
    if jvm.alive and not jvm.kill():
        raise LakeLockedError(
            f"the lake in {home} was being written to by process {note.get('pid')}, which died, and the JVM "
            f"that commits for it, process {jvm.pid}, could not be ended (another user's, or waiting for a "
            "disk): end it (kill -9), then run the same command again"
        )


def _who(home: Path, holder: Path) -> str:
    try:
        note = json.loads(holder.read_text())
        who = "process {pid} on {host}, user {user}, since {since} ({command})".format(**note)
    except (OSError, ValueError, KeyError):
        who = "another process (it left no note)"
    return (
        f"the lake in {home} is being written to by {who}. One writer at a time: "
        "wait for it to end, or use another WHATIF_HOME"
    )
