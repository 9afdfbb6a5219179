"""Linear regression of Spark ML, with an elastic net."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from whatif.models.spark_ml import SparkModel

Penalty = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]


class LinearRegression(SparkModel):
    """A weighted sum of features, which Spark brings to deviation 1 of the rows that it learns from."""

    tunable: ClassVar[tuple[str, ...]] = ("penalty", "l1_share")

    kind: Literal["linear_regression"]
    penalty: Penalty | tuple[Penalty, ...] = 0.0
    l1_share: Share | tuple[Share, ...] = 0.0
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 100

    def estimator(self, vector: str, label: str) -> Any:
        """Return Spark's regression with these parameters."""
        from pyspark.ml.regression import LinearRegression as OfSpark

        return OfSpark(
            featuresCol=vector,
            labelCol=label,
            regParam=self.penalty,
            elasticNetParam=self.l1_share,
            maxIter=self.rounds,
        )
