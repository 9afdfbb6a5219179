"""An answer that a run holds already is found without MLflow, and only where all of it is there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from whatif.domain import METRIC_KEYS
from whatif.pins import LakeLocation
from whatif.tracking.child_runs import log_configurations
from whatif.tracking.run import ANSWER_TAG, TrackedRun, finish, log, log_files, runs_below, start_study_run
from whatif.tracking.tracker import LoggedAnswer, logged_run

WANTED = LoggedAnswer("a-study", "identity-1", "answer-1", 2, ("report.html", "leaderboard.csv"))


def board() -> pd.DataFrame:
    row = {"symbol": "SPY", "status": "ok", "error": "", "settings": "{}", "parameters": "{}"}
    rows = [row | {"config_id": f"c{k}", "rank": k} | dict.fromkeys(METRIC_KEYS, 1.0) for k in (1, 2)]
    return pd.DataFrame(rows)


@pytest.fixture
def held(mlflow_home: LakeLocation, tmp_path: Path) -> TrackedRun:
    """A finished run that holds all of `WANTED`."""
    run = start_study_run(mlflow_home, WANTED.study, WANTED.identity, {})
    log_configurations(run, board())
    for name in WANTED.files:
        (tmp_path / name).write_text(name)
    log_files(run, [tmp_path / name for name in WANTED.files])
    log(run, tags={ANSWER_TAG: WANTED.answer})
    finish(run)
    return run


def test_a_run_that_holds_all_of_it_is_found(held: TrackedRun, mlflow_home: LakeLocation) -> None:
    assert logged_run(mlflow_home, WANTED) == held.run_id


@pytest.mark.parametrize(
    "other", [{"study": "b"}, {"identity": "i"}, {"answer": "a"}, {"children": 3}, {"files": ("trades.csv",)}]
)
def test_another_answer_is_not(held: TrackedRun, mlflow_home: LakeLocation, other: dict[str, Any]) -> None:
    assert logged_run(mlflow_home, replace(WANTED, **other)) == ""


def unfinished(run: TrackedRun) -> None:
    run.client.update_run(run.run_id, status="RUNNING")


def deleted(run: TrackedRun) -> None:
    run.client.delete_run(run.run_id)


def child_deleted(run: TrackedRun) -> None:
    run.client.delete_run(runs_below(run, "configuration")["c1/SPY"].info.run_id)


def child_unfinished(run: TrackedRun) -> None:
    run.client.update_run(runs_below(run, "configuration")["c1/SPY"].info.run_id, status="RUNNING")


def experiment_deleted(run: TrackedRun) -> None:
    run.client.delete_experiment(run.experiment_id)


def file_deleted(run: TrackedRun) -> None:
    uri = str(run.client.get_run(run.run_id).info.artifact_uri)
    Path(uri.removeprefix("file://"), "report.html").unlink()


@pytest.mark.parametrize(
    "change", [unfinished, deleted, child_deleted, child_unfinished, experiment_deleted, file_deleted]
)
def test_what_was_taken_away_is_logged_again(
    held: TrackedRun, mlflow_home: LakeLocation, change: Any
) -> None:
    change(held)
    assert logged_run(mlflow_home, WANTED) == ""


def test_a_server_a_missing_file_and_a_damaged_one_are_asked_by_mlflow(
    mlflow_home: LakeLocation, lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for uri in ("http://127.0.0.1:9", f"sqlite:///{tmp_path / 'none.db'}", "postgresql://h/d", "runs"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert logged_run(mlflow_home, WANTED) == ""
    assert not (tmp_path / "none.db").exists()
    for content in (b"garbage" * 2_000, b""):
        (tmp_path / "bad.db").write_bytes(content)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'bad.db'}")
        assert logged_run(mlflow_home, WANTED) == ""
        assert (tmp_path / "bad.db").read_bytes() == content


def test_mlflow_is_not_imported_for_it(held: TrackedRun, mlflow_home: LakeLocation) -> None:
    code = (
        "import sys; from pathlib import Path; from whatif.pins import LakeLocation; "
        "from whatif.tracking import LoggedAnswer, logged_run; "
        f"found = logged_run(LakeLocation(Path({str(mlflow_home.home)!r})), {WANTED!r}); "
        "print(found, bool({'mlflow', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [held.run_id, "False"]
