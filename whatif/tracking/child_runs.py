"""Child runs in MLflow: trained models, and configurations up to a number that a server can bear."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from whatif.domain import METRIC_KEYS, Execution
from whatif.models import predicted_columns
from whatif.tracking.file_client import NAME_TAG, FileClient, are_usual, is_known, run_row
from whatif.tracking.registry import FLAVOUR, flavour_of
from whatif.tracking.run import (
    TrackedRun,
    entities,
    file_of,
    finish,
    is_over,
    log,
    params_of,
    runs_below,
    start_child,
    tags_of_child,
)

if TYPE_CHECKING:
    from mlflow.models import Model

    from whatif.training import Importance, Trained, Tuned

MODEL_TAG = "whatif.model"
NOT_ATTACHED = (
    "not attached: executors on other machines wrote it where the driver cannot read it; predictions are in "
    "the lake, and a run on one machine attaches it"
)

STATUS = {"ok": "FINISHED", "dropped": "KILLED"}
"""MLflow's status of a run, by that of a row; of any other FAILED."""

LONGEST_NAME = 200
"""Characters of a run's name, of which MLflow's table holds 250."""

ALL_UP_TO = 500
BEST_ABOVE = 100


def log_model(
    parent: TrackedRun,
    trained: Trained,
    metrics: Mapping[str, float],
    identity: str,
    seconds: float,
    tuned: Tuned | None = None,
    example: pd.DataFrame | None = None,
    importance: Importance | None = None,
) -> TrackedRun:
    """Log a trained model as a run below the study's; logging it again changes nothing.

    A run that was cut short is begun anew: it may hold half a model.

    Parameters
    ----------
    parent : TrackedRun
        The study's run.
    trained : Trained
        The model.
    metrics : mapping of str to float
        How it did on the validate window, beside the naive forecast.
    identity : str
        The model's digest.
    seconds : float
        How long training took.
    tuned : Tuned, optional
        What was tried and chosen, of a model that chooses its own parameters.
    example : DataFrame, optional
        A row of its features, such as it is asked with.
    importance : Importance, optional
        How much features count on validate.
    """
    found = runs_below(parent, "model").get(identity)
    if found is not None and found.info.status == "FINISHED":
        return replace(parent, run_id=found.info.run_id)
    if found is not None:
        parent.client.delete_run(found.info.run_id)
    run = start_child(parent, f"model {trained.spec.name}", identity, "model")
    fitted, columns = trained.fitted, trained.spec.columns
    params = {**trained.kind.parameters, "target": trained.spec.target, "features": ", ".join(columns)}
    importances = dict(zip(columns, fitted.importances or (), strict=fitted.importances is not None))
    figures = {
        **{f"validate.{name}": value for name, value in metrics.items()},
        **{f"importance.{column}": value for column, value in importances.items()},
        **_shuffled(trained, importance),
        "train.rows": float(fitted.rows),
        "train.seconds": seconds,
    }
    log(run, params=params, metrics=figures, tags={"whatif.model_digest": identity})
    if importances:
        run.client.log_dict(run.run_id, importances, "feature_importances.json")
    if importance is not None and importance.content:
        run.client.log_dict(run.run_id, importance.content, "importance_on_validate.json")
    if tuned is not None:
        tried = [{**one.params, "rmse": list(one.rmse), "mean_rmse": one.mean} for one in tuned.tried]
        run.client.log_dict(run.run_id, {"chosen": tuned.chosen.params, "tried": tried}, "tuning.json")
    _log_fitted(run, trained, identity, example)
    finish(run)
    return run


def _shuffled(trained: Trained, importance: Importance | None) -> dict[str, float]:
    """Return how much larger the loss is without each feature, under names that MLflow takes."""
    found = {} if importance is None else importance.shuffled
    column_of = trained.spec.features.column_of()
    return {f"shuffled.{column_of[text]}": value for text, value in found.items()}


