"""The searches that a study can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticCustomError, ValidationError

from whatif.errors import PluginError
from whatif.plugins import Seam
from whatif.searches.base import Search
from whatif.searches.walk import Grid

DEFAULT = "grid"

SEAM = Seam("whatif.searches", Search, "search", {"grid": Grid})


def search_class(given: Any) -> type[Search] | None:
    """Return the class of a section as it was written; None if there is none of its kind."""
    try:
        found: type[Search] = SEAM.find(_kind(given))
    except PluginError:
        return None
    return found


def any_search(given: Any) -> Search:
    """Return the search that a section describes; the grid if it names no kind.

    Raises
    ------
    ValueError
        If it is none, as pydantic collects it.
    """
    if isinstance(given, Search):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(f"must be a mapping of keys, such as {{kind: grid}}; got {given!r}")
    try:
        found = SEAM.find(_kind(given))
    except PluginError as error:
        unknown = PydanticCustomError("unknown_kind", "{why}", {"why": str(error)})
        line = {"type": unknown, "loc": ("kind",), "input": given["kind"]}
        raise ValidationError.from_exception_data("search", [line]) from None  # type: ignore[list-item]
    search: Search = found.model_validate({"kind": DEFAULT, **given})
    return search


def _kind(given: Any) -> str:
    return str(given.get("kind", DEFAULT)) if isinstance(given, Mapping) else DEFAULT
