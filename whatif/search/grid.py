"""Grid of a study's configurations, and the identity of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from whatif.errors import StrategyError, StudyError
from whatif.search.configuration import Configuration
from whatif.search.contract import PointIndex
from whatif.search.space import Setting, Space, Strategy, breaks_alone
from whatif.study import Study, digest
from whatif.texts import shown

RESULTS_VERSION = 4
"""Counts changes of any fill or metric; part of every `config_id`, so that no old row is reused."""

ModelIdentity = Callable[[str, str], Mapping[str, Any]]
"""Gives, for a model's name and a timeframe, what a configuration depends on."""


@dataclass(frozen=True)
class Grid:
    """All configurations of a study.

    Attributes
    ----------
    configurations : tuple of Configuration
        In the order of the axes, the last axis varying fastest.
    left_out : int
        Points that break the strategy's constraint between parameters.
    reason : str
        Why the first of those was left out; "" if none was.
    points : tuple of PointIndex
        The point of each configuration.
    """

    configurations: tuple[Configuration, ...]
    left_out: int = 0
    reason: str = ""
    points: tuple[PointIndex, ...] = ()

    def and_(self, other: Grid) -> Grid:
        """Return these configurations and others."""
        return Grid(
            (*self.configurations, *other.configurations),
            self.left_out + other.left_out,
            self.reason or other.reason,
            (*self.points, *other.points),
        )

    def without(self, config_ids: Collection[str]) -> Grid:
        """Return these configurations but some."""
        pairs = zip(self.configurations, self.points, strict=True)
        kept = [(one, point) for one, point in pairs if one.config_id not in config_ids]
        return replace(
            self,
            configurations=tuple(one for one, _ in kept),
            points=tuple(point for _, point in kept),
        )


@dataclass(frozen=True, eq=False)
class Dropped:
    """What was run on the first of several windows that rank, and not on the others.

    Attributes
    ----------
    rows : DataFrame
        For each configuration and symbol its row of `results` on the last window that it was run on, under
        the name that the last fold has for it: status "dropped", why in `error`, and no metrics.
    before : tuple of int
        Of each row, number of the first fold that it was not run in.
    configurations : tuple of Configuration
        All of them, as each fold calls them, in all worlds.
    """

    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    before: tuple[int, ...] = ()
    configurations: tuple[Configuration, ...] = ()

    def __len__(self) -> int:
        """Return how many points there are."""
        return self.rows["config_id"].nunique() if len(self.rows) else 0

    def and_(self, other: Dropped) -> Dropped:
        """Return these and others."""
        return Dropped(
            pd.concat([part.rows for part in (self, other) if len(part.rows)], ignore_index=True)
            if len(self.rows) + len(other.rows)
            else self.rows,
            (*self.before, *other.before),
            (*self.configurations, *other.configurations),
        )

    def until(self, fold: int) -> pd.DataFrame:
        """Return the rows of what is not run in a fold."""
        return self.rows[[number <= fold for number in self.before]]


def expand(study: Study, strategy: Strategy, model_identity: ModelIdentity, fold: int = 1) -> Grid:
    """Return the configurations that the search of `study` takes of what its axes span.

    Parameters
    ----------
    study : Study
        The authored study.
    strategy : Strategy
        The strategy that it names.
    model_identity : callable
        Gives, for a model's name and a timeframe, what a configuration depends on.
    fold : int
        Number of the fold that trains the models.

    Raises
    ------
    StudyError
        If an axis is unknown, a value breaks a rule, or nothing is left of the grid.
    StrategyError
        If a parameter is unknown, mistyped or out of bounds.
    """
    space = Space(study, strategy)
    return make_grid(space, space.points(), model_identity, fold)


def make_grid(
    space: Space, points: Iterable[PointIndex], model_identity: ModelIdentity, fold: int = 1
) -> Grid:
    """Return the configurations of some points; see `expand`. Of a search that learns there may be none."""
    found: list[Configuration] = []
    kept: list[PointIndex] = []
    left_out, reason = 0, ""
    # once: it looks at all that the strategy can reach
    identity = space.strategy.digest
    for point in points:
        setting, own = space.setting(point), space.own(point)
        try:
            params = space.strategy.validate({**setting.params, **own})
        except StrategyError as error:
            if breaks_alone(space.strategy, {**setting.params, **own}):
                raise
            left_out, reason = left_out + 1, reason or str(error)
            continue
        if broken := space.left_out(point, params):
            left_out, reason = left_out + 1, reason or broken
            continue
        content = {**setting.identity, "version": RESULTS_VERSION, "strategy": identity, "params": params}
        found.append(_configuration(setting, content, space.shown(point), model_identity, fold))
        kept.append(point)
    if not found and not space.study.search.learns:
        raise StudyError(f"axes: no configuration is left, all {left_out} break a rule: {reason}")
    check_distinct(found)
    return Grid(tuple(_placed(space, found, kept)), left_out, reason, tuple(kept))


def _placed(
    space: Space, found: Sequence[Configuration], points: Sequence[PointIndex]
) -> Iterable[Configuration]:
    """Return configurations that know their world, and what they are called in that of the choice."""
    if space.worlds == 1:
        return found
    names = {point: one.config_id for one, point in zip(found, points, strict=True)}
    pairs = zip(found, points, strict=True)
    return [
        replace(one, world=space.world(point), home=names.get(space.at_home(point), ""))
        for one, point in pairs
    ]


def _configuration(
    setting: Setting,
    content: Mapping[str, Any],
    axes: Mapping[str, Any],
    model_identity: ModelIdentity,
    fold: int,
) -> Configuration:
    params, model, timeframe = content["params"], setting.model, setting.timeframe
    identity = {**content, "model": model_identity(model, timeframe) if model else None}
    try:
        name = digest(identity)
    except (TypeError, ValueError) as error:  # an ordinary Backtrader strategy takes anything
        raise StudyError(
            f"parameters {shown(repr(params))} can name no configuration ({error}): give texts, finite "
            "numbers, or lists of these"
        ) from error
    return Configuration(
        config_id=name,
        params=params,
        model=model,
        timeframe=timeframe,
        execution=setting.execution,
        axes=axes,
        overlays=setting.overlays,
        fold=fold if model else 1,
        point=digest(identity | {"model": model}) if model else name,
        market=setting.market,
    )


def check_distinct(configurations: Iterable[Configuration]) -> None:
    """Refuse two points that are one configuration, for they would share a row.

    Raises
    ------
    StudyError
        Naming both.
    """
    seen: dict[str, Configuration] = {}
    for configuration in configurations:
        same = seen.setdefault(configuration.config_id, configuration)
        if same is not configuration:
            raise StudyError(
                f"axes: {dict(same.axes)} and {dict(configuration.axes)} are the same configuration, "
                "in other words: remove one of the two"
            )
