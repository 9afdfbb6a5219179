"""A run that is written without MLflow is, row by row, the one that MLflow would have written."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy.engine import make_url

from whatif.domain import METRIC_KEYS
from whatif.pins import LakeLocation, Pin
from whatif.tracking import beside, file_client, run
from whatif.tracking.beside import log_beside
from whatif.tracking.child_runs import log_configurations
from whatif.tracking.file_client import FileClient, are_usual, is_known
from whatif.tracking.run import (
    TrackedRun,
    client_of,
    finish,
    log,
    log_files,
    log_tables,
    logs_without_mlflow,
    start_study_run,
    tracking_uri,
)
from whatif.tracking.tracker import Tracker

TABLES = (
    "experiments", "runs", "tags", "params", "metrics", "latest_metrics", "datasets", "inputs", "input_tags",
)  # fmt: skip
PINS = [Pin("bars", 123, "v1.metadata.json"), Pin("predictions", 456, "v7.metadata.json")]


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, mlflow_home: LakeLocation, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that has an empty data base of this MLflow."""
    folder = tmp_path / "share"
    folder.mkdir()
    monkeypatch.setattr(run, "SHIPPED", folder)
    shutil.copy(mlflow_home.home / "mlflow.db", run.shipped_file())
    with closing(sqlite3.connect(run.shipped_file(), isolation_level=None)) as opened:
        opened.execute("DELETE FROM experiments")
    return run.shipped_file()


def board() -> pd.DataFrame:
    row = {"symbol": "SPY", "status": "ok", "error": "", "settings": '{"cash": 1.0}', "parameters": "{}"}
    rows = [row | {"config_id": f"c{k}", "rank": k} | dict.fromkeys(METRIC_KEYS, k / 3) for k in range(4)]
    return pd.DataFrame(rows).assign(status=["ok", "error", "dropped", "ok"])


def whole(location: LakeLocation, report: Path) -> TrackedRun:
    """Log all that a study logs, some of it twice, and take the run up again."""
    tags = {"mlflow.user": "ann", "whatif.note": "a"}
    for status in ("FAILED", "FINISHED"):
        tracked = start_study_run(location, "a-study", "digest", tags, {"start": "2024"}, "study: é\n")
        log_configurations(tracked, board(), ("fast",), [f"fast={k}" for k in range(4)])
        log_tables(tracked, PINS, location)
        log_files(tracked, [report])
        log(tracked, metrics={"a": 1.0, "b": 2.0}, tags={"whatif.note": status})
        log(tracked, metrics={"a": 0.5})
        finish(tracked, status)
    start_study_run(location, "b-study", "digest", {})
    return tracked


