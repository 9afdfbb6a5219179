"""Estimators of LightGBM, each by its name there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from whatif.models.estimators import EstimatorModel


class Lightgbm(EstimatorModel):
    """An estimator that `kind` names, such as ``lightgbm.LGBMClassifier``.

    It learns on one core unless `n_jobs` is said.
    """

    package: ClassVar[str] = "lightgbm"
    extra: ClassVar[str] = "boosting"
    settled: ClassVar[Mapping[str, Any]] = {"n_jobs": 1, "verbose": -1}
