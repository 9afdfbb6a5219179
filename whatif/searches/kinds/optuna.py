"""Optuna's search: its samplers learn from each batch what to try next."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from whatif.domain import duration_us
from whatif.errors import StudyError
from whatif.searches.base import Budgeted, Evaluation, Point, Searcher, SearchSpace

Place = tuple[int, ...]
"""A point by the place of its value on each axis."""

MAX_MISSES = 3
"""Points in a row that were evaluated before, or are not allowed, after which one beside them is taken."""

STEPS = 60
"""Points beside one that are tried before one is drawn from everywhere."""

MODULES = {"gp": ("torch", "pip install torch"), "cmaes": ("cmaes", "pip install cmaes")}
"""What a sampler needs beside Optuna, and how one gets it."""

BROKEN = "broken"
"""Attribute of a trial that holds by how much it breaks each constraint."""

UNDEFINED = 1e12
"""Violation of a point that has no result."""


class Optuna(Budgeted):
    """A search by one of Optuna's samplers, in batches: asked for, evaluated in one wave, told.

    Each axis is one of Optuna's integers over the places of its values where these are numbers, so that
    steps and logarithmic ranges are even, and one of its categories otherwise. An axis that does not exist
    at a point is no parameter of that trial, as where Optuna's users suggest one inside of an `if`.

    Attributes
    ----------
    sampler : str
        "tpe", "gp", "cmaes", "nsga2" or "nsga3".
    batch : int
        Points that are evaluated before it learns from them.
    patience : int or None
        Batches without an improvement after which it ends; None for no such end.
    time : str or None
        Duration after which a run begins no further batch; None for no limit.
    """

    kind: str = "optuna"
    sampler: Literal["tpe", "gp", "cmaes", "nsga2", "nsga3"] = "tpe"
    batch: Annotated[int, Field(ge=1, le=10_000)] = 20
    patience: Annotated[int, Field(ge=1)] | None = None
    time: str | None = None

    @field_validator("time")
    @classmethod
    def _time(cls, value: str | None) -> str | None:
        if value is not None:
            duration_us(value)
        return value

    @property
    def seconds(self) -> float:
        """Seconds of a run after which no further batch begins."""
        return float("inf") if self.time is None else duration_us(self.time) / 1e6

    def start(self, space: SearchSpace) -> Searcher:
        """Return a searcher whose state is made of what it is told, and of nothing else.

        Raises
        ------
        StudyError
            If Optuna or what the sampler needs is not installed, or the sampler takes one objective and the
            study has several.
        """
        if self.sampler == "cmaes" and len(space.objectives) > 1:
            raise StudyError(
                f"search.sampler = 'cmaes' takes one objective, and the study has {len(space.objectives)}: "
                "take tpe, nsga2 or nsga3, or one objective"
            )
        _needed("optuna", f"search.kind = {self.kind!r}", "pip install 'whatif[optuna]'")
        if self.sampler in MODULES:
            _needed(MODULES[self.sampler][0], f"search.sampler = {self.sampler!r}", MODULES[self.sampler][1])
        return _Batches(self, space)


def _needed(module: str, who: str, how: str) -> None:
    try:
        import_module(module)
    except ImportError as error:
        raise StudyError(f"{who} needs the package {module}, which is not installed: {how}") from error


class _Axis:
    """An axis as Optuna sees it: places in the order of its numbers, or categories."""

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        self.ordered = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values)
        places = range(len(values))
        self._places = sorted(places, key=lambda k: values[k]) if self.ordered else list(places)
        self._numbers = {place: k for k, place in enumerate(self._places)}

    def distribution(self, kinds: Any) -> Any:
        """Return what Optuna draws from."""
        if self.ordered:
            return kinds.IntDistribution(0, len(self._places) - 1)
        return kinds.CategoricalDistribution(tuple(range(len(self._places))))

    def suggested(self, trial: Any) -> int:
        """Return a number that a trial of Optuna's suggests."""
        last = len(self._places) - 1
        if self.ordered:
            found: int = trial.suggest_int(self.name, 0, last)
        else:
            found = trial.suggest_categorical(self.name, tuple(range(last + 1)))
        return found

    def place(self, number: int) -> int:
        """Return the place of the value that Optuna's number stands for."""
        return self._places[number]

    def beside(self, place: int, reach: int, chance: random.Random) -> int:
        """Return a place at most `reach` numbers away, or of one category in ten another."""
        if self.ordered:
            moved = self._numbers[place] + chance.randint(-reach, reach)
            return self._places[min(max(moved, 0), len(self._places) - 1)]
        return chance.choice(self._places) if chance.random() < 0.1 else place

    def number(self, place: int) -> int:
        """Return Optuna's number of a place."""
        return self._numbers[place]


