"""Preparation of a study: features, models and predictions made where they lack, and the sweep's plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from whatif.domain import PRICE_FIELDS
from whatif.features import build_features
from whatif.lake import PREDICTIONS, create_tables, read_pinned
from whatif.models import forget_rows
from whatif.pins import LakeLocation, Pin, current_pin
from whatif.report import Wait, quiet
from whatif.resolve import ModelKey, PartKey, Resolved, Session
from whatif.runner import MEBIBYTE, ModelPin, Plan, WindowPlan, cores, spread, spread_on_spark, warm_up
from whatif.search import forward_chains
from whatif.session import get_spark, task_slots
from whatif.tracking import Tracker, log_model, restored
from whatif.training import (
    TaskDone,
    TrainTask,
    described,
    forget_features,
    judged,
    noted,
    predicted,
    read_noted,
    said_of,
    store,
    train_task,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Say = Callable[[str], None]

MAX_NAMED = 6

MAX_LOCAL_VALUES = 50_000_000
"""Numbers of a features table that this process takes at once."""

POOL_SECONDS = 6.0
"""What is left to train, at the pace so far, from which on processes beside this one are worth it."""

MANY = 4
"""Models from which on each is a task of Spark, where Spark trains."""

MIN_ARRAY_BYTES = 40 * MEBIBYTE
MAX_ARRAY_BYTES = 256 * MEBIBYTE


@dataclass(frozen=True)
class Prepared:
    """What had to exist before the first backtest.

    Attributes
    ----------
    features : mapping of str to Pin
        Features tables by timeframe.
    models : mapping of (str, str, int) to ModelPin
        Predictions by model, timeframe and number of the fold.
    trained : tuple of str
        Models that were trained now; the others' predictions were there.
    metrics : mapping of str to mapping
        Validation metrics of the models trained now, by name.
    notes : mapping of str to mapping
        What was noted of models as their predictions were stored, by name: see `whatif.training.noted`.
    """

    features: Mapping[str, Pin]
    models: Mapping[ModelKey, ModelPin]
    trained: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, float]]
    notes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def said(self, final: Prepared) -> dict[str, Any]:
        """Return in words what was chosen of models' parameters, and how they did on validate."""
        return said_of(self.notes, final.notes)


NOTHING_PREPARED = Prepared({}, {}, (), {})


def lazy_session(
    location: LakeLocation, spark: SparkSession | None = None, wait: Wait = quiet, quick: bool = False
) -> Session:
    """Return a function that gives the session on a lake whose tables exist.

    What is stored is read without Spark, so a study that is complete never starts a JVM. Workers
    of a session that is started here begin to start too. `quick` is as `get_spark` takes it.
    """

    @cache
    def session() -> SparkSession:
        with wait("Spark starts") if spark is None else quiet(""):
            started = spark or get_spark(location, quick=quick)
            if spark is None:
                warm_up(started)
            create_tables(started, location)
        return started

    return session


def plan_of(
    resolved: Resolved,
    prepared: Prepared,
    location: LakeLocation,
    origin: Mapping[str, str],
    time_limit: float,
) -> Plan:
    """Return what a worker has to know of a study whose predictions are stored."""
    windows = {
        window.name: WindowPlan(window, resolved.periods[window.name])
        for window in resolved.timeline.backtested
    }
    return Plan(
        study=resolved.study.study,
        data_digest=resolved.data_digest,
        bars=resolved.bars,
        slices=resolved.slices,
        models=prepared.models,
        strategy=resolved.portable,
        strategy_name=resolved.study.strategy.name,
        windows=windows,
        engine=resolved.checked.engine,
        home=str(location.home) if location.local else "",
        provenance=origin,
        array_bytes=_array_bytes(resolved),
        time_limit=time_limit,
        members=resolved.study.members or {},
    )


def _array_bytes(resolved: Resolved) -> int:
    """Room for the bars and some 128 arrays of their length, within bounds."""
    windows = {window for _, window in resolved.window_bars}
    groups = resolved.portfolios
    most = max(sum(resolved.window_bars[s, w] for s in group for w in windows) for group in groups)
    return min(max(most * 8 * (len(PRICE_FIELDS) + 4 + 128), MIN_ARRAY_BYTES), MAX_ARRAY_BYTES)


def models_stored(location: LakeLocation, resolved: Resolved, keys: Collection[ModelKey]) -> bool:
    """Whether the predictions of all these models are stored. Starts no JVM."""
    wanted = {s.digest(resolved.bars.snapshot_id) for k, s in resolved.parts.items() if k[:3] in keys}
    return predicted(location, wanted) == wanted