def content(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of all tables, with names that were drawn and times told apart only by their order."""
    found = {}
    with closing(sqlite3.connect(home / "mlflow.db")) as opened:
        for table in TABLES:
            rows = opened.execute(f"SELECT * FROM {table}").fetchall()
            names = [column[1] for column in opened.execute(f"PRAGMA table_info({table})")]
            known = [
                tuple(
                    re.sub("[0-9a-f]{32}", "ID", str(value).replace(str(home), "HOME"))
                    if "time" not in name or value is None
                    else type(value)
                    for name, value in zip(names, row, strict=True)
                )
                for row in rows
            ]
            found[table] = sorted(known, key=str)
    return found


def files(home: Path) -> dict[str, bytes]:
    every = (path for path in (home / "mlartifacts").rglob("*") if path.is_file())
    return {re.sub("[0-9a-f]{32}", "ID", str(path.relative_to(home))): path.read_bytes() for path in every}


def test_every_row_and_file_is_as_mlflow_writes_it(
    lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.html").write_text("page")
    homes = [replace(lake_home, home=tmp_path / name) for name in ("without", "with")]
    for home in homes:
        home.home.mkdir()
    assert isinstance(whole(homes[0], tmp_path / "report.html").client, FileClient)
    monkeypatch.setattr(run, "_client_that_logs", client_of)
    monkeypatch.setattr("whatif.tracking.child_runs._log_together", lambda *_: False)
    assert not isinstance(whole(homes[1], tmp_path / "report.html").client, FileClient)
    without, by_mlflow = (content(home.home) for home in homes)
    for table in TABLES:
        assert without[table] == by_mlflow[table], table
        assert without[table], table
    assert files(homes[0].home) == files(homes[1].home) != {}


def test_mlflow_reads_it(mlflow_home: LakeLocation, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("page")
    tracked = whole(mlflow_home, tmp_path / "report.html")
    client = client_of(tracking_uri(mlflow_home))
    held = client.get_run(tracked.run_id)
    assert (held.info.status, held.info.user_id, held.info.run_name) == ("FINISHED", "ann", "a-study")
    assert held.data.metrics == {"a": 0.5, "b": 2.0}
    assert [one.value for one in client.get_metric_history(tracked.run_id, "a")] == [1.0, 0.5, 1.0, 0.5]
    assert {one.path for one in client.list_artifacts(tracked.run_id)} == {"report.html", "study.yaml"}
    assert len(held.inputs.dataset_inputs) == 2


@pytest.mark.parametrize("name", ["", ".", "a/../b", "/a", "sma(20)", "é", "a\n", "x" * 251])
def test_names_that_mlflow_may_refuse_are_left_to_it(mlflow_home: LakeLocation, name: str) -> None:
    assert not are_usual([name])
    tracked = start_study_run(mlflow_home, "s", "d", {})
    by_mlflow = client_of(tracking_uri(mlflow_home))
    other = replace(tracked, client=by_mlflow, run_id=by_mlflow.create_run(tracked.experiment_id).info.run_id)
    said = []
    for one in (tracked, other):
        try:
            log(one, params={name: 1}, metrics={"m": 1.0})
            said.append("")
        except Exception as error:
            said.append(str(error))
    assert said[0] == said[1]
    held = [by_mlflow.get_run(one.run_id).data for one in (tracked, other)]
    assert held[0].params == held[1].params
    assert held[0].metrics == held[1].metrics


def test_a_parameter_that_changed_is_refused_as_mlflow_refuses_it(mlflow_home: LakeLocation) -> None:
    tracked = start_study_run(mlflow_home, "s", "d", {}, {"start": "2024"})
    with pytest.raises(Exception, match="Changing param values is not allowed"):
        log(tracked, params={"start": "2025", "end": "2026"})
    assert client_of(tracking_uri(mlflow_home)).get_run(tracked.run_id).data.params == {"start": "2024"}


def test_a_run_that_was_deleted_meanwhile_gets_nothing(mlflow_home: LakeLocation) -> None:
    tracked = start_study_run(mlflow_home, "s", "d", {})
    tracked.client.delete_run(tracked.run_id)
    with pytest.raises(LookupError, match="deleted: restore it in MLflow"):
        log(tracked, metrics={"m": 1.0})


def test_an_experiment_that_another_run_made_meanwhile_is_taken(
    mlflow_home: LakeLocation, monkeypatch
) -> None:
    first = start_study_run(mlflow_home, "s", "one", {})
    look, asked = FileClient.get_experiment_by_name, []

    def late(client: FileClient, name: str) -> object:
        asked.append(name)
        return None if len(asked) == 1 else look(client, name)

    monkeypatch.setattr(FileClient, "get_experiment_by_name", late)
    second = start_study_run(mlflow_home, "s", "two", {})
    assert second.run_id != first.run_id
    assert second.experiment_id == first.experiment_id
    monkeypatch.setattr(FileClient, "get_experiment_by_name", lambda client, name: None)
    with pytest.raises(sqlite3.IntegrityError):
        start_study_run(mlflow_home, "s", "three", {})


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        opened.execute("UPDATE alembic_version SET version_num = 'another'")


def another_form(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as opened:
        opened.execute("ALTER TABLE runs ADD COLUMN place VARCHAR NOT NULL DEFAULT 'x'")
        opened.execute("ALTER TABLE runs RENAME COLUMN source_name TO origin")


def damaged(file: Path) -> None:
    file.write_bytes(b"garbage" * 2_000)


@pytest.mark.parametrize("change", [newer, another_form, damaged])
def test_a_file_of_another_form_is_mlflow_s(mlflow_home: LakeLocation, change: Callable) -> None:
    assert logs_without_mlflow(mlflow_home)
    file = mlflow_home.home / "mlflow.db"
    change(file)
    before = file.read_bytes()
    assert not logs_without_mlflow(mlflow_home)
    assert not is_known(file, run.shipped_file())
    assert file.read_bytes() == before


def test_where_mlflow_has_to_be_asked(
    lake_home: LakeLocation, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert logs_without_mlflow(lake_home)
    for uri in ("http://127.0.0.1:9", "postgresql://h/d", "sqlite:////nowhere/at/all/x.db"):
        with monkeypatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", uri)
            assert not logs_without_mlflow(lake_home)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
        assert not logs_without_mlflow(lake_home)
    with monkeypatch.context() as patch:
        patch.setattr(file_client, "_COLUMNS", {"runs": "no_such_column"})
        assert not logs_without_mlflow(lake_home)
    shipped.unlink()
    assert not logs_without_mlflow(lake_home)


@pytest.mark.parametrize("name", ["a#b", "50%20 off", "why?"])
def test_signs_of_a_uri_in_the_home_s_name(mlflow_home: LakeLocation, tmp_path: Path, name: str) -> None:
    """The run is in the home's own file, where MLflow finds it, and no other file is made."""
    home = tmp_path / "homes" / name
    home.parent.mkdir()
    shutil.copytree(mlflow_home.home, home)
    location = replace(mlflow_home, home=home)
    tracked = start_study_run(location, "s", "d", {})
    assert isinstance(tracked.client, FileClient)
    with closing(sqlite3.connect(home / "mlflow.db")) as opened:
        assert opened.execute("SELECT run_uuid FROM runs").fetchall() == [(tracked.run_id,)]
    assert list(home.parent.iterdir()) == [home]
    assert client_of(tracked.uri).get_run(tracked.run_id).info.run_name == "s"


def test_a_uri_s_file_is_the_one_that_mlflow_opens() -> None:
    for path in ("/tmp/a%20b/x.db", "/tmp/a#b/x.db", "x.db"):
        assert str(run.file_of(f"sqlite:///{path}", "sqlite")) == make_url(f"sqlite:///{path}").database
    for uri in ("sqlite:////tmp/x.db?timeout=3", "sqlite://host/x.db", "postgresql://h/x"):
        assert run.file_of(uri, "sqlite") is None


CODE = """
import sys
from pathlib import Path
from whatif.pins import LakeLocation
from whatif.tracking import finish, log, log_files, run, start_study_run
run.SHIPPED = Path({share!r})
tracked = start_study_run(LakeLocation(Path({home!r})), "s", "d", {{"a": "b"}}, {{"c": 1}}, "study: s")
log(tracked, metrics={{"m": 1.0}})
log_files(tracked, [Path({file!r})])
finish(tracked)
print(sorted({{"mlflow", "sqlalchemy", "fastapi"}} & set(sys.modules)))
"""


def test_mlflow_is_not_imported_for_it(lake_home: LakeLocation, shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("page")
    code = CODE.format(
        share=str(shipped.parent), home=str(lake_home.home), file=str(tmp_path / "report.html")
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_can_be_logged_without_mlflow_needs_no_child(
    mlflow_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "LoggingProcess", lambda: pytest.fail("a child"))
    tracker = Tracker(pytest.fail)
    tracker.start(partial(start_study_run, mlflow_home, "s", "d", {}), later=True)
    assert log_beside(tracker, lambda: tracker.run_id, mlflow_home) == tracker.run_id != ""
