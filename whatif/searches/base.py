"""The seam of searches: the base class of all ways to choose points of a study's axes.

A search is a section of the study. Its class gives the keys, and starts a searcher, which is asked for
points and told what they gave. Those that come along stand in `whatif.searches.kinds`; one of your own is
found by entry point (`whatif.searches`) or by `module:Name` as the study's `search.kind`, and tried with
`whatif.testing.check_search`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, ClassVar

from whatif.section import Section

Point = Mapping[str, Any]
"""A value of each axis, by the axis' name."""


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
    """

    axes: Mapping[str, tuple[Any, ...]]
    objective: str = "sharpe"
    lower_is_better: bool = False

    @property
    def size(self) -> int:
        """Return the number of points; 1 without axes."""
        return prod(len(values) for values in self.axes.values())

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield all points, the last axis varying fastest."""
        for values in product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))


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
    """

    point: Point
    value: float
    rows: tuple[Mapping[str, Any], ...] = ()


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


class Search(Section):
    """Which points of the axes are evaluated, and the keys of its section.

    Attributes
    ----------
    kind : str
        Name by which a study asks for it.
    learns : bool
        Whether what it asks for depends on what it is told. One that does not is asked for everything
        before the first backtest, and told nothing.
    """

    kind: str

    learns: ClassVar[bool] = True

    @abstractmethod
    def start(self, space: SearchSpace) -> Searcher:
        """Return a searcher that was asked for nothing yet.

        Raises
        ------
        StudyError
            If the keys do not fit the space, naming key, value and rule.
        """
