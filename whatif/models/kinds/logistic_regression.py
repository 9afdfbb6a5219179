"""Logistic regression of Spark ML, with an elastic net."""

from __future__ import annotations

from typing import Any, Literal

from whatif.models.spark_ml import ElasticNet


class LogisticRegression(ElasticNet):
    """Probabilities of the classes by weighted sums of features."""

    kind: Literal["logistic_regression"]

    @property
    def targets(self) -> tuple[str, ...]:
        """Classes alone."""
        return ("class",)

    def estimator(self, vector: str, label: str) -> Any:
        """Return Spark's regression with these parameters."""
        from pyspark.ml.classification import LogisticRegression as OfSpark

        return OfSpark(**self.settings(vector, label), family="multinomial")
