"""Pins: a table's snapshot, by which a worker reads exactly the same rows again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from whatif.errors import LakeError

ADJUSTMENTS = ("none", "splits", "all")
"""What a study's bars may be adjusted for."""

FOLLOWED = ("none", "follow")
"""Whether a study's bars are joined under one symbol where it changed."""


@dataclass(frozen=True)
class Adjustment:
    """How pinned bars are adjusted where they are read.

    Attributes
    ----------
    mode : str
        "splits", or "all" for dividends too.
    actions : Pin
        The snapshot of corporate actions.
    """

    mode: str
    actions: Pin


@dataclass(frozen=True)
class Pin:
    """One snapshot of one table.

    Attributes
    ----------
    table : str
        Name of the table within its namespace, such as "bars".
    snapshot_id : int
        Iceberg's identifier of the snapshot.
    metadata_location : str
        Path or URI of the metadata file in which the snapshot is listed.
    adjustment : Adjustment, optional
        Of bars: what they are adjusted for where they are read; as they were traded if left out.
    renames : Pin, optional
        Of bars: the snapshot of the names that securities had, by which they are joined under the symbol that
        is asked for where they are read; by their names alone if left out.
    """

    table: str
    snapshot_id: int
    metadata_location: str
    adjustment: Adjustment | None = None
    renames: Pin | None = None

    @property
    def written(self) -> dict[str, Any]:
        """The pin as JSON holds it; of bars as they were traded without an adjustment."""
        said: dict[str, Any] = {key: value for key, value in asdict(self).items() if value is not None}
        if self.adjustment is not None:
            said["adjustment"] = {"mode": self.adjustment.mode, "actions": self.adjustment.actions.to_json()}
        if self.renames is not None:
            said["renames"] = self.renames.to_json()
        return said

    def to_json(self) -> str:
        """Return the pin as one line of JSON, keys sorted."""
        return json.dumps(self.written, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Pin:
        """Return the pin that `to_json` wrote.

        Raises
        ------
        LakeError
            If `text` is not such a line.
        """
        try:
            values = json.loads(text)
            names = str(values["table"]), int(values["snapshot_id"]), str(values["metadata_location"])
            said = values.get("adjustment")
            adjustment = None if said is None else Adjustment(said["mode"], cls.from_json(said["actions"]))
            renames = None if values.get("renames") is None else cls.from_json(values["renames"])
            return cls(*names, adjustment, renames)
        except (ValueError, KeyError, TypeError) as error:
            raise LakeError(
                f"{text!r} is not a pin: expected JSON with table, snapshot_id and metadata_location"
            ) from error
