"""Client of MLflow's data base in a file of SQLite that writes it as MLflow does, and does not import it.

Importing MLflow and opening a data base by it takes 2 s of a processor, more than all the backtests of a
small study. What a study's run needs, a few rows of nine tables, is written here by the standard library.
Whatever else it is asked, and whatever is unusual, MLflow does: names that it refuses, parameters that
changed, artifacts that lie elsewhere.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname
from uuid import uuid4

LOCK_SECONDS = 20.0
"""How long another process may hold the file."""

NAME_TAG = "mlflow.runName"

Rows = Sequence[Mapping[str, Any]]

_COLUMNS = {
    "experiments": "experiment_id name artifact_location lifecycle_stage creation_time last_update_time",
    "runs": (
        "run_uuid name source_type source_name entry_point_name user_id status start_time end_time "
        "source_version lifecycle_stage artifact_uri experiment_id"
    ),
    "tags": "key value run_uuid",
    "params": "key value run_uuid",
    "metrics": "key value timestamp run_uuid step is_nan",
    "latest_metrics": "key value timestamp step is_nan run_uuid",
    "datasets": "dataset_uuid experiment_id name digest dataset_source_type dataset_source",
    "inputs": "input_uuid source_type source_id destination_type destination_id",
    "input_tags": "input_uuid name value",
}
"""Columns that are written of each table."""

_USUAL = re.compile(r"[\w./ :-]{1,250}", re.ASCII)


class Metric(NamedTuple):
    """A number, its moment in milliseconds, and its step."""

    key: str
    value: float
    timestamp: int
    step: int


class Param(NamedTuple):
    """A parameter."""

    key: str
    value: str


class RunTag(NamedTuple):
    """A tag."""

    key: str
    value: str


class FileClient:
    """What a study's run asks of `MlflowClient`, by the same names, of a file of SQLite.

    Parameters
    ----------
    uri : str
        The data base, as MLflow names it.
    file : Path
        The same one, which is there.
    """

    def __init__(self, uri: str, file: Path) -> None:
        self._uri, self._file = uri, file
        self._mlflow: Any = None

    def __getattr__(self, name: str) -> Any:
        """Return what MLflow's own client has of this name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._whole, name)

    @property
    def _whole(self) -> Any:
        if self._mlflow is None:
            from mlflow import MlflowClient

            registry = os.environ.get("MLFLOW_REGISTRY_URI") or self._uri
            self._mlflow = MlflowClient(tracking_uri=self._uri, registry_uri=registry)
        return self._mlflow

    @contextmanager
    def _opened(self, writes: bool = True) -> Iterator[sqlite3.Connection]:
        """Give the data base; what the block writes is there as a whole, or not at all."""
        with closing(sqlite3.connect(self._file, LOCK_SECONDS, isolation_level=None)) as opened:
            opened.execute("PRAGMA foreign_keys = ON")
            if not writes:
                yield opened
                return
            opened.execute("BEGIN IMMEDIATE")
            with opened:
                yield opened

    def get_experiment_by_name(self, name: str) -> Any:
        """Return an experiment's identifier and whether it is deleted, or None."""
        asked = "SELECT CAST(experiment_id AS TEXT), lifecycle_stage FROM experiments WHERE name = ?"
        with self._opened(writes=False) as opened:
            found = opened.execute(asked, [name]).fetchone()
        return found and SimpleNamespace(experiment_id=found[0], lifecycle_stage=found[1])

    def create_experiment(self, name: str, artifact_location: str | None) -> str:
        """Make an experiment whose artifacts lie in a folder, and return its identifier."""
        if artifact_location is None or not _USUAL.fullmatch(name):
            return str(self._whole.create_experiment(name, artifact_location=artifact_location))
        moment = _now()
        made = {"lifecycle_stage": "active", "creation_time": moment, "last_update_time": moment}
        with self._opened() as opened:
            (last,) = opened.execute("SELECT max(experiment_id) FROM experiments").fetchone()
            rows = [made | {"name": name, "artifact_location": artifact_location}]
            if last is None:  # MLflow's own one is the first
                folder = f"{Path.cwd().as_posix()}/mlruns/0"
                rows.insert(0, made | {"name": "Default", "artifact_location": folder})
            first = -1 if last is None else int(last)
            rows = [{"experiment_id": first + k, **row} for k, row in enumerate(rows, 1)]
            _insert(opened, "experiments", rows)
        return str(rows[-1]["experiment_id"])

    def create_run(self, experiment_id: str, run_name: str, tags: Mapping[str, str]) -> Any:
        """Begin a run, and return it."""
        location = self.artifacts_of(experiment_id)
        row = run_row(experiment_id, location, run_name, tags.get("mlflow.user", ""), _now())
        own = {"run_uuid": row["run_uuid"]}
        with self._opened() as opened:
            _insert(opened, "runs", [row])
            texts = {**tags, NAME_TAG: run_name}
            _insert(opened, "tags", [{"key": key, "value": value} | own for key, value in texts.items()])
        return _found(row["run_uuid"], "RUNNING", {})

    def artifacts_of(self, experiment_id: str) -> str:
        """Return where the artifacts of an experiment lie that is not deleted."""
        asked = "SELECT artifact_location, lifecycle_stage FROM experiments WHERE experiment_id = ?"
        with self._opened(writes=False) as opened:
            found = opened.execute(asked, [int(experiment_id)]).fetchone()
        if found is None or found[1] != "active":
            raise LookupError(f"experiment {experiment_id} is not there or deleted: restore it in MLflow")
        return str(found[0])

    def params_of(self, run_id: str) -> dict[str, str]:
        """Return a run's parameters."""
        with self._opened(writes=False) as opened:
            return dict(opened.execute("SELECT key, value FROM params WHERE run_uuid = ?", [run_id]))

    def with_tags(self, experiment_id: str, tags: Mapping[str, str]) -> list[Any]:
        """Return the runs of an experiment that have all these tags and are not deleted, the newest first."""
        joined = " ".join(
            f"JOIN tags t{k} ON t{k}.run_uuid = r.run_uuid AND t{k}.key = ? AND t{k}.value = ?"
            for k in range(len(tags))
        )
        asked = (
            f"SELECT r.run_uuid, r.status FROM runs r {joined} WHERE r.experiment_id = ? "
            "AND r.lifecycle_stage = 'active' ORDER BY r.start_time DESC, r.run_uuid"
        )
        given = [text for pair in tags.items() for text in pair]
        with self._opened(writes=False) as opened:
            rows = opened.execute(asked, [*given, int(experiment_id)]).fetchall()
            of_run = "SELECT key, value FROM tags WHERE run_uuid = ?"
            return [_found(one, status, dict(opened.execute(of_run, [one]))) for one, status in rows]

    def update_run(self, run_id: str, status: str) -> None:
        """Say how a run stands."""
        with self._run(run_id) as opened:
            opened.execute("UPDATE runs SET status = ? WHERE run_uuid = ?", [status, run_id])

    def set_terminated(self, run_id: str, status: str) -> None:
        """Say how a run ended, now."""
        with self._run(run_id) as opened:
            asked = "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?"
            opened.execute(asked, [status, _now(), run_id])

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        """Log numbers, parameters and tags of a run."""
        usual = all(are_usual([one.key for one in part]) for part in (metrics, params, tags))
        own = {"run_uuid": run_id}
        with self._run(run_id) as opened:
            there = dict(opened.execute("SELECT key, value FROM params WHERE run_uuid = ?", [run_id]))
            if usual and all(there.get(one.key, one.value) == one.value for one in params):
                new = [one for one in params if one.key not in there]
                _insert(opened, "params", [one._asdict() | own for one in new])
                numbers = [one._asdict() | own | {"is_nan": False} for one in metrics]
                _insert(opened, "metrics", numbers, "ON CONFLICT DO NOTHING")
                _insert(opened, "latest_metrics", numbers, _IF_LATER)
                texts = [one._asdict() | own for one in tags]
                changed = "ON CONFLICT DO UPDATE SET value = excluded.value"
                _insert(opened, "tags", texts, changed)
                return
        log_by_mlflow(self._whole, run_id, metrics, params, tags)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Attach a text to a run."""
        folder = self.artifact_folder(run_id)
        if folder is None:
            self._whole.log_text(run_id, text, artifact_file)
            return
        file = folder / artifact_file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Attach a copy of a file to a run."""
        folder = self.artifact_folder(run_id)
        if folder is None:
            self._whole.log_artifact(run_id, local_path, artifact_path=artifact_path)
            return
        folder /= artifact_path or ""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(local_path, folder)

    def artifact_folder(self, run_id: str) -> Path | None:
        """Return the folder of a run's artifacts, or None if they are not on this machine."""
        with self._opened(writes=False) as opened:
            asked = "SELECT artifact_uri FROM runs WHERE run_uuid = ?"
            (uri,) = opened.execute(asked, [run_id]).fetchone()
        parts = urlsplit(uri)
        plain = parts.scheme == "file" and not (parts.netloc or parts.query or parts.fragment)
        return Path(url2pathname(parts.path)) if plain else None

    def log_inputs(self, run_id: str, inputs: Sequence[tuple[Mapping[str, str], Mapping[str, str]]]) -> None:
        """Record what a run read: of each data set its columns in MLflow's table, and the tags of its use."""
        with self._run(run_id) as opened:
            asked = "SELECT experiment_id FROM runs WHERE run_uuid = ?"
            (experiment,) = opened.execute(asked, [run_id]).fetchone()
            for data_set, tags in inputs:
                own = {"experiment_id": experiment, **data_set}
                new = {"dataset_uuid": uuid4().hex, **own}
                _insert(opened, "datasets", [new], "ON CONFLICT DO NOTHING")
                key = "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?"
                given = [experiment, data_set["name"], data_set["digest"]]
                (source,) = opened.execute(key, given).fetchone()
                use = {"source_type": "DATASET", "source_id": source}
                use |= {"destination_type": "RUN", "destination_id": run_id, "input_uuid": uuid4().hex}
                if _insert(opened, "inputs", [use], "ON CONFLICT DO NOTHING"):
                    noted = [{"name": name, "value": value} for name, value in tags.items()]
                    _insert(opened, "input_tags", [{"input_uuid": use["input_uuid"], **row} for row in noted])

    def insert(self, tables: Mapping[str, Rows]) -> None:
        """Put new rows into tables, all of them or none."""
        with self._opened() as opened:
            for table, rows in tables.items():
                _insert(opened, table, rows)

    @contextmanager
    def _run(self, run_id: str) -> Iterator[sqlite3.Connection]:
        """Give the data base, to write to a run that is not deleted."""
        with self._opened() as opened:
            asked = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
            found = opened.execute(asked, [run_id]).fetchone()
            if found != ("active",):
                raise LookupError(f"run {run_id} is not there or deleted: restore it in MLflow")
            yield opened


