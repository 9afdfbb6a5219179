"""MLflow run of a study, the same one when the study is resumed.

Everything is logged through `MlflowClient`, or what stands for it, see `file_client`; no global state is set.
"""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from whatif.errors import StatisticsError, nearest
from whatif.masking import masked
from whatif.pins import LakeLocation, Pin
from whatif.tracking.file_client import FileClient, Metric, Param, RunTag, is_known, log_by_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

    from whatif.stats import VerdictStatistics, WindowStatistics

SHIPPED = Path(sys.prefix, "share", "whatif")
"""Where an environment keeps what was made when it was."""

IDENTITY_TAG = "whatif.identity"
ANSWER_TAG = "whatif.answer"
"""Digest of what was logged of the answer, written once all of it is."""
KIND_TAG = "whatif.kind"
PARENT_TAG = "mlflow.parentRunId"
USER_TAG = "mlflow.user"
"""Tag by which MLflow knows whose a run is."""
PARAM_LIMIT = 6000
TAG_LIMIT = 8000
BATCH = 100
"""Parameters, and tags, that one request may carry."""
PAGE = 1000
"""Runs that one answer may carry."""


@dataclass(frozen=True)
class TrackedRun:
    """A run of MLflow that belongs to a study.

    Attributes
    ----------
    client : MlflowClient or FileClient
        Talks to the tracking server or data base.
    experiment_id, run_id : str
        MLflow's identifiers.
    uri : str
        Where runs are tracked.
    user : str
        Who ran the study; "" if nobody says so.
    """

    client: MlflowClient | FileClient
    experiment_id: str
    run_id: str
    uri: str
    user: str = ""


