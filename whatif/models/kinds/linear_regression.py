"""Linear regression of Spark ML, with an elastic net."""

from __future__ import annotations

from typing import Any, Literal

from whatif.models.spark_ml import ElasticNet


class LinearRegression(ElasticNet):
    """A weighted sum of features."""

    kind: Literal["linear_regression"]

    def estimator(self, vector: str, label: str) -> Any:
        """Return Spark's regression with these parameters."""
        from pyspark.ml.regression import LinearRegression as OfSpark

        return OfSpark(**self.settings(vector, label))
