"""Random search: points drawn by chance, each once."""

from __future__ import annotations

import random
from typing import ClassVar

from whatif.searches.base import MAX_LISTED, Budgeted, Listed, Searcher, SearchSpace


class Random(Budgeted):
    """So many points of the axes, drawn uniformly and without repetition."""

    kind: str = "random"

    learns: ClassVar[bool] = False

    def start(self, space: SearchSpace) -> Searcher:
        """Return the points, drawn before the first one is asked for."""
        chance = random.Random(self.seed)
        if space.size <= MAX_LISTED:
            every = space.listed()
            found = chance.sample(every, min(self.trials, len(every)))
        else:
            found = space.distinct(space.draw(chance), self.trials)
        space.check_found(found, self.kind)
        return Listed(space, found)
