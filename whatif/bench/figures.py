"""What a benchmark measured, and what it had to reach."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Rule = Literal["at least", "at most", "under", "exactly"]


@dataclass(frozen=True)
class Goal:
    """What a figure must reach.

    Attributes
    ----------
    rule : str
        "at least", "at most", "under" or "exactly".
    limit : float
        In the figure's unit.
    """

    rule: Rule
    limit: float

    def reached_by(self, value: float) -> bool:
        """Tell whether `value` reaches the goal; NaN never does."""
        if self.rule == "at least":
            return value >= self.limit
        if self.rule == "at most":
            return value <= self.limit
        if self.rule == "under":
            return value < self.limit
        return value == self.limit


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes
    ----------
    key : str
        Its name in the JSON file.
    text : str
        What it is, for people.
    value : float
        As measured; NaN if it could not be.
    unit : str
        "x" for a ratio, "s", "MB", "bars/s", "%", or "" for a count.
    goal : Goal or None
        None for a figure that explains another.
    """

    key: str
    text: str
    value: float
    unit: str = ""
    goal: Goal | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.goal is None else self.goal.reached_by(self.value)

    def to_dict(self) -> dict[str, Any]:
        """Return the figure for JSON, NaN as null."""
        goal = self.goal
        return {
            "key": self.key,
            "text": self.text,
            "value": self.value if math.isfinite(self.value) else None,
            "unit": self.unit,
            "goal": None if goal is None else {"rule": goal.rule, "limit": goal.limit},
            "reached": self.reached,
        }


@dataclass(frozen=True)
class Measurement:
    """The figures of one benchmark.

    Attributes
    ----------
    name : str
        What `--only` calls it.
    title : str
        What is measured, on what, in a line.
    figures : tuple of Figure
        Those with a goal first.
    notes : tuple of str
        What is included and what is not.
    detail : mapping
        Single runs and sizes, for the JSON file.
    seconds : float
        Time that the benchmark took.
    error : str
        Why nothing was measured; "" otherwise.
    """

    name: str
    title: str
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    def figure(self, key: str) -> Figure:
        """Return the figure called `key`."""
        return next(figure for figure in self.figures if figure.key == key)

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "figures": [figure.to_dict() for figure in self.figures],
            "notes": list(self.notes),
            "detail": dict(self.detail),
            "seconds": self.seconds,
            "error": self.error,
        }


@dataclass(frozen=True)
class BenchReport:
    """All measurements of one run, and where it ran.

    Attributes
    ----------
    measurements : tuple of Measurement
        In the order in which they ran.
    conditions : mapping
        Host, cores, load, versions, time, source of the bars.
    quick : bool
        A smoke test: the sizes are too small for the figures to mean anything.
    """

    measurements: tuple[Measurement, ...]
    conditions: Mapping[str, Any]
    quick: bool = False

    @property
    def failed(self) -> bool:
        """Whether a benchmark could not be run at all; a missed goal is no failure."""
        return any(measurement.error for measurement in self.measurements)

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "quick": self.quick,
            "conditions": dict(self.conditions),
            "measurements": [measurement.to_dict() for measurement in self.measurements],
        }