def tracking_uri(location: LakeLocation) -> str:
    """Return `MLFLOW_TRACKING_URI`, or a SQLite file in the lake's home."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _uri_of(location.home / "mlflow.db")


def _uri_of(file: Path) -> str:
    """Return the URI of a data base of SQLite; what SQLAlchemy reads otherwise is written by its code."""
    return f"sqlite:///{re.sub('[%?]', lambda sign: quote(sign[0]), str(file))}"


def file_of(uri: str, scheme: str) -> Path | None:
    """Return the path that a URI of a scheme names on this machine; None for others."""
    if scheme == "sqlite":  # three slashes, then a path that may begin with a fourth; a # is a sign of it
        given, _, path = uri.partition(":///")
        return Path(unquote(path)) if given == scheme and "?" not in path else None
    parts = urlsplit(uri)
    if parts.scheme != scheme or parts.netloc or parts.query:
        return None
    return Path(url2pathname(parts.path))


def tracking_warning(location: LakeLocation) -> str:
    """Return what to say where runs would be left behind on a machine that is given back; "" elsewhere."""
    if location.local or os.environ.get("MLFLOW_TRACKING_URI"):
        return ""
    return (
        f"MLflow: runs are tracked in {masked(tracking_uri(location))}, a file on this machine, though the "
        "lake is not: set MLFLOW_TRACKING_URI to a server to keep them, or turn tracking off (--no-track)"
    )


def start_study_run(
    location: LakeLocation,
    study: str,
    identity: str,
    tags: Mapping[str, str],
    params: Mapping[str, Any] | None = None,
    text: str = "",
) -> TrackedRun:
    """Return the run of a study, begun or taken up again.

    Parameters
    ----------
    location : LakeLocation
        Home of the default data base and artifacts.
    study : str
        The study's name, which names the experiment and the run.
    identity : str
        Digest of the study and its pins: the same digest finds the same run.
    tags : mapping of str to str
        Code version, pins, user, host, command.
    params : mapping of str to object, optional
        What the study says, a name each.
    text : str
        The study's YAML, kept as `study.yaml`; "" where there is none to keep.
    """
    uri = tracking_uri(location)
    client = _client_that_logs(uri)
    experiment_id = _experiment(client, study, uri, location)
    found = _with_tags(client, experiment_id, {IDENTITY_TAG: identity})
    if found:
        run_id = found[0].info.run_id
        client.update_run(run_id, status="RUNNING")
    else:
        begun = {IDENTITY_TAG: identity, KIND_TAG: "study"}
        begun |= {name: tags[name] for name in (USER_TAG,) if tags.get(name)}
        run = client.create_run(experiment_id, run_name=study, tags=begun)
        run_id = run.info.run_id
    tracked = TrackedRun(client, experiment_id, run_id, uri, tags.get(USER_TAG, ""))
    log(tracked, tags=tags)
    if text:
        client.log_text(run_id, masked(text), "study.yaml")
    log(tracked, params=params)
    return tracked


def start_child(
    parent: TrackedRun, name: str, identity: str, kind: str, known: Mapping[str, Run] | None = None
) -> TrackedRun:
    """Return a run below `parent`, begun or taken up again by its identity.

    Parameters
    ----------
    parent : TrackedRun
        The study's run.
    name, identity, kind : str
        What the run is called, what it is found by, and what it is of.
    known : mapping of str to Run, optional
        What `runs_below` returned; looked up if left out.
    """
    found = (runs_below(parent, kind) if known is None else known).get(identity)
    if found is not None:
        return replace(parent, run_id=found.info.run_id)
    run = parent.client.create_run(
        parent.experiment_id, run_name=name, tags=tags_of_child(parent, identity, kind)
    )
    return replace(parent, run_id=run.info.run_id)


def tags_of_child(parent: TrackedRun, identity: str, kind: str) -> dict[str, str]:
    """Return the tags that a run below `parent` begins with."""
    user = {USER_TAG: parent.user} if parent.user else {}
    return {IDENTITY_TAG: identity, KIND_TAG: kind, PARENT_TAG: parent.run_id, **user}


def runs_below(parent: TrackedRun, kind: str) -> dict[str, Run]:
    """Return the runs of one kind below `parent` by their identities; of two, the one that is over.

    Identities are compared here and stand in no filter: MLflow's filters know no escape, and an identity
    may hold any character that a symbol may.
    """
    found: dict[str, Run] = {}
    for run in _with_tags(parent.client, parent.experiment_id, {PARENT_TAG: parent.run_id, KIND_TAG: kind}):
        identity = run.data.tags.get(IDENTITY_TAG)
        if identity is not None and (identity not in found or not is_over(found[identity])):
            found[identity] = run
    return found


def _with_tags(
    client: MlflowClient | FileClient, experiment_id: str, tags: Mapping[str, str]
) -> Sequence[Run]:
    """Return the runs of an experiment that have all these tags, the newest first."""
    if isinstance(client, FileClient):
        return client.with_tags(experiment_id, tags)
    condition = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], condition, max_results=PAGE, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def is_over(run: Run) -> bool:
    """Return whether a run has ended, well or not."""
    return bool(run.info.status != "RUNNING")


def log(
    run: TrackedRun,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log parameters, metrics and tags, as `entities` makes them, in as few requests as MLflow allows."""
    numbers, texts, notes = entities(int(time.time() * 1000), params, metrics, tags)
    if isinstance(run.client, FileClient):
        run.client.log_batch(run.run_id, numbers, texts, notes)
        return
    for first in range(0, max(len(numbers), len(texts), len(notes)), BATCH):
        part = slice(first, first + BATCH)
        log_by_mlflow(run.client, run.run_id, numbers[part], texts[part], notes[part])


def params_of(run: TrackedRun) -> Mapping[str, str]:
    """Return the parameters that a run has."""
    if isinstance(run.client, FileClient):
        return run.client.params_of(run.run_id)
    held: Mapping[str, str] = run.client.get_run(run.run_id).data.params
    return held


def entities(
    moment_ms: int,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[list[Metric], list[Param], list[RunTag]]:
    """Return metrics, parameters and tags such as MLflow takes.

    Passwords and keys in texts are masked. A metric that is NaN or infinite is left out, since a
    tracking server may refuse it.
    """
    numbers = [
        Metric(name, float(value), moment_ms, 0)
        for name, value in (metrics or {}).items()
        if value is not None and math.isfinite(float(value))
    ]
    texts = [Param(name, masked(str(value))[:PARAM_LIMIT]) for name, value in (params or {}).items()]
    notes = [RunTag(name, masked(str(value))[:TAG_LIMIT]) for name, value in (tags or {}).items()]
    return numbers, texts, notes


def log_tables(run: TrackedRun, pins: Sequence[Pin], location: LakeLocation) -> None:
    """Record the Iceberg tables that the run read, each by its snapshot."""
    read = [
        (
            {
                "name": pin.table,
                "digest": str(pin.snapshot_id),
                "dataset_source_type": "iceberg",
                "dataset_source": pin.to_json(),
            },
            {
                "mlflow.data.context": "backtest",
                "iceberg.table": location.identifier(pin.table),
                "iceberg.snapshot_id": str(pin.snapshot_id),
            },
        )
        for pin in pins
    ]
    if isinstance(run.client, FileClient):
        run.client.log_inputs(run.run_id, read)
        return
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            dataset=Dataset(
                name=one["name"],
                digest=one["digest"],
                source_type=one["dataset_source_type"],
                source=one["dataset_source"],
                schema=None,
                profile=None,
            ),
            tags=[InputTag(name, value) for name, value in tags.items()],
        )
        for one, tags in read
    ]
    run.client.log_inputs(run.run_id, inputs)


