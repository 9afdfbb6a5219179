"""Changes of the bars, as they are sent to workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MarketChange:
    """A value of a `MarketAxis`: equal ones change bars alike.

    Attributes
    ----------
    kind : str
        Name by which the axis' class is found.
    keys : str
        JSON of the axis with this one value, but for its name.
    code : str
        Digest of the class' own code; "" of those that come along, for which the version of results counts.
    """

    kind: str
    keys: str
    code: str

    @property
    def identity(self) -> dict[str, Any]:
        """What a configuration's identity holds of it."""
        return {"kind": self.kind, "keys": self.keys, "code": self.code}
