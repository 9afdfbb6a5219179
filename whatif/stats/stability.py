"""Stability of the best configuration: its neighbours, slices and planes, and whether ranks last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Real

import numpy as np
import numpy.typing as npt

from whatif.errors import StatisticsError, nearest
from whatif.typing import FloatArray

_RANGE = 3
"""Fewest values of an axis that make a range: of two, one is always on an end."""


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


@dataclass(frozen=True)
class Neighbourhood:
    """The configurations one step away from the best along one ordered axis.

    Attributes
    ----------
    points : tuple of int
        Their places among the points.
    missing : int
        Neighbours on the grid that were not measured, or whose objective is NaN.
    median : float
        Of their objective; NaN if there is none.
    share : float
        Median over the best objective: near 1 on a plateau. NaN unless the best is positive, and
        for an objective that is the better the lower it is best over median.
    """

    points: tuple[int, ...]
    missing: int
    median: float
    share: float

    @property
    def count(self) -> int:
        """Number of neighbours measured."""
        return len(self.points)


@dataclass(frozen=True)
class Edge:
    """An ordered axis on whose end the best configuration sits: better ones may lie beyond.

    Attributes
    ----------
    axis : str
        Name.
    end : str
        "low" or "high": first or last of the values in order.
    value : object
        Of the best configuration.
    """

    axis: str
    end: str
    value: object


@dataclass(frozen=True, eq=False)
class Slice:
    """The objective along one axis, all others as in the best configuration.

    Attributes
    ----------
    axis : str
        Name.
    values : tuple
        In the grid's order.
    objective : float64 array (values,)
        NaN where no point was measured.
    best : int
        Place of the best configuration among the values.
    """

    axis: str
    values: tuple[object, ...]
    objective: FloatArray
    best: int


@dataclass(frozen=True, eq=False)
class Plane:
    """The objective along two axes, all others as in the best configuration.

    Attributes
    ----------
    x, y : str
        Names.
    x_values, y_values : tuple
        In the grid's order.
    objective : float64 array (y values, x values)
        NaN where no point was measured.
    best : (int, int)
        Row and column of the best configuration.
    """

    x: str
    y: str
    x_values: tuple[object, ...]
    y_values: tuple[object, ...]
    objective: FloatArray
    best: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Stability:
    """What surrounds the best configuration.

    Attributes
    ----------
    best : int
        Its place among the points.
    objective : float
        Its objective.
    neighbours : Neighbourhood
        One step away.
    edges : tuple of Edge
        Axes with three or more values on whose end it sits.
    influence : dict of float
        By axis, the most influential first; see `influence`.
    slices : dict of Slice
        By axis of two or more values.
    planes : tuple of Plane
        Of pairs of such axes, the most influential first.
    """

    best: int
    objective: float
    neighbours: Neighbourhood
    edges: tuple[Edge, ...]
    influence: dict[str, float]
    slices: dict[str, Slice]
    planes: tuple[Plane, ...]


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of ranks.

    Attributes
    ----------
    rho : float
        From -1 to 1; NaN under three pairs or where one side does not vary.
    n : int
        Pairs of which neither is NaN.
    p_value : float
        Of no correlation, two-sided; NaN as `rho`.
    """

    rho: float
    n: int
    p_value: float


def stability_of_best(
    axes: Mapping[str, Sequence[object]],
    points: Sequence[Mapping[str, object]],
    objective: npt.ArrayLike,
    *,
    lower_is_better: bool = False,
    ordinal: Sequence[str] | None = None,
    all_planes: bool = False,
    best: int | None = None,
) -> Stability:
    """Describe what surrounds the best point of a grid.

    Parameters
    ----------
    axes : mapping of str to sequence
        Values of each axis. Numbers are put in rising order; others keep the order given.
    points : sequence of mapping
        Value of each axis at each point; each point once, not all of the grid need be there.
    objective : float array (points,)
        NaN where undefined.
    lower_is_better : bool
        Whether the best is the lowest.
    ordinal : sequence of str, optional
        Axes along which a step means something; those of numbers only if not given.
    all_planes : bool
        Planes of all pairs of axes, or of the two most influential ones only.
    best : int, optional
        Place among the points of the one that was chosen, which settles ties and whatever else a
        choice looks at; the first point with the best objective if not given.

    Returns
    -------
    Stability
        What surrounds the best.

    Raises
    ------
    StatisticsError
        If a point is not on the grid or there twice, lengths differ, no objective is known, or that of
        `best` is not.
    """
    grid = Grid(axes, points, ordinal)
    values = _known(objective, len(points))
    if best is None:
        best = int(np.nanargmin(values) if lower_is_better else np.nanargmax(values))
    elif not 0 <= best < len(values) or math.isnan(values[best]):
        raise StatisticsError(f"best={best} of {len(values)} points: a point whose objective is known")
    at = grid.places[best]
    weights = influence(axes, points, values)
    varied = [name for name in weights if len(grid.values[name]) > 1]
    pairs = list(combinations(varied, 2))
    return Stability(
        best=best,
        objective=float(values[best]),
        neighbours=_neighbours(grid, values, best, lower_is_better),
        edges=_edges(grid, at),
        influence=weights,
        slices={name: _slice(grid, values, at, name) for name in grid.names if name in varied},
        planes=tuple(_plane(grid, values, at, *pair) for pair in (pairs if all_planes else pairs[:1])),
    )


