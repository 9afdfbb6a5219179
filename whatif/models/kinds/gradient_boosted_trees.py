"""Gradient-boosted trees of Spark ML, for numbers and for classes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from whatif.models.spark_ml import SparkModel

Rounds = Annotated[int, Field(ge=1, le=10_000)]
Depth = Annotated[int, Field(ge=0, le=30)]
Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
MinLeaf = Annotated[int, Field(ge=1, lt=2**31)]


class GradientBoostedTrees(SparkModel):
    """Trees, each of which learns what those before it got wrong; of classes, some for each side.

    Attributes
    ----------
    rounds : int
        Trees, one after the other.
    depth : int
        Greatest depth of a tree.
    rate : float
        Share of each tree that counts, up to 1.
    sample : float
        Share of rows that each tree sees, up to 1.
    min_leaf : int
        Least rows in a leaf.
    seed : int
        Of the sampling; part of a configuration's identity.
    """

    tunable: ClassVar[tuple[str, ...]] = ("rounds", "depth", "rate", "sample", "min_leaf")
    two_classes: ClassVar[bool] = True
    weighs: ClassVar[bool] = True

    kind: Literal["gradient_boosted_trees"]
    rounds: Rounds | tuple[Rounds, ...] = 20
    depth: Depth | tuple[Depth, ...] = 3
    rate: Rate | tuple[Rate, ...] = 0.1
    sample: Share | tuple[Share, ...] = 1.0
    min_leaf: MinLeaf | tuple[MinLeaf, ...] = 1
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """Numbers and classes."""
        return ("return", "level", "class")

    def estimator(self, vector: str, label: str) -> Any:
        """Return Spark's regressor or classifier with these parameters."""
        from pyspark.ml.classification import GBTClassifier
        from pyspark.ml.regression import GBTRegressor

        made = GBTClassifier if self.classifies else GBTRegressor
        return made(
            featuresCol=vector,
            labelCol=label,
            maxIter=self.rounds,
            maxDepth=self.depth,
            stepSize=self.rate,
            subsamplingRate=self.sample,
            minInstancesPerNode=self.min_leaf,
            seed=self.seed,
        )
