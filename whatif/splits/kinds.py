"""The splits that a study can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticCustomError, ValidationError

from whatif.errors import PluginError
from whatif.plugins import Seam
from whatif.splits.base import Split
from whatif.splits.combinatorial import Combinatorial
from whatif.splits.holdout import Holdout
from whatif.splits.walk_forward import WalkForward

DEFAULT = "holdout"

SEAM = Seam(
    "whatif.splits", Split, "split", {"holdout": Holdout, "walk_forward": WalkForward, "cpcv": Combinatorial}
)


def split_class(given: Any) -> type[Split] | None:
    """Return the class of a section as it was written; None if there is none of its kind."""
    try:
        found: type[Split] = SEAM.find(_kind(given))
    except PluginError:
        return None
    return found


def any_split(given: Any) -> Split:
    """Return the split that a section describes; a holdout if it names no kind.

    Raises
    ------
    ValueError
        If it is none, as pydantic collects it.
    """
    if isinstance(given, Split):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(f"must be a mapping of keys, such as {{kind: holdout}}; got {given!r}")
    try:
        found = SEAM.find(_kind(given))
    except PluginError as error:
        unknown = PydanticCustomError("unknown_kind", "{why}", {"why": str(error)})
        line = {"type": unknown, "loc": ("kind",), "input": given["kind"]}
        raise ValidationError.from_exception_data("split", [line]) from None  # type: ignore[list-item]
    split: Split = found.model_validate(given)
    return split


def _kind(given: Any) -> str:
    return str(given.get("kind", DEFAULT)) if isinstance(given, Mapping) else DEFAULT