_IF_LATER = (
    "ON CONFLICT DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, "
    "is_nan = excluded.is_nan WHERE (excluded.step, excluded.timestamp, excluded.value) "
    "> (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)"
)


def run_row(experiment_id: str, location: str, name: str, user: str, moment_ms: int) -> dict[str, Any]:
    """Return the row of a run that begins, as MLflow makes it.

    Parameters
    ----------
    experiment_id, location : str
        Its experiment, and where the artifacts of that lie.
    name, user : str
        What it is called, and who makes it; "" if nobody says so.
    moment_ms : int
        When it begins, in milliseconds since 1970.
    """
    identifier = uuid4().hex
    return {
        "run_uuid": identifier,
        "name": name,
        "experiment_id": int(experiment_id),
        "artifact_uri": _below(location, identifier),
        "user_id": user or "unknown",
        "status": "RUNNING",
        "start_time": moment_ms,
        "end_time": None,
        "lifecycle_stage": "active",
        "source_type": "UNKNOWN",
        "source_name": "",
        "source_version": "",
        "entry_point_name": "",
    }


def log_by_mlflow(
    client: Any, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
) -> None:
    """Let MLflow's own client log numbers, parameters and tags, in one request."""
    from mlflow import entities as kinds

    client.log_batch(
        run_id,
        metrics=[kinds.Metric(*one) for one in metrics],
        params=[kinds.Param(*one) for one in params],
        tags=[kinds.RunTag(*one) for one in tags],
    )


