"""Tuning of a model's own parameters, inside its train window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from whatif.errors import ModelError
from whatif.models import ModelKind
from whatif.search import Chain
from whatif.training.fit import train
from whatif.training.spec import ModelSpec
from whatif.training.validation import error_on

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Tried:
    """One combination of parameters and how it did.

    Attributes
    ----------
    params : mapping of str to scalar
        The values of the parameters that were lists.
    rmse : tuple of float
        Root mean squared error on each fold, in the target's unit.
    """

    params: dict[str, Any]
    rmse: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Return the mean over folds, which is compared."""
        return float(np.mean(self.rmse))


@dataclass(frozen=True)
class Tuned:
    """What was chosen, and everything that was tried for it, in the order of the lists."""

    kind: ModelKind
    chosen: Tried
    tried: tuple[Tried, ...]


def tune(features: DataFrame, spec: ModelSpec, chains: Sequence[Chain]) -> Tuned:
    """Return the combination with the least mean error over time-ordered folds; the first of equals.

    Each combination learns from the first part of a fold and is measured on the next one. A row
    whose label is known only after its part ends takes no part in either.

    Parameters
    ----------
    features : DataFrame
        Rows of a features table.
    spec : ModelSpec
        The model; some of its parameters are lists.
    chains : sequence of Chain
        Folds of its train window.

    Raises
    ------
    ModelError
        If a fold has no row to learn from or to look at.
    """
    candidates = spec.kind.candidates
    tried = []
    for candidate in candidates:
        errors = []
        for number, chain in enumerate(chains, 1):
            own = replace(spec, kind=candidate, train=chain.train)
            error = error_on(features, train(features, own), chain.validate)
            if np.isnan(error):
                raise ModelError(
                    f"model {spec.name!r}: fold {number} of tune has no row to look at in "
                    f"{chain.validate[0]}: take fewer folds or a longer train window"
                )
            errors.append(error)
        tried.append(Tried({name: getattr(candidate, name) for name in spec.kind.lists}, tuple(errors)))
    best = min(range(len(tried)), key=lambda k: tried[k].mean)
    return Tuned(candidates[best], tried[best], tuple(tried))