def log_files(run: TrackedRun, files: Sequence[Path], folder: str | None = None) -> None:
    """Attach files to the run.

    Where artifacts stand on the same disk, a file gets a second name there and takes no room again. Whoever
    writes it anew has to replace it, as `whatif.report` does: what is attached stays as it was.
    """
    store = _artifact_folder(run)
    for file in files:
        if store is None or not _linked(file, store / (folder or "")):
            run.client.log_artifact(run.run_id, str(file), artifact_path=folder)


def _artifact_folder(run: TrackedRun) -> Path | None:
    """Return the folder of a run's artifacts, or None if a server or a bucket keeps them."""
    if isinstance(run.client, FileClient):
        return run.client.artifact_folder(run.run_id)
    from mlflow.utils.file_utils import local_file_uri_to_path

    uri = str(run.client.get_run(run.run_id).info.artifact_uri)
    return Path(local_file_uri_to_path(uri)) if urlsplit(uri).scheme in ("", "file") else None


def _linked(file: Path, folder: Path) -> bool:
    """Give a file a second name in a folder, in place of what has it; tell whether that could be done."""
    staged = folder / f".{file.name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.link(file, staged)
        staged.replace(folder / file.name)
    except OSError:  # another disk, or one that knows no second names: MLflow copies, or says what is wrong
        return False
    finally:
        with suppress(OSError):
            staged.unlink()
    return True


def finish(run: TrackedRun, status: str = "FINISHED") -> None:
    """Close the run."""
    run.client.set_terminated(run.run_id, status=status)


def metric_histories(
    location: LakeLocation, experiment: str, metric: str
) -> tuple[dict[str, dict[int, float]], int]:
    """Return a metric by step, of each run of an experiment that has it, and how many runs there are.

    Parameters
    ----------
    location : LakeLocation
        Home of the default data base.
    experiment : str
        Its name.
    metric : str
        What its runs call the metric.

    Raises
    ------
    StatisticsError
        If there is no such experiment, or none of its runs has the metric.

    Notes
    -----
    Runs that failed or were killed do not count. Runs of one name are told apart by their ids.
    """
    client = client_of(tracking_uri(location))
    found = client.get_experiment_by_name(experiment)
    if found is None:
        known = [one.name for one in client.search_experiments()]
        raise StatisticsError(f"MLflow has no experiment {experiment!r}: {nearest(experiment, known)}")
    runs = []
    page = client.search_runs([found.experiment_id], max_results=PAGE)
    runs += page
    while page.token:
        page = client.search_runs([found.experiment_id], max_results=PAGE, page_token=page.token)
        runs += page
    runs = [one for one in runs if one.info.status not in ("FAILED", "KILLED")]
    held = [one for one in runs if metric in one.data.metrics]
    if not held:
        known = sorted({key for one in runs for key in one.data.metrics})
        raise StatisticsError(
            f"none of {len(runs):,} runs of {experiment!r} has a metric {metric!r}, a value for each period "
            f"by its step: {nearest(metric, known)}"
        )
    names = Counter(one.info.run_name for one in held)
    histories = {}
    for run in held:
        name, run_id = run.info.run_name, run.info.run_id
        history = client.get_metric_history(run_id, metric)
        label = name if name and names[name] == 1 else f"{name} {run_id[:8]}"
        histories[label] = {one.step: one.value for one in history}
    return histories, len(runs)


