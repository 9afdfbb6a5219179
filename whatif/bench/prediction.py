"""Benchmark of batch prediction by a forest of Spark ML, as a study's models do it."""

from __future__ import annotations

import statistics
import time
from datetime import timedelta

from pyspark.sql import DataFrame

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting
from whatif.calendars import EPOCH
from whatif.lake import PREDICTIONS, append, create_tables, read_pinned
from whatif.resolve import Resolved, resolve_study
from whatif.study import parse_study
from whatif.training import predict, train
from whatif.workflow import prepare_features

BARS = 10_000
TREES = 50
DEPTH = 10

_QUICK_BARS = 500
_NOTES = (
    "warm: the model is fitted and has predicted once; included are reading the features table, the "
    "prediction and, for the figure with the goal, writing the rows to Iceberg and their commit",
)
_STUDY = """\
study: bench-prediction
data:      {{symbols: [{symbol}], timeframe: 1min, start: {start}, end: {end}}}
calendar:  {{exchange: {exchange}, session: extended}}
features:  [roc(1), roc(5), roc(20), ema(10), sma(5), sma(20), vwap, close, volume]
label:     {{kind: forward_vwap, horizon: 5min, target: return}}
models:
  forest:  {{kind: random_forest, trees: {trees}, depth: {depth}, seed: 7}}
strategy:  {{name: forecast_threshold, params: {{size: 1}}}}
axes:
  threshold: [0.0001]
split:     {{kind: holdout, train: 0.5, validate: 0.25, test: 0.25}}
"""


def measure(setting: Setting) -> Measurement:
    """Time the prediction of 10,000 bars by a 50-tree forest."""
    wanted = _QUICK_BARS if setting.options.quick else BARS
    resolved, features = _prepare(setting)
    (spec,) = resolved.models.values()
    setting.say(f"prediction: training {TREES} trees")
    trained = train(features, spec)
    start = int(setting.market.bars.ts[-wanted])

    def rows() -> DataFrame:
        return predict(features, trained, start, resolved.bars.snapshot_id)

    predicted = rows().count()
    append(setting.spark, setting.location, PREDICTIONS, rows())
    bare, stored = [], []
    for _ in range(setting.options.repeats):
        started = time.perf_counter()
        rows().write.format("noop").mode("overwrite").save()
        between = time.perf_counter()
        append(setting.spark, setting.location, PREDICTIONS, rows())
        bare.append(between - started)
        stored.append(time.perf_counter() - between)
    seconds = statistics.median(stored)
    return Measurement(
        name="prediction",
        title=f"batch prediction of {predicted:,} bars by {TREES} trees of depth {DEPTH}",
        figures=(
            Figure("seconds", "warm, predictions stored", seconds, "s", Goal("under", 2.0)),
            Figure("seconds_computed", "warm, before predictions are stored", statistics.median(bare), "s"),
        ),
        notes=_NOTES,
        detail={
            "stored": stored,
            "computed": bare,
            "bars": predicted,
            "trained_on": trained.fitted.rows,
            "features": spec.columns,
        },
    )


def _prepare(setting: Setting) -> tuple[Resolved, DataFrame]:
    """Return the resolved study and its features table."""
    market, spark, location = setting.market, setting.spark, setting.location
    first, last = (EPOCH + timedelta(days=int(market.bars.session[k])) for k in (0, -1))
    text = _STUDY.format(
        symbol=market.bars.symbol,
        exchange=market.exchange,
        start=first,
        end=last + timedelta(days=1),
        trees=TREES,
        depth=DEPTH,
    )
    create_tables(spark, location)
    resolved = resolve_study(parse_study(text, "the benchmark's study"), location)
    (pin,) = prepare_features(spark, location, resolved).values()
    return resolved, read_pinned(spark, location, pin)