def prepare_features(
    spark: SparkSession,
    location: LakeLocation,
    resolved: Resolved,
    say: Say = lambda _: None,
    wait: Wait = quiet,
) -> dict[str, Pin]:
    """Return the pins of the study's features tables, building those that are missing."""
    pins = {}
    for k, (timeframe, spec) in enumerate(resolved.features.items(), 1):
        started = time.perf_counter()
        symbols = len(resolved.study.data.symbols)
        what = f"features {timeframe}: {len(spec.columns)} columns of {symbols:,} symbols"
        with wait(f"{what}, table {k} of {len(resolved.features)}"):
            pins[timeframe] = build_features(spark, location, resolved.bars, spec)
        say(f"features {timeframe}: {len(spec.columns)} columns in {spec.table}, {_took(started)}")
    return pins


def prepare(
    session: Session,
    location: LakeLocation,
    resolved: Resolved,
    tracker: Tracker | None = None,
    say: Say = lambda _: None,
    wanted: Collection[ModelKey] | None = None,
    on_spark: bool = False,
    wait: Wait = quiet,
) -> Prepared:
    """Make sure that features and predictions exist for the pinned bars.

    Each model is trained once for each fold, whatever the number of configurations that trade it.
    One whose predictions are stored is not trained again, and where all are, Spark is not asked
    for. Each model's predictions, for all bars behind those it learnt from, are one batch job and
    one commit; so a run that is killed trains no model again but the one it was at. On a local lake,
    models that need no Spark are trained in this process, with the same result.

    Parameters
    ----------
    session : callable
        Gives Spark.
    location : LakeLocation
        Where the lake is.
    resolved : Resolved
        The study.
    tracker : Tracker, optional
        Where models are logged.
    say : callable
        Takes a line for each model.
    wanted : collection of (str, str, int), optional
        Models, timeframes and folds; those of all folds that are ranked, if left out.
    on_spark : bool
        Train on Spark whatever could do without.
    wait : callable
        Is told which phase begins, as long as it goes on.
    """
    ranked = {fold.number for fold in resolved.timeline.folds}
    keys = [k for k in resolved.parts if (k[2] in ranked if wanted is None else k[:3] in wanted)]
    if not keys:
        return NOTHING_PREPARED
    snapshot = resolved.bars.snapshot_id
    digests = {key: resolved.parts[key].digest(snapshot) for key in keys}
    stored = predicted(location, set(digests.values()))
    first = {digest: key for key, digest in reversed(digests.items())}
    todo = [key for key in keys if first[digests[key]] == key and digests[key] not in stored]
    todo.sort(key=lambda key: key[3])  # the features of one symbol are made once
    if len(keys) > len(todo):
        say(_stored(resolved, [key for key in keys if key not in todo]))
    features: dict[str, Pin] = {}
    metrics: dict[str, Mapping[str, float]] = {}
    here = not on_spark and location.local and not any(resolved.parts[k].kind.needs_spark for k in todo)
    work = Work(None, location, resolved, tracker, say, wait)
    if todo and here and _values(resolved) <= MAX_LOCAL_VALUES:
        create_tables(None, location, (PREDICTIONS,))
        metrics = _train_here(work, todo)
    elif todo:
        work, apart = replace(work, spark=session()), _apart(resolved, todo)
        most = 4 * task_slots(session())
        metrics = _kept(work, apart, partial(spread_on_spark, session(), train_task, at_once=most))
        rest = [key for key in todo if key not in apart]
        features = prepare_features(session(), location, resolved, say, wait) if rest else {}
        trainings = sum(len(resolved.parts[key].kind.candidates) for key in rest)
        with _feature_rows(session(), location, features, trainings) as rows:
            for k, key in enumerate(rest, 1):
                metrics[resolved.named(key)] = train_one(work, key, rows[key[1]], f"{k} of {len(rest)}")
    where = current_pin(location, PREDICTIONS.name)
    specs = {key[:3]: resolved.models[key[:3]] for key in keys}
    models = {
        key: ModelPin(where, spec.digest(snapshot), spec.target, spec.kind.each is not None)
        for key, spec in specs.items()
    }
    notes = read_noted(location, set(digests.values()))
    found = {resolved.named(key): notes[digest] for key, digest in digests.items() if digest in notes}
    return Prepared(features, models, tuple(metrics), metrics, found)


def _values(resolved: Resolved) -> int:
    """Return how many numbers features of the study are, about, in the first timeframe."""
    bars = sum(resolved.window_bars.values())
    return bars * max(len(spec.columns) + len(PRICE_FIELDS) + 4 for spec in resolved.features.values())


def _stored(resolved: Resolved, keys: Sequence[PartKey]) -> str:
    names = [resolved.named(key) for key in keys]
    shown = ", ".join(names) if len(names) <= MAX_NAMED else f"{names[0]} and {len(names) - 1:,} more"
    return f"model {shown}: predictions are stored"


