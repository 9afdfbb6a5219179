"""Child runs in MLflow: trained models, and configurations up to a number that a server can bear."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from whatif.domain import METRIC_KEYS
from whatif.tracking.run import TrackedRun, finish, is_over, log, runs_below, start_child

if TYPE_CHECKING:
    from mlflow.models import Model

    from whatif.training import Trained, Tuned

MODEL_TAG = "whatif.model"
NOT_ATTACHED = (
    "not attached: executors on other machines wrote it where the driver cannot read it; predictions are in "
    "the lake, and a run on one machine attaches it"
)

ALL_UP_TO = 500
BEST_ABOVE = 100


def log_model(
    parent: TrackedRun,
    trained: Trained,
    metrics: Mapping[str, float],
    identity: str,
    seconds: float,
    tuned: Tuned | None = None,
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
    """
    found = runs_below(parent, "model").get(identity)
    if found is not None and found.info.status == "FINISHED":
        return TrackedRun(parent.client, parent.experiment_id, found.info.run_id, parent.uri)
    if found is not None:
        parent.client.delete_run(found.info.run_id)
    run = start_child(parent, f"model {trained.spec.name}", identity, "model")
    fitted, columns = trained.fitted, trained.spec.columns
    params = {**trained.kind.parameters, "target": trained.spec.target, "features": ", ".join(columns)}
    importances = dict(zip(columns, fitted.importances or (), strict=fitted.importances is not None))
    figures = {
        **{f"validate.{name}": value for name, value in metrics.items()},
        **{f"importance.{column}": value for column, value in importances.items()},
        "train.rows": float(fitted.rows),
        "train.seconds": seconds,
    }
    log(run, params=params, metrics=figures, tags={"whatif.model_digest": identity})
    if importances:
        run.client.log_dict(run.run_id, importances, "feature_importances.json")
    if tuned is not None:
        tried = [{**one.params, "rmse": list(one.rmse), "mean_rmse": one.mean} for one in tuned.tried]
        run.client.log_dict(run.run_id, {"chosen": tuned.chosen.params, "tried": tried}, "tuning.json")
    _log_fitted(run, trained)
    finish(run)
    return run


def _description(run: TrackedRun, trained: Trained, flavors: Mapping[str, Mapping[str, Any]]) -> Model:
    """Return what MLflow needs to know to load the model."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    schema = Schema([ColSpec(DataType.double, column) for column in trained.spec.columns])
    model = Model(artifact_path="model", run_id=run.run_id, signature=ModelSignature(inputs=schema))
    for name, options in flavors.items():
        model.add_flavor(name, **options)
    model.add_flavor("whatif", columns=list(trained.spec.columns), target=trained.spec.target)
    return model


def _log_fitted(run: TrackedRun, trained: Trained) -> None:
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
        _description(run, trained, flavors).save(str(folder / "MLmodel"))
        run.client.log_artifacts(run.run_id, str(folder), artifact_path="model")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def count_of_children(rows: int) -> int:
    """Return how many rows of a leaderboard of so many get a run of their own."""
    return rows if rows <= ALL_UP_TO else BEST_ABOVE


def log_configurations(parent: TrackedRun, leaderboard: pd.DataFrame) -> int:
    """Log a child run for each row of the leaderboard that has none yet; return how many.

    All rows up to 500; above that the best 100. A child holds the parameters and the
    metrics of the validate window.
    """
    rows = leaderboard.head(count_of_children(len(leaderboard)))
    known = runs_below(parent, "configuration")
    logged = 0
    for record in rows.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        identity = f"{row['config_id']}/{row['symbol']}"
        if identity in known and is_over(known[identity]):
            continue
        name = f"{row['config_id'][:8]} {row['symbol']}"
        child = start_child(parent, name, identity, "configuration", known)
        log(child, params=_params(row), metrics=_metrics(row), tags=_tags(row))
        finish(child, "FINISHED" if row["status"] == "ok" else "FAILED")
        logged += 1
    return logged


def _params(row: dict[str, Any]) -> dict[str, Any]:
    names = ("config_id", "symbol", "strategy", "timeframe", "model")
    fixed = {name: row[name] for name in names if row.get(name)}
    execution = {f"execution.{key}": value for key, value in json.loads(row["settings"]).items()}
    return {**fixed, **json.loads(row["parameters"]), **execution}


def _metrics(row: dict[str, Any]) -> dict[str, float]:
    return {f"validate.{name}": float(row[name]) for name in METRIC_KEYS if pd.notna(row.get(name))}


def _tags(row: dict[str, Any]) -> dict[str, str]:
    tags = {"whatif.status": str(row["status"]), "whatif.rank": str(row.get("rank", ""))}
    return {**tags, "whatif.error": str(row["error"])} if row["status"] != "ok" else tags
