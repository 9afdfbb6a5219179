"""Check of a search of one's own against what every search has to keep to."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from whatif.axes import text_of
from whatif.search import MAX_ASKED, CheckedSearcher, PointIndex
from whatif.searches import Evaluation, Search, SearchSpace

SPACES: tuple[Mapping[str, tuple[Any, ...]], ...] = (
    {},
    {"fast": (5,)},
    {"fast": (1, 1.0, True), "stop_loss": (None, 0.01), "execution": ({}, {"commission": 0.001})},
    {"fast": tuple(range(1, 41)), "slow": tuple(range(50, 75))},
)
"""Axes: none, one point, values that are equal and differ in type, and a thousand points."""


def check_search(
    kind: type[Search],
    keys: Mapping[str, Any] | None = None,
    spaces: tuple[Mapping[str, tuple[Any, ...]], ...] = SPACES,
) -> None:
    """Raise unless a search keeps to the contract of `Searcher.ask`, in several spaces, to its end.

    Parameters
    ----------
    kind : type
        The class.
    keys : mapping, optional
        Keys of its section, such as {"seed": 3}; without `kind`.
    spaces : tuple of mapping, optional
        Axes that it is tried on.

    Raises
    ------
    StudyError
        If it breaks the contract, or the keys do not fit a space.
    PluginError
        If it raises.
    AssertionError
        If the same results told give other points, one that does not learn asks for others once it is told,
        or a section does not survive being written and read.
    """
    search = kind.model_validate({"kind": "own", **(keys or {})})
    written = kind.model_validate(search.model_dump(by_alias=True))
    assert written == search, f"{search!r} was read back as {written!r}"
    for axes in spaces:
        for lower in (False, True):
            space = SearchSpace(axes, "pnl_net", lower)
            for n in (MAX_ASKED, 3):
                asked = _asked(search, space, n, told=search.learns)
                again = _asked(search, space, n, told=True)
                said = f"{kind.__name__} on {space.size:,} points, {n:,} at once"
                assert asked == again, f"{said}: the same told gives other points"


def _asked(search: Search, space: SearchSpace, n: int, told: bool) -> list[list[PointIndex]]:
    """Return the rounds of a search, as it would go in a process of its own."""
    random.seed()
    np.random.seed()
    held, axes = CheckedSearcher(search, space), space.axes
    rounds: list[list[PointIndex]] = []
    while asked := held.ask(n):
        rounds.append(asked)
        if told:
            points = [
                {name: values[k] for (name, values), k in zip(axes.items(), place, strict=True)}
                for place in asked
            ]
            held.tell([_evaluation(point) for point in points])
    return rounds


def _evaluation(point: Mapping[str, Any]) -> Evaluation:
    """Return what a point might give: always the same, and of one in eight no value."""
    drawn = hashlib.sha256(text_of(dict(point)).encode()).digest()
    value = math.nan if drawn[0] < 32 else int.from_bytes(drawn[1:5], "big") / 2**32 - 0.5
    status = {"status": "error", "error": "made up"} if math.isnan(value) else {"status": "ok", "error": None}
    return Evaluation(point, value, ({"symbol": "X", "window": "validate", "pnl_net": value, **status},))
