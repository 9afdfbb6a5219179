"""Random forests of Spark ML, for numbers and for classes."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from whatif.models.spark_ml import SparkModel

FEATURE_SUBSETS = ("auto", "all", "onethird", "sqrt", "log2")

Trees = Annotated[int, Field(ge=1, le=10_000)]
Depth = Annotated[int, Field(ge=0, le=30)]
Bins = Annotated[int, Field(ge=2, le=10_000)]
MinLeaf = Annotated[int, Field(ge=1, lt=2**31)]


class RandomForest(SparkModel):
    """One random-forest variant of Spark ML; of a parameter that is a list, one value is chosen.

    Attributes
    ----------
    trees : int
        How many.
    depth : int
        Greatest depth of a tree.
    bins : int
        Bins that a feature is cut into when splits are looked for.
    min_leaf : int
        Least rows in a leaf.
    feature_subset : str
        Features tried at each split: auto, all, onethird, sqrt, log2, how many, or a fraction.
    seed : int
        Of the sampling; part of a configuration's identity.
    """

    tunable: ClassVar[tuple[str, ...]] = ("trees", "depth", "bins", "min_leaf", "feature_subset")
    weighs: ClassVar[bool] = True

    kind: Literal["random_forest"] = "random_forest"
    trees: Trees | tuple[Trees, ...] = 20
    depth: Depth | tuple[Depth, ...] = 5
    bins: Bins | tuple[Bins, ...] = 32
    min_leaf: MinLeaf | tuple[MinLeaf, ...] = 1
    feature_subset: str | tuple[str, ...] = "auto"
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0

    @field_validator("feature_subset", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        def text(one: Any) -> Any:
            return str(one) if isinstance(one, (int, float)) and not isinstance(one, bool) else one

        return tuple(text(one) for one in value) if isinstance(value, (list, tuple)) else text(value)

    @field_validator("feature_subset")
    @classmethod
    def _subset(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in (value,) if isinstance(value, str) else value:
            fraction = re.fullmatch(r"(0?\.[0-9]*[1-9][0-9]*)|(1\.0*)", one)
            if one not in FEATURE_SUBSETS and not re.fullmatch(r"[1-9][0-9]{0,8}", one) and not fraction:
                raise ValueError(
                    f"{one!r} is no way to choose features: use {', '.join(FEATURE_SUBSETS)}, a number "
                    "of features such as 3, or a fraction of them above 0 and up to 1.0"
                )
        return value

    @property
    def targets(self) -> tuple[str, ...]:
        """Numbers and classes."""
        return ("return", "level", "class")

    @property
    def identity(self) -> dict[str, Any]:
        """Its parameters, under the name that they had before there were other kinds."""
        return {"forest": self.parameters}

    def estimator(self, vector: str, label: str) -> Any:
        """Return Spark's regressor or classifier with these parameters."""
        from pyspark.ml.classification import RandomForestClassifier
        from pyspark.ml.regression import RandomForestRegressor

        made = RandomForestClassifier if self.classifies else RandomForestRegressor
        return made(
            featuresCol=vector,
            labelCol=label,
            numTrees=self.trees,
            maxDepth=self.depth,
            maxBins=self.bins,
            minInstancesPerNode=self.min_leaf,
            featureSubsetStrategy=self.feature_subset,
            seed=self.seed,
        )
