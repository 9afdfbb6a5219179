"""Importance of features: what a kind says itself, and how much worse a model is where one is shuffled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.models import predicted_columns
from whatif.typing import FloatArray

if TYPE_CHECKING:
    from whatif.training.fit import Trained
    from whatif.training.spec import ModelSpec

MAX_ASKED = 50_000
"""Predictions that shuffled features are asked for, all together."""

_NAME = re.compile(r"(?<![@\w.])[A-Za-z_][\w.]*")
_WHICH = "whatif_shuffled"


@dataclass(frozen=True)
class Importance:
    """How much features count, by expression.

    Attributes
    ----------
    own : mapping of str to float
        What the kind says of what it learnt: impurity of trees, size of coefficients; empty where it says
        nothing.
    shuffled : mapping of str to float
        How much larger the loss on validate is where the values of one feature stand at other rows, as a
        fraction of the loss as it is. 0 or below: what the model does there does not rest on it.
    groups : mapping of str to float
        The same of several features at once, those of the same indicators and series; of features that say
        the same, each alone may count for nothing.
    """

    own: Mapping[str, float] = field(default_factory=dict)
    shuffled: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, dict[str, float]]:
        """It as JSON holds it, without what is empty."""
        found = {"own": self.own, "shuffled": self.shuffled, "groups": self.groups}
        return {name: dict(values) for name, values in found.items() if values}


def groups_of(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    """Return the columns of a model by the indicators and series that they are made of."""
    found: dict[str, list[str]] = {}
    for column, text in _texts(spec).items():
        found.setdefault(", ".join(sorted(set(_NAME.findall(text)))), []).append(column)
    return {name: tuple(columns) for name, columns in found.items()}


def importance_of(
    trained: Trained, seen: pd.DataFrame, losses: Callable[[Any, FloatArray], FloatArray], spark: Any = None
) -> Importance:
    """Return how much a model's features count.

    Parameters
    ----------
    trained : Trained
        The model.
    seen : DataFrame
        Symbol, ts, the feature columns and `label` of the rows of validate, in an order that does not change.
    losses : callable
        Gives the loss of each row of an answer and its label.
    spark : SparkSession, optional
        Where the kind predicts; in this process, if left out.
    """
    spec, texts = trained.spec, _texts(trained.spec)
    weights = trained.fitted.importances
    own = {} if weights is None else dict(zip(texts.values(), map(float, weights), strict=True))
    several = {name: columns for name, columns in groups_of(spec).items() if len(columns) > 1}
    together = several if len(several) > 1 or len(next(iter(several.values()), ())) < len(texts) else {}
    rows = seen.iloc[:: max(1, -(-len(seen) * (1 + len(texts) + len(together)) // MAX_ASKED))]
    if len(rows) < 2:
        return Importance(own)
    asked = [(column,) for column in texts] + list(together.values())
    found = _grown(trained, rows, asked, losses, spark)
    shuffled = dict(zip(texts.values(), found[: len(texts)], strict=True))
    return Importance(own, shuffled, dict(zip(together, found[len(texts) :], strict=True)))


def _grown(
    trained: Trained,
    rows: pd.DataFrame,
    asked: Sequence[tuple[str, ...]],
    losses: Callable[[Any, FloatArray], FloatArray],
    spark: Any,
) -> list[float]:
    """Return by how much the loss grows where some columns are shuffled, as a fraction of it."""
    rng, names = np.random.default_rng(0), ["symbol", "ts", *trained.spec.columns]
    frames = [rows[names]]
    for columns in asked:
        order = rng.permutation(len(rows))
        frames.append(rows[names].assign(**{name: rows[name].to_numpy()[order] for name in columns}))
    number = np.repeat(np.arange(len(frames)), len(rows))
    place = np.tile(np.arange(len(rows)), len(frames))
    given = pd.concat(frames, ignore_index=True).assign(**{_WHICH: number * float(len(rows)) + place})
    answers = list(predicted_columns(trained.kind))
    if spark is not None:
        # as objects: Spark takes no column of texts in several pieces
        given = given.assign(ts=pd.to_datetime(given["ts"], unit="us", utc=True)).astype({"symbol": object})
        scored = trained.kind.predict(trained.fitted, spark.createDataFrame(given))
        scored = scored.select(_WHICH, *answers).toPandas()
    else:
        scored = trained.kind.predict(trained.fitted, given)
    values = scored.sort_values(_WHICH)[answers].to_numpy("float64")
    if trained.fitted.calibration is not None:
        values = trained.fitted.calibration(values)
    label = np.tile(rows["label"].to_numpy("float64"), len(frames))
    loss = losses(values if trained.kind.classifies else values[:, 0], label)
    means = loss.reshape(len(frames), len(rows)).mean(axis=1)
    return [float(one / means[0] - 1.0) if means[0] > 0 else float("nan") for one in means[1:]]


def _texts(spec: ModelSpec) -> dict[str, str]:
    """Return what a study calls the columns of a model, in order."""
    texts = {column: text for text, column in spec.features.column_of().items()}
    return {column: texts[column] for column in spec.columns}
