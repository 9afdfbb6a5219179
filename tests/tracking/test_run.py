"""One run in MLflow for each study, whatever happens to it."""

from __future__ import annotations

import errno
import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest

from whatif.domain import METRIC_KEYS, Execution
from whatif.pins import LakeLocation, Pin
from whatif.tracking import child_runs, run
from whatif.tracking.child_runs import log_configurations
from whatif.tracking.run import (
    TrackedRun,
    finish,
    is_over,
    log,
    log_files,
    log_tables,
    runs_below,
    start_child,
    start_study_run,
    tracking_uri,
    tracking_warning,
)


@pytest.fixture
def parent(mlflow_home: LakeLocation) -> TrackedRun:
    return start_study_run(mlflow_home, "a-study", "digest-1", {"whatif.user": "ann"})


def runs(parent: TrackedRun) -> list[object]:
    return list(parent.client.search_runs([parent.experiment_id], max_results=5000))


def test_sqlite_in_the_lake_s_home_or_what_the_environment_says(
    lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(lake_home) == f"sqlite:///{lake_home.home / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert tracking_uri(lake_home) == "http://tracking:5000"


def test_a_data_base_that_a_job_would_leave_behind_is_told_of(
    lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_warning(lake_home) == ""
    service = replace(lake_home, local=False)
    assert f"tracked in sqlite:///{lake_home.home / 'mlflow.db'}" in tracking_warning(service)
    assert "set MLFLOW_TRACKING_URI" in tracking_warning(service)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert tracking_warning(service) == ""


def test_the_same_study_is_the_same_run_resumed(lake_home: LakeLocation, parent: TrackedRun) -> None:
    finish(parent, "FAILED")
    again = start_study_run(lake_home, "a-study", "digest-1", {"whatif.user": "bob"})
    assert again.run_id == parent.run_id
    info = again.client.get_run(again.run_id)
    assert info.info.status == "RUNNING"
    assert info.info.run_name == "a-study"
    assert info.data.tags["whatif.user"] == "bob"
    other = start_study_run(lake_home, "a-study", "digest-2", {})
    assert other.run_id != parent.run_id
    assert other.experiment_id == parent.experiment_id
    assert len(runs(parent)) == 2
    assert again.client.get_experiment(parent.experiment_id).name == "a-study"


def test_a_deleted_experiment_comes_back(lake_home: LakeLocation, parent: TrackedRun) -> None:
    parent.client.delete_experiment(parent.experiment_id)
    again = start_study_run(lake_home, "a-study", "digest-1", {})
    assert again.experiment_id == parent.experiment_id


def test_a_child_is_found_again_by_its_identity_under_its_parent(
    lake_home: LakeLocation, parent: TrackedRun
) -> None:
    child = start_child(parent, "model rf", "m-1", "model")
    assert start_child(parent, "model rf", "m-1", "model").run_id == child.run_id
    assert child.client.get_run(child.run_id).data.tags["mlflow.parentRunId"] == parent.run_id
    other = start_study_run(lake_home, "a-study", "digest-2", {})
    assert start_child(other, "model rf", "m-1", "model").run_id != child.run_id
    found = runs_below(parent, "model")
    assert {identity: is_over(run) for identity, run in found.items()} == {"m-1": False}
    finish(child)
    assert is_over(runs_below(parent, "model")["m-1"])
    assert runs_below(parent, "configuration") == {}


def test_children_of_more_than_a_page(parent: TrackedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PAGE", 2)
    for name in "abcde":
        start_child(parent, name, name, "model")
    assert set(runs_below(parent, "model")) == set("abcde")


def test_more_than_one_request_holds(parent: TrackedRun) -> None:
    params = {f"p{k}": k for k in range(230)}
    metrics = {f"m{k}": float(k) for k in range(1100)} | {"nan": math.nan, "inf": math.inf}
    log(parent, params=params, metrics=metrics, tags={f"t{k}": "x" for k in range(120)})
    data = parent.client.get_run(parent.run_id).data
    assert data.params == {name: str(value) for name, value in params.items()}
    assert len(data.metrics) == 1100
    assert data.metrics["m1099"] == 1099.0
    assert {"nan", "inf"}.isdisjoint(data.metrics)
    assert sum(name.startswith("t") for name in data.tags) == 120
    log(parent, params={"long": "x" * 9000}, tags={"long": "y" * 9000})
    log(parent)


def test_tables_are_recorded_by_snapshot_once(lake_home: LakeLocation, parent: TrackedRun) -> None:
    pins = [Pin("bars", 123, "v1.metadata.json"), Pin("predictions", 456, "v7.metadata.json")]
    for _ in range(2):
        log_tables(parent, pins, lake_home)
    found = parent.client.get_run(parent.run_id).inputs.dataset_inputs
    assert {(i.dataset.name, i.dataset.digest, i.dataset.source_type) for i in found} == {
        ("bars", "123", "iceberg"),
        ("predictions", "456", "iceberg"),
    }
    assert len(found) == 2
    by_name = {i.dataset.name: i for i in found}
    assert Pin.from_json(by_name["bars"].dataset.source) == pins[0]
    assert {tag.key: tag.value for tag in by_name["bars"].tags}["iceberg.snapshot_id"] == "123"


def test_files_are_attached(parent: TrackedRun, tmp_path: Path) -> None:
    (tmp_path / "leaderboard.csv").write_text("rank\n1\n")
    log_files(parent, [tmp_path / "leaderboard.csv"])
    (artifact,) = parent.client.list_artifacts(parent.run_id)
    assert artifact.path == "leaderboard.csv"


def stored_in(run: TrackedRun) -> Path:
    return Path(urlsplit(run.client.get_run(run.run_id).info.artifact_uri).path)


def test_a_file_on_the_same_disk_takes_no_room_again_and_stays_as_it_was(
    parent: TrackedRun, tmp_path: Path
) -> None:
    page, newer = tmp_path / "report.html", tmp_path / "newer"
    page.write_text("first")
    log_files(parent, [page], "reports")
    kept = stored_in(parent) / "reports" / "report.html"
    assert kept.samefile(page)
    newer.write_text("second")
    newer.replace(page)
    assert kept.read_text() == "first"
    log_files(parent, [page], "reports")
    assert kept.read_text() == "second"
    assert [artifact.path for artifact in parent.client.list_artifacts(parent.run_id, "reports")] == [
        "reports/report.html"
    ]


def test_a_file_on_another_disk_is_copied(
    parent: TrackedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(run.os, "link", refuse)
    (tmp_path / "report.html").write_text("page")
    log_files(parent, [tmp_path / "report.html"])
    kept = stored_in(parent) / "report.html"
    assert kept.read_text() == "page"
    assert not kept.samefile(tmp_path / "report.html")


def board(count: int, failed: int = 0, symbol: str = "SPY") -> pd.DataFrame:
    metrics = {name: [float(k) for k in range(count)] for name in METRIC_KEYS}
    frame = pd.DataFrame(
        {
            "rank": range(1, count + 1),
            "config_id": [f"{k:016x}" for k in range(count)],
            "symbol": symbol,
            "strategy": "sma_crossover",
            "timeframe": "1min",
            "model": None,
            "status": "ok",
            "error": None,
            "settings": json.dumps({"cash": 1000.0}),
            "parameters": [json.dumps({"fast": k, "slow": 50}) for k in range(count)],
            **metrics,
        }
    )
    bad = frame.index[count - failed :]
    frame.loc[bad, "status"] = "error"
    frame.loc[bad, "error"] = "ZeroDivisionError: division by zero"
    frame.loc[bad, list(METRIC_KEYS)] = float("nan")
    return frame


def rows_below(lake: LakeLocation, parent: TrackedRun) -> dict[str, list[tuple[object, ...]]]:
    """Return what MLflow's tables hold of the runs below a run, by table, without their names and times."""
    found = {}
    with closing(sqlite3.connect(lake.home / "mlflow.db")) as opened:
        opened.row_factory = sqlite3.Row
        below = "SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = ?"
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            rows = opened.execute(f"SELECT * FROM {table} WHERE run_uuid IN ({below})", [parent.run_id])
            found[table] = sorted(
                (
                    tuple(
                        (key, "" if row[key] is None else str(row[key]).replace(str(row["run_uuid"]), "RUN"))
                        for key in row.keys()  # noqa: SIM118
                        if key not in ("run_uuid", "start_time", "end_time", "timestamp")
                        and row[key] != parent.run_id
                    )
                    for row in rows
                ),
            )
    return found


def test_passwords_are_not_logged(parent: TrackedRun) -> None:
    address = "postgresql://ann:hunter2@host/db"
    log(parent, params={"uri": address}, tags={"whatif.command": f"whatif run --to {address}"})
    data = parent.client.get_run(parent.run_id).data
    assert data.params["uri"] == "postgresql://***@host/db"
    assert data.tags["whatif.command"] == "whatif run --to postgresql://***@host/db"


class TestConfigurations:
    def test_a_child_for_each_with_parameters_and_metrics(self, parent: TrackedRun) -> None:
        assert log_configurations(parent, board(3, failed=1)) == 3
        found = {r.data.tags["whatif.identity"]: r for r in runs(parent) if r.info.run_id != parent.run_id}
        assert len(found) == 3
        one = found[f"{1:016x}/SPY"]
        assert one.data.params == {
            "config_id": f"{1:016x}", "symbol": "SPY", "strategy": "sma_crossover", "timeframe": "1min",
            "fast": "1", "slow": "50", "execution.cash": "1000.0",
        }  # fmt: skip
        assert one.data.metrics == {f"validate.{name}": 1.0 for name in METRIC_KEYS}
        assert (one.info.status, one.data.tags["whatif.rank"]) == ("FINISHED", "2")
        bad = found[f"{2:016x}/SPY"]
        assert bad.info.status == "FAILED"
        assert bad.data.tags["whatif.error"] == "ZeroDivisionError: division by zero"
        assert bad.data.metrics == {}

    def test_what_is_the_same_for_all_stands_at_the_study_alone(self, parent: TrackedRun) -> None:
        names = ["fast=0", "fast=1", "x" * 300]
        assert log_configurations(parent, board(3), ("fast", "execution"), names) == 3
        found = {r.info.run_name: r.data.params for r in runs(parent) if r.info.run_id != parent.run_id}
        # what an axis may vary stays with each, also where it is the same so far
        held = {"config_id": f"{1:016x}", "symbol": "SPY", "fast": "1", "execution.cash": "1000.0"}
        assert found["fast=1"] == held
        assert set(found) == {"fast=0", "fast=1", "x" * 200}
        same = {"strategy": "sma_crossover", "timeframe": "1min", "slow": "50"}
        assert parent.client.get_run(parent.run_id).data.params == same
        # a study that went on may have other ones: what stands there stays, and nothing fails
        other = board(4).assign(strategy="other")
        assert log_configurations(parent, other, ("fast", "execution")) == 1
        assert parent.client.get_run(parent.run_id).data.params == same

    def test_settings_that_nobody_asked_for_are_not_named(self, parent: TrackedRun) -> None:
        settings = [Execution(cash=1000.0, commission=0.001 * k).written for k in range(3)]
        ranked = board(3).assign(settings=list(map(json.dumps, settings)))
        log_configurations(parent, ranked, ("execution",))
        found = [r.data.params for r in runs(parent) if r.info.run_id != parent.run_id]
        named = {name for params in found for name in params if name.startswith("execution.")}
        assert named == {"execution.cash", "execution.commission"}
        # the one of its own name stays, whatever it is
        log_configurations(parent, board(4).assign(settings=json.dumps(settings[0])), ("slip_open",))
        assert {"execution.slip_open", "fast"} <= {
            name for r in runs(parent) if r.info.run_id != parent.run_id for name in r.data.params
        }

    def test_nothing_ranked_is_nothing_logged(self, parent: TrackedRun) -> None:
        assert log_configurations(parent, board(1)[:0], ("fast",)) == 0

    def test_runs_are_the_user_s_and_edges_are_found_by_a_filter(self, lake_home: LakeLocation) -> None:
        own = start_study_run(
            lake_home, "b-study", "d", {"mlflow.user": "ann", "mlflow.source.name": "whatif run"}
        )
        log(own, tags={"verdict": "edge"})
        log_configurations(own, board(2), ("fast",))
        every = own.client.search_runs([own.experiment_id])
        assert {one.info.user_id for one in every} == {"ann"}
        edges = own.client.search_runs([own.experiment_id], "tags.verdict = 'edge'")
        assert [one.info.run_id for one in edges] == [own.run_id]

    def test_a_second_time_adds_nothing(self, parent: TrackedRun) -> None:
        log_configurations(parent, board(4, failed=1))
        count = len(runs(parent))
        assert log_configurations(parent, board(4, failed=1)) == 0
        assert len(runs(parent)) == count == 5
        assert log_configurations(parent, board(6, failed=1)) == 2

    @pytest.mark.parametrize(
        "symbol",
        [
            "O'X",
            'O"X',
            "O'X\"Y",
            "X\\",
            "X\\'",
            "'",
            '"',
            "X' OR '1'='1",
            "100%",
            "a_b",
            "`X`",
            "É中",
            "x;--",
        ],
    )
    def test_a_symbol_may_hold_any_character(self, parent: TrackedRun, symbol: str) -> None:
        assert log_configurations(parent, board(2, symbol=symbol)) == 2
        assert log_configurations(parent, board(2, symbol=symbol)) == 0
        assert len(runs(parent)) == 3

    def test_symbols_that_differ_by_case_are_two(self, parent: TrackedRun) -> None:
        assert log_configurations(parent, board(1, symbol="brk")) == 1
        assert log_configurations(parent, board(1, symbol="BRK")) == 1

    def test_one_that_was_cut_short_is_taken_up_again(self, parent: TrackedRun) -> None:
        cut = start_child(parent, "cut", f"{0:016x}/X\\", "configuration")
        assert log_configurations(parent, board(1, symbol="X\\")) == 1
        assert {r.info.run_id for r in runs(parent)} == {parent.run_id, cut.run_id}
        assert cut.client.get_run(cut.run_id).info.status == "FINISHED"

    def test_together_they_are_as_mlflow_writes_them(
        self, parent: TrackedRun, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rows of all tables are those of MLflow's own calls, but for names and times of each run."""
        own = board(5, failed=2)
        own.loc[0, "parameters"] = json.dumps({"fast": 1, "note": "x" * 9000, "at": "http://u:hunter2@host"})
        assert log_configurations(parent, own) == 5
        other = start_study_run(lake_home, "a-study", "digest-2", {"whatif.user": "ann"})
        monkeypatch.setattr(child_runs, "_log_together", lambda *_: False)
        assert log_configurations(other, own) == 5
        together, singly = (rows_below(lake_home, run) for run in (parent, other))
        assert together == singly
        assert len(together["runs"]) == 5
        assert len(together["metrics"]) == len(together["latest_metrics"]) == 3 * len(METRIC_KEYS)

    def test_together_they_are_listed_as_they_rank(self, parent: TrackedRun) -> None:
        log_configurations(parent, board(4))
        found = parent.client.search_runs([parent.experiment_id], "tags.`whatif.kind` = 'configuration'")
        assert [run.data.tags["whatif.rank"] for run in found] == ["4", "3", "2", "1"]

    def test_together_all_are_written_or_none(
        self, parent: TrackedRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = child_runs._rows

        def twice_the_same(*given: object) -> object:
            run, *rest = made(*given)
            return [run[0] | {"run_uuid": "same"}], *rest

        monkeypatch.setattr(child_runs, "_rows", twice_the_same)
        with pytest.raises(Exception, match="UNIQUE constraint failed"):
            log_configurations(parent, board(2))
        assert len(runs(parent)) == 1

    @pytest.mark.parametrize(("rows", "children"), [(8, 8), (9, 4)])
    def test_all_up_to_a_number_and_the_best_above_it(
        self, parent: TrackedRun, monkeypatch: pytest.MonkeyPatch, rows: int, children: int
    ) -> None:
        """500 and 100 in earnest; the rule is the same at 8 and 4."""
        assert (child_runs.ALL_UP_TO, child_runs.BEST_ABOVE) == (500, 100)
        monkeypatch.setattr(child_runs, "ALL_UP_TO", 8)
        monkeypatch.setattr(child_runs, "BEST_ABOVE", 4)
        assert log_configurations(parent, board(rows)) == children
        names = {r.data.params.get("fast") for r in runs(parent)} - {None}
        assert names == {str(k) for k in range(children)}


def test_mlflow_knows_tracking_servers_that_sagemaker_keeps() -> None:
    """They are named by an ARN, which is nothing that MLflow knows by itself."""
    assert "arn" in {entry.name for entry in entry_points(group="mlflow.tracking_store")}


def test_a_data_base_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle of making it, MLflow could never open it again."""
    from mlflow.store.db import utils

    from whatif.tracking.run import client_of

    real = utils._upgrade_db
    file = tmp_path / "mlflow.db"

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "SHIPPED", tmp_path / "none")
    monkeypatch.setattr(utils, "_upgrade_db", stopped)
    with pytest.raises(KeyboardInterrupt):
        client_of(f"sqlite:///{file}")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(utils, "_upgrade_db", real)
    client = client_of(f"sqlite:///{file}")
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert client.create_experiment("study")