def influence(
    axes: Mapping[str, Sequence[object]], points: Sequence[Mapping[str, object]], objective: npt.ArrayLike
) -> dict[str, float]:
    """Return the share of the objective's variance that each axis explains alone.

    Parameters
    ----------
    axes, points, objective
        As in `stability_of_best`.

    Returns
    -------
    dict of float
        By axis, the highest first: variance of the means by value (weighted by points) over that of
        all points with a finite objective (eta squared); 0 where nothing varies.

    Raises
    ------
    StatisticsError
        As in `stability_of_best`.
    """
    grid = Grid(axes, points)
    values = _known(objective, len(points))
    finite = np.isfinite(values)
    values, places = (
        values[finite],
        np.array(grid.places, dtype=np.int64).reshape(len(points), len(grid.names))[finite],
    )
    varies = len(values) > 0 and bool((values != values[0]).any())
    shares = {name: _explained(values, places[:, k]) if varies else 0.0 for k, name in enumerate(grid.names)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def rank_correlation(validate: npt.ArrayLike, test: npt.ArrayLike) -> RankCorrelation:
    """Return Spearman's correlation between two measurements of the same configurations.

    Parameters
    ----------
    validate, test : float array (configurations,)
        Objective on either window; pairs with a NaN are left out.

    Returns
    -------
    RankCorrelation
        Ties have their mean rank; the p-value is that of Student's t with n - 2 degrees of freedom.

    Raises
    ------
    StatisticsError
        If the two are not equally long.

    References
    ----------
    Spearman (1904), "The Proof and Measurement of Association between Two Things", American
    Journal of Psychology 15(1).
    """
    one, other = np.asarray(validate, dtype=np.float64), np.asarray(test, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise StatisticsError(
            f"shapes {one.shape} and {other.shape}: one objective for each configuration on either side"
        )
    known = ~(np.isnan(one) | np.isnan(other))
    one, other = one[known], other[known]
    n = len(one)
    if n < 3 or (one == one[0]).all() or (other == other[0]).all():
        return RankCorrelation(math.nan, n, math.nan)
    # not scipy.stats.spearmanr, which gives these bytes: its import costs 0.5 s of a processor
    import pandas as pd
    from scipy.special import stdtr

    ranks = [pd.Series(values).rank().to_numpy() for values in (one, other)]
    rho = np.asarray(np.corrcoef(np.column_stack(ranks), rowvar=False))[1, 0]
    with np.errstate(divide="ignore"):
        t = rho * np.sqrt(((n - 2) / ((rho + 1.0) * (1.0 - rho))).clip(0))
    return RankCorrelation(float(rho), n, float(2 * stdtr(n - 2, -abs(t))))


def _known(objective: npt.ArrayLike, points: int) -> FloatArray:
    values = np.asarray(objective, dtype=np.float64)
    if values.shape != (points,):
        raise StatisticsError(
            f"objective of shape {values.shape} for {points} points: one for each is needed"
        )
    if np.isnan(values).all():
        raise StatisticsError(f"objective of {points} points: none is known, so none is best")
    return values


def _neighbours(grid: Grid, values: FloatArray, best: int, lower_is_better: bool) -> Neighbourhood:
    around = grid.around(grid.places[best])
    found = [grid.index[place] for place in around if place in grid.index]
    measured = tuple(point for point in found if not math.isnan(values[point]))
    median = float(np.median(values[list(measured)])) if measured else math.nan
    top, over = (values[best], median) if lower_is_better else (median, values[best])
    share = float(top / over) if values[best] > 0.0 and over > 0.0 else math.nan
    return Neighbourhood(measured, len(around) - len(measured), median, share)


def _edges(grid: Grid, at: tuple[int, ...]) -> tuple[Edge, ...]:
    edges = []
    for name, place in zip(grid.names, at, strict=True):
        values = grid.values[name]
        if name in grid.ordinal and len(values) >= _RANGE and place in (0, len(values) - 1):
            edges.append(Edge(name, "high" if place else "low", values[place]))
    return tuple(edges)


def _slice(grid: Grid, values: FloatArray, at: tuple[int, ...], name: str) -> Slice:
    along = [_value(grid, values, grid.moved(at, {name: k})) for k in range(len(grid.values[name]))]
    place = at[grid.names.index(name)]
    return Slice(name, grid.values[name], np.array(along, dtype=np.float64), place)


def _plane(grid: Grid, values: FloatArray, at: tuple[int, ...], x: str, y: str) -> Plane:
    columns, rows = range(len(grid.values[x])), range(len(grid.values[y]))
    table = [[_value(grid, values, grid.moved(at, {x: j, y: k})) for j in columns] for k in rows]
    place = at[grid.names.index(y)], at[grid.names.index(x)]
    return Plane(x, y, grid.values[x], grid.values[y], np.array(table, dtype=np.float64), place)


def _value(grid: Grid, values: FloatArray, place: tuple[int, ...]) -> float:
    point = grid.index.get(place)
    return math.nan if point is None else float(values[point])


def _explained(values: FloatArray, groups: npt.NDArray[np.int64]) -> float:
    center = values.mean()
    count = np.bincount(groups)
    means = np.bincount(groups, values - center)[count > 0] / count[count > 0]
    return float((count[count > 0] * means**2).sum() / np.square(values - center).sum())


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(value: object) -> float:
    return float(value) if isinstance(value, Real) else 0.0
