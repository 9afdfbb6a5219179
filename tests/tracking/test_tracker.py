"""MLflow that fails is said, and fails nothing else."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from functools import partial

import pytest

from whatif.errors import ModelError
from whatif.pins import LakeLocation
from whatif.tracking.run import log, start_study_run
from whatif.tracking.tracker import REQUEST_RETRIES, REQUEST_SECONDS, Tracker


def begin(lake: LakeLocation):
    return partial(start_study_run, lake, "s", "d", {})


def test_a_run_that_works(mlflow_home: LakeLocation) -> None:
    said: list[str] = []
    tracker = Tracker(said.append)
    assert tracker.run_id == ""
    tracker.start(begin(mlflow_home))
    assert tracker.attempt(lambda run: run.run_id) == tracker.run_id != ""
    assert said == []


@pytest.mark.parametrize("content", [b"garbage" * 2_000, b"SQLite format 3\0" + b"\xff" * 4_000])
def test_a_damaged_database(lake_home: LakeLocation, content: bytes) -> None:
    lake_home.home.mkdir(parents=True, exist_ok=True)
    (lake_home.home / "mlflow.db").write_bytes(content)
    said: list[str] = []
    tracker = Tracker(said.append)
    tracker.start(begin(lake_home))
    assert tracker.run_id == ""
    assert len(said) == 1
    assert "MLflow failed, and tracking of this run ends here" in said[0]
    assert tracker.attempt(lambda run: pytest.fail("called")) is None
    assert (lake_home.home / "mlflow.db").read_bytes() == content


def test_a_truncated_database(mlflow_home: LakeLocation) -> None:
    path = mlflow_home.home / "mlflow.db"
    path.write_bytes(path.read_bytes()[:20_000])
    said: list[str] = []
    Tracker(said.append).start(begin(mlflow_home))
    assert len(said) == 1


def test_the_first_failure_is_said_and_ends_it(mlflow_home: LakeLocation) -> None:
    said: list[str] = []
    tracker = Tracker(said.append)
    tracker.start(begin(mlflow_home))
    with sqlite3.connect(mlflow_home.home / "mlflow.db") as connection:
        connection.execute("DROP TABLE latest_metrics")
    assert tracker.attempt(lambda run: log(run, metrics={"a": 1.0})) is None
    assert tracker.attempt(lambda run: log(run, metrics={"b": 1.0})) is None
    assert len(said) == 1
    assert tracker.run_id == ""


def test_errors_of_whatif_itself_pass(mlflow_home: LakeLocation) -> None:
    tracker = Tracker(lambda text: None)
    tracker.start(begin(mlflow_home))

    def broken(run: object) -> None:
        raise ModelError("no model")

    with pytest.raises(ModelError):
        tracker.attempt(broken)


@pytest.mark.slow
def test_a_server_that_refuses_costs_seconds(
    lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    began = time.monotonic()
    Tracker(said.append).start(begin(lake_home))
    assert len(said) == 1
    assert time.monotonic() - began < 60
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == str(REQUEST_SECONDS)
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == str(REQUEST_RETRIES)


@pytest.mark.slow
def test_a_locked_database(mlflow_home: LakeLocation) -> None:
    said: list[str] = []
    with sqlite3.connect(mlflow_home.home / "mlflow.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        Tracker(said.append).start(begin(mlflow_home))
        assert time.monotonic() - began < 100
        other.rollback()
    assert len(said) == 1
    assert "locked" in said[0]


def test_a_run_that_begins_later_begins_with_what_is_logged_first(mlflow_home: LakeLocation) -> None:
    said: list[str] = []
    tracker = Tracker(said.append)
    tracker.start(begin(mlflow_home), later=True)
    assert (tracker.waits, tracker.run, tracker.run_id) == (True, None, "")
    assert tracker.attempt(lambda run: run.run_id) == tracker.run_id != ""
    assert not tracker.waits
    first = tracker.run_id
    assert tracker.attempt(lambda run: run.run_id) == first
    assert said == []


def test_a_run_that_is_kept_never_begins() -> None:
    tracker = Tracker(lambda text: None)
    tracker.start(lambda: pytest.fail("begun"), later=True)
    tracker.keep("abc")
    assert (tracker.waits, tracker.run_id) == (False, "abc")
    assert tracker.attempt(lambda run: pytest.fail("called")) is None
    assert tracker.run_id == "abc"
