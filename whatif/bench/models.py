"""Benchmark of models: many side by side, batch predictions, and training beside Spark ML's own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.market import load_market
from whatif.bench.setting import Setting
from whatif.calendars import EPOCH
from whatif.lake import PREDICTIONS, append, create_tables, read_pinned
from whatif.models import SparkModel, forget_rows
from whatif.pins import Pin
from whatif.resolve import Resolved, resolve_study
from whatif.runner import spread
from whatif.splits import Window
from whatif.study import parse_study
from whatif.training import ModelSpec, TrainTask, labelled_rows, predict, train, train_task
from whatif.workflow import prepare_features

BARS = 250_000
MANY = 10, 20
"""Seeds, and folds, of which each pair is a model of scikit-learn."""

_QUICK = 3_000, (2, 3)
_FORESTS = (5, 5), (15, 5), (25, 7)
_NOTES = (
    "scikit-learn: a forest of 20 trees for each of ten seeds and twenty folds, trained, asked and judged; "
    "in this process one after the other, and in processes beside it, which are running already",
    "predictions: of every bar, warm, by a fitted model; reading the features table, and writing the rows to "
    "Iceberg with their commit, are included",
    "FinSpace: three forests of 5, 15 and 25 trees of Spark ML, trained as a study trains them, against "
    "`fit` alone on a cached frame of the same rows, after both were done once",
)
_STUDY = """\
study: bench-models
data:      {{symbols: [{symbol}], timeframe: 1min, start: {start}, end: {end}}}
calendar:  {{exchange: {exchange}, session: extended}}
features:  [roc(1), roc(5), roc(10), roc(20)]
label:     {{kind: {label}}}
models:
{models}
strategy:  {{name: {strategy}, params: {{size: 1.0}}}}
axes:
  model: [{names}]
