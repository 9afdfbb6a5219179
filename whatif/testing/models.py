"""Check of a kind of model of one's own against what every kind has to keep to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from whatif.models import (
    WEIGHT,
    Calibration,
    Fitted,
    ModelKind,
    check_fitted,
    check_frame,
    check_rows,
    predicted_columns,
)
from whatif.typing import FloatArray

COLUMNS = ("slope", "bend", "noise")
ROWS = 600
_CALIBRATION = Calibration("platt", {"long": ((1.25,), (0.5,)), "short": ((0.75,), (-0.25,))})
_SCHEMA = "symbol string, ts timestamp, slope double, bend double, noise double, label double"


def check_model(
    kind: type[ModelKind],
    spark: Any,
    keys: Mapping[str, Any] | None = None,
    name: str = "own",
    tolerance: float = 0.0,
) -> None:
    """Raise unless a kind of model keeps to the contract of `ModelKind` on rows that are made for it.

    Parameters
    ----------
    kind : type
        The class.
    spark : SparkSession
        A session to work on.
    keys : mapping, optional
        Keys of its section, such as {"penalty": 0.1}; without `kind`. What it learns is its `target`, or the
        first of its `targets`.
    name : str
        What a study would give as `kind`.
    tolerance : float
        How far predictions may differ, as a fraction, between two models learnt from the same rows.

    Raises
    ------
    ModelError
        If what it learns or predicts breaks the contract.
    AssertionError
        If the same rows teach it something else, a prediction depends on other rows, weights that it says to
        take change nothing, what it saved reads back otherwise, or a section does not survive being written
        and read.
    """
    model = kind.model_validate({"kind": name, **(keys or {})})
    written = kind.model_validate(model.model_dump(by_alias=True))
    assert written == model, f"{name}: {written!r} was read back of {model!r}"
    for variant in model.candidates:
        learns = variant.target or variant.targets[0]
        _check(variant.model_copy(update={"target": learns}), spark, name, tolerance)


def _check(model: ModelKind, spark: Any, name: str, tolerance: float) -> None:
    made = _rows()
    if model.classifies:
        limit = float(made["label"].abs().median())
        made["label"] = np.sign(made["label"]).where(made["label"].abs() > limit, 0.0)
    rows = spark.createDataFrame(made, _SCHEMA)
    taught, asked = _spread(rows), rows.drop("label")
    fitted = _fitted(model, taught)
    assert fitted.rows == ROWS, f"{name}: it says that it learnt from {fitted.rows} rows of {ROWS}"
    first = _predictions(model, fitted, asked)
    again = _fitted(model, _spread(rows.orderBy("noise").repartition(3)))
    _alike(
        _predictions(model, again, asked), first, tolerance, f"{name}: the same rows teach it another model"
    )
    if model.takes_weights:
        weighed = model.model_copy(update={"weights": "uniqueness"})
        heavy = _fitted(weighed, taught.selectExpr("*", f"1 + 0.9 * signum(bend) {WEIGHT}"))
        moved = np.abs(_predictions(weighed, heavy, asked) - first).max()
        assert moved > 0.0, f"{name}: it says takes_weights, and learns the same whatever rows weigh"
    few = asked.where("noise > 0")
    _alike(
        _predictions(model, fitted, few),
        first[made["noise"].to_numpy() > 0],
        0.0,
        f"{name}: a prediction depends on what else is asked",
    )
    if model.classifies:
        fitted = replace(fitted, calibration=_CALIBRATION)
    with TemporaryDirectory() as folder:
        assert model.save(fitted, Path(folder)), f"{name}: it names no flavour in which MLflow reads it"
        loaded = model.load(Path(folder))
        check_fitted(model, loaded, COLUMNS)
        assert loaded.calibration == fitted.calibration, f"{name}: what it saved has lost its calibration"
        _alike(_predictions(model, loaded, asked), first, 0.0, f"{name}: what it saved predicts otherwise")
    assert len(_predictions(model, fitted, asked.limit(0))) == 0
    assert _fitted(model, taught.limit(0)).rows == 0, f"{name}: of no row, Fitted.rows is 0"


def _rows() -> pd.DataFrame:
    """Return rows of two symbols, whose label follows from two of three columns, with some noise."""
    rng = np.random.default_rng(16)
    slope, bend, noise = rng.normal(size=(3, ROWS))
    return pd.DataFrame(
        {
            "symbol": np.repeat(["A", "B"], ROWS // 2),
            "ts": pd.Timestamp("2024-03-01 14:30", tz="UTC") + pd.to_timedelta(np.arange(ROWS), "min"),
            **dict(zip(COLUMNS, (slope, bend, noise), strict=True)),
            "label": 0.01 * slope - 0.02 * np.maximum(bend, 0.0) + 0.001 * rng.normal(size=ROWS),
        }
    )


def _spread(rows: Any) -> Any:
    """Return rows as the engine gives them to `fit`."""
    return rows.repartition(4, "symbol", "ts").sortWithinPartitions("symbol", "ts")


def _fitted(model: ModelKind, rows: Any) -> Fitted:
    fitted = model.fit(rows, COLUMNS)
    check_fitted(model, fitted, COLUMNS)
    return fitted


def _predictions(model: ModelKind, fitted: Fitted, asked: Any) -> FloatArray:
    """Return what it predicts, checked, by symbol and time; a further column has to come through."""
    given = model.predict(fitted, asked.selectExpr("*", "slope * 2 beside"))
    check_frame(model, given)
    check_rows(model, asked, given)
    answers = predicted_columns(model)
    collected = given.select("symbol", "ts", "slope", "beside", *answers).toPandas()
    frame: pd.DataFrame = collected.sort_values(["symbol", "ts"], ignore_index=True)
    assert (frame["beside"] == frame["slope"] * 2).all(), "a column beside the features came out changed"
    found: FloatArray = frame[list(answers)].to_numpy("float64")
    return found


def _alike(found: Any, wanted: Any, tolerance: float, said: str) -> None:
    scale = float(np.abs(wanted).max(initial=0.0))
    furthest = float(np.abs(found - wanted).max(initial=0.0))
    assert furthest <= tolerance * scale, f"{said}: predictions differ by up to {furthest:g} of {scale:g}"
