"""Targets that a study can be sent to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from whatif.errors import SubmitError, nearest

EMR_SERVERLESS = "emr-serverless"
GLUE = "glue"
CLUSTER = "spark"
LOCAL = "local"

_MASTER = re.compile(r"spark://[^:/,\s]+:\d+(,[^:/,\s]+:\d+)*")
_LOCAL = re.compile(r"local(?:\[(\d+|\*)(?:,\d+)?\])?")
LOCAL_FAILURES = 4
"""How often a task is tried on this machine, as on a cluster."""


@dataclass(frozen=True)
class Target:
    """A kind of place, and which one.

    Attributes
    ----------
    kind : str
        "emr-serverless", "glue", "spark" or "local".
    master : str
        The Spark master for the last two; "" for a service.
    """

    kind: str
    master: str = ""

    @property
    def remote(self) -> bool:
        """Whether it is a service that sees S3 and nothing of this machine."""
        return self.kind in (EMR_SERVERLESS, GLUE)

    def __str__(self) -> str:
        return self.master or self.kind


def parse_target(text: str) -> Target:
    """Return the target that `text` names.

    Raises
    ------
    SubmitError
        If there is none of that name.
    """
    if text in (EMR_SERVERLESS, GLUE):
        return Target(text)
    local = _LOCAL.fullmatch(text)
    if local is not None:
        return Target(LOCAL, f"local[{local[1] or '*'},{LOCAL_FAILURES}]")
    if _MASTER.fullmatch(text):
        return Target(CLUSTER, text)
    if text.startswith("spark:"):
        raise SubmitError(f"target {text!r} is no address of a master: write spark://host:7077")
    valid = (EMR_SERVERLESS, GLUE, "spark://host:7077", LOCAL)
    begun = [name for name in valid if text and name.startswith(text)]
    raise SubmitError(f"target {text!r} is unknown: {nearest(begun[0] if begun else text, valid)}")
