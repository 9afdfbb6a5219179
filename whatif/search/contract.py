"""Contract of searches: the points that one asks for lie on the axes, and come once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from whatif.axes import text_of
from whatif.errors import PluginError, StudyError, WhatIfError
from whatif.searches import Evaluation, Point, Search, SearchSpace

PointIndex = tuple[int, ...]
"""A point by the place of its value on each axis."""

MAX_ASKED = 10_000
"""Points that a search is asked for at most; the same on any machine, so that it asks for the same ones."""


class CheckedSearcher:
    """A searcher whose points are checked.

    Parameters
    ----------
    search : Search
        The section.
    space : SearchSpace
        What is searched.

    Raises
    ------
    StudyError
        If the keys do not fit the space.
    PluginError
        If it raises something else.
    """

    def __init__(self, search: Search, space: SearchSpace) -> None:
        self._kind, self._axes = search.kind, space.axes
        self._searcher = self._guarded("start", lambda: search.start(space))
        # what an axis holds is there as long as the space is, so its id tells it
        self._by_id = [{id(value): k for k, value in enumerate(values)} for values in space.axes.values()]
        self._by_text = [
            {text_of(value): k for k, value in enumerate(values)} for values in space.axes.values()
        ]
        self._seen: set[PointIndex] = set()

    def ask(self, n: int = MAX_ASKED) -> list[PointIndex]:
        """Return the places of what is asked for next; none if the search is over.

        Raises
        ------
        StudyError
            If a point breaks the contract of `Searcher.ask`, naming the search, the point and the rule.
        PluginError
            If the search raises.
        """
        points = self._guarded("ask", lambda: self._searcher.ask(n))
        if isinstance(points, (str, Mapping)) or not isinstance(points, Collection):
            raise self._broken(f"ask gives a {type(points).__name__}, no list of points")
        if len(points) > n:
            raise self._broken(f"ask gives {len(points):,} points where at most {n:,} are asked for")
        places = [self._place(point) for point in points]
        for place, point in zip(places, points, strict=True):
            if place in self._seen:
                raise self._broken(f"it asks for {dict(point)} twice")
            self._seen.add(place)
        return places

    def tell(self, results: Sequence[Evaluation]) -> None:
        """Tell what the last points gave.

        Raises
        ------
        PluginError
            If the search raises.
        """
        self._guarded("tell", lambda: self._searcher.tell(results))

    def _place(self, point: Point) -> PointIndex:
        if not isinstance(point, Mapping) or point.keys() != self._axes.keys():
            raise self._broken(
                f"{point!r} is no point, a mapping with a value for each of {list(self._axes)}"
            )
        place = []
        for name, by_id, by_text in zip(self._axes, self._by_id, self._by_text, strict=True):
            value = point[name]
            k = by_id.get(id(value))
            k = by_text.get(text_of(value)) if k is None else k
            if k is None:
                raise self._broken(f"{dict(point)} is outside of the axes: {name} has no value {value!r}")
            place.append(k)
        return tuple(place)

    def _broken(self, rule: str) -> StudyError:
        return StudyError(f"search.kind = {self._kind!r} breaks its contract: {rule}")

    def _guarded(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except WhatIfError:
            raise
        except Exception as error:
            raise PluginError(
                f"search {self._kind!r}: {what} raised {type(error).__name__}: {error}"
            ) from error
