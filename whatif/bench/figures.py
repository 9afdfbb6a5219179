"""Figures of a benchmark beside the goals that they must reach: as values, as a table, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

Rule = Literal["at least", "at most", "under", "exactly"]

_SIGNS = {"at least": "≥", "at most": "≤", "under": "<", "exactly": "="}


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


def print_report(report: BenchReport, console: Console) -> None:
    """Print every figure beside its goal and whether it was reached."""
    title = "whatif bench" + (" --quick: a smoke test, too small to mean anything" if report.quick else "")
    table = Table(title=title, title_justify="left", show_lines=False)
    table.add_column("figure", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for measurement in report.measurements:
        _add(table, measurement)
    console.print(table)
    for measurement in report.measurements:
        for note in measurement.notes:
            console.print(f"{measurement.name}: {note}", style="dim", markup=False, highlight=False)
    console.print(conditions(report), markup=False, highlight=False, soft_wrap=True)


def _add(table: Table, measurement: Measurement) -> None:
    table.add_row(Text(measurement.title, style="bold"), "", "", "")
    if measurement.error:
        table.add_row(Text(f"  {measurement.error}"), "", "", Text("failed", style="bold red"))
    for figure in measurement.figures:
        table.add_row(Text(f"  {figure.text}"), number(figure), goal(figure), verdict(figure))
    table.add_section()


def number(figure: Figure) -> str:
    """Return a figure's value with its unit, as measured: four significant digits, counts whole."""
    return _number(figure.value, figure.unit)


def goal(figure: Figure) -> str:
    """Return a figure's goal, such as "≥ 1.5 x"; "" without one."""
    wanted: Goal | None = figure.goal
    return "" if wanted is None else f"{_SIGNS[wanted.rule]} {_number(wanted.limit, figure.unit)}"


def verdict(figure: Figure) -> Text:
    """Return whether the goal was reached, in a word."""
    if figure.reached is None:
        return Text("")
    return Text("reached", style="green") if figure.reached else Text("missed", style="bold red")


def conditions(report: BenchReport) -> str:
    """Return in a line where and on what the figures were measured."""
    given = report.conditions
    text = f"{given['host']}: {given['cores_used']} of {given['cores']} cores, load {given['load_before']}"
    return f"{text} before; bars: {given['bars']}; whatif {given['versions']['whatif']}"


def write_report(report: BenchReport, path: Path) -> None:
    """Write the report as JSON, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.to_dict(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _number(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "not measured"
    whole = abs(value) >= 1000 or (not unit and value == int(value))
    return f"{value:,.0f} {unit}".rstrip() if whole else f"{value:.4g} {unit}".rstrip()