def _description(run: TrackedRun, trained: Trained, flavors: Mapping[str, Mapping[str, Any]]) -> Model:
    """Return what MLflow needs to know to load the model."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    asked = Schema([ColSpec(DataType.double, column) for column in trained.spec.columns])
    names = predicted_columns(trained.kind) if trained.kind.classifies else (None,)
    given = Schema([ColSpec(DataType.double, name) for name in names])
    signature = ModelSignature(inputs=asked, outputs=given)
    model = Model(artifact_path="model", run_id=run.run_id, signature=signature)
    for name, options in flavors.items():
        model.add_flavor(name, **options)
    return model


def _log_fitted(
    run: TrackedRun, trained: Trained, identity: str = "", example: pd.DataFrame | None = None
) -> None:
    """Attach the model in the flavours of MLflow that its kind writes.

    Saved by hand rather than by MLflow's `log_model`, which asks package indexes for requirements and
    wants a distributed file system. Where the kind could write nothing that the driver sees, a tag says so.
    """
    folder = Path(tempfile.mkdtemp(prefix="whatif-model-"))
    try:
        flavors = trained.kind.save(trained.fitted, folder)
        if not flavors:
            log(run, tags={MODEL_TAG: NOT_ATTACHED})
            return
        model = _description(run, trained, {**flavors, FLAVOUR: flavour_of(trained, identity)})
        if example is not None and len(example):
            from mlflow.models.utils import _save_example

            _save_example(model, example[list(trained.spec.columns)], str(folder))
        model.save(str(folder / "MLmodel"))
        run.client.log_artifacts(run.run_id, str(folder), artifact_path="model")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def count_of_children(rows: int) -> int:
    """Return how many rows of a leaderboard of so many get a run of their own."""
    return rows if rows <= ALL_UP_TO else BEST_ABOVE


def log_configurations(
    parent: TrackedRun,
    leaderboard: pd.DataFrame,
    axes: Sequence[str] | None = None,
    names: Sequence[str] = (),
) -> int:
    """Log a child run for each row of the leaderboard that has none yet; return how many.

    All rows up to 500; above that the best 100. A child holds the parameters that vary and the metrics of
    the validate window; what is the same for all of them is logged once, to `parent`.

    Parameters
    ----------
    parent : TrackedRun
        The study's run.
    leaderboard : DataFrame
        The ranking.
    axes : sequence of str, optional
        What the study varies; a child holds every parameter if left out.
    names : sequence of str
        What the run of each row is called; by its configuration and symbol if left out.
    """
    rows = leaderboard.head(count_of_children(len(leaderboard)))
    known = runs_below(parent, "configuration")
    records = [{str(name): value for name, value in one.items()} for one in rows.to_dict("records")]
    params = [_params(row) for row in records]
    if axes is not None:
        params, same = _apart(params, axes)
        held = params_of(parent)
        log(parent, params={name: value for name, value in same.items() if name not in held})
    children = []
    for k, row in enumerate(records):
        child = _configuration(
            row, params[k], names[k] if names else f"{row['config_id'][:8]} {row['symbol']}"
        )
        if child.identity not in known or not is_over(known[child.identity]):
            children.append(child)
    fresh = [child for child in children if child.identity not in known]
    together = _log_together(parent, fresh)
    for child in children:
        if together and child.identity not in known:
            continue
        run = start_child(parent, child.name, child.identity, "configuration", known)
        log(run, params=child.params, metrics=child.metrics, tags=child.tags)
        finish(run, child.status)
    return len(children)


@dataclass(frozen=True)
class _Child:
    """A configuration's run: what it is called and found by, what is logged of it, how it ended."""

    name: str
    identity: str
    params: dict[str, Any]
    metrics: dict[str, float]
    tags: dict[str, str]
    status: str


def _configuration(row: dict[str, Any], params: dict[str, Any], name: str) -> _Child:
    return _Child(
        name=name[:LONGEST_NAME],
        identity=f"{row['config_id']}/{row['symbol']}",
        params=params,
        metrics=_metrics(row),
        tags=_tags(row),
        status=STATUS.get(str(row["status"]), "FAILED"),
    )


