"""Training of a model on its train windows, and its predictions of all other bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import numpy as np

from whatif.domain import timestamps
from whatif.errors import ModelError
from whatif.models import Fitted, ModelKind, check_fitted, check_frame
from whatif.splits import Window
from whatif.training.spec import ModelSpec

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

TRAIN_PARTITIONS = 8
"""Fixed, so that a model does not depend on the cores it was trained on."""


@dataclass(frozen=True)
class Trained:
    """A model, and what it was trained as.

    Attributes
    ----------
    spec : ModelSpec
        The variant as the study has it.
    kind : ModelKind
        The one that learnt: of several candidates, the one that was chosen.
    fitted : Fitted
        What it learnt, on the rows that are left after the purge.
    """

    spec: ModelSpec
    kind: ModelKind
    fitted: Fitted


def training_rows(features: DataFrame, spec: ModelSpec) -> DataFrame:
    """Return the rows that may train: inside a train window, complete, and purged.

    Purged are rows whose label is known only after their window ends, that is whose
    `label_end` lies behind it; and rows with a feature or the label missing.
    """
    complete = features.dropna(subset=[*spec.columns, spec.label_column])
    return complete.where(labelled_in(spec.train))


def labelled_in(windows: Sequence[Window]) -> Column:
    """Return the condition that a row of features lies in one of `windows`, and its label too."""
    from pyspark.sql import functions as F  # noqa: N812

    ends = ((window, F.lit(_instant(window.end_us))) for window in windows)
    return reduce(or_, (_starts_in(window) & (F.col("label_end") <= end) for window, end in ends))


def _starts_in(window: Window) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    start, end = (F.lit(_instant(us)) for us in (window.start_us, window.end_us))
    return (F.col("ts") >= start) & (F.col("ts") < end)


def train(features: DataFrame, spec: ModelSpec) -> Trained:
    """Return the model of `spec` fitted on the train window of `features`.

    Rows are spread over a fixed number of partitions by a hash of symbol and ts and
    sorted inside each, so that the same rows give the same model on any cluster.

    Raises
    ------
    ModelError
        If no row is left to train on, or the kind breaks its contract.
    """
    from pyspark.sql import functions as F  # noqa: N812

    rows = (
        training_rows(features, spec)
        .select("symbol", "ts", *spec.columns, F.col(spec.label_column).alias("label"))
        .repartition(TRAIN_PARTITIONS, "symbol", "ts")
        .sortWithinPartitions("symbol", "ts")
    )
    fitted = spec.kind.fit(rows, spec.columns)
    check_fitted(spec.kind, fitted, spec.columns)
    if not fitted.rows:
        raise ModelError(
            f"model {spec.name!r} has no row to train on in {_shown(spec.train)}: every row lacks "
            "a feature or its label, or the label ends after the window; lengthen the window or shorten "
            "the periods"
        )
    return Trained(spec, spec.kind, fitted)


def rows_to_predict(features: DataFrame, spec: ModelSpec, start_us: int) -> DataFrame:
    """Return symbol, ts and feature columns of all bars from `start_us` on that did not train.

    A bar with a feature missing is left out.
    """
    from pyspark.sql import functions as F  # noqa: N812

    rows = features.where(F.col("ts") >= F.lit(_instant(start_us))).dropna(subset=list(spec.columns))
    if spec.everywhere:
        rows = rows.where(~reduce(or_, (_starts_in(window) for window in spec.train)))
    return rows.select("symbol", "ts", *spec.columns)


def predict(features: DataFrame, trained: Trained, start_us: int, bars_snapshot: int) -> DataFrame:
    """Return the rows of `predictions` for `rows_to_predict`.

    `prediction` is in the target's unit: a fraction of the close, or a price.

    Raises
    ------
    ModelError
        If what the kind gives lacks a column, or one is of another type.
    """
    from pyspark.sql import functions as F  # noqa: N812

    spec = trained.spec
    scored = trained.kind.predict(trained.fitted, rows_to_predict(features, spec, start_us))
    check_frame(trained.kind, scored)
    return scored.select(
        F.lit(spec.digest(bars_snapshot)).alias("model_digest"),
        "symbol",
        "ts",
        "prediction",
        F.lit(None).cast("double").alias("prob_long"),
        F.lit(None).cast("double").alias("prob_short"),
    )


def _shown(windows: Sequence[Window]) -> str:
    more = f" and {len(windows) - 1} more" if len(windows) > 1 else ""
    return f"{windows[0]}{more}"


def _instant(us: int) -> datetime:
    return timestamps(np.array([us]))[0].to_pydatetime()
