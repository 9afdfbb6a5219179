"""Keeper of one command: runs it, writes down how it ends, and stops it when told to.

Used as `python -m whatif.submit.attend STATE LOG COMMAND…`: a process of its own, so that a run
goes on when the terminal that started it is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whatif.masking import masked
from whatif.paths import written_whole

GRACE_SECONDS = 20.0


def attend(state: Path, log: Path, command: list[str]) -> int:
    """Run `command` until it ends or a SIGTERM comes, and return its exit code.

    Parameters
    ----------
    state : Path
        JSON file of what is known of the run.
    log : Path
        Takes everything the command prints.
    command : list of str
        Program and arguments.
    """
    stopped: list[int] = []
    known = {
        "pid": os.getpid(),
        "born": birth(os.getpid()),
        "started": _now(),
        "command": [masked(part) for part in command],
    }
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        signal.signal(signal.SIGTERM, lambda *_: _stop(child, stopped))
        write_state(state, known)
        code = child.wait()
    write_state(state, known | {"ended": _now(), "code": code, "cancelled": bool(stopped)})
    return code


def birth(pid: int) -> str:
    """Return when a process was born, in the kernel's ticks, or "" if it is gone: a pid is used again."""
    if not Path("/proc/self/stat").exists():  # no Linux: whether it is there is all that is known
        return _alive(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _alive(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "alive"


def read_state(path: Path) -> dict[str, Any]:
    """Return what is known of a run, or nothing if it has not begun."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_state(path: Path, known: dict[str, Any]) -> None:
    """Replace the file as a whole."""
    with written_whole(path) as part:
        part.write_text(json.dumps(known), encoding="utf-8")


def _stop(child: subprocess.Popen[bytes], stopped: list[int]) -> None:
    """End the command with all that it started; by force if it has not gone after a while."""
    how = signal.SIGKILL if stopped else signal.SIGTERM
    stopped.append(how)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, how)
    if how is signal.SIGTERM:
        signal.signal(signal.SIGALRM, lambda *_: _stop(child, stopped))
        signal.alarm(int(GRACE_SECONDS))


def _now() -> str:
    return datetime.now(UTC).isoformat()


if __name__ == "__main__":
    sys.exit(attend(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