split:     {{kind: holdout, train: 0.5, validate: 0.25, test: 0.25}}
"""


def measure(setting: Setting) -> Measurement:
    """Measure the three."""
    bars, many = _QUICK if setting.options.quick else (BARS, MANY)
    setting.say(f"models: a sample market of {bars:,} minutes")
    market = load_market(setting.spark, setting.location, None, bars)
    days = (EPOCH + timedelta(days=int(market.bars.session[k])) for k in (0, -1))
    first, last = days
    place = {
        "symbol": market.bars.symbol,
        "exchange": market.exchange,
        "start": first,
        "end": last + timedelta(days=1),
    }
    create_tables(setting.spark, setting.location)
    one, beside, count = _side_by_side(setting, place, *many)
    speeds = _speeds(setting, place)
    ours, plain = _forests(setting, place)
    return Measurement(
        name="models",
        title=f"models on {bars:,} bars",
        figures=(
            Figure("ratio", f"{count} models of scikit-learn, processes against one", one / beside, "x",
                   Goal("at least", 1.8)),
            *(
                Figure(f"speed_{name}", f"predictions of {name}, stored", speed, "bars/s",
                       Goal("at least", 200_000.0))
                for name, speed in speeds.items()
            ),
            Figure("training", "three forests, against fit alone", ours / plain, "x", Goal("at most", 1.3)),
            Figure("one_seconds", "models of scikit-learn in one process", one, "s"),
            Figure("forest_seconds", "three forests of a study", ours, "s"),
        ),
        notes=_NOTES,
        detail={"one": one, "beside": beside, "speeds": speeds, "ours": ours, "plain": plain},
    )  # fmt: skip


def _resolved(setting: Setting, place: dict[str, Any], models: dict[str, str], classes: bool) -> Resolved:
    text = _STUDY.format(
        **place,
        label="triple_barrier, target: 0.002, stop: 0.002, horizon: 20" if classes else "forward_vwap",
        strategy="probability_threshold" if classes else "forecast_threshold",
        models="\n".join(f"  {name}: {{{keys}}}" for name, keys in models.items()),
        names=", ".join(models),
    )
    return resolve_study(parse_study(text, "the benchmark's study"), setting.location)


def _side_by_side(
    setting: Setting, place: dict[str, Any], seeds: int, folds: int
) -> tuple[float, float, int]:
    """Return seconds of many models in one process and in several, and how many models there are."""
    keys = "kind: sklearn.ensemble.RandomForestRegressor, params: {n_estimators: 20, max_depth: 6}"
    resolved = _resolved(setting, place, {f"m{k}": f"{keys}, seed: {k}" for k in range(seeds)}, False)
    tasks = [task for spec in resolved.models.values() for task in _folds(resolved.bars, spec, folds)]
    setting.say(f"models: {len(tasks)} of scikit-learn, one after the other and side by side")
    processes = setting.options.cores
    for _ in spread(train_task, tasks[:processes], processes):  # they start, and read the bars
        pass
    train_task(tasks[0])
    started = time.perf_counter()
    for task in tasks:
        train_task(task)
    one = time.perf_counter() - started
    started = time.perf_counter()
    for _ in spread(train_task, tasks, processes):
        pass
    return one, time.perf_counter() - started, len(tasks)


def _folds(bars: Pin, spec: ModelSpec, count: int) -> list[TrainTask]:
    """Return tasks whose train windows follow each other, each judged on what comes next."""
    (whole,) = spec.train
    step = (whole.end_us - whole.start_us) // (count + 1)
    cuts = [whole.start_us + k * step for k in range(count + 2)]
    made = []
    for k in range(count):
        window, after = Window("train", cuts[k], cuts[k + 1]), Window("validate", cuts[k + 1], cuts[k + 2])
        made.append(TrainTask(replace(spec, train=(window,)), bars, {}, cuts[k + 1], (after,)))
    return made


def _speeds(setting: Setting, place: dict[str, Any]) -> dict[str, float]:
    """Return bars a second that are predicted and stored, by kind."""
    kinds = {
        "perceptron": "kind: multilayer_perceptron, rounds: 20, seed: 7",
        "boosted": "kind: gradient_boosted_trees, rounds: 10, depth: 3, seed: 7",
    }
    resolved = _resolved(setting, place, kinds, True)
    (pin,) = prepare_features(setting.spark, setting.location, resolved).values()
    features = read_pinned(setting.spark, setting.location, pin)
    first, last = resolved.timeline.start_us, resolved.timeline.end_us
    every_bar = Window("all", first, last)
    found = {}
    for (name, _, _), spec in resolved.models.items():
        setting.say(f"models: predictions of {name}")
        trained = train(features, spec)
        rows = predict(features, trained, first, resolved.bars.snapshot_id, [every_bar])
        count = rows.count()

        def store(rows: Any = rows) -> None:
            append(setting.spark, setting.location, PREDICTIONS, rows)

        store()
        found[name] = count / _median(store, setting.options.repeats)
    return found


def _forests(setting: Setting, place: dict[str, Any]) -> tuple[float, float]:
    """Return seconds of three forests as a study trains them, and of `fit` alone."""
    kinds = {
        f"set_{trees}": f"kind: random_forest, trees: {trees}, depth: {depth}, min_leaf: 50, seed: 7"
        for trees, depth in _FORESTS
    }
    resolved = _resolved(setting, place, kinds, False)
    (pin,) = prepare_features(setting.spark, setting.location, resolved).values()
    features = read_pinned(setting.spark, setting.location, pin).persist()
    features.count()
    specs = list(resolved.models.values())
    setting.say("models: three forests, as a study trains them and by fit alone")

    def trained() -> None:
        forget_rows()
        for spec in specs:
            train(features, spec)

    trained()  # the JVM compiles what both need while it is used first
    ours = _median(trained, setting.options.repeats)
    forget_rows()
    plain = _plain(features, specs, setting.options.repeats)
    features.unpersist()
    return ours, plain


def _plain(features: Any, specs: Sequence[ModelSpec], repeats: int) -> float:
    """Return seconds of Spark ML's own `fit` on a cached frame of vectors."""
    from pyspark.ml.feature import VectorAssembler

    rows = labelled_rows(features, specs[0], specs[0].train)
    vectors = VectorAssembler(inputCols=list(specs[0].columns), outputCol="vector").transform(rows)
    cached = vectors.select("vector", "label").persist()
    cached.count()

    def fitted() -> None:
        for spec in specs:
            cast(SparkModel, spec.kind).estimator("vector", "label").fit(cached)

    fitted()
    seconds = _median(fitted, repeats)
    cached.unpersist()
    return seconds


def _median(work: Callable[[], object], repeats: int) -> float:
    """Return the median seconds that something takes."""
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)