@contextmanager
def _feature_rows(
    spark: SparkSession, location: LakeLocation, features: Mapping[str, Pin], trainings: int
) -> Iterator[dict[str, Any]]:
    """Give the features by timeframe, kept in memory or on disk while several models learn from them."""
    rows = {timeframe: read_pinned(spark, location, pin) for timeframe, pin in features.items()}
    if trainings > len(rows):
        rows = {timeframe: frame.persist() for timeframe, frame in rows.items()}
    try:
        yield rows
    finally:
        forget_rows()
        for frame in rows.values():
            frame.unpersist()


@dataclass(frozen=True)
class Work:
    """What training needs to know; without Spark, features are of pandas."""

    spark: SparkSession | None
    location: LakeLocation
    resolved: Resolved
    tracker: Tracker | None
    say: Say
    wait: Wait = quiet


def _train_here(work: Work, todo: Sequence[PartKey]) -> dict[str, Mapping[str, float]]:
    """Train models in this process; where they take long, all but the first in processes beside it."""
    resolved, left, started = work.resolved, list(todo), time.perf_counter()
    found: dict[str, Mapping[str, float]] = {}
    while left:
        rest = [key for key in left if found and _travels(resolved, key)]
        count = min(cores(), len(rest))
        if count > 1 and len(rest) * (time.perf_counter() - started) / len(found) > POOL_SECONDS:
            work.say(f"{len(rest)} more models in {count} processes")
            found |= _kept(work, rest, partial(spread, train_task, processes=count))
            left = [key for key in left if key not in rest]
        else:
            key = left.pop(0)
            found[resolved.named(key)] = train_one(work, key, None, f"{len(found) + 1} of {len(todo)}")
    forget_features()
    return found


def _kept(
    work: Work, keys: Sequence[PartKey], ends: Callable[[list[TrainTask]], Iterator[tuple[int, TaskDone]]]
) -> dict[str, Mapping[str, float]]:
    """Keep what comes of models that are trained elsewhere, each as it ends."""
    if not keys:
        return {}
    kept: dict[str, Mapping[str, float]] = {}
    with work.wait(f"{len(keys):,} models are trained beside each other, each is told of as it ends"):
        for k, one in ends([_task(work.resolved, key) for key in keys]):
            kept[work.resolved.named(keys[k])] = _keep(work, keys[k], one, one.seconds)
    return kept


def _apart(resolved: Resolved, todo: Sequence[PartKey]) -> list[PartKey]:
    """Return the models that are trained by a task of Spark each: where there are many, or a large table."""
    fit = [key for key in todo if _travels(resolved, key)]
    return fit if len(fit) >= MANY or _values(resolved) > MAX_LOCAL_VALUES else []


def _travels(resolved: Resolved, key: PartKey) -> bool:
    """Whether a model can be trained in another process: without Spark, by code that is there too."""
    spec = resolved.parts[key]
    return not spec.kind.needs_spark and not spec.code and spec.held is None


def _task(resolved: Resolved, key: PartKey) -> TrainTask:
    spec, line = resolved.parts[key], resolved.timeline
    fold = next(fold for fold in line.every if fold.number == key[2])
    bar_us = spec.features.bars.bar_us
    chains = {n: forward_chains(line.schedule, spec.train, n, bar_us) for n in sorted(spec.kind.folds)}
    start = line.start_us if spec.everywhere else spec.train[-1].end_us
    return TrainTask(spec, resolved.bars, chains, start, tuple(fold.validate))


def train_one(work: Work, key: PartKey, features: Any = None, which: str = "") -> Mapping[str, float]:
    """Train a model in its fold, store its predictions, and return how it did on the validate window.

    `which` says which of how many it is.
    """
    started, spec = time.perf_counter(), work.resolved.parts[key]
    held = None if spec.held is None else restored(work.location, spec)
    what = f"model {work.resolved.named(key)}{f', {which}' if which else ''}: it learns, and predicts"
    with work.wait(what):
        done = train_task(_task(work.resolved, key), features, held)
        try:
            return _keep(work, key, done, time.perf_counter() - started)
        finally:
            done.release()


def _keep(work: Work, key: PartKey, done: TaskDone, seconds: float) -> Mapping[str, float]:
    """Log a model, store its predictions, and say how it did."""
    spec, metrics, tuned = work.resolved.parts[key], done.metrics, done.tuned
    digest = spec.digest(work.resolved.bars.snapshot_id)
    if work.tracker is not None and spec.held is None:
        parts = done.trained, metrics, digest, done.seconds, tuned, done.example, done.importance
        work.tracker.attempt(lambda run: log_model(run, *parts))
    # the commit comes last: a model counts as trained once its predictions are stored
    note = noted(digest, tuned, metrics, done.importance)
    store(work.spark, work.location, done.scored, digest, note)
    said = [spec.held.name if spec.held else f"{done.trained.fitted.rows:,} rows", judged(metrics)]
    if tuned is not None:
        said.append(described({"chosen": tuned.chosen.params, "tried": tuned.tried}))
    work.say(f"model {work.resolved.named(key)}: {', '.join(filter(None, said))}, {seconds:.1f} s")
    return metrics


def _took(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"
