"""Training of a model on its train windows, its predictions of all other bars, and where they are stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from whatif.domain import ddl, timestamps
from whatif.errors import ModelError
from whatif.lake import PREDICTIONS, replace_arrow
from whatif.lake import replace as replace_rows
from whatif.models import Fitted, ModelKind, check_fitted, check_frame, predicted_columns
from whatif.pins import LakeLocation, current_pin, equal, has_rows, scan
from whatif.splits import Window
from whatif.training.spec import ModelSpec
from whatif.training.weights import KNOWN, weighed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


def training_rows(features: Any, spec: ModelSpec) -> Any:
    """Return the rows that may train: inside a train window, complete, and purged.

    Purged are rows whose label is known only after their window ends, that is whose
    `label_end` lies behind it; and rows with a feature or the label missing.

    Parameters
    ----------
    features : DataFrame
        Rows of a features table, of Spark or of pandas; what is returned is the same.
    spec : ModelSpec
        The model.
    """
    return _complete_in(features, spec, spec.train)


def labelled_rows(features: Any, spec: ModelSpec, windows: Sequence[Window]) -> Any:
    """Return symbol, ts, the feature columns and `label` of the complete rows of some windows."""
    return _labelled(features, spec, windows, {})


def _labelled(features: Any, spec: ModelSpec, windows: Sequence[Window], more: Mapping[str, str]) -> Any:
    """Return the same with more columns of the table, by what they are to be called."""
    rows = _complete_in(features, spec, windows)
    names = ["symbol", "ts", *spec.columns]
    if isinstance(rows, pd.DataFrame):
        label = rows[spec.label_column]
        others = {name: rows[column] for name, column in more.items()}
        return rows[names].assign(label=np.sign(label) if spec.learns_sign else label, **others)
    from pyspark.sql import functions as F  # noqa: N812

    learnt = F.signum(spec.label_column) if spec.learns_sign else F.col(spec.label_column)
    others = {name: F.col(column).alias(name) for name, column in more.items()}
    return rows.select(*names, learnt.alias("label"), *others.values())


def _complete_in(features: Any, spec: ModelSpec, windows: Sequence[Window]) -> Any:
    complete = features.dropna(subset=[*spec.columns, spec.label_column])
    condition = labelled_in(windows, complete)
    return complete[condition] if isinstance(complete, pd.DataFrame) else complete.where(condition)


def labelled_in(windows: Sequence[Window], frame: Any = None) -> Any:
    """Return the condition that a row of features lies in one of `windows`, and its label too.

    A column of Spark; of a frame of pandas, if one is given, its rows as booleans.
    """
    return reduce(
        or_, (_starts_in(one, frame) & (_column("label_end", frame) <= _end(one)) for one in windows)
    )


def _starts_in(window: Window, frame: Any = None) -> Any:
    ts = _column("ts", frame)
    return (ts >= _instant(window.start_us)) & (ts < _end(window))


def _column(name: str, frame: Any) -> Any:
    if isinstance(frame, pd.DataFrame):
        return frame[name]
    from pyspark.sql import functions as F  # noqa: N812

    return F.col(name)


def _end(window: Window) -> datetime:
    return _instant(window.end_us)


def train(features: Any, spec: ModelSpec) -> Trained:
    """Return the model of `spec` fitted on the train window of `features`, of Spark or of pandas.

    Rows of Spark are spread over a fixed number of partitions by a hash of symbol and ts and
    sorted inside each, so that the same rows give the same model on any cluster.

    Raises
    ------
    ModelError
        If no row is left to train on, or the kind breaks its contract.
    """
    how = spec.kind.weights
    rows = _labelled(features, spec, spec.train, {} if how is None else {KNOWN: spec.known_column})
    if how is not None:
        rows = weighed(rows, features[["symbol", "ts"]], how)
    if not isinstance(rows, pd.DataFrame):
        rows = rows.repartition(TRAIN_PARTITIONS, "symbol", "ts").sortWithinPartitions("symbol", "ts")
    try:
        fitted = spec.kind.fit(rows, spec.columns)
    except ModelError as error:
        if not spec.symbol:
            raise
        raise ModelError(f"model {spec.name!r}: {error}") from error
    check_fitted(spec.kind, fitted, spec.columns)
    if not fitted.rows:
        never = _without_value(features, spec)
        lacks = (
            f"{', '.join(never)} has no value in it, and no kind of model takes a row that lacks one; choose "
            "another feature"
            if never
            else "every row lacks a feature or its label, or the label ends after the window; lengthen the "
            "window or shorten the periods"
        )
        raise ModelError(f"model {spec.name!r} has no row to train on in {_shown(spec.train)}: {lacks}")
    return Trained(spec, spec.kind, fitted)


def _without_value(features: Any, spec: ModelSpec) -> list[str]:
    """Return those features of a model that are missing in all rows of its train windows."""
    texts = {column: text for text, column in spec.features.column_of().items()}
    inside = reduce(or_, (_starts_in(one, features) for one in spec.train))
    if isinstance(features, pd.DataFrame):
        counts = features.loc[inside, list(spec.columns)].notna().sum()
        return [texts[column] for column in spec.columns if inside.any() and not counts[column]]
    from pyspark.sql import functions as F  # noqa: N812

    known = (F.count(F.when(~F.isnan(column), 1)).alias(column) for column in spec.columns)
    *found, rows = features.where(inside).agg(*known, F.count("*")).first()
    return [texts[column] for column, count in zip(spec.columns, found, strict=True) if rows and not count]


def rows_to_predict(features: Any, spec: ModelSpec, start_us: int, windows: Sequence[Window] = ()) -> Any:
    """Return symbol, ts and feature columns of all bars from `start_us` on that did not train.

    Where `windows` are given, of all that lie in them. A bar with a feature missing is left out. Of a label
    with a side, the side comes along.
    """
    rows = features.dropna(subset=list(spec.columns))
    wanted = _column("ts", rows) >= _instant(start_us)
    if windows:
        wanted = reduce(or_, (_starts_in(window, rows) for window in windows))
    elif spec.everywhere:
        wanted = wanted & ~reduce(or_, (_starts_in(window, rows) for window in spec.train))
    names = ["symbol", "ts", *spec.columns, *([SIDE] if spec.has_side else [])]
    return rows[wanted][names] if isinstance(rows, pd.DataFrame) else rows.where(wanted).select(*names)


def predict(
    features: Any, trained: Trained, start_us: int, bars_snapshot: int, windows: Sequence[Window] = ()
) -> Any:
    """Return the rows of `predictions` for `rows_to_predict`, of Spark or of pandas as the features are.

    Where `windows` are given, it is the complete rows that lie in them instead.

    `prediction` is in the target's unit: a fraction of the close, or a price. Of classes there are
    `prob_long` and `prob_short` instead; where a rule gave the side, only its own may be above 0.

    Raises
    ------
    ModelError
        If what the kind gives lacks a column, or one is of another type.
    """
    spec = trained.spec
    asked = rows_to_predict(features, spec, start_us, windows)
    scored = _calibrated(trained, trained.kind.predict(trained.fitted, asked))
    digest = spec.digest(bars_snapshot)
    if isinstance(scored, pd.DataFrame):
        return _predicted_here(scored, spec).assign(model_digest=digest)[list(_PREDICTED)]
    from pyspark.sql import functions as F  # noqa: N812

    check_frame(trained.kind, scored)
    columns = {name: F.lit(None).cast("double") for name in _ANSWERS}
    columns |= {name: F.col(name) for name in predicted_columns(trained.kind)}
    if spec.has_side:
        right = F.col("prob_long")  # of a label that is 1 where the side is right
        columns["prob_long"] = F.when(F.col(SIDE) > 0, right).otherwise(0.0)
        columns["prob_short"] = F.when(F.col(SIDE) < 0, right).otherwise(0.0)
    answers = (column.alias(name) for name, column in columns.items())
    return scored.select(F.lit(digest).alias("model_digest"), "symbol", "ts", *answers)


def _calibrated(trained: Trained, scored: Any) -> Any:
    """Return predictions whose probabilities went through the model's calibration, if it has one."""
    calibration = trained.fitted.calibration
    if calibration is None:
        return scored
    answers = list(predicted_columns(trained.kind))
    if isinstance(scored, pd.DataFrame):
        made = calibration(scored[answers].to_numpy("float64"))
        return scored.assign(**dict(zip(answers, made.T, strict=True)))
    kept = [name for name in ("symbol", "ts", SIDE) if name in scored.columns]
    scored = scored.select(*kept, *answers)

    def put(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            made = calibration(frame[answers].to_numpy("float64"))
            yield frame.assign(**dict(zip(answers, made.T, strict=True)))

    return scored.mapInPandas(put, scored.schema)


def joined(scored: Any, others: Sequence[Any]) -> Any:
    """Return rows of `predictions` with others below them, of Spark or of pandas."""
    if isinstance(scored, pd.DataFrame):
        return pd.concat([scored, *others], ignore_index=True) if others else scored
    return reduce(lambda a, b: a.unionByName(b), others, scored)


def _predicted_here(scored: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    missing = {name: np.nan for name in _ANSWERS if name not in scored}
    scored = scored.assign(**missing)
    if not spec.has_side:
        return scored
    right, side = scored["prob_long"], scored[SIDE]
    return scored.assign(prob_long=right.where(side > 0, 0.0), prob_short=right.where(side < 0, 0.0))


def example_of(features: Any, spec: ModelSpec) -> pd.DataFrame:
    """Return a row of the model's features, such as it is asked with; none if none is complete."""
    rows = features[list(spec.columns)].dropna() if isinstance(features, pd.DataFrame) else None
    if rows is None:
        rows = features.select(*spec.columns).dropna().limit(1).toPandas()
    return rows.head(1)


def predicted(location: LakeLocation, digests: Collection[str]) -> set[str]:
    """Return those models whose predictions are stored. Starts no JVM."""
    if not has_rows(location, PREDICTIONS.name):
        return set()
    pinned = current_pin(location, PREDICTIONS.name)
    found: set[str] = set()
    for digest in digests:
        # files hold one model each, so a file that may match does
        if next(iter(scan(pinned, ["model_digest"], equal("model_digest", digest)).plan_files()), None):
            found.add(digest)
    return found


def store(
    spark: SparkSession | None, location: LakeLocation, scored: Any, digest: str, note: Mapping[str, str]
) -> None:
    """Put a model's predictions in the place of those that another run may have stored meanwhile."""
    if spark is not None and isinstance(scored, pd.DataFrame):
        scored = spark.createDataFrame(scored, ddl(dict(PREDICTIONS.columns)))
    if spark is None:
        rows = pa.Table.from_pandas(scored, preserve_index=False)
        replace_arrow(location, PREDICTIONS, rows, equal("model_digest", digest), note)
        return
    from pyspark.sql import functions as F  # noqa: N812

    replace_rows(spark, location, PREDICTIONS, scored, note, F.col("model_digest") == digest)


SIDE = "label_side"
"""Column of the side that a rule gave."""

_ANSWERS = ("prediction", "prob_long", "prob_short")
_PREDICTED = ("model_digest", "symbol", "ts", *_ANSWERS)


def _shown(windows: Sequence[Window]) -> str:
    more = f" and {len(windows) - 1} more" if len(windows) > 1 else ""
    return f"{windows[0]}{more}"


def _instant(us: int) -> datetime:
    return timestamps(np.array([us]))[0].to_pydatetime()
