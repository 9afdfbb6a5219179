"""MLflow's registry of models: trained ones put into it, found in it, and fetched from it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whatif.errors import ModelError, nearest
from whatif.models import Registered, Registration
from whatif.pins import LakeLocation
from whatif.study import Study, digest
from whatif.tracking.run import client_of, file_of, tracking_uri
from whatif.training import ModelSpec, Trained

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

FLAVOUR = "whatif"
"""Name in an MLmodel file of what a study has to know of a model."""


def flavour_of(trained: Trained, identity: str) -> dict[str, Any]:
    """Return what is written of a trained model, so that a study can name it.

    Parameters
    ----------
    trained : Trained
        The model.
    identity : str
        Its digest.
    """
    spec = trained.spec
    features = {column: text for text, column in spec.features.column_of().items()}
    return {
        "columns": list(spec.columns),
        "target": spec.target,
        "features": [features[column] for column in spec.columns],
        "timeframe": spec.features.bars.timeframe,
        "train_end_us": max(window.end_us for window in spec.train),
        "section": trained.kind.model_dump(mode="json"),
        "model_digest": identity,
    }


def register(location: LakeLocation, identity: str, name: str, alias: str = "") -> str:
    """Register a model that a study trained and logged; return its name and version.

    One that has a version already keeps it; an alias is moved to it.

    Parameters
    ----------
    location : LakeLocation
        Home of the default data base.
    identity : str
        The model's digest.
    name, alias : str
        What it is to be called; "" for no alias.

    Raises
    ------
    ModelError
        If no run holds the model.
    """
    client = client_of(tracking_uri(location))
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`whatif.model_digest` = '{identity}'")
    found = [
        run for run in runs if any(one.path == "model" for one in client.list_artifacts(run.info.run_id))
    ]
    if not found:
        raise ModelError(
            "the model is attached to no run of MLflow: it is not trained yet, or was with --no-track; run "
            "'whatif train' on the study, with another seed if its predictions are stored"
        )
    run = found[0]
    if name not in _names(client):
        client.create_registered_model(name)
    there = [one for one in _versions(client, name) if one.run_id == run.info.run_id]
    source = f"{run.info.artifact_uri}/model"
    version = there[0] if there else client.create_model_version(name, source, run.info.run_id)
    if alias:
        client.set_registered_model_alias(name, alias, version.version)
    return f"{name}@{version.version}"


def find_registered(location: LakeLocation, text: str) -> Registration:
    """Return the model that the registry has under a name and a version or alias, such as "forest@3".

    Raises
    ------
    ModelError
        If there is none, or it was not trained by a study.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model

    uri = tracking_uri(location)
    name, _, wanted = text.rpartition("@")
    file = file_of(uri, "sqlite")
    if file is not None and not file.is_file():  # and asking would make one
        raise ModelError(f"no model is registered in {file}: run 'whatif train', then 'whatif register'")
    client = client_of(uri)
    version = _version(client, name, wanted)
    source = client.get_model_version_download_uri(name, version.version)
    with _folder() as folder:
        download_artifacts(f"{source}/MLmodel", dst_path=str(folder), tracking_uri=uri)
        model = Model.load(str(folder / "MLmodel"))
    written = model.flavors.get(FLAVOUR, {})
    if "section" not in written:
        raise ModelError(
            f"registered model {text!r} was not trained by a study: its MLmodel file does not say which "
            "features it learnt from; register one with 'whatif register'"
        )
    return Registration(
        name=f"{name}@{version.version}",
        uri=source,
        digest=digest({"model": written["model_digest"], "run": version.run_id}),
        section=written["section"],
        features=tuple(written["features"]),
        columns=tuple(written["columns"]),
        timeframe=written["timeframe"],
        target=written["target"],
        train_end_us=written["train_end_us"],
    )


def with_registered(study: Study, location: LakeLocation | None) -> Study:
    """Return a study whose registered models are looked up; the same, where nobody says in which lake.

    Raises
    ------
    ModelError
        If one is not there.
    """
    named = {name: kind for name, kind in study.models.items() if isinstance(kind, Registered)}
    if location is None or not named:
        return study
    found = {name: kind.bound(find_registered(location, kind.registered)) for name, kind in named.items()}
    return study.model_copy(update={"models": {**study.models, **found}})


def restored(location: LakeLocation, spec: ModelSpec) -> Trained:
    """Return a registered model, fetched and read."""
    assert spec.held is not None
    with fetched(location, spec.held) as folder:
        return Trained(spec, spec.kind, spec.kind.load(folder))


@contextmanager
def fetched(location: LakeLocation, held: Registration) -> Iterator[Path]:
    """Give a folder with a model's files, which is gone afterwards."""
    from mlflow.artifacts import download_artifacts

    with _folder() as folder:
        yield Path(download_artifacts(held.uri, dst_path=str(folder), tracking_uri=tracking_uri(location)))


@contextmanager
def _folder() -> Iterator[Path]:
    """Give an empty folder; MLflow does not draw what it fetches there."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    folder = Path(tempfile.mkdtemp(prefix="whatif-model-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _version(client: MlflowClient, name: str, wanted: str) -> ModelVersion:
    names = _names(client)
    if name not in names:
        raise ModelError(f"no model {name!r} is registered: {nearest(name, names)}")
    versions = {str(one.version): one for one in _versions(client, name)}
    aliases = {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    found = versions.get(aliases.get(wanted, wanted))
    if found is None:
        raise ModelError(
            f"registered model {name!r} has no version or alias {wanted!r}: "
            f"{nearest(wanted, [*aliases, *versions])}"
        )
    return found


def _names(client: MlflowClient) -> list[str]:
    from mlflow.store.entities.paged_list import PagedList

    found: list[str] = []
    page: PagedList[Any] = client.search_registered_models()
    while True:
        found += [one.name for one in page]
        if not page.token:
            return found
        page = client.search_registered_models(page_token=page.token)


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    return list(client.search_model_versions(f"name = '{name}'", max_results=1_000))
