"""Multilayer perceptrons of Spark ML."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from whatif.models.spark_ml import SparkModel

CLASSES = 3
"""Short, neither, long."""


class MultilayerPerceptron(SparkModel):
    """Layers of neurons that give the probabilities of the classes, on standardised features.

    Attributes
    ----------
    hidden : tuple of int
        Neurons of each hidden layer.
    rounds : int
        Of the optimiser, at most.
    rate : float
        Size of a step, where the optimiser has one, up to 1.
    block : int
        Rows that are computed at once.
    seed : int
        Of the sampling; part of a configuration's identity.
    """

    kind: Literal["multilayer_perceptron"]
    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(strict=False, min_length=1, max_length=10)
    ] = (31, 15)
    rounds: Annotated[int, Field(ge=1, le=100_000)] = 100
    rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    block: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0

    scaled: ClassVar[str] = "features_scaled"

    @property
    def targets(self) -> tuple[str, ...]:
        """Classes alone."""
        return ("class",)

    def estimator(self, vector: str, label: str) -> Any:
        """Refuse: the first layer has a neuron for each feature."""
        raise NotImplementedError

    def estimator_of(self, columns: tuple[str, ...], vector: str, label: str) -> Any:
        """Return Spark's scaler and perceptron, one after the other."""
        from pyspark.ml import Pipeline
        from pyspark.ml.classification import MultilayerPerceptronClassifier
        from pyspark.ml.feature import StandardScaler

        perceptron = MultilayerPerceptronClassifier(
            featuresCol=self.scaled,
            labelCol=label,
            layers=[len(columns), *self.hidden, CLASSES],
            maxIter=self.rounds,
            stepSize=self.rate,
            blockSize=self.block,
            seed=self.seed,
        )
        scaler = StandardScaler(withMean=True, inputCol=vector, outputCol=self.scaled)
        return Pipeline(stages=[scaler, perceptron])
