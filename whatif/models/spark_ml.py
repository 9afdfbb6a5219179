"""Base class of models of Spark ML: one estimator on a vector of features."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whatif.models.base import Fitted, ModelKind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

VECTOR = "features_vector"
SAVED, NOTES = "sparkml", "fitted.json"


class SparkModel(ModelKind):
    """A kind of model that an estimator of Spark ML learns, on the cluster."""

    @abstractmethod
    def estimator(self, vector: str, label: str) -> Any:
        """Return the estimator that learns the column `label` from the column `vector` of features.

        Its model answers in the column `prediction`. A parameter of the kind that may be a list holds one
        value here.
        """

    def fit(self, rows: DataFrame, columns: tuple[str, ...]) -> Fitted:
        """Return the fitted model of Spark ML, with its feature importances if it has them."""
        vectors = _assembler(columns).transform(rows).select(VECTOR, "label").persist()
        try:
            count = vectors.count()
            model = self.estimator(VECTOR, "label").fit(vectors) if count else None
        finally:
            vectors.unpersist()
        weights = getattr(model, "featureImportances", None)
        importances = None if weights is None else tuple(float(weight) for weight in weights.toArray())
        return Fitted(columns, model, count, importances)

    def predict(self, fitted: Fitted, rows: DataFrame) -> DataFrame:
        """Return the rows with Spark ML's prediction; computed when they are asked for."""
        return _pipeline(fitted).transform(rows)

    def save(self, fitted: Fitted, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Write the pipeline of assembler and model in Spark ML's format, which `mlflow.spark` loads.

        Executors on other machines write their parts to folders that the driver does not see: then
        there is nothing to load, and nothing is returned.
        """
        import pyspark

        _pipeline(fitted).write().overwrite().save((folder / SAVED).as_uri())
        if not any((folder / SAVED).rglob("data/*.parquet")):
            return {}
        notes = {"columns": fitted.columns, "rows": fitted.rows, "importances": fitted.importances}
        (folder / NOTES).write_text(json.dumps(notes), encoding="utf-8")
        spark = {"pyspark_version": pyspark.__version__, "model_data": SAVED, "code": None}
        return {"spark": spark, "python_function": {"loader_module": "mlflow.spark", "data": SAVED}}

    def load(self, folder: Path) -> Fitted:
        """Return the model of a saved pipeline."""
        from pyspark.ml import PipelineModel

        model = PipelineModel.load((folder / SAVED).as_uri()).stages[-1]
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        weights = notes["importances"]
        importances = None if weights is None else tuple(weights)
        return Fitted(tuple(notes["columns"]), model, notes["rows"], importances)


def _assembler(columns: tuple[str, ...]) -> Any:
    from pyspark.ml.feature import VectorAssembler

    return VectorAssembler(inputCols=list(columns), outputCol=VECTOR)


def _pipeline(fitted: Fitted) -> Any:
    from pyspark.ml import PipelineModel

    return PipelineModel(stages=[_assembler(fitted.columns), fitted.model])
