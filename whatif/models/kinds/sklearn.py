"""Estimators of scikit-learn, each by its name there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from whatif.errors import nearest
from whatif.models.arrays import ArrayModel
from whatif.typing import FloatArray

Params = dict[str, Any]


class Sklearn(ArrayModel):
    """An estimator that `kind` names, such as ``sklearn.ensemble.HistGradientBoostingClassifier``.

    Attributes
    ----------
    params : dict, or tuple of dict
        Its parameters by name; of several, one is chosen.
    standardise : bool
        Whether features are brought to mean 0 and deviation 1 of the rows that it learns from.
    seed : int
        `random_state` of the estimator, if it takes one.
    """

    family: ClassVar[bool] = True
    tunable: ClassVar[tuple[str, ...]] = ("params",)

    params: Params | tuple[Params, ...] = Field(default_factory=dict)
    standardise: bool = True
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @field_validator("kind")
    @classmethod
    def _there_is_one(cls, value: str) -> str:
        _estimator_class(value)
        return value

    @model_validator(mode="after")
    def _takes_parameters(self) -> Self:
        for params in (self.params,) if isinstance(self.params, dict) else self.params:
            _check_parameters(self.kind, params)
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """What the estimator learns: numbers, or classes."""
        from sklearn.base import is_classifier

        return ("class",) if is_classifier(_made(self.kind, {})) else ("return", "level")

    @property
    def takes_weights(self) -> bool:
        """Whether the estimator's `fit` does."""
        from sklearn.utils.validation import has_fit_parameter

        return bool(has_fit_parameter(_estimator_class(self.kind), "sample_weight"))

    def fit_arrays(self, features: FloatArray, label: FloatArray, weight: FloatArray | None = None) -> Any:
        """Return the fitted pipeline of scaler and estimator."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        assert isinstance(self.params, dict)  # one was chosen
        estimator = _made(self.kind, self.params)
        if "random_state" in estimator.get_params() and "random_state" not in self.params:
            estimator.set_params(random_state=self.seed)
        made = make_pipeline(*([StandardScaler()] if self.standardise else []), estimator)
        with warnings.catch_warnings():
            # an estimator that stops before it is done says so; how good it is is told by validation
            warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
            own = {} if weight is None else {f"{made.steps[-1][0]}__sample_weight": weight}
            return made.fit(features, label.astype(np.int64) if self.classifies else label, **own)

    def predict_arrays(self, model: Any, features: FloatArray) -> FloatArray:
        """Return the estimator's predictions, or its probabilities of long and short."""
        if not self.classifies:
            return np.asarray(model.predict(features), dtype=np.float64)
        given = np.asarray(model.predict_proba(features), dtype=np.float64)
        place = {int(value): k for k, value in enumerate(model.classes_)}
        none = np.zeros(len(features))
        return np.column_stack([given[:, place[side]] if side in place else none for side in (1, -1)])

    def weigh_columns(self, model: Any) -> tuple[float, ...] | None:
        """Return the estimator's importances, or the size of its coefficients."""
        estimator = model[-1]
        found = getattr(estimator, "feature_importances_", None)
        if found is None and hasattr(estimator, "coef_"):
            found = np.abs(np.atleast_2d(estimator.coef_)).mean(axis=0)
        return None if found is None else tuple(float(one) for one in found)


def _estimator_class(name: str) -> type[Any]:
    """Return the class of scikit-learn that a kind names.

    Raises
    ------
    ValueError
        If there is none, or it neither predicts numbers nor probabilities; as pydantic collects it.
    """
    module, _, wanted = name.rpartition(".")
    try:
        found = getattr(import_module(module), wanted) if module.startswith("sklearn") else None
    except (ImportError, AttributeError):
        found = None
    if not (isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "get_params")):
        raise ValueError(f"{name!r} is no estimator: {nearest(name, _every())}")
    try:
        one = found()
    except TypeError as error:
        raise ValueError(f"{name!r} cannot be made of numbers and texts alone: {error}") from None
    from sklearn.base import is_classifier, is_regressor

    if not (is_classifier(one) or is_regressor(one)):
        raise ValueError(f"{name!r} predicts neither a number nor a class: {nearest(name, _every())}")
    return found


def _every() -> list[str]:
    """Return the names of all regressors and classifiers by which they are imported."""
    from sklearn.utils import all_estimators

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = all_estimators(type_filter=["classifier", "regressor"])
    return [f"{_public(kind.__module__)}.{name}" for name, kind in found]


def _public(module: str) -> str:
    """Return the part of a module's name that is not private, by which its classes are imported."""
    return module.partition("._")[0]


def _made(name: str, params: Mapping[str, Any]) -> Any:
    return _estimator_class(name)(**params)


def _check_parameters(name: str, params: Mapping[str, Any]) -> None:
    """Refuse parameters that the estimator does not have, or values that it does not take."""
    known = sorted(_made(name, {}).get_params())
    for key in params:
        if key not in known:
            raise ValueError(f"params.{key}: {name} has no such parameter: {nearest(str(key), known)}")
    made = _made(name, params)
    try:
        made._validate_params()
    except (ValueError, TypeError) as error:
        raise ValueError(f"params: {error}") from None
    from sklearn.base import is_classifier

    if is_classifier(made) and not hasattr(made, "predict_proba"):
        raise ValueError(
            f"{name!r} gives no probabilities (predict_proba) with these parameters, and those are what a "
            "strategy trades: change them, or take another one"
        )
