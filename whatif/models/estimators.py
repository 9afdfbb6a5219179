"""Base class of models that are estimators as those of scikit-learn, each by the name it is imported by."""

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


class EstimatorModel(ArrayModel):
    """An estimator that `kind` names, of a package whose estimators are made as those of scikit-learn are.

    Attributes
    ----------
    params : dict, or tuple of dict
        Its parameters by name; of several, one is chosen.
    standardise : bool
        Whether features are brought to mean 0 and deviation 1 of the rows that it learns from.
    seed : int
        `random_state` of the estimator, if it takes one.
    package : str
        What is imported, and what `kind` begins with.
    extra : str
        The extra that installs it; "" if it is always there.
    settled : mapping
        Parameters that are set where a study does not.
    numbered : bool
        Whether its classifiers know classes as 0, 1, 2 alone.
    """

    family: ClassVar[bool] = True
    tunable: ClassVar[tuple[str, ...]] = ("params",)
    package: ClassVar[str] = ""
    extra: ClassVar[str] = ""
    settled: ClassVar[Mapping[str, Any]] = {}
    numbered: ClassVar[bool] = False

    params: Params | tuple[Params, ...] = Field(default_factory=dict)
    standardise: bool = True
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @classmethod
    def every(cls) -> list[str]:
        """Return the names of all regressors and classifiers of the package, by which they are imported."""
        module = import_module(cls.package)
        return [f"{cls.package}.{name}" for name in dir(module) if _predicts(getattr(module, name))]

    @field_validator("kind")
    @classmethod
    def _there_is_one(cls, value: str) -> str:
        if cls.extra:
            try:
                import_module(cls.package)
            except ImportError as error:
                raise ValueError(
                    f"{value!r} needs the package {cls.package}, which is not installed: "
                    f"pip install 'whatif[{cls.extra}]'"
                ) from error
        cls._estimator_class(value)
        return value

    @model_validator(mode="after")
    def _takes_parameters(self) -> Self:
        for params in (self.params,) if isinstance(self.params, dict) else self.params:
            self._check_parameters(params)
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """What the estimator learns: numbers, or classes."""
        from sklearn.base import is_classifier

        return ("class",) if is_classifier(self._made({})) else ("return", "level")

    @property
    def takes_weights(self) -> bool:
        """Whether the estimator's `fit` does."""
        from sklearn.utils.validation import has_fit_parameter

        return bool(has_fit_parameter(self._estimator_class(self.kind), "sample_weight"))

    def fit_arrays(self, features: FloatArray, label: FloatArray, weight: FloatArray | None = None) -> Any:
        """Return the fitted pipeline of scaler and estimator."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        assert isinstance(self.params, dict)  # one was chosen
        estimator = self._made(self.params)
        if "random_state" in estimator.get_params() and "random_state" not in self.params:
            estimator.set_params(random_state=self.seed)
        made = make_pipeline(*([StandardScaler()] if self.standardise else []), estimator)
        own = {} if weight is None else {f"{made.steps[-1][0]}__sample_weight": weight}
        taught: Any = label
        if self.classifies:
            made.label_of_class = classes = np.unique(label.astype(np.int64))
            taught = np.searchsorted(classes, label) if self.numbered else label.astype(np.int64)
        with warnings.catch_warnings():
            # an estimator that stops before it is done says so; how good it is is told by validation
            warnings.filterwarnings("ignore", category=UserWarning, module=self.package)
            return made.fit(features, taught, **own)

    def predict_arrays(self, model: Any, features: FloatArray) -> FloatArray:
        """Return the estimator's predictions, or its probabilities of long and short."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            if not self.classifies:
                return np.asarray(model.predict(features), dtype=np.float64)
            given = np.asarray(model.predict_proba(features), dtype=np.float64)
        place = {int(value): k for k, value in enumerate(model.label_of_class)}
        none = np.zeros(len(features))
        return np.column_stack([given[:, place[side]] if side in place else none for side in (1, -1)])

    def weigh_columns(self, model: Any) -> tuple[float, ...] | None:
        """Return the estimator's importances, or the size of its coefficients."""
        estimator = model[-1]
        found = getattr(estimator, "feature_importances_", None)
        if found is None and hasattr(estimator, "coef_"):
            found = np.abs(np.atleast_2d(estimator.coef_)).mean(axis=0)
        return None if found is None else tuple(float(one) for one in found)

    @classmethod
    def _estimator_class(cls, name: str) -> type[Any]:
        """Return the class that a kind names.

        Raises
        ------
        ValueError
            If there is none, or it neither predicts numbers nor probabilities; as pydantic collects it.
        """
        module, _, wanted = name.rpartition(".")
        try:
            found = getattr(import_module(module), wanted) if module.startswith(cls.package) else None
        except (ImportError, AttributeError):
            found = None
        if not (isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "get_params")):
            raise ValueError(f"{name!r} is no estimator: {nearest(name, cls.every())}")
        try:
            found()
        except TypeError as error:
            raise ValueError(f"{name!r} cannot be made of numbers and texts alone: {error}") from None
        if not _predicts(found):
            raise ValueError(f"{name!r} predicts neither a number nor a class: {nearest(name, cls.every())}")
        return found

    def _made(self, params: Mapping[str, Any]) -> Any:
        made = self._estimator_class(self.kind)()
        return made.set_params(**{**self.settled, **params})

    def _check_parameters(self, params: Mapping[str, Any]) -> None:
        """Refuse parameters that the estimator does not have, or values that it does not take."""
        known = sorted(self._made({}).get_params())
        for key in params:
            if key not in known:
                raise ValueError(
                    f"params.{key}: {self.kind} has no such parameter: {nearest(str(key), known)}"
                )
        made = self._made(params)
        try:
            if hasattr(made, "_parameter_constraints"):
                made._validate_params()
        except (ValueError, TypeError) as error:
            raise ValueError(f"params: {error}") from None
        from sklearn.base import is_classifier

        if is_classifier(made) and not hasattr(made, "predict_proba"):
            raise ValueError(
                f"{self.kind!r} gives no probabilities (predict_proba) with these parameters, and those are "
                "what a strategy trades: change them, or take another one"
            )


def _predicts(found: Any) -> bool:
    """Tell whether something is a class of regressors or of classifiers that can be made as it is."""
    from sklearn.base import is_classifier, is_regressor

    if not (isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "get_params")):
        return False
    try:
        one = found()
        return bool(is_classifier(one) or is_regressor(one))
    except Exception:  # whatever else a package has under such a name
        return False
