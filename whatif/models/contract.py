"""Contract of models: the rules that what a kind learns and predicts keeps to, whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from whatif.errors import ModelError
from whatif.models.base import Fitted, ModelKind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NOT_FINITE = "prediction is null or isnan(prediction) or abs(prediction) = double('infinity')"


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
    """Raise unless an array of predictions is one finite float64 for each row.

    Raises
    ------
    ModelError
        Naming the kind and the rule.
    """
    if not isinstance(values, np.ndarray):
        raise _broken(kind, f"it predicts an array of numpy, not a {type(values).__name__}")
    if values.shape != (rows,):
        raise _broken(kind, f"it predicts one value for each row: ({rows},), not {values.shape}")
    if values.dtype != np.float64:
        raise _broken(kind, f"it predicts float64, not {values.dtype}")
    _check_missing(kind, int(np.count_nonzero(~np.isfinite(values))), rows)


def check_frame(kind: ModelKind, given: Any) -> None:
    """Raise unless a frame of predictions has their columns. Runs nothing.

    Raises
    ------
    ModelError
        Naming the kind and the rule.
    """
    types = dict(getattr(given, "dtypes", ()))
    for column, wanted in {"symbol": "string", "ts": "timestamp", "prediction": "double"}.items():
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
    both = asked.selectExpr("0 side", *keys, "0L missing").unionAll(
        given.selectExpr("1 side", *keys, f"count_if({_NOT_FINITE}) missing")
    )
    wanted, found = sorted(both.collect(), key=lambda row: row["side"])
    if found["rows"] != wanted["rows"]:
        raise _broken(kind, f"it predicts one value for each row: {wanted['rows']:,}, not {found['rows']:,}")
    if found["keys"] != wanted["keys"]:
        raise _broken(kind, "it predicts the rows that it was asked, not others")
    _check_missing(kind, found["missing"], found["rows"])


def _check_missing(kind: ModelKind, missing: int, rows: int) -> None:
    if missing:
        raise _broken(
            kind,
            f"its predictions are finite where all features are there, and {missing:,} of {rows:,} are not",
        )


def _broken(kind: ModelKind, rule: str) -> ModelError:
    return ModelError(f"models: kind {kind.kind!r} breaks its contract: {rule}")
