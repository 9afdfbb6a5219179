"""Estimators of scikit-learn, each by its name there."""

from __future__ import annotations

import warnings
from typing import ClassVar

from whatif.models.estimators import EstimatorModel


class Sklearn(EstimatorModel):
    """An estimator that `kind` names, such as ``sklearn.ensemble.HistGradientBoostingClassifier``."""

    package: ClassVar[str] = "sklearn"

    @classmethod
    def every(cls) -> list[str]:
        """Return the names of all regressors and classifiers by which they are imported."""
        from sklearn.utils import all_estimators

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = all_estimators(type_filter=["classifier", "regressor"])
        # a module whose name is private is imported by the one above it
        return [f"{kind.__module__.partition('._')[0]}.{name}" for name, kind in found]
