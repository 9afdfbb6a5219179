"""Contract of models: the rules that what a kind learns and predicts keeps to, whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.errors import ModelError
from whatif.models.base import Fitted, ModelKind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from whatif.typing import FloatArray


_ROUNDING = 1e-9
_PROBABILITIES = "probabilities of long and short are from 0 on, and together at most 1"


def predicted_columns(kind: ModelKind) -> tuple[str, ...]:
    """Return the columns in which a kind answers: a prediction, or the probabilities of both sides."""
    return ("prob_long", "prob_short") if kind.classifies else ("prediction",)


def answer_of(kind: ModelKind, fitted: Fitted, values: FloatArray) -> FloatArray | pd.DataFrame:
    """Return predictions as a hosted model gives them: numbers as they are, probabilities by their names."""
    if fitted.calibration is not None:
        values = fitted.calibration(values)
    return pd.DataFrame(values, columns=list(predicted_columns(kind))) if kind.classifies else values


def check_taught(kind: ModelKind, columns: tuple[str, ...], rows: int, classes: set[float] | None) -> None:
    """Refuse rows of which nothing can be learnt, before anything is.

    Parameters
    ----------
    kind : ModelKind
        What is to learn.
    columns : tuple of str
        Features.
    rows : int
        How many there are, at least one.
    classes : set of float, or None
        Labels among them, if they are classes.

    Raises
    ------
    ModelError
        Naming the rule and the remedy.
    """
    if rows <= len(columns):
        raise ModelError(
            f"models: kind {kind.kind!r} would learn {len(columns)} features from {rows} rows: it needs more "
            "rows than features; lengthen the train window, or name fewer features"
        )
    if classes is not None and len(classes) < 2:
        (only,) = classes
        said = {1.0: "long (1)", -1.0: "short (-1)"}.get(only, "neither (0)")
        raise ModelError(
            f"models: kind {kind.kind!r} needs labels of two classes, and all {rows:,} of the train window "
            f"are {said}: move the label's target, stop or horizon, or lengthen the window"
        )


def check_fitted(kind: ModelKind, fitted: Any, columns: tuple[str, ...]) -> None:
    """Raise unless what `fit` returned keeps to its contract.

    Raises
    ------
    ModelError
        Naming the kind and the rule.
    """
    if not isinstance(fitted, Fitted):
        raise _broken(kind, f"fit returns a whatif.models.Fitted, not a {type(fitted).__name__}")
    if fitted.columns != columns:
        raise _broken(kind, f"it learnt from {fitted.columns}, and was given {columns}")
    weights = fitted.importances
    if weights is not None and len(weights) != len(columns):
        raise _broken(kind, f"it gives {len(weights)} importances of {len(columns)} columns")


def check_values(kind: ModelKind, values: Any, rows: int) -> None:
    """Raise unless an array of predictions is one finite float64 for each row, or two probabilities.

    Raises
    ------
    ModelError
        Naming the kind and the rule.
    """
    if not isinstance(values, np.ndarray):
        raise _broken(kind, f"it predicts an array of numpy, not a {type(values).__name__}")
    wanted, said = ((rows, 2), "two probabilities") if kind.classifies else ((rows,), "one value")
    if values.shape != wanted:
        raise _broken(kind, f"it predicts {said} for each row: {wanted}, not {values.shape}")
    if values.dtype != np.float64:
        raise _broken(kind, f"it predicts float64, not {values.dtype}")
    finite = np.isfinite(values).reshape(rows, -1).all(axis=1)
    _check_missing(kind, int(np.count_nonzero(~finite)), rows)
    if kind.classifies and (np.any(values < 0.0) or np.any(values.sum(axis=1) > 1.0 + _ROUNDING)):
        raise _broken(kind, _PROBABILITIES)


def check_frame(kind: ModelKind, given: Any) -> None:
    """Raise unless a frame of predictions has their columns. Runs nothing.

    Raises
    ------
    ModelError
        Naming the kind and the rule.
    """
    types = dict(getattr(given, "dtypes", ()))
    answers = dict.fromkeys(predicted_columns(kind), "double")
    for column, wanted in {"symbol": "string", "ts": "timestamp", **answers}.items():
        if types.get(column) != wanted:
            found = f"is {types[column]}" if column in types else "is not there"
            raise _broken(kind, f"it predicts a {wanted} column {column!r}, which {found}")


def check_rows(kind: ModelKind, asked: DataFrame, given: DataFrame) -> None:
    """Raise unless a frame has a finite prediction for each row that was asked, and no other. One job.

    Raises
    ------
    ModelError
        Naming the kind and the rule.
    """
    keys = "count(*) rows", "bit_xor(xxhash64(symbol, ts)) keys"
    columns = predicted_columns(kind)
    missing = " or ".join(f"{c} is null or isnan({c}) or abs({c}) = double('infinity')" for c in columns)
    total = " + ".join(columns)
    least = f"least({', '.join((*columns, '0d'))})"
    wrong = f"{least} < 0 or {total} > {1.0 + _ROUNDING}d" if kind.classifies else "false"
    both = asked.selectExpr("0 side", *keys, "0L missing", "0L wrong").unionAll(
        given.selectExpr("1 side", *keys, f"count_if({missing}) missing", f"count_if({wrong}) wrong")
    )
    wanted, found = sorted(both.collect(), key=lambda row: row["side"])
    if found["rows"] != wanted["rows"]:
        raise _broken(kind, f"it predicts one value for each row: {wanted['rows']:,}, not {found['rows']:,}")
    if found["keys"] != wanted["keys"]:
        raise _broken(kind, "it predicts the rows that it was asked, not others")
    _check_missing(kind, found["missing"], found["rows"])
    if found["wrong"]:
        raise _broken(kind, _PROBABILITIES)


def _check_missing(kind: ModelKind, missing: int, rows: int) -> None:
    if missing:
        raise _broken(
            kind,
            f"its predictions are finite where all features are there, and {missing:,} of {rows:,} are not",
        )


def _broken(kind: ModelKind, rule: str) -> ModelError:
    return ModelError(f"models: kind {kind.kind!r} breaks its contract: {rule}")