class _Batches(Searcher):
    """A study of Optuna's, in memory."""

    def __init__(self, search: Optuna, space: SearchSpace) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._search, self._space = search, space
        self._lower = [lower for _, lower in space.objectives] or [space.lower_is_better]
        self._chance = random.Random(search.seed)
        self._axes = [_Axis(name, values) for name, values in space.axes.items()]
        every = {axis.name: axis.distribution(optuna.distributions) for axis in self._axes}
        self._distributions = {name: one for name, one in every.items() if name not in space.conditions}
        # what cannot be learnt from: TPE counts pruned trials as worse than all others
        single = len(self._lower) == 1 and search.sampler == "tpe"
        states = optuna.trial.TrialState
        self._no_value = states.PRUNED if single else states.FAIL
        self._seen: set[Place] = set()
        self._waiting: list[Any] = []
        self._missed: list[Any] = []
        self._evaluated = self._idle = 0
        self._front: list[tuple[float, ...]] = []
        with _quiet():
            directions = ["minimize" if lower else "maximize" for lower in self._lower]
            self._study = optuna.create_study(directions=directions, sampler=self._sampler(optuna.samplers))

    def ask(self, n: int) -> Sequence[Point]:
        """Return the next batch."""
        search = self._search
        if search.patience is not None and self._idle >= search.patience:
            return []
        count = min(n, search.batch, search.trials - self._evaluated)
        found: list[Place] = []
        self._waiting = []
        with _quiet():
            while len(found) < count and (place := self._propose()) is not None:
                found.append(place)
        if not self._evaluated:
            self._space.check_found(found, search.kind)
        self._evaluated += len(found)
        return [self._space.at(place) for place in found]

    def tell(self, results: Sequence[Evaluation]) -> None:
        """Take what the batch gave."""
        improved = False
        with _quiet():
            # not before, so that all of a batch is drawn of the same estimates
            for trial in self._missed:
                self._study.tell(trial, state=self._no_value)
            self._missed = []
            for trial, result in zip(self._waiting, results, strict=True):
                values = result.values or (result.value,)
                if any(math.isnan(value) for value in values):
                    self._study.tell(trial, state=self._no_value)
                    continue
                trial.set_user_attr(BROKEN, list(result.violations))
                self._study.tell(trial, list(values))
                improved |= self._improves(values, result.violations)
        self._idle = 0 if improved else self._idle + 1

    def _propose(self) -> Place | None:
        """Return a place that was not asked for yet; None if there is none."""
        place: Place = ()
        for _ in range(MAX_MISSES):
            trial, place = self._asked()
            if self._takes(place):
                self._waiting.append(trial)
                return place
            self._missed.append(trial)
        other = self._beside(place) or self._by_chance()
        if other is not None:
            numbers = {axis.name: axis.number(k) for axis, k in zip(self._axes, other, strict=True)}
            self._study.enqueue_trial(numbers)
            self._waiting.append(self._asked()[0])
        return other

    def _asked(self) -> tuple[Any, Place]:
        """Return a trial of Optuna's, and its point: axes that do not exist there are not suggested."""
        trial = self._study.ask(self._distributions)
        place: list[int] = []
        values: dict[str, Any] = {}
        for axis in self._axes:
            condition = self._space.conditions.get(axis.name)
            if condition is not None and not condition(values):
                place.append(0)
                continue
            number = trial.params[axis.name] if condition is None else axis.suggested(trial)
            place.append(axis.place(number))
            values[axis.name] = self._space.axes[axis.name][place[-1]]
        return trial, tuple(place)

    def _takes(self, place: Place) -> bool:
        """Whether a place is new and allowed; it is not new after that."""
        if place in self._seen:
            return False
        self._seen.add(place)
        return self._space.allowed(self._space.at(place))

    def _beside(self, place: Place) -> Place | None:
        """Return a place near one that cannot be taken, the further off the longer that lasts."""
        for k in range(STEPS):
            reach = 1 + k // 10
            pairs = zip(self._axes, place, strict=True)
            moved = self._space.settled(tuple(axis.beside(one, reach, self._chance) for axis, one in pairs))
            if self._takes(moved):
                return moved
        return None

    def _by_chance(self) -> Place | None:
        space = self._space
        found = space.distinct(space.draw(self._chance), 1, self._seen)
        if not found and (left := space.unseen(self._seen)):
            found = [self._chance.choice(left)]
            self._seen.update(found)
        return found[0] if found else None

    def _improves(self, values: Sequence[float], violations: Sequence[float]) -> bool:
        """Whether values keep to all constraints and no earlier ones are as good; they are kept then."""
        if any(one > 0 for one in violations):
            return False
        less = tuple(v if lower else -v for v, lower in zip(values, self._lower, strict=True))
        if any(all(a <= b for a, b in zip(held, less, strict=True)) for held in self._front):
            return False
        front = [held for held in self._front if any(a < b for a, b in zip(held, less, strict=True))]
        self._front = [*front, less]
        return True

    def _sampler(self, samplers: Any) -> Any:
        seed, batch = self._search.seed, self._search.batch
        limits = {"constraints_func": _violations} if self._space.limits else {}
        # those that exist together are estimated together
        groups = {"multivariate": True, "group": True} if self._space.conditions else {}
        made: dict[str, Callable[[], Any]] = {
            "tpe": lambda: _pooled(samplers.TPESampler, batch)(
                seed=seed, n_startup_trials=max(10, batch), **groups, **limits
            ),
            "gp": lambda: samplers.GPSampler(seed=seed, n_startup_trials=max(10, batch), **limits),
            "cmaes": lambda: samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
            "nsga2": lambda: samplers.NSGAIISampler(seed=seed, population_size=max(2, batch), **limits),
            "nsga3": lambda: samplers.NSGAIIISampler(seed=seed, population_size=max(2, batch), **limits),
        }
        return made[self._search.sampler]()


