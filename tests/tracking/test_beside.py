"""A child process logs to MLflow beside the one that makes what is logged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial

import pytest
from mlflow.entities import Run

from whatif.errors import ModelError
from whatif.pins import LakeLocation
from whatif.tracking import beside
from whatif.tracking.beside import log_beside
from whatif.tracking.run import client_of, log, start_study_run, tracking_uri
from whatif.tracking.tracker import Tracker


def log_first(own: Tracker) -> None:
    own.attempt(lambda run: log(run, metrics={"first": 1.0, "of": float(os.getpid())}))


def log_then(own: Tracker, value: float) -> None:
    own.attempt(lambda run: log(run, metrics={"then": value}))
    own.tell(f"logged {value:g}")


def log_in(own: Tracker, process: int) -> None:
    """Log in one process only, and kill any other."""
    if os.getpid() != process:
        os.kill(os.getpid(), signal.SIGKILL)
    log_first(own)


class TestBeside:
    """A child process logs to the run, while this one makes what is logged."""

    @pytest.fixture
    def told(self) -> list[str]:
        return []

    @pytest.fixture
    def said(self) -> list[str]:
        return []

    @pytest.fixture
    def tracker(self, mlflow_home: LakeLocation, said: list[str], told: list[str]) -> Tracker:
        tracker = Tracker(said.append, told.append)
        tracker.start(partial(start_study_run, mlflow_home, "s", "d", {}), later=True)
        return tracker

    @staticmethod
    def found(location: LakeLocation) -> Run:
        client = client_of(tracking_uri(location))
        experiment = client.get_experiment_by_name("s")
        (run,) = client.search_runs([experiment.experiment_id])
        return run

    @staticmethod
    def answer(tracker: Tracker, first: tuple[object, ...] = (log_first,)) -> str:
        tracker.do(*first)
        tracker.do(log_then, 2.5)
        return "answer"

    def test_what_it_is_given_to_do(self, tracker, said, told, mlflow_home) -> None:
        assert log_beside(tracker, lambda: self.answer(tracker)) == "answer"
        run = self.found(mlflow_home)
        assert run.info.status == "FINISHED"
        assert {**run.data.metrics, "of": 0.0} == {"first": 1.0, "of": 0.0, "then": 2.5}
        assert run.data.metrics["of"] != os.getpid()
        assert (said, told, tracker.run_id, tracker.waits) == ([], ["logged 2.5"], run.info.run_id, False)
        assert tracker.attempt(lambda run: pytest.fail("it is logged already")) is None

    def test_an_error_closes_the_run_as_failed(self, tracker, said, told, mlflow_home) -> None:
        def broken() -> str:
            tracker.do(log_first)
            raise ModelError("no answer")

        with pytest.raises(ModelError, match="no answer"):
            log_beside(tracker, broken)
        run = self.found(mlflow_home)
        assert (run.info.status, run.data.metrics["first"], said, told) == ("FAILED", 1.0, [], [])

    def test_what_a_killed_child_leaves_is_done_here(self, tracker, told, mlflow_home) -> None:
        here = os.getpid()
        log_beside(tracker, lambda: self.answer(tracker, (log_in, here)))
        run = self.found(mlflow_home)
        assert (run.info.status, run.data.metrics["then"], run.data.metrics["of"]) == ("FINISHED", 2.5, here)
        assert told == ["logged 2.5"]

    def test_a_failure_of_mlflow_is_said_once(self, tracker, said, mlflow_home) -> None:
        (mlflow_home.home / "mlflow.db").write_bytes(b"garbage" * 2_000)
        assert log_beside(tracker, lambda: self.answer(tracker)) == "answer"
        assert len(said) == 1
        assert "MLflow failed, and tracking of this run ends here" in said[0]
        assert (tracker.run_id, bool(tracker.failure)) == ("", True)

    def test_without_a_child_it_is_done_at_once(self, tracker, told, mlflow_home) -> None:
        self.answer(tracker)
        assert self.found(mlflow_home).data.metrics["of"] == os.getpid()
        assert told == ["logged 2.5"]

    def test_one_that_was_begun_ahead(self, tracker, told, mlflow_home, monkeypatch) -> None:
        ahead = beside.LoggingProcess()
        monkeypatch.setattr(beside, "_ahead", [ahead])
        assert log_beside(tracker, lambda: self.answer(tracker)) == "answer"
        run = self.found(mlflow_home)
        assert (run.info.status, run.data.metrics["of"]) == ("FINISHED", ahead.pid)
        assert (told, beside._ahead) == (["logged 2.5"], [])


AHEAD = """
import os, sys
from whatif.tracking import beside
from whatif.tracking.beside import beginning_ahead, drop_ahead

beside.cores = lambda: {cores}
with beginning_ahead({wanted}, False):
    print(len(beside._ahead), "mlflow" in sys.modules, "pandas" in sys.modules)
    if {drop}:
        drop_ahead()
    print(len(beside._ahead))
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("none left")
"""


@pytest.mark.parametrize(
    ("cores", "wanted", "drop", "begun", "kept"),
    [(2, True, False, 1, 1), (2, True, True, 1, 0), (1, True, False, 0, 0), (2, False, False, 0, 0)],
)
def test_the_process_ahead_is_begun_where_it_helps_and_is_gone_in_the_end(
    cores, wanted, drop, begun, kept
) -> None:
    """It is there before this process has imported anything large."""
    code = AHEAD.format(cores=cores, wanted=wanted, drop=drop)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{begun} False False", str(kept), "none left"]
