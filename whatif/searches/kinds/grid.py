"""Grid search: all points, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import ClassVar

from whatif.searches.base import Point, Search, Searcher, SearchSpace


class Grid(Search):
    """All points of the axes, the last one varying fastest."""

    kind: str = "grid"

    learns: ClassVar[bool] = False

    def start(self, space: SearchSpace) -> Searcher:
        """Return a walk over all points, each made when it is asked for."""
        return _Walk(space)


class _Walk(Searcher):
    def __init__(self, space: SearchSpace) -> None:
        self._rest = space.points()

    def ask(self, n: int) -> Sequence[Point]:
        return list(islice(self._rest, n))