def _pooled(sampler: Any, batch: int) -> Any:
    """Return TPE as a class that estimates densities once for all points of a batch.

    Each point is the best of as many candidates as Optuna takes for one; those of a batch and a half are
    drawn and weighed together, which is what most of the time goes to.
    """

    class Pooled(sampler):  # type: ignore[misc]
        """A sampler whose candidates are drawn for many points at once."""

        def __init__(self, **keys: Any) -> None:
            super().__init__(**keys)
            self._each = self._n_ei_candidates
            self._n_ei_candidates *= batch + batch // 2 + 1
            # by the names of what is drawn together
            self._pools: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            self._drawn: list[dict[str, Any]] = []

        def _sample(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            pool = self._pools.get(tuple(search_space))
            if not pool:
                self._drawn = []
                best: dict[str, Any] = super()._sample(study, trial, search_space)
                if not self._drawn:
                    return best
                pool = self._pools[tuple(search_space)] = self._drawn
            found = pool.pop(0)
            return {name: one.to_external_repr(found[name]) for name, one in search_space.items()}

        def after_trial(self, *told: Any) -> None:
            self._pools = {}
            super().after_trial(*told)

        def _compute_acquisition_func(self, samples: Any, below: Any, above: Any) -> Any:
            gains = super()._compute_acquisition_func(samples, below, above)
            for start in range(0, len(gains), self._each):
                best = start + int(gains[start : start + self._each].argmax())
                self._drawn.append({name: values[best].item() for name, values in samples.items()})
            return gains

    return Pooled


def _violations(trial: Any) -> Sequence[float]:
    """Return by how much a trial of Optuna's breaks each constraint."""
    found: Sequence[float] = trial.user_attrs.get(BROKEN, (UNDEFINED,))
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what Optuna warns of, that parts of it are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
