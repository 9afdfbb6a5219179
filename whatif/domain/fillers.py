"""Fillers: how much of a bar's volume an order may be filled with, by Backtrader's names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whatif.errors import EngineError, nearest

FILLERS = ("fixed_size", "fixed_bar_perc", "bar_point_perc")
"""Names of the fillers, Backtrader's classes written as keys are."""

_EXAMPLE = "filler: {fixed_bar_perc: 10}"


@dataclass(frozen=True)
class Filler:
    """How much of an order a bar fills at most; the rest waits for the next one.

    Attributes
    ----------
    name : str
        One of `FILLERS`.
    amount : float
        Units of `fixed_size`; of the others percent of the bar's volume.
    minmov : float
        Of `bar_point_perc`: the volume is shared by so many prices as there are of this distance between low
        and high; 0 for one.
    """

    name: str
    amount: float
    minmov: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what fills nothing.

        Raises
        ------
        EngineError
            Naming key, value and rule.
        """
        most, rule = (1e15, "at most 1e15") if self.name == "fixed_size" else (100.0, "at most 100 percent")
        if not (math.isfinite(self.amount) and 0.0 < self.amount <= most):
            raise EngineError(f"filler: {self.name} = {self.amount!r} must be above 0 and {rule}")
        if not (math.isfinite(self.minmov) and 0.0 <= self.minmov <= 1e15):
            raise EngineError(
                f"filler: minmov = {self.minmov!r} must be a price's smallest move, from 0 to 1e15"
            )

    @property
    def written(self) -> dict[str, Any]:
        """The keys that a study has for it."""
        if self.name != "bar_point_perc":
            return {self.name: self.amount}
        return {self.name: {"minmov": self.minmov, "perc": self.amount}}

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Number of the filler from 1 on, amount, and smallest move."""
        return (1.0 + FILLERS.index(self.name), self.amount, self.minmov)


def filler_from(given: object) -> Filler:
    """Return the filler that a study names: one of `FILLERS` with its amount.

    Parameters
    ----------
    given : mapping
        `{fixed_size: units}`, `{fixed_bar_perc: percent}`, or
        `{bar_point_perc: {minmov: price, perc: percent}}`, of which either may be left out.

    Raises
    ------
    EngineError
        If it is none of these (naming the nearest), or a value breaks its rule.
    """
    if isinstance(given, Filler):
        return given
    if not isinstance(given, Mapping) or len(given) != 1:
        raise EngineError(
            f"execution: filler = {given!r} must be one of {', '.join(FILLERS)} with its amount: {_EXAMPLE}"
        )
    name, amount = next(iter(given.items()))
    minmov: object = 0.0
    if name not in FILLERS:
        raise EngineError(f"execution: filler: {name!r} is unknown; {nearest(str(name), FILLERS)}")
    if name == "bar_point_perc":
        amount, minmov = _point_numbers(amount)
    return Filler(name, _number(name, amount), _number("minmov", minmov))


def _point_numbers(given: object) -> tuple[object, object]:
    if not isinstance(given, Mapping) or not set(given) <= {"minmov", "perc"}:
        raise EngineError(
            f"execution: filler: bar_point_perc = {given!r} must be such as {{minmov: 0.01, perc: 50}}"
        )
    return given.get("perc", 100.0), given.get("minmov", 0.0)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise EngineError(f"execution: filler: {name} = {value!r} must be a number")
    return float(value)
