"""Validation: how a model's predictions did on rows whose label is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whatif.models import check_frame
from whatif.splits import Window
from whatif.training.fit import Trained, labelled_in
from whatif.training.spec import ModelSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def error_on(features: DataFrame, trained: Trained, windows: Sequence[Window]) -> float:
    """Return the root mean squared error on the labelled rows of `windows`; NaN without a row."""
    from pyspark.sql import functions as F  # noqa: N812

    spec = trained.spec
    rows = features.dropna(subset=[*spec.columns, spec.label_column]).where(labelled_in(windows))
    rows = rows.select("symbol", "ts", *spec.columns, F.col(spec.label_column).alias("label"))
    scored = trained.kind.predict(trained.fitted, rows)
    check_frame(trained.kind, scored)
    row = scored.agg(F.avg((F.col("prediction") - F.col("label")) ** 2)).first()
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
    from pyspark.sql import functions as F  # noqa: N812

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
