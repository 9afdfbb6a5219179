"""What was tried and chosen of models that choose their own parameters, kept with their predictions."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from whatif.lake import PREDICTIONS
from whatif.pins import LakeLocation, open_table, table_exists
from whatif.training import Tuned

TUNED = "whatif.tuned"
"""Snapshot property of `predictions`: JSON of the model's digest, what was chosen and what was tried."""


def noted(digest: str, tuned: Tuned | None) -> dict[str, str]:
    """Return what the commit of a model's predictions says of its parameters."""
    if tuned is None:
        return {}
    tried = [{**one.params, "rmse": list(one.rmse)} for one in tuned.tried]
    return {TUNED: json.dumps({"model_digest": digest, "chosen": tuned.chosen.params, "tried": tried})}


def read_noted(location: LakeLocation, digests: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what was noted of some models, by digest. Starts no JVM."""
    found: dict[str, dict[str, Any]] = {}
    if not digests or not table_exists(location, PREDICTIONS.name):
        return found
    for snapshot in open_table(location, PREDICTIONS.name).metadata.snapshots:
        text = (snapshot.summary.additional_properties if snapshot.summary else {}).get(TUNED)
        note = json.loads(text) if text else {}
        if note.get("model_digest") in digests:
            found[note["model_digest"]] = note
    return found


def described(note: Mapping[str, Any]) -> str:
    """Return in words what was chosen, of what."""
    chosen = ", ".join(f"{name} = {value}" for name, value in note["chosen"].items())
    return f"{chosen}, of {len(note['tried'])} tried on time-ordered folds of its train window"
