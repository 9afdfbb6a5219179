"""Estimators of XGBoost, each by its name there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from whatif.models.estimators import EstimatorModel


class Xgboost(EstimatorModel):
    """An estimator that `kind` names, such as ``xgboost.XGBClassifier``.

    It learns on one core unless `n_jobs` is said.
    """

    package: ClassVar[str] = "xgboost"
    extra: ClassVar[str] = "boosting"
    settled: ClassVar[Mapping[str, Any]] = {"n_jobs": 1}
    numbered: ClassVar[bool] = True
