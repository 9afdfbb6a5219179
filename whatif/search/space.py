"""Space of points that a study's axes span, and the settings of each point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from math import prod
from typing import Any, Protocol

from whatif.axes import Axis, MarketChange, Parameter, Settings, bound, text_of
from whatif.domain import (
    LOWER_IS_BETTER,
    Execution,
    Overlays,
    execution_from_mapping,
    overlays_from_mapping,
    timeframe_us,
)
from whatif.errors import StrategyError, StudyError
from whatif.search.constraints import Constraints, check_condition, constraints_of, names_of
from whatif.search.contract import CheckedSearcher, PointIndex
from whatif.search.market import change_of
from whatif.searches import Point, SearchSpace
from whatif.study import Study

MAX_SETTINGS = 500_000
"""Settings of points, apart from parameters of the strategy, that a driver holds."""


class Strategy(Protocol):
    """What a space needs of a strategy, be it a step function or a `bt.Strategy`."""

    @property
    def digest(self) -> str:
        """Digest of all that determines what it does."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Declared parameters and their defaults."""

    def validate(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters, or raise StrategyError."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What points have in common that differ in parameters of the strategy alone.

    Attributes
    ----------
    params : mapping of str to scalar
        Parameters that no axis of the strategy's own varies.
    execution, overlays, timeframe, model, market
        As in `whatif.search.configuration.Configuration`.
    identity : mapping
        What of a configuration's identity follows from them.
    """

    params: Mapping[str, Any]
    execution: Execution
    overlays: Overlays
    timeframe: str
    model: str | None
    market: tuple[MarketChange, ...]
    identity: Mapping[str, Any]


class Space:
    """All points that the axes of a study span.

    Parameters
    ----------
    study : Study
        The authored study.
    strategy : Strategy
        The strategy that it names.

    Raises
    ------
    StudyError
        If an axis is unknown, or stands in another section too.
    """

    def __init__(self, study: Study, strategy: Strategy) -> None:
        self.study = study
        self.strategy = strategy
        declared = strategy.defaults
        name = study.strategy.name
        self.axes: dict[str, Axis] = {key: bound(axis, declared, name) for key, axis in study.axes.items()}
        self._given = Settings(
            params=study.strategy.params,
            execution=study.execution,
            overlays=study.overlays,
            timeframe=study.data.timeframe,
            model=next(iter(study.models)) if len(study.models) == 1 else None,
        )
        for axis in self.axes.values():
            section = axis.stands_in(self._given)
            if section:
                raise StudyError(f"{axis.name!r} stands both in {section} and in axes: remove one of the two")
        self.constraints = constraints_of(study.constraints, self._named(declared))
        self._unvaried = self._without_axes(declared)
        self._conditions = self._checked_conditions(declared)
        every = list(enumerate(self.axes.values()))
        self._own = [(k, axis) for k, axis in every if isinstance(axis, Parameter)]
        self._others = [(k, axis) for k, axis in every if not isinstance(axis, Parameter)]
        self._worlds = [(k, axis) for k, axis in every if axis.world]
        # by place and never by value: 1 and 1.0 are equal, and other configurations
        self._settings: dict[PointIndex, Setting] = {}
        self._shown = [
            (axis.name, [axis.shown_beside(value, self._given) for value in axis.values]) for _, axis in every
        ]

    def searched(self) -> SearchSpace:
        """Return the points as a search sees them: without the axes whose values are worlds."""
        return self._searched

    @cached_property
    def _searched(self) -> SearchSpace:
        return SearchSpace(
            {name: axis.values for name, axis in self.axes.items() if not axis.world},
            self.study.objective,
            self.study.objective in LOWER_IS_BETTER,
            tuple((name, name in LOWER_IS_BETTER) for name in self.study.metrics),
            self._is_allowed,
            len(self.constraints.on_results),
            {name: partial(self._exists, name) for name in self._conditions},
        )

    def _without_axes(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        """Return what conditions and constraints find where an axis does not exist, by name."""
        given = self._given
        other = {"timeframe": given.timeframe, "model": given.model}
        absent = {name: other.get(name, given.overlays.get(name)) for name in self.axes}
        return {**absent, **declared, **given.params}

    def _checked_conditions(self, declared: Mapping[str, Any]) -> dict[str, Constraints]:
        """Return the conditions of axes that exist at some points only, by name.

        Raises
        ------
        StudyError
            If one names what does not stand before its axis, or holds nowhere.
        """
        found: dict[str, Constraints] = {}
        plain, before = set(self._named(declared)), {name for name in declared if name not in self.axes}
        for name, axis in self.axes.items():
            if axis.when:
                if axis.world:
                    raise StudyError(
                        f"axis {name!r}: when = {axis.when!r}: its values are worlds, which are no choices: "
                        "leave it out"
                    )
                check_condition(name, axis.when, sorted(before))
                found[name] = Constraints((axis.when,))
                self._check_exists(name, found)
            before |= {name} & plain
        return found

    def _check_exists(self, name: str, conditions: Mapping[str, Constraints]) -> None:
        """Refuse an axis that exists at no point."""
        named = [one for one in self.axes if one in _reached(name, conditions)]
        sizes = [len(self.axes[one].values) for one in named]
        if prod(sizes) > MAX_SETTINGS:
            return
        for place in product(*map(range, sizes)):
            values: dict[str, Any] = {}
            for one, k in zip(named, place, strict=True):
                if self._holds(conditions.get(one), values):
                    values[one] = self.axes[one].values[k]
            if self._holds(conditions[name], values):
                return
        raise StudyError(
            f"axis {name!r}: when = {self.axes[name].when!r} holds at no point, and the axis would vary "
            "nothing: leave it out, or give the axes that it names values that meet it"
        )

    def _exists(self, name: str, values: Point) -> bool:
        """Whether an axis exists, told of the values of those before it that do."""
        return self._holds(self._conditions.get(name), values)

    def _holds(self, condition: Constraints | None, values: Point) -> bool:
        return condition is None or not condition.broken({**self._unvaried, **values})

    def absent(self, point: PointIndex) -> frozenset[int]:
        """Return the places of the axes that do not exist at a point."""
        if not self._conditions:
            return frozenset()
        found: list[int] = []
        values: dict[str, Any] = {}
        for k, (name, axis) in enumerate(self.axes.items()):
            if not self._exists(name, values):
                found.append(k)
            elif not axis.world:
                values[name] = axis.values[point[k]]
        return frozenset(found)

    def _named(self, declared: Mapping[str, Any]) -> list[str]:
        """Return the names that constraints may use of points: parameters, and axes of plain values."""
        plain = [
            name
            for name, axis in self.axes.items()
            if not axis.world and not any(isinstance(v, Mapping) for v in axis.values)
        ]
        return list(dict.fromkeys((*declared, *plain)))

    def left_out(self, point: PointIndex, params: Mapping[str, Any]) -> str:
        """Return the constraint of the study that a point breaks, said; "" if it keeps to all of them."""
        for k in self.absent(point):
            if point[k]:
                axis = list(self.axes.values())[k]
                return f"{axis.name} exists only where {axis.when}, and varies nothing elsewhere"
        if not self.constraints.on_points:
            return ""
        values = {**self._unvaried, **self.at(point), **params}
        broken = self.constraints.broken(values)
        return f"constraints: {broken}" if broken else ""

    def _is_allowed(self, values: Mapping[str, Any]) -> bool:
        """Whether a point keeps to the strategy's own rule, and to the constraints between parameters."""
        if self._conditions:
            there = self._existing(values)
            if any(
                text_of(values[name]) != text_of(self.axes[name].values[0]) for name in values.keys() - there
            ):
                return False
            values = there
        own = {axis.name: values[axis.name] for _, axis in self._own if axis.name in values}
        try:
            params = self.strategy.validate({**self._given.params, **own})
        except StrategyError:
            # a value that is wrong by itself is said where configurations are made
            return breaks_alone(self.strategy, {**self._given.params, **own})
        return not self.constraints.broken({**self._unvaried, **values, **params})

    def _existing(self, values: Point) -> dict[str, Any]:
        """Return the values of the axes that exist at a point, of those that are searched."""
        found: dict[str, Any] = {}
        for name, value in values.items():
            if self._exists(name, found):
                found[name] = value
        return found

    def points(self) -> Iterator[PointIndex]:
        """Yield what is known before anything runs: all points of a search that does not learn.

        Of one that does, each value of each axis, beside the first and the last ones of the others.
        """
        if self.study.search.learns:
            yield from self._probes()
            return
        held = CheckedSearcher(self.study.search, self.searched())
        if self._worlds and self.study.search.whole:
            every: list[PointIndex] = []
            while asked := held.ask():
                every += self.in_worlds(asked)
            yield from sorted(every)  # the last axis varies fastest, be it a world or none
            return
        while asked := held.ask():
            yield from self.in_worlds(asked)

    @property
    def worlds(self) -> int:
        """How many worlds each configuration is put to, the one that it is chosen in among them."""
        return prod(len(axis.values) for _, axis in self._worlds)

    def in_worlds(self, asked: Sequence[PointIndex]) -> list[PointIndex]:
        """Return what a search asks for in all worlds, those that share a world together."""
        if not self._worlds:
            return list(asked)
        found = []
        for world in product(*(range(len(axis.values)) for _, axis in self._worlds)):
            at = {k: value for (k, _), value in zip(self._worlds, world, strict=True)}
            for place in asked:
                rest = iter(place)
                found.append(tuple(at[k] if k in at else next(rest) for k in range(len(self.axes))))
        return found

    def searched_at(self, point: PointIndex) -> PointIndex:
        """Return the point as a search knows it, whatever the world."""
        worlds = {k for k, _ in self._worlds}
        return tuple(value for k, value in enumerate(point) if k not in worlds)

    def at_home(self, point: PointIndex) -> PointIndex:
        """Return the same point in the world that configurations are chosen in."""
        home = {k: axis.at_home for k, axis in self._worlds}
        return tuple(home.get(k, value) for k, value in enumerate(point))

    def world(self, point: PointIndex) -> str:
        """Return which other world a point is in; "" of the one that configurations are chosen in."""
        said = [
            f"{axis.name} {axis.shown(axis.values[point[k]])}"
            for k, axis in self._worlds
            if point[k] != axis.at_home
        ]
        return ", ".join(said)

    def _probes(self) -> Iterator[PointIndex]:
        last = [len(axis.values) - 1 for axis in self.axes.values()]
        found = dict.fromkeys(
            (*corner[:k], value, *corner[k + 1 :])
            for corner in ([0] * len(last), last)
            for k in range(len(last))
            for value in range(last[k] + 1)
        )
        yield from dict.fromkeys(map(self._settled, found)) if found else [()]

    def _settled(self, point: PointIndex) -> PointIndex:
        """Return a point with each axis that does not exist there at its first value."""
        absent = self.absent(point)
        return tuple(0 if k in absent else value for k, value in enumerate(point)) if absent else point

    def at(self, point: PointIndex) -> dict[str, Any]:
        """Return the values of a point, by axis, of those that exist there."""
        absent, axes = self.absent(point), enumerate(self.axes.items())
        return {name: axis.values[point[k]] for k, (name, axis) in axes if k not in absent}

    def own(self, point: PointIndex) -> dict[str, Any]:
        """Return the values of a point on the axes that are parameters of the strategy and exist there."""
        absent = self.absent(point)
        return {axis.name: axis.values[point[k]] for k, axis in self._own if k not in absent}

    def shown(self, point: PointIndex) -> dict[str, Any]:
        """Return what tables show of a point, by axis; None of one that does not exist there."""
        absent = self.absent(point)
        pairs = zip(self._shown, point, strict=True)
        return {name: None if k in absent else values[at] for k, ((name, values), at) in enumerate(pairs)}

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """All settings that points have, in the order of the points."""
        sizes = [len(axis.values) for _, axis in self._others]
        if prod(sizes) > MAX_SETTINGS:
            names = ", ".join(axis.name for _, axis in self._others)
            raise StudyError(
                f"axes {names} are no parameters of the strategy, and span {prod(sizes):,} settings, more "
                f"than {MAX_SETTINGS:,}: give them fewer values"
            )
        firsts = [-1 if axis.when else 0 for _, axis in self._others]
        places = product(*(range(first, size) for first, size in zip(firsts, sizes, strict=True)))
        return tuple(self._setting(place) for place in places)

    def setting(self, point: PointIndex) -> Setting:
        """Return what a point is made of, but for the parameters of `own`.

        Raises
        ------
        StudyError, EngineError
            If a value breaks a rule.
        """
        absent = self.absent(point)
        return self._setting(tuple(-1 if k in absent else point[k] for k, _ in self._others))

    def _setting(self, place: PointIndex) -> Setting:
        """Return the setting of these places, -1 of an axis that does not exist there."""
        found = self._settings.get(place)
        if found is None:
            settings = self._given
            for (_, axis), k in zip(self._others, place, strict=True):
                settings = axis.put(axis.values[k], settings) if k >= 0 else settings
            found = self._settings[place] = self._made(settings)
        return found

    def _made(self, settings: Settings) -> Setting:
        study, model = self.study, settings.model
        timeframe_us(settings.timeframe)
        execution = execution_from_mapping(settings.execution, study.costs)
        overlays = overlays_from_mapping(settings.overlays)
        market = tuple(change_of(axis, value) for axis, value in settings.market)
        if market and model is not None:
            raise StudyError(
                f"axis {settings.market[0][0].name!r} changes the bars, and model {model!r} predicts from "
                "those that the lake holds: leave out one of the two"
            )
        identity: dict[str, Any] = {
            "execution": execution.written,
            "timeframe": settings.timeframe,
            "portfolio": study.portfolio if study.portfolio == "separate" else list(study.data.symbols),
        }
        if overlays.is_on:
            identity["overlays"] = overlays.active
        if market:
            identity["market"] = [change.identity for change in market]
        return Setting(settings.params, execution, overlays, settings.timeframe, model, market, identity)


def _reached(name: str, conditions: Mapping[str, Constraints]) -> set[str]:
    """Return the names that decide on whether an axis exists: in its own condition, and in those of these."""
    named = {one for text in conditions[name].on_points for one in names_of(text)}
    return named.union(*(_reached(one, conditions) for one in named if one in conditions))


def breaks_alone(strategy: Strategy, given: Mapping[str, Any]) -> bool:
    """Whether a value is wrong by itself, not only beside the others of its point."""
    if not getattr(strategy, "constraint", ""):
        return True
    params = getattr(strategy, "params", {})
    for name, value in given.items():
        if name not in params:
            return True
        try:
            params[name].check(value, name)
        except StrategyError:
            return True
    return False
