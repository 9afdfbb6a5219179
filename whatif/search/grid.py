"""From the axes of a study to its configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Protocol

from whatif.domain.execution import Execution, execution_from_mapping
from whatif.domain.overlays import OVERLAY_NAMES, Overlays, overlays_from_mapping
from whatif.domain.timeframe import timeframe_us
from whatif.errors import StrategyError, StudyError, nearest
from whatif.paths import shown
from whatif.search.configuration import Configuration
from whatif.study import Study, digest

RESULTS_VERSION = 3
"""Counts changes of any fill or metric; part of every `config_id`, so that no old row is reused."""

RESERVED_AXES = ("model", "execution", "timeframe")
"""Axes that are never a parameter of the strategy."""


class Strategy(Protocol):
    """What the grid needs of a strategy, be it a step function or a `bt.Strategy`."""

    @property
    def digest(self) -> str:
        """Digest of all that determines what it does."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Declared parameters and their defaults."""

    def validate(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters, or raise StrategyError."""


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
    """

    configurations: tuple[Configuration, ...]
    left_out: int = 0
    reason: str = ""


def expand(
    study: Study, strategy: Strategy, model_identity: Callable[[str, str], Mapping[str, Any]], fold: int = 1
) -> Grid:
    """Return the configurations that the axes of `study` span.

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
    _check_axes(study, strategy)
    executions = _executions(study)
    names = list(study.axes)
    laid_over = overlay_axes(study, strategy)
    strategy_axes = set(names) - set(RESERVED_AXES) - set(laid_over)
    found: list[Configuration] = []
    left_out, reason = 0, ""
    # once: it looks at all that the strategy can reach
    identity = strategy.digest
    for point in product(*(range(len(study.axes[name])) for name in names)):
        chosen = {name: study.axes[name][k] for name, k in zip(names, point, strict=True)}
        own = {name: value for name, value in chosen.items() if name in strategy_axes}
        try:
            params = strategy.validate({**study.strategy.params, **own})
        except StrategyError as error:
            if _breaks_alone(strategy, study, own):
                raise
            left_out, reason = left_out + 1, reason or str(error)
            continue
        k = point[names.index("execution")] if "execution" in chosen else 0
        overlays = overlays_from_mapping({**study.overlays, **{name: chosen[name] for name in laid_over}})
        one = _Point(chosen, params, executions[k], overlays, laid_over, fold)
        found.append(_configuration(study, identity, one, model_identity))
    if not found:
        raise StudyError(f"axes: no configuration is left, all {left_out} break a rule: {reason}")
    _check_distinct(found)
    return Grid(tuple(found), left_out, reason)


def overlay_axes(study: Study, strategy: Strategy) -> tuple[str, ...]:
    """Return the axes of `study` that are overlays: those names that are no parameter of the strategy."""
    return tuple(name for name in study.axes if name in OVERLAY_NAMES and name not in strategy.defaults)


@dataclass(frozen=True)
class _Point:
    """One point of all axes, its values resolved."""

    chosen: Mapping[str, Any]
    params: dict[str, Any]
    execution: tuple[Execution, str]
    overlays: Overlays
    overlay_axes: tuple[str, ...]
    fold: int

    @property
    def axes(self) -> dict[str, Any]:
        """What the leaderboard shows of it: overlays in their own units, None where one is off."""
        laid_over = {name: getattr(self.overlays, name) for name in self.overlay_axes}
        execution = {"execution": self.execution[1]} if "execution" in self.chosen else {}
        return {**self.chosen, **execution, **laid_over}


def _configuration(
    study: Study,
    strategy: str,
    point: _Point,
    model_identity: Callable[[str, str], Mapping[str, Any]],
) -> Configuration:
    chosen, params, execution = point.chosen, point.params, point.execution[0]
    model = chosen.get("model") or (next(iter(study.models)) if len(study.models) == 1 else None)
    timeframe = chosen.get("timeframe", study.data.timeframe)
    identity: dict[str, Any] = {
        "version": RESULTS_VERSION,
        "strategy": strategy,
        "params": params,
        "execution": asdict(execution),
        "timeframe": timeframe,
        "portfolio": study.portfolio if study.portfolio == "separate" else list(study.data.symbols),
        "model": model_identity(model, timeframe) if model else None,
    }
    if point.overlays.is_on:
        identity["overlays"] = point.overlays.active
    try:
        name = digest(identity)
    except (TypeError, ValueError) as error:  # an ordinary Backtrader strategy takes anything
        raise StudyError(
            f"parameters {shown(repr(params))} can name no configuration ({error}): give texts, finite "
            "numbers, or lists of these"
        ) from error
    same = digest(identity | {"model": model}) if model else name
    fold = point.fold if model else 1
    return Configuration(name, params, model, timeframe, execution, point.axes, point.overlays, fold, same)


def _check_distinct(configurations: Iterable[Configuration]) -> None:
    """Refuse two points that are one configuration, for they would share a row."""
    seen: dict[str, Configuration] = {}
    for configuration in configurations:
        same = seen.setdefault(configuration.config_id, configuration)
        if same is not configuration:
            raise StudyError(
                f"axes: {dict(same.axes)} and {dict(configuration.axes)} are the same configuration, "
                "in other words: remove one of the two"
            )


def _check_axes(study: Study, strategy: Strategy) -> None:
    valid = [*strategy.defaults, *RESERVED_AXES, *OVERLAY_NAMES]
    for name in study.axes:
        if name not in valid:
            raise StudyError(
                f"axis {name!r} is neither a parameter of strategy {study.strategy.name!r} nor one of "
                f"{', '.join((*RESERVED_AXES, *OVERLAY_NAMES))}: {nearest(name, valid)}"
            )
        if name in study.strategy.params:
            raise StudyError(f"{name!r} stands both in strategy.params and in axes: remove one of the two")
    for name in overlay_axes(study, strategy):
        if name in study.overlays:
            raise StudyError(f"{name!r} stands both in overlays and in axes: remove one of the two")
    for timeframe in study.axes.get("timeframe", ()):
        timeframe_us(timeframe)


def _executions(study: Study) -> list[tuple[Execution, str]]:
    base = dict(study.execution)
    points: list[tuple[Execution, str]] = []
    for given in study.axes.get("execution", ({},)):
        if not isinstance(given, Mapping):
            raise StudyError(
                f"axis execution holds {repr(given)[:200]}: each value is a mapping such as "
                "{commission: 0.0005, slippage: 0.0001}"
            )
        text = " ".join(
            f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in given.items()
        )
        points.append((execution_from_mapping({**base, **given}), text))
    return points


def _breaks_alone(strategy: Strategy, study: Study, own: Mapping[str, Any]) -> bool:
    """Whether a value is wrong by itself, not only beside the others of its point."""
    if not getattr(strategy, "constraint", ""):
        return True
    params = getattr(strategy, "params", {})
    for name, value in {**study.strategy.params, **own}.items():
        if name not in params:
            return True
        try:
            params[name].check(value, name)
        except StrategyError:
            return True
    return False
