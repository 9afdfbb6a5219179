"""Processes that may write to a lake: their identity, whether they live, and how they are ended."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from whatif.processes import KILL_SECONDS


@dataclass(frozen=True)
class ProcessMark:
    """A process and the moment it began, since numbers of processes come again.

    Attributes
    ----------
    pid : int
        Its number.
    born : str
        When it began, in whatever form the system tells it.
    """

    pid: int
    born: str

    @property
    def alive(self) -> bool:
        """Whether this very process is still there."""
        return born(self.pid) == self.born

    def kill(self) -> bool:
        """Kill it, also where it is stopped, and return whether it is gone."""
        deadline = time.monotonic() + KILL_SECONDS
        with suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def to_json(self) -> dict[str, Any]:
        """Return it for a note that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, note: object) -> ProcessMark | None:
        """Return the process of a note, or None if there is none in it."""
        if not isinstance(note, dict):
            return None
        try:
            return cls(int(note["pid"]), str(note["born"]))
        except (KeyError, TypeError, ValueError):
            return None


def born(pid: int) -> str | None:
    """Return when a process began, or None if it is not there or has ended."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _born_by_ps(pid)
    except OSError:
        return None
    # fields 3 (state) and 22 (start, in ticks since the machine started) of proc(5)
    return None if after_name[0] in "ZX" else f"{_boot()}:{after_name[19]}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _born_by_ps(pid: int) -> str | None:
    done = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, began = done.stdout.strip().partition(" ")
    return None if not began or state.startswith("Z") else began.strip()


def mark(pid: int) -> ProcessMark | None:
    """Return the process of a number, or None if it is not there."""
    began = born(pid)
    return None if began is None else ProcessMark(pid, began)


def own_jvm() -> int | None:
    """Return the number of the JVM that commits for this process, or None if it has none (yet)."""
    for name in ("pyspark.core.context", "pyspark.context"):
        jvm: Any = getattr(getattr(sys.modules.get(name), "SparkContext", None), "_jvm", None)
        if jvm is not None:
            with suppress(Exception):  # a gateway that is closing
                return int(jvm.java.lang.ProcessHandle.current().pid())
    return None


def user_name() -> str:
    """Return the name of this process's user, or "unknown" in a container that has none for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