def _apart(
    every: Sequence[dict[str, Any]], axes: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the parameters of each that vary, or may by an axis, with what names it; and those of all.

    An axis varies the parameter of its name, those of the section of its name (`execution.cash`), or one
    within a section. Settings of such a section that are at their default in all of them are not named.
    """
    named, first = {"config_id", "symbol", *axes}, every[0] if every else {}

    def stays(name: str) -> bool:
        section, _, last = name.rpartition(".")
        return not {name, section, last} & named and all(one.get(name) == first[name] for one in every)

    same = {name: value for name, value in first.items() if stays(name)}
    default = {
        name
        for name, value in _DEFAULTS.items()
        if name.rpartition(".")[0] in named and all(one.get(name, value) == value for one in every)
    }
    default -= {name for name in default if name.rpartition(".")[2] in named}
    return [
        {name: value for name, value in one.items() if name not in same and name not in default}
        for one in every
    ], same


_DEFAULTS = {f"execution.{key}": value for key, value in Execution().written.items()}
"""Settings of the broker that nobody asked for, as `_params` names them."""


def _log_together(parent: TrackedRun, children: Sequence[_Child]) -> bool:
    """Log new runs in one transaction, all or none; False where only MLflow's own calls can log them.

    Those take five transactions for each run. MLflow has no call for many, so its tables are written as it
    writes them, where they are in a file of SQLite and in a form that is known here.
    """
    file = file_of(parent.uri, "sqlite")
    if file is None or not children or not is_known(file):
        return False
    client = FileClient(parent.uri, file)
    # each has a moment of its own, for they are listed by it
    first = int(time.time() * 1000) - len(children)
    location = client.artifacts_of(parent.experiment_id)
    made = [_rows(parent, location, child, first + k) for k, child in enumerate(children)]
    if not all(are_usual([row["key"] for row in part]) for parts in made for part in parts[1:4]):
        return False
    tables = "runs", "tags", "params", "metrics", "latest_metrics"
    every = ([row for part in parts for row in part] for parts in zip(*made, strict=True))
    client.insert(dict(zip(tables, every, strict=True)))
    return True


_Rows = list[dict[str, Any]]


def _rows(
    parent: TrackedRun, location: str, child: _Child, moment_ms: int
) -> tuple[_Rows, _Rows, _Rows, _Rows, _Rows]:
    """Return rows of a run, of its tags, parameters and metrics, and of the latest metrics, as MLflow's."""
    begun = tags_of_child(parent, child.identity, "configuration") | {NAME_TAG: child.name}
    numbers, params, tags = entities(moment_ms, child.params, child.metrics, child.tags)
    run = run_row(parent.experiment_id, location, child.name, parent.user, moment_ms)
    own = {"run_uuid": run["run_uuid"]}
    texts = begun | {tag.key: tag.value for tag in tags}
    metrics = [one._asdict() | own | {"is_nan": False} for one in numbers]
    return (
        [run | {"status": child.status, "end_time": moment_ms}],
        [{"key": key, "value": value} | own for key, value in texts.items()],
        [one._asdict() | own for one in params],
        metrics,
        metrics,
    )


def _params(row: dict[str, Any]) -> dict[str, Any]:
    names = ("config_id", "symbol", "strategy", "timeframe", "model")
    fixed = {name: row[name] for name in names if pd.notna(row.get(name)) and row[name]}
    execution = {f"execution.{key}": value for key, value in json.loads(row["settings"]).items()}
    return {**fixed, **json.loads(row["parameters"]), **execution}


def _metrics(row: dict[str, Any]) -> dict[str, float]:
    return {f"validate.{name}": float(row[name]) for name in METRIC_KEYS if pd.notna(row.get(name))}


def _tags(row: dict[str, Any]) -> dict[str, str]:
    tags = {"whatif.status": str(row["status"]), "whatif.rank": str(row.get("rank", ""))}
    return {**tags, "whatif.error": str(row["error"])} if row["status"] != "ok" else tags
