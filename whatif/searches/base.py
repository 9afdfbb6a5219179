"""The seam of searches: the base class of all ways to choose points of a study's axes.

A search is a section of the study. Its class gives the keys, and starts a searcher, which is asked for
points and told what they gave. Those that come along stand in `whatif.searches.kinds`; one of your own is
found by entry point (`whatif.searches`) or by `module:Name` as the study's `search.kind`, and tried with
`whatif.testing.check_search`.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, product
from math import prod
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from whatif.errors import StudyError
from whatif.section import Section

Point = Mapping[str, Any]
"""A value of each axis, by the axis' name."""

MAX_TRIALS = 100_000
"""Points that a search may be given to evaluate."""

MAX_LISTED = 100_000
"""Points of a space up to which those that are allowed are listed, so that none is missed."""

LOOKED_AT = 2_000
"""Points that are looked at to say how many of a space are allowed."""

DRAWS = 50
"""Points that are drawn for each that is wanted, before those that are allowed count as too rare."""


def _every_point(point: Point) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """What is searched.

    Attributes
    ----------
    axes : mapping of str to tuple
        Values of each axis by its name, in the order of the study.
    objective : str
        The metric that ranks.
    lower_is_better : bool
        Whether the least value of it is best.
    objectives : tuple of (str, bool)
        All metrics that the study asks for, the one that ranks first, each with whether the least of it
        is best; empty where it is that one alone.
    allowed : callable
        Tells whether a point keeps to the constraints of parameters, the study's and the strategy's.
    limits : int
        How many constraints on results there are.
    conditions : mapping of str to callable
        Of axes that exist at some points only, whether one does, told of the values of those before it that
        do. At a point where it does not, an axis stands at the first of its values.
    """

    axes: Mapping[str, tuple[Any, ...]]
    objective: str = "sharpe"
    lower_is_better: bool = False
    objectives: tuple[tuple[str, bool], ...] = ()
    allowed: Callable[[Point], bool] = _every_point
    limits: int = 0
    conditions: Mapping[str, Callable[[Point], bool]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the number of points, counting those too at which an axis does not exist; 1 without axes."""
        return prod(len(values) for values in self.axes.values())

    @cached_property
    def allowed_size(self) -> int:
        """Return the number of allowed points; of a large space by the share of them among `LOOKED_AT`."""
        if self.size <= LOOKED_AT:
            return len(self.listed())
        drawn = islice(self._drawn(random.Random(0)), LOOKED_AT)
        kept = sum(self._keeps(place) for place in drawn)
        return max(1, self.size * kept // LOOKED_AT)

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield all points, the last axis varying fastest."""
        if not self.conditions:
            for values in product(*self.axes.values()):
                yield dict(zip(self.axes, values, strict=True))
            return
        for place in product(*(range(len(values)) for values in self.axes.values())):
            if self.settled(place) == place:
                yield self.at(place)

    def at(self, place: Sequence[int]) -> dict[str, Any]:
        """Return the point of these places on the axes."""
        return {name: values[k] for (name, values), k in zip(self.axes.items(), place, strict=True)}

    def settled(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return a place with each axis that does not exist there at its first value."""
        if not self.conditions:
            return place
        found: list[int] = []
        values: dict[str, Any] = {}
        for (name, given), k in zip(self.axes.items(), place, strict=True):
            exists = name not in self.conditions or self.conditions[name](values)
            found.append(k if exists else 0)
            if exists:
                values[name] = given[k]
        return tuple(found)

    def distinct(
        self, places: Iterator[tuple[int, ...]], count: int, seen: set[tuple[int, ...]] | None = None
    ) -> list[tuple[int, ...]]:
        """Return the first places that are allowed and were not `seen`, each once, at most `count`.

        It stops after `DRAWS` places for each that is wanted.
        """
        taken = set() if seen is None else seen
        found: list[tuple[int, ...]] = []
        for place in islice(places, DRAWS * count + 1000):
            if place in taken:
                continue
            taken.add(place)
            if self._keeps(place):
                found.append(place)
                if len(found) == count:
                    break
        return found

    def listed(self) -> list[tuple[int, ...]]:
        """Return the places of all points that are allowed, of a space of at most `MAX_LISTED`."""
        every = product(*(range(len(values)) for values in self.axes.values()))
        return [place for place in every if self._keeps(place)]

    def _keeps(self, place: tuple[int, ...]) -> bool:
        """Whether a place is settled, and its point allowed."""
        return self.settled(place) == place and self.allowed(self.at(place))

    def unseen(self, seen: Collection[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Return the places of allowed points that are not among those `seen`; none of too large a space."""
        return [place for place in self.listed() if place not in seen] if self.size <= MAX_LISTED else []

    def draw(self, chance: random.Random) -> Iterator[tuple[int, ...]]:
        """Yield places without end, drawn uniformly on each of the axes that exist there."""
        yield from map(self.settled, self._drawn(chance))

    def _drawn(self, chance: random.Random) -> Iterator[tuple[int, ...]]:
        sizes = [len(values) for values in self.axes.values()]
        while True:
            yield tuple(chance.randrange(size) for size in sizes)

    def check_found(self, found: Sequence[Any], kind: str) -> None:
        """Refuse a space in which no point is allowed.

        Raises
        ------
        StudyError
            Naming the search and what to do.
        """
        if not found:
            raise StudyError(
                f"search.kind = {kind!r} finds no point of {self.size:,} that keeps to the constraints of "
                "parameters: loosen them, or give the axes values that meet them"
            )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a point gave.

    Attributes
    ----------
    point : mapping of str to value
        As it was asked for.
    value : float
        The objective, the mean over all `rows`. NaN if one of them failed or has no value that ranks, or the
        point breaks the strategy's rule between parameters.
    rows : tuple of mapping
        What is stored of it on the windows that are ranked, one for each symbol or account and window:
        symbol, window, status, error, and metrics by name. None of a point that breaks the strategy's rule.
    values : tuple of float
        The mean of each of `SearchSpace.objectives` over all rows, NaN as `value` is; empty where there is
        one.
    violations : tuple of float
        Of each constraint on results how far it is broken on the worst row; 0 where it holds.
    """

    point: Point
    value: float
    rows: tuple[Mapping[str, Any], ...] = ()
    values: tuple[float, ...] = ()
    violations: tuple[float, ...] = ()


class Searcher(ABC):
    """A search under way."""

    @abstractmethod
    def ask(self, n: int) -> Sequence[Point]:
        """Return points to evaluate next, at most `n`; none if the search is over.

        Each has a value for every axis, and comes once in a search. What was told before decides, and
        nothing else: not the time, nor a random generator without a seed. A search that stopped is gone
        through again from its beginning, on what is stored.
        """

    def tell(self, results: Sequence[Evaluation]) -> None:  # noqa: B027 what does not learn need not listen
        """Take what the points of the last `ask` gave, in their order."""


class Halving(Section):
    """Successive halving over the windows that rank: what is bad on the first ones is not run on the others.

    K. Jamieson and A. Talwalkar, Non-stochastic best arm identification and hyperparameter optimization
    (AISTATS 2016); the resource that grows is the time that a configuration was run over.

    Attributes
    ----------
    factor : float
        After each window, one in so many goes on.
    least : int
        So many go on at least.
    """

    factor: Annotated[float, Field(strict=False, gt=1, le=100)] = 2.0
    least: Annotated[int, Field(ge=1)] = 5

    def kept(self, count: int) -> int:
        """Return how many of so many go on."""
        return min(count, max(self.least, math.ceil(count / self.factor)))


def _factor(given: Any) -> Any:
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    return {"factor": given} if number else given


class Search(Section):
    """Which points of the axes are evaluated, and the keys of its section.

    Attributes
    ----------
    kind : str
        Name by which a study asks for it.
    halving : Halving or None
        Which points of a round are run on all windows that rank; None for all of them. In a study a number is
        the factor.
    learns : bool
        Whether what it asks for depends on what it is told. One that does not is asked for everything
        before the first backtest, and told nothing.
    whole : bool
        Whether it may look at all points of the space, which is then held to a size that a driver can list.
    """

    kind: str
    halving: Annotated[Halving | None, BeforeValidator(_factor)] = None

    learns: ClassVar[bool] = True
    whole: ClassVar[bool] = True

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        made: dict[str, Any] = write(self)
        return {key: value for key, value in made.items() if key != "halving" or value is not None}

    @property
    def in_rounds(self) -> bool:
        """Whether what is run depends on results: it learns, or its points are halved."""
        return self.learns or self.halving is not None

    @property
    def seconds(self) -> float:
        """Seconds of a run after which no further round begins; infinite without a limit."""
        return float("inf")

    def most(self, space: SearchSpace) -> int:
        """Return how many points it asks for at most; all, if it does not say."""
        return space.size

    @abstractmethod
    def start(self, space: SearchSpace) -> Searcher:
        """Return a searcher that was asked for nothing yet.

        Raises
        ------
        StudyError
            If the keys do not fit the space, naming key, value and rule.
        """


class Budgeted(Search):
    """A search that does not look at all points, and evaluates so many.

    Attributes
    ----------
    trials : int
        Points to evaluate at most; all of them, if there are no more.
    seed : int
        Of what it draws: the same study evaluates the same points.
    """

    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 400
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    whole: ClassVar[bool] = False

    def most(self, space: SearchSpace) -> int:
        """Return how many points it asks for at most."""
        return min(self.trials, space.size)


class Listed(Searcher):
    """Points that are known before anything is told, given one after the other.

    Parameters
    ----------
    space : SearchSpace
        What is searched.
    places : sequence of tuple of int
        Places of the points on the axes.
    """

    def __init__(self, space: SearchSpace, places: Sequence[tuple[int, ...]]) -> None:
        self._space, self._rest = space, iter(places)

    def ask(self, n: int) -> Sequence[Point]:
        """Return the next points."""
        return [self._space.at(place) for place in islice(self._rest, n)]
