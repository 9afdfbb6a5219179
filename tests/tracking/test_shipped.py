"""A lake's tracking data base begins as a copy of the one that came with the environment."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from whatif.tracking import run
from whatif.tracking.shipped import ship


def content(file: Path) -> tuple[list[tuple[object, ...]], dict[str, list[tuple[object, ...]]]]:
    """Return a data base's schema, and its rows by table without the times of the experiment.

    MLflow writes the constraints of a table in any order.
    """
    with closing(sqlite3.connect(file)) as opened:
        schema = opened.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
        ).fetchall()
        rows = {
            name: opened.execute(f"SELECT * FROM {name}").fetchall()
            for kind, name, *_ in schema
            if kind == "table"
        }
        names = [column[1] for column in opened.execute("PRAGMA table_info(experiments)")]
    schema = [(*lead, sorted(line.strip(", ") for line in (sql or "").splitlines())) for *lead, sql in schema]
    timeless = [k for k, name in enumerate(names) if not name.endswith("_time")]
    rows["experiments"] = [tuple(row[k] for k in timeless) for row in rows["experiments"]]
    return schema, rows


@pytest.mark.slow
def test_it_is_as_mlflow_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import __version__
    from mlflow.store.db import utils

    own, copied = tmp_path / "own", tmp_path / "copied"
    for folder in (own, copied):
        folder.mkdir()
    monkeypatch.setattr(run, "SHIPPED", tmp_path / "none")
    run.client_of(f"sqlite:///{own / 'mlflow.db'}")
    assert ship(tmp_path / "share" / f"mlflow-{__version__}.db").is_file()
    assert [path.name for path in (tmp_path / "share").iterdir()] == [f"mlflow-{__version__}.db"]
    monkeypatch.setattr(run, "SHIPPED", tmp_path / "share")
    monkeypatch.setattr(utils, "_upgrade_db", lambda *_: pytest.fail("made step by step"))
    client = run.client_of(f"sqlite:///{copied / 'mlflow.db'}")
    assert content(own / "mlflow.db") == content(copied / "mlflow.db")
    assert [path.name for path in copied.iterdir()] == ["mlflow.db"]
    assert client.create_experiment("study") == "1"


def test_one_of_another_version_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow-2.0.0.db").write_bytes(b"another form")
    monkeypatch.setattr(run, "SHIPPED", tmp_path)
    client = run.client_of(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert client.create_experiment("study") == "1"
