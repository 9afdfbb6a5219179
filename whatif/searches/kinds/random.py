"""Random search: points drawn by chance, each once."""

from __future__ import annotations

import random
from typing import Annotated, ClassVar

from pydantic import Field

from whatif.searches.base import MAX_LISTED, MAX_TRIALS, Listed, Search, Searcher, SearchSpace


class Random(Search):
    """So many points of the axes, drawn uniformly and without repetition.

    Attributes
    ----------
    trials : int
        Points to evaluate; all of them, if there are no more.
    seed : int
        Of the draws: the same study evaluates the same points.
    """

    kind: str = "random"
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 400
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    learns: ClassVar[bool] = False
    whole: ClassVar[bool] = False

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
