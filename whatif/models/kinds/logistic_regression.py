"""Logistic regression of Spark ML, with an elastic net."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from whatif.models.spark_ml import SparkModel

Penalty = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]


class LogisticRegression(SparkModel):
    """Probabilities of the classes by weighted sums of features, which Spark standardises."""

    tunable: ClassVar[tuple[str, ...]] = ("penalty", "l1_share")

    kind: Literal["logistic_regression"]
    penalty: Penalty | tuple[Penalty, ...] = 0.0
    l1_share: Share | tuple[Share, ...] = 0.0
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 100

    @property
    def targets(self) -> tuple[str, ...]:
        """Classes alone."""
        return ("class",)

    def estimator(self, vector: str, label: str) -> Any:
        """Return Spark's regression with these parameters."""
        from pyspark.ml.classification import LogisticRegression as OfSpark

        return OfSpark(
            featuresCol=vector,
            labelCol=label,
            regParam=self.penalty,
            elasticNetParam=self.l1_share,
            maxIter=self.rounds,
            family="multinomial",
        )
