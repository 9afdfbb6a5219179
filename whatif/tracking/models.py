"""Trained models in MLflow: parameters, metrics, importances and the model itself."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyspark
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from whatif.models.random_forest import Trained
from whatif.models.tuning import Tuned
from whatif.tracking.run import TrackedRun, finish, log, runs_below, start_child

FOREST_TAG = "whatif.forest"
NOT_ATTACHED = (
    "not attached: executors on other machines wrote it where the driver cannot read it; predictions are in "
    "the lake, and a run on one machine attaches it"
)


def log_model(
    parent: TrackedRun,
    trained: Trained,
    metrics: Mapping[str, float],
    identity: str,
    seconds: float,
    tuned: Tuned | None = None,
) -> TrackedRun:
    """Log a trained forest as a run below the study's; logging it again changes nothing.

    A run that was cut short is begun anew: it may hold half a forest.

    Parameters
    ----------
    parent : TrackedRun
        The study's run.
    trained : Trained
        The forest.
    metrics : mapping of str to float
        How it did on the validate window, beside the naive forecast.
    identity : str
        The model's digest.
    seconds : float
        How long training took.
    tuned : Tuned, optional
        What was tried and chosen, of a forest that chooses its own parameters.
    """
    found = runs_below(parent, "model").get(identity)
    if found is not None and found.info.status == "FINISHED":
        return TrackedRun(parent.client, parent.experiment_id, found.info.run_id, parent.uri)
    if found is not None:
        parent.client.delete_run(found.info.run_id)
    run = start_child(parent, f"model {trained.spec.name}", identity, "model")
    chosen = trained.spec.forest if tuned is None else tuned.forest
    forest = chosen.model_dump(exclude={"features", "target"})
    params = {**forest, "target": trained.spec.target, "features": ", ".join(trained.spec.columns)}
    importances = dict(zip(trained.spec.columns, trained.importances, strict=True))
    figures = {
        **{f"validate.{name}": value for name, value in metrics.items()},
        **{f"importance.{column}": value for column, value in importances.items()},
        "train.rows": float(trained.rows),
        "train.seconds": seconds,
    }
    log(run, params=params, metrics=figures, tags={"whatif.model_digest": identity})
    run.client.log_dict(run.run_id, importances, "feature_importances.json")
    if tuned is not None:
        tried = [{**one.params, "rmse": list(one.rmse), "mean_rmse": one.mean} for one in tuned.tried]
        run.client.log_dict(run.run_id, {"chosen": tuned.chosen.params, "tried": tried}, "tuning.json")
    _log_forest(run, trained)
    finish(run)
    return run


def _description(run: TrackedRun, trained: Trained) -> Model:
    """Return what `mlflow.spark.load_model` and `mlflow.pyfunc.load_model` need to know."""
    schema = Schema([ColSpec(DataType.double, column) for column in trained.spec.columns])
    model = Model(artifact_path="model", run_id=run.run_id, signature=ModelSignature(inputs=schema))
    model.add_flavor("spark", pyspark_version=pyspark.__version__, model_data="sparkml", code=None)
    model.add_flavor("python_function", loader_module="mlflow.spark", data="sparkml")
    model.add_flavor("whatif", columns=list(trained.spec.columns), target=trained.spec.target)
    return model


def _log_forest(run: TrackedRun, trained: Trained) -> None:
    """Attach the forest in MLflow's Spark flavour.

    Saved by hand rather than by `mlflow.spark.log_model`, which asks package indexes for
    requirements and wants a distributed file system. Executors on other machines write their parts to
    folders that the driver does not see: then there is no forest to attach, and a tag says so.
    """
    folder = Path(tempfile.mkdtemp(prefix="whatif-model-"))
    try:
        trained.pipeline.write().overwrite().save((folder / "sparkml").as_uri())
        if not any((folder / "sparkml").rglob("data/*.parquet")):
            log(run, tags={FOREST_TAG: NOT_ATTACHED})
            return
        _description(run, trained).save(str(folder / "MLmodel"))
        run.client.log_artifacts(run.run_id, str(folder), artifact_path="model")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
