"""Random forests of Spark ML: trained on the train window, applied to what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import RandomForestRegressionModel, RandomForestRegressor
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from whatif.domain import timestamps
from whatif.errors import ModelError
from whatif.models.spec import ModelSpec
from whatif.splits import Window

TRAIN_PARTITIONS = 8
"""Fixed, so that a model does not depend on the cores it was trained on."""

FEATURES = "features_vector"


@dataclass(frozen=True)
class Trained:
    """A fitted forest and what it was fitted on.

    Attributes
    ----------
    spec : ModelSpec
        The variant.
    model : RandomForestRegressionModel
        The fitted forest.
    rows : int
        Rows it was trained on, after the purge.
    importances : tuple of float
        Spark's feature importances, in the order of `spec.columns`; they add up to 1.
    """

    spec: ModelSpec
    model: RandomForestRegressionModel
    rows: int
    importances: tuple[float, ...]

    @property
    def pipeline(self) -> PipelineModel:
        """The forest with what joins its features: takes the columns of a features table."""
        return PipelineModel(stages=[_assembler(self.spec), self.model])


def training_rows(features: DataFrame, spec: ModelSpec) -> DataFrame:
    """Return the rows that may train: inside a train window, complete, and purged.

    Purged are rows whose label is known only after their window ends, that is whose
    `label_end` lies behind it; and rows with a feature or the label missing.
    """
    complete = features.dropna(subset=[*spec.columns, spec.label_column])
    return complete.where(labelled_in(spec.train))


def labelled_in(windows: Sequence[Window]) -> Column:
    """Return the condition that a row of features lies in one of `windows`, and its label too."""
    ends = ((window, F.lit(_instant(window.end_us))) for window in windows)
    return reduce(or_, (_starts_in(window) & (F.col("label_end") <= end) for window, end in ends))


def _starts_in(window: Window) -> Column:
    start, end = (F.lit(_instant(us)) for us in (window.start_us, window.end_us))
    return (F.col("ts") >= start) & (F.col("ts") < end)


def train(features: DataFrame, spec: ModelSpec) -> Trained:
    """Return the forest of `spec` fitted on the train window of `features`.

    Rows are spread over a fixed number of partitions by a hash of symbol and ts and
    sorted inside each, so that the same rows give the same forest on any cluster.

    Raises
    ------
    ModelError
        If no row is left to train on.
    """
    rows = (
        training_rows(features, spec)
        .select("symbol", "ts", *spec.columns, F.col(spec.label_column).alias("label"))
        .repartition(TRAIN_PARTITIONS, "symbol", "ts")
        .sortWithinPartitions("symbol", "ts")
    )
    vectors = _assembler(spec).transform(rows).select(FEATURES, "label").persist()
    try:
        count = vectors.count()
        if not count:
            raise ModelError(
                f"model {spec.name!r} has no row to train on in {_shown(spec.train)}: every row lacks "
                "a feature or its label, or the label ends after the window; lengthen the window or shorten "
                "the periods"
            )
        model = _regressor(spec).fit(vectors)
    finally:
        vectors.unpersist()
    return Trained(spec, model, count, tuple(float(v) for v in model.featureImportances.toArray()))


def predict(features: DataFrame, trained: Trained, start_us: int, bars_snapshot: int) -> DataFrame:
    """Return the rows of `predictions` for all bars that start at or after `start_us` and did not train.

    A bar with a feature missing has no row. `prediction` is in the target's unit: a
    fraction of the close, or a price.
    """
    spec = trained.spec
    rows = features.where(F.col("ts") >= F.lit(_instant(start_us))).dropna(subset=list(spec.columns))
    if spec.everywhere:
        rows = rows.where(~reduce(or_, (_starts_in(window) for window in spec.train)))
    scored = trained.pipeline.transform(rows)
    return scored.select(
        F.lit(spec.digest(bars_snapshot)).alias("model_digest"),
        "symbol",
        "ts",
        "prediction",
        F.lit(None).cast("double").alias("prob_long"),
        F.lit(None).cast("double").alias("prob_short"),
    )


def error_on(features: DataFrame, trained: Trained, windows: Sequence[Window]) -> float:
    """Return the root mean squared error on the labelled rows of `windows`; NaN without a row."""
    spec = trained.spec
    rows = features.dropna(subset=[*spec.columns, spec.label_column]).where(labelled_in(windows))
    error = trained.pipeline.transform(rows).agg(F.avg((F.col("prediction") - F.col(spec.label_column)) ** 2))
    row = error.first()
    assert row is not None  # an aggregate without keys always has one row
    return float("nan") if row[0] is None else float(row[0]) ** 0.5


def validation_metrics(
    features: DataFrame, predictions: DataFrame, spec: ModelSpec, windows: Window | Sequence[Window]
) -> dict[str, float]:
    """Return how the model did on `windows` beside the naive forecast that the price stays at its close.

    Returns
    -------
    dict
        `rows`, `rmse`, `mae`, `naive_rmse`, `naive_mae` (unit of the target), `skill`
        (1 - MSE / naive MSE: positive beats the naive forecast), `correlation` of predicted
        and realised return, and `hit_rate` (share of rows whose predicted direction came true,
        rows that did not move left out).
    """
    rows = (
        features.where(labelled_in((windows,) if isinstance(windows, Window) else windows))
        .join(predictions.select("symbol", "ts", "prediction"), ["symbol", "ts"])
        .where(F.col(spec.label_column).isNotNull())
    )
    label, guess = F.col(spec.label_column), F.col("prediction")
    close = F.col("label_level") / (1.0 + F.col("label_return"))
    naive = close if spec.target == "level" else F.lit(0.0)
    realised = label / close - 1.0 if spec.target == "level" else label
    expected = guess / close - 1.0 if spec.target == "level" else guess
    hit = F.when(realised != 0, F.when(F.signum(realised) == F.signum(expected), 1.0).otherwise(0.0))
    row = rows.agg(
        F.count("*").alias("rows"),
        F.avg((guess - label) ** 2).alias("mse"),
        F.avg(F.abs(guess - label)).alias("mae"),
        F.avg((naive - label) ** 2).alias("naive_mse"),
        F.avg(F.abs(naive - label)).alias("naive_mae"),
        F.corr(expected, realised).alias("correlation"),
        F.avg(hit).alias("hit_rate"),
    ).first()
    assert row is not None  # an aggregate without keys always has one row
    return _summary(row.asDict())


def _summary(values: dict[str, float | None]) -> dict[str, float]:
    number = {key: float("nan") if value is None else float(value) for key, value in values.items()}
    mse, naive_mse = number.pop("mse"), number.pop("naive_mse")
    skill = 1.0 - mse / naive_mse if naive_mse > 0 else float("nan")
    return {**number, "rmse": mse**0.5, "naive_rmse": naive_mse**0.5, "skill": skill}


def _shown(windows: Sequence[Window]) -> str:
    more = f" and {len(windows) - 1} more" if len(windows) > 1 else ""
    return f"{windows[0]}{more}"


def _assembler(spec: ModelSpec) -> VectorAssembler:
    return VectorAssembler(inputCols=list(spec.columns), outputCol=FEATURES)


def _regressor(spec: ModelSpec) -> RandomForestRegressor:
    forest = spec.forest
    assert forest.tune is None  # the parameters have been chosen
    return RandomForestRegressor(
        featuresCol=FEATURES,
        labelCol="label",
        numTrees=forest.trees,
        maxDepth=forest.depth,
        maxBins=forest.bins,
        minInstancesPerNode=forest.min_leaf,
        featureSubsetStrategy=forest.feature_subset,
        seed=forest.seed,
    )


def _instant(us: int) -> datetime:
    return timestamps(np.array([us]))[0].to_pydatetime()
