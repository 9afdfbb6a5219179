"""Processes that descend from one of this machine: a list of them, and how they are ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

PATIENCE_SECONDS = 2.0
"""What children may take to end by themselves."""

KILL_SECONDS = 15.0
"""How long a killed process may take to end; one that waits for a disk cannot end before the disk answers."""


def end_descendants(pid: int, patience: float = PATIENCE_SECONDS) -> list[int]:
    """End all processes that descend from one and belong to its session, and wait until they are gone.

    Its children are asked first, for a JVM then removes its temporary files; theirs are not, since what
    they would say of their end is no news. A child that was given a session of its own was meant to go on.

    Parameters
    ----------
    pid : int
        The process.
    patience : float
        Seconds that children may take.

    Returns
    -------
    list of int
        The processes that were ended; this process's own children among them are not waited for.
    """
    families = _families(pid)
    children = [one for one, parent in families.items() if parent == pid]
    for one in families:
        _send(one, signal.SIGTERM if one in children else signal.SIGKILL)
    _wait_for(children, patience)
    stopped: list[int] = []
    # stopped before they are killed: one that sees another's end could start the next
    while new := [one for one in _families(pid) if one not in stopped]:
        for one in new:
            _send(one, signal.SIGSTOP)
        stopped += new
    for one in stopped:
        _send(one, signal.SIGKILL)
    _wait_for([*families, *stopped], KILL_SECONDS)
    return [*families, *stopped]


def _wait_for(pids: Iterable[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and {*pids} & {pid for pid, _, _ in _processes()}:
        time.sleep(0.02)


def _send(pid: int, number: int) -> None:
    with suppress(OSError):
        os.kill(pid, number)


def _families(pid: int) -> dict[int, int]:
    """Return the living descendants of a process in its session, each with its parent, the oldest first."""
    session = os.getsid(pid)
    table = {one: parent for one, parent, its in _processes() if its == session}
    found: dict[int, int] = {}
    parents = {pid}
    while parents:
        born = {one: parent for one, parent in table.items() if parent in parents and one not in found}
        found |= born
        parents = set(born)
    return found


def _processes() -> Iterator[tuple[int, int, int]]:
    """Yield the number of each living process with its parent's and its session's."""
    if not os.path.exists("/proc/self/stat"):
        yield from _processes_by_ps()
        return
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with suppress(OSError):
                # fields 3 (state), 4 (parent) and 6 (session) of proc(5)
                with open(f"{entry.path}/stat", encoding="utf-8", errors="replace") as file:
                    after_name = file.read().rpartition(")")[2].split()
                if after_name[0] not in "ZX":
                    yield int(entry.name), int(after_name[1]), int(after_name[3])


def _processes_by_ps() -> Iterator[tuple[int, int, int]]:
    import subprocess

    done = subprocess.run(["ps", "-axo", "pid=,ppid=,state="], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        pid, parent, state = line.split(None, 2)
        if not state.startswith("Z"):
            with suppress(OSError):
                yield int(pid), int(parent), os.getsid(int(pid))
