"""A JVM that outlives the process it commits for is ended before anyone else may write."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from whatif.errors import LakeLockedError
from whatif.lake import lock, writer_lock
from whatif.lake.processes import ProcessMark, born, mark
from whatif.pins import LakeLocation


@pytest.fixture
def orphan():
    """A process that stands for a JVM, stopped as by a frozen disk."""
    process = subprocess.Popen(["sleep", "300"])
    os.kill(process.pid, signal.SIGSTOP)
    yield process
    process.kill()
    process.wait()


def dead() -> dict[str, object]:
    """Return a process that was there and is not any more."""
    process = subprocess.Popen(["sleep", "300"])
    found = mark(process.pid)
    process.kill()
    process.wait()
    assert found is not None
    return found.to_json()


def leave_note(lake: LakeLocation, owner: dict[str, object], jvm: object, host: str = "") -> None:
    lake.home.mkdir(parents=True, exist_ok=True)
    note = {
        **owner,
        "host": host or socket.gethostname(),
        "user": "u",
        "command": "c",
        "since": "s",
        "jvm": jvm,
    }
    (lake.home / "writer.json").write_text(json.dumps(note))


def jvm_of(process: subprocess.Popen) -> dict[str, object]:
    found = mark(process.pid)
    assert found is not None
    return found.to_json()


def test_an_orphan_is_ended_before_the_lock_is_given(orphan, lake_home: LakeLocation) -> None:
    leave_note(lake_home, dead(), jvm_of(orphan))
    with writer_lock(lake_home, "mine"):
        assert born(orphan.pid) is None
    assert orphan.wait(5) == -signal.SIGKILL


def test_the_jvm_of_a_process_that_lives_is_left_alone(orphan, lake_home: LakeLocation) -> None:
    own = mark(os.getpid())
    assert own is not None
    leave_note(lake_home, own.to_json(), jvm_of(orphan))
    with writer_lock(lake_home, "mine"):
        assert born(orphan.pid) is not None


@pytest.mark.parametrize("note", [None, "text", {}, {"pid": "x", "born": "y"}, {"pid": 1}])
def test_a_note_without_a_jvm(lake_home: LakeLocation, note: object) -> None:
    leave_note(lake_home, dead(), note)
    with writer_lock(lake_home, "mine"):
        pass


def test_a_number_that_another_process_has_now(orphan, lake_home: LakeLocation) -> None:
    leave_note(lake_home, dead(), {"pid": orphan.pid, "born": "long ago"})
    with writer_lock(lake_home, "mine"):
        assert born(orphan.pid) is not None


def test_what_runs_elsewhere_is_not_ended_here(orphan, lake_home: LakeLocation) -> None:
    leave_note(lake_home, dead(), jvm_of(orphan), host="elsewhere")
    with writer_lock(lake_home, "mine"):
        assert born(orphan.pid) is not None


def test_one_that_cannot_be_ended_keeps_the_lake_closed(
    orphan, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProcessMark, "kill", lambda self: False)
    leave_note(lake_home, dead(), jvm_of(orphan))
    with (
        pytest.raises(LakeLockedError, match=f"process {orphan.pid}, could not be ended"),
        writer_lock(lake_home, "mine"),
    ):
        pytest.fail("entered")
    monkeypatch.undo()
    with writer_lock(lake_home, "mine"):
        pass


def test_a_jvm_that_begins_under_the_lock_is_noted(
    lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writer_lock(lake_home, "outer"):
        monkeypatch.setattr(lock, "own_jvm", os.getppid)
        with writer_lock(lake_home, "inner"):
            note = json.loads((lake_home.home / "writer.json").read_text())
    assert note["command"] == "outer"
    assert note["jvm"]["pid"] == os.getppid()


APPEND = """
import sys, time
from pathlib import Path
from whatif.lake import writer_lock
from whatif.pins import LakeLocation
from whatif.session import get_spark
location = LakeLocation(Path(sys.argv[1]))
with writer_lock(location, "outer"):
    spark = get_spark(location, master="local[1]")
    with writer_lock(location, "inner"):
        print("ready", flush=True)
        time.sleep(300)
"""


@pytest.mark.spark
@pytest.mark.slow
def test_a_stopped_jvm_does_not_outlive_the_next_writer(lake_home: LakeLocation) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", APPEND, str(lake_home.home)], env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    jvm = ProcessMark.from_json(json.loads((lake_home.home / "writer.json").read_text())["jvm"])
    assert jvm is not None
    assert "java" in Path(f"/proc/{jvm.pid}/cmdline").read_text()
    os.kill(jvm.pid, signal.SIGSTOP)
    process.kill()
    process.wait()
    time.sleep(1)
    assert jvm.alive
    with writer_lock(lake_home, "mine"):
        assert not jvm.alive
