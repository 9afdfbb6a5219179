"""Base class of models that learn from arrays of numpy, on the driver."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from whatif.errors import ModelError
from whatif.models.base import WEIGHT, Fitted, ModelKind
from whatif.models.contract import answer_of, check_taught, check_values, predicted_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from whatif.typing import FloatArray

SAVED = "model.pkl"


class ArrayModel(ModelKind):
    """A kind of model that learns from arrays, and predicts from arrays.

    Attributes
    ----------
    max_values : int
        Numbers that the driver takes at once, rows by columns, of 8 bytes each; of more, a model is refused.
    """

    max_values: ClassVar[int] = 50_000_000
    needs_spark: ClassVar[bool] = False

    @abstractmethod
    def fit_arrays(self, features: FloatArray, label: FloatArray, weight: FloatArray | None = None) -> Any:
        """Return what is learnt, an object that can be pickled.

        Parameters
        ----------
        features : float64 array (n, k)
            Rows by symbol and time, at least one; nothing is NaN.
        label : float64 array (n,)
            In the target's unit; of classes 1, -1 and 0.
        weight : float64 array (n,), optional
            How much each row counts, on average 1: given to kinds alone that say `takes_weights`, where the
            study weighs rows. Others need no such argument.
        """

    @abstractmethod
    def predict_arrays(self, model: Any, features: FloatArray) -> FloatArray:
        """Return a finite prediction for each row, each of its own row alone.

        A kind that `classifies` returns probabilities of long and short, (n, 2).

        Parameters
        ----------
        model : Any
            What `fit_arrays` returned.
        features : float64 array (n, k)
            At least one row; nothing is NaN.

        Returns
        -------
        float64 array (n,)
            In the target's unit.
        """

    def weigh_columns(self, model: Any) -> tuple[float, ...] | None:
        """Return how much each column counts in what `fit_arrays` returned, where that is known."""
        return None

    def fit(self, rows: DataFrame | pd.DataFrame, columns: tuple[str, ...]) -> Fitted:
        """Return what is learnt from the rows, collected and sorted by symbol and ts.

        Raises
        ------
        ModelError
            If they are more than the driver takes, or `fit_arrays` raises.
        """
        beside = ["label", WEIGHT] if self.weights else ["label"]
        frame = self._collected(rows[["symbol", "ts", *columns, *beside]])
        if frame.empty:
            return Fitted(columns, None, 0)
        label = frame["label"].to_numpy("float64")
        check_taught(self, columns, len(label), set(np.unique(label)) if self.classifies else None)
        try:
            more = [frame[WEIGHT].to_numpy("float64")] if self.weights else []
            model = self.fit_arrays(_features(frame, columns), label, *more)
        except Exception as error:
            raise self._failed("learn", error) from error
        return Fitted(columns, model, len(frame), self.weigh_columns(model))

    def predict(self, fitted: Fitted, rows: Any) -> Any:
        """Return the rows with what `predict_arrays` says of them, computed at once.

        Rows of pandas come back as such, sorted by symbol and ts.

        Raises
        ------
        ModelError
            If they are more than the driver takes, or `predict_arrays` raises or breaks its contract.
        """
        frame = self._collected(rows)
        values = self.predictions(fitted, frame)
        added = dict(zip(predicted_columns(self), np.atleast_2d(values.T), strict=True))
        frame = frame.assign(**added)
        if isinstance(rows, pd.DataFrame):
            return frame
        types = {**dict(rows.dtypes), "ts": "bigint", **dict.fromkeys(added, "double")}
        schema = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
        given = rows.sparkSession.createDataFrame(frame, schema)
        return given.selectExpr(*("timestamp_micros(ts) ts" if c == "ts" else f"`{c}`" for c in types))

    def predictions(self, fitted: Fitted, frame: pd.DataFrame) -> FloatArray:
        """Return the prediction of each row of a frame that holds the feature columns, (n,).

        Probabilities of long and short, (n, 2), where the kind `classifies`.
        """
        features = _features(frame, fitted.columns)
        if not len(features):
            return np.empty((0, 2) if self.classifies else 0)
        try:
            values = self.predict_arrays(fitted.model, features)
        except Exception as error:
            raise self._failed("predict", error) from error
        check_values(self, values, len(features))
        return values

    def save(self, fitted: Fitted, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Pickle the variant and what it learnt; MLflow needs its module to load it."""
        (folder / SAVED).write_bytes(pickle.dumps((self, fitted)))
        return {"python_function": {"loader_module": __name__, "data": SAVED}}

    def load(self, folder: Path) -> Fitted:
        """Return what was pickled."""
        return _unpickled(folder / SAVED)[1]

    def _collected(self, rows: DataFrame | pd.DataFrame) -> pd.DataFrame:
        """Return rows on the driver in the order of symbol and ts; of Spark's, ts is in microseconds."""
        if isinstance(rows, pd.DataFrame):
            return rows.sort_values(["symbol", "ts"], ignore_index=True)
        names = ("unix_micros(ts) ts" if name == "ts" else f"`{name}`" for name in rows.columns)
        most = self.max_values // len(rows.columns)
        frame: pd.DataFrame = rows.selectExpr(*names).limit(most + 1).toPandas()
        if len(frame) > most:
            raise ModelError(
                f"models: kind {self.kind!r} takes its rows to the driver, at most {most:,} of "
                f"{len(rows.columns)} columns, and there are more: shorten the window, name fewer symbols or "
                "features, or take a kind of Spark ML"
            )
        # as objects: Spark takes no column of texts in several pieces, as it gave them
        return frame.astype({"symbol": object}).sort_values(["symbol", "ts"], ignore_index=True)

    def _failed(self, what: str, error: Exception) -> ModelError:
        return ModelError(f"models: kind {self.kind!r} failed to {what}: {type(error).__name__}: {error}")


def _features(frame: pd.DataFrame, columns: tuple[str, ...]) -> FloatArray:
    return frame[list(columns)].to_numpy("float64")


def _unpickled(file: Path) -> tuple[ArrayModel, Fitted]:
    kind, fitted = pickle.loads(file.read_bytes())
    return kind, fitted


def _load_pyfunc(path: str) -> SimpleNamespace:
    """Return what MLflow asks for predictions; the name is MLflow's."""
    kind, fitted = _unpickled(Path(path))
    return SimpleNamespace(predict=lambda frame: answer_of(kind, fitted, kind.predictions(fitted, frame)))
