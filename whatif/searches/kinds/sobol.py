"""Sobol search: points of a scrambled Sobol sequence, which cover the axes evenly."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import ClassVar

from whatif.errors import StudyError
from whatif.searches.base import Budgeted, Listed, Searcher, SearchSpace

MAX_AXES = 21_201
"""Axes of which scipy has direction numbers."""


class Sobol(Budgeted):
    """So many points of the axes, more evenly spread than chance would: a scrambled Sobol sequence.

    The sequence is Joe and Kuo's of 2008, scrambled after Owen and Matousek (`scipy.stats.qmc.Sobol`).
    Each axis is cut into as many equal parts as it has values. A longer budget goes on with the same
    sequence.
    """

    kind: str = "sobol"

    learns: ClassVar[bool] = False

    def start(self, space: SearchSpace) -> Searcher:
        """Return the points, made before the first one is asked for."""
        if len(space.axes) > MAX_AXES:
            raise StudyError(
                f"search.kind = 'sobol' takes at most {MAX_AXES:,} axes, not {len(space.axes):,}"
            )
        found = space.distinct(self._sequence(space), self.trials)
        if len(found) < self.trials:
            # of a small space, the sequence repeats itself before it has reached all points
            left = space.unseen(set(found))
            found += random.Random(self.seed).sample(left, min(self.trials - len(found), len(left)))
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
                yield space.settled(tuple(row))