def client_of(uri: str) -> MlflowClient:
    """Return what talks to a tracking server or data base, which is made if it is not there.

    Models are registered in the same one, unless `MLFLOW_REGISTRY_URI` names another.
    """
    from mlflow import MlflowClient

    _make_whole(uri)
    _hush()
    return MlflowClient(tracking_uri=uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or uri)


def logs_without_mlflow(location: LakeLocation) -> bool:
    """Return whether a study's run can be logged by this process without importing MLflow.

    It can where runs are tracked in a file of SQLite of the form that the installed MLflow makes, or in
    one that is not there yet, and the environment has an empty one of that form.
    """
    file = file_of(tracking_uri(location), "sqlite")
    form = _known_form()
    if file is None or form is None:
        return False
    return is_known(file, form) if file.exists() else file.parent.is_dir()


def _client_that_logs(uri: str) -> MlflowClient | FileClient:
    """Return what logs a study's run: MLflow only where it has to be asked."""
    file, form = file_of(uri, "sqlite"), _known_form()
    if file is not None and form is not None:
        _make_whole(uri)
        if is_known(file, form):
            return FileClient(uri, file)
    return client_of(uri)


def _known_form() -> Path | None:
    """Return an empty data base of the installed MLflow, if there is one whose form `file_client` knows."""
    try:
        shipped = shipped_file()
    except PackageNotFoundError:  # whoever logs says that it is missing
        return None
    return shipped if os.name == "posix" and is_known(shipped) else None


def _hush() -> None:
    """Let MLflow not say, each time a data base is opened, what a user cannot act on."""
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _make_whole(uri: str) -> None:
    """Make a data base of SQLite that is not there yet, at its place only when it is whole.

    MLflow makes one in many steps, and cannot go on where it was stopped between two of them.
    """
    path = file_of(uri, "sqlite")
    if path is None or path.exists() or not path.parent.is_dir():
        return
    # a name of its own each time: MLflow remembers files by their names
    made = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        try:
            shutil.copyfile(shipped_file(), made)
        except OSError:
            make_data_base(made)
        # another process may have been faster; on a disk that knows no second names MLflow makes it in place
        with suppress(OSError):
            os.link(made, path)
    finally:
        with suppress(OSError):
            made.unlink()


def make_data_base(file: Path) -> None:
    """Let MLflow make a data base of SQLite."""
    from mlflow import MlflowClient

    _hush()
    store: Any = MlflowClient(tracking_uri=_uri_of(file))._tracking_client.store
    store.engine.dispose()


def shipped_file() -> Path:
    """Return where an environment keeps an empty data base of the MLflow that it has, see `shipped`."""
    return SHIPPED / f"mlflow-{version('mlflow')}.db"


def _experiment(client: MlflowClient | FileClient, name: str, uri: str, location: LakeLocation) -> str:
    found: Experiment | None = client.get_experiment_by_name(name)
    if found is None:
        local = uri.startswith("sqlite:")
        artifacts = (location.home / "mlartifacts" / name).as_uri() if local else None
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except Exception:  # a run of another lake may have been faster; what it is depends on the client
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def verdict_metrics(figures: VerdictStatistics) -> dict[str, float]:
    """Return the figures of a verdict as metrics, by their names in MLflow."""
    return {
        "verdict.dsr": figures.dsr,
        "verdict.dsr_market": figures.dsr_market,
        "verdict.expected_maximum_sharpe": figures.expected_maximum_sharpe,
        "verdict.pbo": figures.pbo,
        "verdict.spa_p": figures.spa_zero,
        "verdict.spa_market_p": figures.spa_market,
        "verdict.trials": float(figures.trials),
        "verdict.effective_trials": figures.effective_trials,
        "verdict.record_periods": figures.record_periods,
        **_side("validate", figures.validate),
        **(_side("test", figures.test) if figures.test is not None else {}),
    }


def _side(name: str, side: WindowStatistics) -> dict[str, float]:
    figures = {
        "psr": side.psr,
        "objective": side.objective.estimate,
        "objective_low": side.objective.low,
        "objective_high": side.objective.high,
        "market": side.market,
        "beta": side.beta,
        "alpha": side.alpha,
    }
    if side.excess is not None:
        figures |= {"excess_sharpe": side.excess.estimate, "excess_low": side.excess.low}
    return {f"verdict.{name}_{key}": value for key, value in figures.items()}
