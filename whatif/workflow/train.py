"""Features, models and predictions that a study needs, made where they are not there yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from whatif.features.build import build_features
from whatif.lake import append, read_pinned
from whatif.lake.tables import PREDICTIONS
from whatif.models.random_forest import predict, train, validation_metrics
from whatif.models.spec import ModelSpec
from whatif.pins import LakeLocation, Pin, current_pin, open_table, table_exists
from whatif.pins.filters import equal
from whatif.pins.read import scan
from whatif.runner.plan import ModelPin
from whatif.tracking.models import log_model
from whatif.tracking.run import TrackedRun
from whatif.workflow.resolve import Resolved, Session

Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What had to exist before the first backtest.

    Attributes
    ----------
    features : mapping of str to Pin
        Features tables by timeframe.
    models : mapping of (str, str) to ModelPin
        Predictions by model and timeframe.
    trained : tuple of str
        Models that were trained now; the others' predictions were there.
    metrics : mapping of str to mapping
        Validation metrics of the models trained now, by name.
    """

    features: Mapping[str, Pin]
    models: Mapping[tuple[str, str], ModelPin]
    trained: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, float]]


def prepare_features(
    spark: SparkSession, location: LakeLocation, resolved: Resolved, say: Say = lambda _: None
) -> dict[str, Pin]:
    """Return the pins of the study's features tables, building those that are missing."""
    pins = {}
    for timeframe, spec in resolved.features.items():
        started = time.perf_counter()
        pins[timeframe] = build_features(spark, location, resolved.bars, spec)
        say(f"features {timeframe}: {len(spec.columns)} columns in {spec.table}, {_took(started)}")
    return pins


def prepare(
    session: Session,
    location: LakeLocation,
    resolved: Resolved,
    tracked: TrackedRun | None = None,
    say: Say = lambda _: None,
) -> Prepared:
    """Make sure that features and predictions exist for the pinned bars.

    A model whose predictions are stored is not trained again, and where all are, Spark is not
    asked for. Each model's predictions, for all bars from the validate window on, are one
    batch job and one commit.
    """
    if not resolved.models:
        return Prepared({}, {}, (), {})
    snapshot = resolved.bars.snapshot_id
    stored = predicted(location, {spec.digest(snapshot) for spec in resolved.models.values()})
    features: dict[str, Pin] = {}
    metrics: dict[str, Mapping[str, float]] = {}
    for (name, _), spec in resolved.models.items():
        if spec.digest(snapshot) in stored:
            say(f"model {name}: predictions are stored")
            continue
        features = features or prepare_features(session(), location, resolved, say)
        rows = read_pinned(session(), location, features[spec.features.bars.timeframe])
        metrics[name] = _train_one(session(), location, resolved, spec, rows, tracked, say)
        stored.add(spec.digest(snapshot))
    where = current_pin(location, PREDICTIONS.name)
    models = {
        key: ModelPin(where, spec.digest(snapshot), spec.target) for key, spec in resolved.models.items()
    }
    return Prepared(features, models, tuple(metrics), metrics)


def predicted(location: LakeLocation, digests: Collection[str]) -> set[str]:
    """Return those models whose predictions are stored. Starts no JVM."""
    if not table_exists(location, PREDICTIONS.name):
        return set()
    if open_table(location, PREDICTIONS.name).current_snapshot() is None:
        return set()
    pinned = current_pin(location, PREDICTIONS.name)
    found: set[str] = set()
    for digest in digests:
        # files hold one model each, so a file that may match does
        if next(iter(scan(pinned, ["model_digest"], equal("model_digest", digest)).plan_files()), None):
            found.add(digest)
    return found


def _train_one(
    spark: SparkSession,
    location: LakeLocation,
    resolved: Resolved,
    spec: ModelSpec,
    features: DataFrame,
    tracked: TrackedRun | None,
    say: Say,
) -> Mapping[str, float]:
    started = time.perf_counter()
    snapshot = resolved.bars.snapshot_id
    trained = train(features, spec)
    seconds = time.perf_counter() - started
    scored = predict(features, trained, resolved.timeline.validate.start_us, snapshot).persist()
    try:
        metrics = validation_metrics(features, scored, spec, resolved.timeline.validate)
        if tracked is not None:
            log_model(tracked, trained, metrics, spec.digest(snapshot), seconds)
        # the commit comes last: a model counts as trained once its predictions are stored
        append(spark, location, PREDICTIONS, scored)
    finally:
        scored.unpersist()
    say(
        f"model {spec.name}: {trained.rows:,} rows, skill against the naive forecast "
        f"{metrics['skill']:+.4f}, correlation {metrics['correlation']:+.3f}, {_took(started)}"
    )
    return metrics


def _took(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"
