"""One writer at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from whatif.errors import LakeError, LakeLockedError, split_remedy
from whatif.lake import writer_lock
from whatif.pins import LakeLocation

HOLD = """
import sys, time
from pathlib import Path
from whatif.lake import writer_lock
from whatif.pins import LakeLocation
with writer_lock(LakeLocation(Path(sys.argv[1])), "run a long ingest"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(lake_home: LakeLocation):
    """Another process that holds the lock until it is killed."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lake_home.home)], env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_who_holds_it_is_named(other, lake_home: LakeLocation) -> None:
    with pytest.raises(LakeLockedError) as caught, writer_lock(lake_home, "mine"):
        pytest.fail("entered")
    message = str(caught.value)
    for part in (f"process {other.pid}", os.uname().nodename, "user ", "since 20", "(run a long ingest)"):
        assert part in message
    assert split_remedy(message)[1].startswith("wait for it to end")


def test_a_killed_holder_leaves_the_lake_free(other, lake_home: LakeLocation) -> None:
    other.kill()
    other.wait()
    with writer_lock(lake_home, "mine"):
        assert json.loads((lake_home.home / "writer.json").read_text())["command"] == "mine"


def test_waiting_for_it(other, lake_home: LakeLocation) -> None:
    threading.Timer(0.3, other.kill).start()
    began = time.monotonic()
    with writer_lock(lake_home, "mine", wait_seconds=30):
        assert time.monotonic() - began < 20


def test_the_process_that_holds_it_may_enter_again_from_any_thread(lake_home: LakeLocation) -> None:
    entered = []

    def enter() -> None:
        with writer_lock(lake_home, "inner"):
            entered.append(json.loads((lake_home.home / "writer.json").read_text())["command"])

    with writer_lock(lake_home, "outer"):
        enter()
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert entered == ["outer", "outer"]
    assert not (lake_home.home / "writer.json").exists()


def test_it_is_free_after_an_error(lake_home: LakeLocation) -> None:
    with pytest.raises(ZeroDivisionError), writer_lock(lake_home, "first"):
        raise ZeroDivisionError
    with writer_lock(lake_home, "second"):
        pass


def test_a_catalog_service_is_not_locked(tmp_path: Path) -> None:
    with writer_lock(LakeLocation(tmp_path / "none", local=False), "anything"):
        assert not (tmp_path / "none").exists()


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(LakeError, match="cannot be made"),
        writer_lock(LakeLocation(tmp_path / "file" / "x"), "y"),
    ):
        pass