def is_known(file: Path, of: Path | None = None) -> bool:
    """Return whether a data base has the form that is written here.

    Parameters
    ----------
    file : Path
        The data base.
    of : Path, optional
        One that the installed MLflow made: the form has to be that one's.
    """
    if os.environ.get("MLFLOW_ENABLE_WORKSPACES"):
        return False
    try:
        with closing(_read_only(file)) as opened:
            known = all(_fits(opened, table, columns) for table, columns in _COLUMNS.items())
            return known and (of is None or _version(file) == _version(of))
    except sqlite3.Error:  # damaged, locked, or another kind of file: MLflow says so
        return False


def are_usual(names: Sequence[str]) -> bool:
    """Return whether these are names of which MLflow takes each, and no two are the same."""
    return len(set(names)) == len(names) and all(
        _USUAL.fullmatch(name) and posixpath.normpath(name) == name and name[0] not in "./" for name in names
    )


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", LOCK_SECONDS, uri=True)


def _version(file: Path) -> list[tuple[str]]:
    with closing(_read_only(file)) as opened:
        return opened.execute("SELECT version_num FROM alembic_version").fetchall()


def _fits(opened: sqlite3.Connection, table: str, columns: str) -> bool:
    """Return whether a table has the columns, and needs no others."""
    found = {
        name: bool(needed) and default is None
        for _, name, _, needed, default, _ in opened.execute(f"PRAGMA table_info({table})")
    }
    written = set(columns.split())
    return written <= set(found) and not any(needed for name, needed in found.items() if name not in written)


def _insert(opened: sqlite3.Connection, table: str, rows: Rows, otherwise: str = "") -> int:
    """Put rows into a table, with what happens to one that is there; return how many were put or changed."""
    columns = _COLUMNS[table].split()
    text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) {otherwise}"
    return opened.executemany(text, [[row[name] for name in columns] for row in rows]).rowcount


def _below(location: str, identifier: str) -> str:
    """Return where the artifacts of a run lie, below those of its experiment."""
    if location.startswith("file:///") and not {"?", "#"} & set(location):
        return f"{location.rstrip('/')}/{identifier}/artifacts"
    from mlflow.utils.uri import append_to_uri_path

    return str(append_to_uri_path(location, identifier, "artifacts"))


def _found(run_id: str, status: str, tags: Mapping[str, str]) -> Any:
    return SimpleNamespace(
        info=SimpleNamespace(run_id=run_id, status=status), data=SimpleNamespace(tags=tags)
    )


def _now() -> int:
    return int(time.time() * 1000)
