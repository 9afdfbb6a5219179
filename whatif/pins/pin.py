"""Pins: a table's snapshot, by which a worker reads exactly the same rows again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from whatif.errors import LakeError


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
    """

    table: str
    snapshot_id: int
    metadata_location: str

    def to_json(self) -> str:
        """Return the pin as one line of JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True)

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
            return cls(str(values["table"]), int(values["snapshot_id"]), str(values["metadata_location"]))
        except (ValueError, KeyError, TypeError) as error:
            raise LakeError(
                f"{text!r} is not a pin: expected JSON with table, snapshot_id and metadata_location"
            ) from error
