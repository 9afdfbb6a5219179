"""Grid of an objective's measured points, by the places of their values on its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

from whatif.errors import StatisticsError, nearest


class Grid:
    """A grid and the points measured on it.

    Parameters
    ----------
    axes : mapping of str to sequence
        Values of each axis; numbers are put in rising order, others keep the order given. Values
        need not be hashable.
    points : sequence of mapping
        Value of each axis at each point; further keys are ignored.
    ordinal : sequence of str, optional
        Axes along which a step means something; those of numbers only if not given.

    Attributes
    ----------
    names : tuple of str
        Axes in the order given.
    values : dict of tuple
        By axis.
    ordinal : frozenset of str
        Axes with an order.
    places : list of tuple of int
        For each point, the place of its value on each axis.
    index : dict of int
        Point by its places.

    Raises
    ------
    StatisticsError
        If a point lacks an axis, is not on the grid or there twice, or `ordinal` names no axis.
    """

    def __init__(
        self,
        axes: Mapping[str, Sequence[object]],
        points: Sequence[Mapping[str, object]],
        ordinal: Sequence[str] | None = None,
    ) -> None:
        numeric = [name for name, values in axes.items() if all(_is_number(value) for value in values)]
        for name in ordinal or ():
            if name not in axes:
                raise StatisticsError(f"ordinal={name!r}: no axis has this name; {nearest(name, axes)}")
        self.names = tuple(axes)
        self.ordinal = frozenset(numeric if ordinal is None else ordinal)
        self.values = {
            name: tuple(sorted(values, key=_number) if name in numeric else values)
            for name, values in axes.items()
        }
        self.places = [self._place(point) for point in points]
        self.index: dict[tuple[int, ...], int] = {}
        for k, place in enumerate(self.places):
            if self.index.setdefault(place, k) != k:
                raise StatisticsError(
                    f"points {self.index[place]} and {k} are the same, {dict(points[k])}: each point once; "
                    "take one symbol and window at a time, or their mean"
                )

    def around(self, place: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the places on the grid one step from `place` along one ordered axis."""
        found = []
        for k, name in enumerate(self.names):
            if name in self.ordinal:
                for step in (place[k] - 1, place[k] + 1):
                    if 0 <= step < len(self.values[name]):
                        found.append((*place[:k], step, *place[k + 1 :]))
        return found

    def moved(self, place: tuple[int, ...], to: Mapping[str, int]) -> tuple[int, ...]:
        """Return `place` with some axes' places replaced."""
        return tuple(to.get(name, place[k]) for k, name in enumerate(self.names))

    def _place(self, point: Mapping[str, object]) -> tuple[int, ...]:
        place = []
        for name in self.names:
            if name not in point:
                raise StatisticsError(
                    f"point {dict(point)}: no value for axis {name!r}; give one for each axis"
                )
            try:
                place.append(self.values[name].index(point[name]))
            except ValueError:
                raise StatisticsError(
                    f"point {dict(point)}: {name}={point[name]!r} is not on its axis "
                    f"{list(self.values[name])}; points and axes must be of one study"
                ) from None
        return tuple(place)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(value: object) -> float:
    return float(value) if isinstance(value, Real) else 0.0
