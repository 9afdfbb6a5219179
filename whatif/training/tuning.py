"""Tuning of a model's own parameters, inside its train window."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whatif.errors import ModelError
from whatif.lake import PREDICTIONS
from whatif.models import ModelKind
from whatif.pins import LakeLocation, open_table, table_exists
from whatif.search import Chain
from whatif.training.fit import train
from whatif.training.importance import Importance
from whatif.training.spec import ModelSpec
from whatif.training.validation import error_on, judged


@dataclass(frozen=True)
class Tried:
    """One combination of parameters and how it did.

    Attributes
    ----------
    params : mapping of str to scalar
        The values of the parameters that were lists.
    rmse : tuple of float
        Root mean squared error on each fold, in the target's unit; of classes, of their probabilities.
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


def tune(features: Any, spec: ModelSpec, chains: Sequence[Chain]) -> Tuned:
    """Return the combination with the least mean error over time-ordered folds; the first of equals.

    Each combination learns from the first part of a fold and is measured on the next one. A row
    whose label is known only after its part ends takes no part in either.

    Parameters
    ----------
    features : DataFrame
        Rows of a features table, of Spark or of pandas.
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
    found: list[list[float]] = [[] for _ in candidates]
    for number, chain in enumerate(chains, 1):
        for candidate, errors in zip(candidates, found, strict=True):  # of a fold's rows, made once
            own = replace(spec, kind=candidate, train=chain.train)
            error = error_on(features, train(features, own), chain.validate)
            if np.isnan(error):
                raise ModelError(
                    f"model {spec.name!r}: fold {number} of tune has no row to look at in "
                    f"{chain.validate[0]}: take fewer folds or a longer train window"
                )
            errors.append(error)
    tried = [
        Tried({name: getattr(candidate, name) for name in spec.kind.lists}, tuple(errors))
        for candidate, errors in zip(candidates, found, strict=True)
    ]
    best = min(range(len(tried)), key=lambda k: tried[k].mean)
    return Tuned(candidates[best], tried[best], tuple(tried))


MAX_NOTED = 20
"""Features that a note names."""

NOTE = "whatif.tuned"
"""Snapshot property of `predictions`: JSON of the model's digest, what was chosen, tried, and how it did."""


def noted(
    digest: str, tuned: Tuned | None, metrics: Mapping[str, float], importance: Importance
) -> dict[str, str]:
    """Return what the commit of a model's predictions says of its parameters and how it did on validate.

    Of features, those that count most, each kept to four digits: the note stays with the table.
    """
    note: dict[str, Any] = {"model_digest": digest}
    if tuned is not None:
        tried = [{**one.params, "rmse": list(one.rmse)} for one in tuned.tried]
        note |= {"chosen": tuned.chosen.params, "tried": tried}
    if metrics:
        note["validate"] = {name: value for name, value in metrics.items() if np.isfinite(value)}
    if counted := {name: _most(values) for name, values in importance.content.items()}:
        note["importance"] = counted
    return {NOTE: json.dumps(note)} if len(note) > 1 else {}


def _most(values: Mapping[str, float]) -> dict[str, float]:
    """Return the largest of some figures, from the largest on."""
    known = {name: float(f"{value:.4g}") for name, value in values.items() if np.isfinite(value)}
    return dict(sorted(known.items(), key=lambda one: -one[1])[:MAX_NOTED])


def read_noted(location: LakeLocation, digests: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what was noted of some models, by digest. Starts no JVM."""
    found: dict[str, dict[str, Any]] = {}
    if not digests or not table_exists(location, PREDICTIONS.name):
        return found
    for snapshot in open_table(location, PREDICTIONS.name).metadata.snapshots:
        text = (snapshot.summary.additional_properties if snapshot.summary else {}).get(NOTE)
        note = json.loads(text) if text else {}
        if note.get("model_digest") in digests:
            found[note["model_digest"]] = note
    return found


def described(note: Mapping[str, Any]) -> str:
    """Return in words what was chosen, of what."""
    chosen = ", ".join(f"{name} = {value}" for name, value in note["chosen"].items())
    return f"{chosen}, of {len(note['tried'])} tried on time-ordered folds of its train window"


def said_of(notes: Mapping[str, Mapping[str, Any]], final: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return in words what was noted of models by name: what was chosen of parameters, and how they did.

    Of `final`, the models of the choice alone, it says what was chosen.
    """
    chosen = {name: described(note) for name, note in {**notes, **final}.items() if "chosen" in note}
    did = {name: text for name, note in notes.items() if (text := judged(note.get("validate", {})))}
    return {name: of for name, of in (("tuned", chosen), ("models on validate", did)) if of}
