"""Sobol search: points of a scrambled Sobol sequence, which cover the axes evenly."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from whatif.errors import StudyError
from whatif.searches.base import MAX_LISTED, MAX_TRIALS, Listed, Search, Searcher, SearchSpace

MAX_AXES = 21_201
"""Axes of which scipy has direction numbers."""


class Sobol(Search):
    """So many points of the axes, more evenly spread than chance would: a scrambled Sobol sequence.

    The sequence is Joe and Kuo's of 2008, scrambled after Owen and Matousek (`scipy.stats.qmc.Sobol`).
    Each axis is cut into as many equal parts as it has values. A longer budget goes on with the same
    sequence.

    Attributes
    ----------
    trials : int
        Points to evaluate; all of them, if there are no more.
    seed : int
        Of the scrambling: the same study evaluates the same points.
    """

    kind: str = "sobol"
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 400
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    learns: ClassVar[bool] = False
    whole: ClassVar[bool] = False

    def start(self, space: SearchSpace) -> Searcher:
        """Return the points, made before the first one is asked for."""
        if len(space.axes) > MAX_AXES:
            raise StudyError(
                f"search.kind = 'sobol' takes at most {MAX_AXES:,} axes, not {len(space.axes):,}"
            )
        seen: set[tuple[int, ...]] = set()
        found = space.distinct(self._sequence(space), self.trials, seen)
        if len(found) < self.trials:
            found += self._rest(space, set(found), self.trials - len(found))
        space.check_found(found, self.kind)
        return Listed(space, found)

    def _sequence(self, space: SearchSpace) -> Iterator[tuple[int, ...]]:
        """Yield the places of the sequence's points."""
        # imported here: only a study that asks for it waits for scipy's statistics
        import numpy as np
        from scipy.stats import qmc

        sizes = np.array([len(values) for values in space.axes.values()], dtype=np.int64)
        if not len(sizes):
            yield ()
            return
        sequence = qmc.Sobol(len(sizes), scramble=True, rng=np.random.default_rng(self.seed))
        while True:
            for row in np.minimum((sequence.random(256) * sizes).astype(np.int64), sizes - 1).tolist():
                yield tuple(row)

    def _rest(self, space: SearchSpace, found: set[tuple[int, ...]], count: int) -> list[tuple[int, ...]]:
        """Return places of a small space that the sequence, which repeats itself, did not reach."""
        if space.size > MAX_LISTED:
            return []
        left = [place for place in space.listed() if place not in found]
        return random.Random(self.seed).sample(left, min(count, len(left)))
